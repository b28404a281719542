"""The cohort table on a terminal: cohorts down, metrics across, in as many tables as the width needs.

Under its numbers every cell has its interval drawn, on one scale for all cohorts of a metric: zero and the
margin run down the column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.reports.cohort_table import CohortRow, CohortTable, has_own_margin
from voiceeval.reports.sparkline import (
    FARTHER_LEFT,
    FARTHER_RIGHT,
    LINE,
    MARGIN,
    POINT,
    ZERO,
    interval_lines,
)
from voiceeval.reports.terminal_style import grid, style
from voiceeval.reports.wording import (
    SIGNS,
    WAIVED_SIGN,
    counted,
    difference,
    levels,
    one_line,
    outcome_word,
    sign,
)
from voiceeval.score import MetricInfo
from voiceeval.verdict import Comparison, Estimate, Verdict

_MOST_ROWS = 40
_WIDEST_DRAWING = 20


def cohort_lines(table: CohortTable, comparison: Comparison, width: int) -> Iterator[RenderableType]:
    """The table, its legend, and which cells have a margin of their own; nothing where nothing gates."""
    if not table.rows:
        return
    rows = _shown_rows(table, comparison)
    names = [_name_lines(row.cohort) for row in rows]
    sizes = [f"{counted(row.speakers, 'speaker')}\n{counted(row.pairs, 'call')}" for row in rows]
    fixed = _width(names) + _width(sizes) + 4
    room = max(width - fixed, 16)
    for metrics in _chunks(table, room, rows):
        drawn = grid()
        drawn.add_column("cohort", no_wrap=True, vertical="top")
        drawn.add_column("size", no_wrap=True, style="dim")
        widths = _widths(metrics, table, rows, room)
        lines: dict[str, str] = {}
        for metric, columns in zip(metrics, widths, strict=True):
            drawn.add_column(_metric_heading(metric, table), width=columns)
            verdicts = [row.cells[metric.name] for row in rows if metric.name in row.cells]
            lines |= interval_lines(verdicts, columns)
        for index, row in enumerate(rows):
            cells = [
                _cell(row.cells[metric.name], lines) if metric.name in row.cells else Text("–")
                for metric in metrics
            ]
            named = style(row.worst) if row.blocking(comparison) else ""
            drawn.add_row(Text(names[index], style=named), Text(sizes[index]), *cells)
            if row.cohort == EVERYONE:
                drawn.add_section()
        yield Text("")
        yield drawn
    hidden = len(table.rows) - len(rows)
    if hidden:
        yield Text(
            f"{counted(hidden, 'more cohort')} without a blocking verdict: see the report", style="dim"
        )
    yield from _legend(table, rows)


def _legend(table: CohortTable, rows: Sequence[CohortRow]) -> Iterator[RenderableType]:
    told = [outcome_word(outcome) for outcome in SIGNS]
    if any(row.waived for row in rows):
        told.append(f"{WAIVED_SIGN} waived")
    if not all(verdict.gating for row in rows for verdict in row.cells.values()):
        told.append("(…) reported only")
    yield Text("   ".join(told), style="dim")
    yield Text(
        f"{LINE}{POINT}{LINE} interval, worse to the right   {ZERO} no difference   {MARGIN} margin   "
        f"{FARTHER_LEFT} {FARTHER_RIGHT} goes on",
        style="dim",
    )
    own = table.own_margins
    if own:
        named = "; ".join(
            f"{one_line(verdict.margin, limit=20)} for {one_line(verdict.id, limit=80)}"
            for verdict in own[:3]
        )
        rest = f"; and {len(own) - 3} more: see the report" if len(own) > 3 else ""
        yield Text(f"* a margin of its own, not the column's: {named}{rest}", style="dim")


def _shown_rows(table: CohortTable, comparison: Comparison) -> tuple[CohortRow, ...]:
    kept = table.rows[:_MOST_ROWS]
    return kept + tuple(row for row in table.rows[_MOST_ROWS:] if row.blocking(comparison))


def _chunks(table: CohortTable, room: int, rows: Sequence[CohortRow]) -> Iterator[tuple[MetricInfo, ...]]:
    """Metrics for one table after the other, each as wide as there is room for."""
    chunk: list[MetricInfo] = []
    used = 0
    for metric in table.metrics:
        needed = _metric_width(metric, table, rows) + 2
        if chunk and used + needed > room:
            yield tuple(chunk)
            chunk, used = [], 0
        chunk.append(metric)
        used += needed
    if chunk:
        yield tuple(chunk)


def _widths(
    metrics: Sequence[MetricInfo], table: CohortTable, rows: Sequence[CohortRow], room: int
) -> tuple[int, ...]:
    """How wide the metrics of one table are: what is left of the room is given to their drawings."""
    least = [_metric_width(metric, table, rows) for metric in metrics]
    more = max(room - sum(least) - 2 * len(least), 0) // len(least)
    return tuple(max(width, min(width + more, _WIDEST_DRAWING)) for width in least)


def _name_lines(cohort: Cohort) -> str:
    """A cohort's name, a line per tag: narrow, and nothing is abbreviated."""
    return "\n× ".join(one_line(part, limit=40) for part in cohort.name.split(" × "))


def _metric_width(metric: MetricInfo, table: CohortTable, rows: Sequence[CohortRow]) -> int:
    cells = [line for row in rows if metric.name in row.cells for line in _cell_lines(row.cells[metric.name])]
    words = [
        *one_line(metric.title, limit=60).split(),
        *(f"margin {text}" for text in _margins(metric, table)),
    ]
    return min(max(cell_len(text) for text in [*cells, *words]), 20)


def _metric_heading(metric: MetricInfo, table: CohortTable) -> Text:
    heading = Text(one_line(metric.title, limit=60))
    for margin in _margins(metric, table):
        heading.append(f"\nmargin {margin}", style="dim not bold")
    return heading


def _margins(metric: MetricInfo, table: CohortTable) -> tuple[str, ...]:
    """The margin that cohorts share but for those with their own, ``varies``, or nothing."""
    found = table.common_margins(metric)
    return ("varies",) if len(found) > 1 else tuple(one_line(text, limit=12) for text in found)


def _width(texts: Sequence[str]) -> int:
    return max(cell_len(line) for text in texts for line in text.split("\n"))


def _cell_lines(verdict: Verdict) -> tuple[str, str]:
    shown = sign(verdict) if verdict.gating else f"({sign(verdict)})"
    estimate = verdict.estimate
    if not isinstance(estimate, Estimate):
        return f"{shown} {verdict.outcome.value}", "no estimate"
    star = " *" if has_own_margin(verdict) else ""
    change = difference(verdict.metric, estimate.difference)
    return f"{shown} {change}{star}", levels(verdict.metric, estimate, arrow="→")


def _cell(verdict: Verdict, lines: Mapping[str, str]) -> Text:
    first, second = _cell_lines(verdict)
    told = Text.assemble((first, style(verdict)), "\n", (second, "dim"))
    if verdict.id in lines:
        told.append("\n")
        for mark in lines[verdict.id]:
            told.append(mark, style="dim" if mark in (ZERO, MARGIN) else style(verdict))
    return told
