"""The history on a terminal: a row per metric and cohort, its trend as a line of blocks, the last verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from voiceeval.reports.history_page import releases_of
from voiceeval.reports.terminal_style import grid, print_anywhere
from voiceeval.reports.trend_lines import scale
from voiceeval.reports.wording import SIGNS, counted, difference, level, one_line
from voiceeval.run_history import History, Level, Release, Trend

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=+*#@"
_BREAK = "┊"
_ASCII = str.maketrans(
    dict(zip(_BLOCKS, _ASCII_BLOCKS, strict=True))
    | {"┊": "|", "✗": "X", "✓": "v", "▲": "^", "→": ">", "×": "x", "−": "-", "±": " ", "…": "~", "·": "."}
)


def render(found: History, trends: Sequence[Trend], console: Console, *, page: str = "") -> None:
    """Print the history; readable without colour and in plain ASCII."""
    print_anywhere(console, lambda: _print(found, trends, console, page), ascii_signs=_ASCII)


def _print(found: History, trends: Sequence[Trend], console: Console, page: str) -> None:
    releases = releases_of(found, trends)
    for place, release in enumerate(releases, start=1):
        console.print(Text(f"{place:>3}  {one_line(release.date)}  {one_line(release.label)}"))
    console.print()
    table = grid()
    for heading in ("metric", "cohort", "trend", "first → last", "last verdict"):
        table.add_column(heading, overflow="fold")
    previous = ""
    scales = {
        name: scale([trend for trend in trends if trend.metric.name == name], releases)
        for name in {trend.metric.name for trend in trends}
    }
    for trend in trends:
        levels = [level for release in releases for level in trend.shown(release)]
        named = trend.metric.name
        table.add_row(
            Text("" if named == previous else one_line(named)),
            Text(one_line(trend.cohort.name)),
            Text(glyphs(trend, releases, *scales[named])),
            Text(_ends(trend, levels)),
            _last_verdict(trend, levels),
        )
        previous = named
    console.print(table)
    for reason in found.skipped:
        console.print(Text(f"left out: {one_line(reason)}"))
    runs = f"{counted(len(releases), 'release')} of {counted(len(found.runs), 'run')}"
    console.print(Text(f"\n{runs}; a metric's trends share one scale. {_BREAK} what was measured changed."))
    if page:
        console.print(Text(f"history: {page}"), soft_wrap=True)


def glyphs(trend: Trend, releases: Sequence[Release], low: float, high: float) -> str:
    """A block a release, higher for more; a dot where there is no level, a break where the measure changed.

    >>> glyphs(Trend(metric=None, cohort=None, gated=True, levels={}), ["2.3", "2.4"], 0.0, 1.0)
    '··'
    """
    marks, alike = [], ""
    for release in releases:
        shown = trend.shown(release)
        for one in shown:
            if alike and alike != one.alike:
                marks.append(_BREAK)
            alike = one.alike
            share = (one.value - low) / (high - low) if high > low else 0.5
            marks.append(_BLOCKS[round(share * (len(_BLOCKS) - 1))])
        if not shown:
            marks.append("·")
    return "".join(marks)


def _ends(trend: Trend, levels: Sequence[Level]) -> str:
    if not levels:
        return "not measured"
    last = level(trend.metric, levels[-1].value)
    return last if len(levels) == 1 else f"{level(trend.metric, levels[0].value)} → {last}"


def _last_verdict(trend: Trend, levels: Sequence[Level]) -> Text:
    for one in reversed(levels):
        if one.verdict is not None:
            told = f"{SIGNS[one.verdict]} {one.verdict} {difference(trend.metric, one.difference)}"
            return Text(told, style="bold red" if one.blocks else "")
    return Text("none")
