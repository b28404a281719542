"""The comparison on a terminal or in a CI log: readable without colour, from 60 columns up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE
from voiceeval.reports.cohort_table import (
    STAGE_METRICS,
    CohortRow,
    CohortTable,
    doubt,
    gating_table,
    reported_cohorts_table,
    reported_metrics_table,
    slower_stage,
)
from voiceeval.reports.manifest_view import arm_view, changed_in_short
from voiceeval.reports.wording import (
    SIGNS,
    blame_counts,
    blamed_stage,
    bounds,
    change,
    counted,
    difference,
    direction_word,
    headline,
    levels,
    one_line,
    outcome_word,
    reason_with_interval,
    tally,
)
from voiceeval.score import MetricInfo
from voiceeval.verdict import Comparison, Estimate, Outcome, Verdict

_STYLES = {
    Outcome.INVALID: "bold magenta",
    Outcome.REGRESSED: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.PASSED: "green",
    Outcome.IMPROVED: "bold cyan",
}
_ASCII = str.maketrans(
    {"✗": "X", "✓": "v", "▲": "^", "→": ">", "×": "x", "−": "-", "±": " ", "…": "~", "–": "-"}
)
_MOST_ROWS = 40


def render(
    comparison: Comparison, console: Console, *, report_path: Path | str = "", gate_path: Path | str = ""
) -> None:
    """Print the whole result.

    Args:
        comparison: What to print.
        console: Where; its width decides the layout, and no colour is needed to read it.
        report_path: The HTML report, named in the last lines; empty where none was written.
        gate_path: The same for ``gate.json``.
    """
    page = Group(*_page(comparison, console.width, report_path, gate_path))
    if console.encoding.lower().startswith("utf"):
        console.print(page)
        return
    with console.capture() as capture:
        console.print(page)
    plain = capture.get().translate(_ASCII)
    console.file.write(plain.encode(console.encoding, "replace").decode(console.encoding))


def _page(
    comparison: Comparison, width: int, report_path: Path | str, gate_path: Path | str
) -> Iterator[RenderableType]:
    table = gating_table(comparison)
    yield from _heading(comparison)
    yield from _cohorts(table, comparison, width)
    yield from _blocking(table, comparison)
    yield from _undecided(comparison)
    yield from _reported(comparison)
    yield Text("")
    yield Text(tally(comparison), style="bold")
    for name, path in (("report", report_path), ("gate", gate_path)):
        if path:
            yield Text(f"{name}: {path}", no_wrap=True, overflow="ignore")


def _heading(comparison: Comparison) -> Iterator[RenderableType]:
    baseline, candidate = (arm_view(comparison.manifest, arm) for arm in Arm)
    line = Text("baseline ", style="dim")
    line.append(one_line(baseline.label, limit=60), style="not dim bold")
    line.append(" → candidate ")
    line.append(one_line(candidate.label, limit=60), style="not dim bold")
    yield line
    yield Text(f"what differs: {one_line(changed_in_short(comparison.manifest))}", style="dim")
    yield Text("")
    style = "bold white on red" if comparison.failed else "bold green"
    yield Text.assemble((f" {headline(comparison)} ", style), f"  (policy: {comparison.policy})")
    if comparison.partial:
        yield Text(
            "partial: only a selection of the suite was judged; this run cannot be blessed", "bold yellow"
        )
    for alarm in comparison.alarms:
        yield Text(f"alarm: {one_line(alarm)}", style="bold")


def _cohorts(table: CohortTable, comparison: Comparison, width: int) -> Iterator[RenderableType]:
    if not table.rows:
        return
    rows = _shown_rows(table, comparison)
    names = [_name_lines(row) for row in rows]
    sizes = [f"{counted(row.speakers, 'speaker')}\n{counted(row.pairs, 'call')}" for row in rows]
    fixed = _width(names) + _width(sizes) + 4
    for metrics in _chunks(table.metrics, max(width - fixed, 16), rows):
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        grid.add_column("cohort", no_wrap=True, vertical="top")
        grid.add_column("size", no_wrap=True, style="dim")
        for metric in metrics:
            grid.add_column(_metric_heading(metric, rows), width=_metric_width(metric, rows))
        for index, row in enumerate(rows):
            cells = [
                _cell(row.cells[metric.name]) if metric.name in row.cells else Text("–") for metric in metrics
            ]
            style = _STYLES[row.worst] if row.blocking(comparison) else ""
            grid.add_row(Text(names[index], style=style), Text(sizes[index]), *cells)
            if row.cohort == EVERYONE:
                grid.add_section()
        yield Text("")
        yield grid
    hidden = len(table.rows) - len(rows)
    if hidden:
        yield Text(
            f"{counted(hidden, 'more cohort')} without a blocking verdict: see the report", style="dim"
        )
    legend = [outcome_word(outcome) for outcome in SIGNS]
    if not all(verdict.gating for row in rows for verdict in row.cells.values()):
        legend.append("(…) reported only")
    yield Text("   ".join(legend), style="dim")


def _shown_rows(table: CohortTable, comparison: Comparison) -> tuple[CohortRow, ...]:
    kept = table.rows[:_MOST_ROWS]
    return kept + tuple(row for row in table.rows[_MOST_ROWS:] if row.blocking(comparison))


def _chunks(
    metrics: Sequence[MetricInfo], room: int, rows: Sequence[CohortRow]
) -> Iterator[tuple[MetricInfo, ...]]:
    """Metrics for one table after the other, each as wide as there is room for."""
    chunk: list[MetricInfo] = []
    used = 0
    for metric in metrics:
        needed = _metric_width(metric, rows) + 2
        if chunk and used + needed > room:
            yield tuple(chunk)
            chunk, used = [], 0
        chunk.append(metric)
        used += needed
    if chunk:
        yield tuple(chunk)


def _name_lines(row: CohortRow) -> str:
    """A cohort's name, a line per tag: narrow, and nothing is abbreviated."""
    return "\n× ".join(one_line(part, limit=40) for part in row.cohort.name.split(" × "))


def _metric_width(metric: MetricInfo, rows: Sequence[CohortRow]) -> int:
    cells = [line for row in rows if metric.name in row.cells for line in _cell_lines(row.cells[metric.name])]
    words = [
        *one_line(metric.title, limit=60).split(),
        *(f"margin {text}" for text in _margins(metric, rows)),
    ]
    return min(max(cell_len(text) for text in [*cells, *words]), 20)


def _metric_heading(metric: MetricInfo, rows: Sequence[CohortRow]) -> Text:
    heading = Text(one_line(metric.title, limit=60))
    for margin in _margins(metric, rows):
        heading.append(f"\nmargin {margin}", style="dim not bold")
    return heading


def _margins(metric: MetricInfo, rows: Sequence[CohortRow]) -> tuple[str, ...]:
    """The margin all cohorts share, ``varies``, or nothing."""
    found = {row.cells[metric.name].margin for row in rows if metric.name in row.cells} - {""}
    return ("varies",) if len(found) > 1 else tuple(one_line(text, limit=12) for text in found)


def _width(texts: Sequence[str]) -> int:
    return max(cell_len(line) for text in texts for line in text.split("\n"))


def _cell_lines(verdict: Verdict) -> tuple[str, str]:
    sign = SIGNS[verdict.outcome] if verdict.gating else f"({SIGNS[verdict.outcome]})"
    estimate = verdict.estimate
    if not isinstance(estimate, Estimate):
        return f"{sign} {verdict.outcome.value}", "no estimate"
    change = difference(verdict.metric, estimate.difference)
    return f"{sign} {change}", levels(verdict.metric, estimate, arrow="→")


def _cell(verdict: Verdict) -> Text:
    first, second = _cell_lines(verdict)
    return Text.assemble((first, _STYLES[verdict.outcome]), "\n", (second, "dim"))


def _blocking(table: CohortTable, comparison: Comparison) -> Iterator[RenderableType]:
    rows = [(row, row.blocking(comparison)) for row in table.rows]
    if not any(cells for _, cells in rows):
        return
    yield Text("")
    yield Text("Why it may not ship", style="bold underline")
    for row, cells in rows:
        if not cells:
            continue
        yield Text.assemble((one_line(row.cohort.name, limit=120), "bold"), (f"  {_size(row)}", "dim"))
        for verdict in cells:
            yield from _blocking_lines(verdict, comparison)
        yield _indented(_blame_line(row), 2)


def _size(row: CohortRow) -> str:
    return f"{counted(row.speakers, 'speaker')}, {counted(row.pairs, 'call')}"


def _blocking_lines(verdict: Verdict, comparison: Comparison) -> Iterator[RenderableType]:
    style = _STYLES[verdict.outcome]
    title = one_line(verdict.metric.title, limit=60)
    line = Text.assemble((f"{SIGNS[verdict.outcome]} {title} {verdict.outcome.value}: ", style))
    line.append(change(verdict))
    yield _indented(line, 2)
    yield _indented(Text(reason_with_interval(verdict), style="dim"), 4)
    timed = verdict.metric.unit == "ms" and verdict.metric.name not in STAGE_METRICS
    for stage in slower_stage(comparison, verdict.cohort) if timed else ():
        told = Text(f"slower stage: {STAGE_METRICS[stage.metric.name]}", style="bold")
        yield _indented(told.append(f", {change(stage)}", style="not bold"), 4)


def _indented(text: Text, columns: int) -> Padding:
    return Padding(text, (0, 0, 0, columns))


def _blame_line(row: CohortRow) -> Text:
    line = Text("lost tasks: ")
    blame = row.blames.get(Arm.CANDIDATE)
    if blame is None:
        line.append("not known")
    else:
        if blame.failed:
            line.append(f"{blamed_stage(blame)} to blame, ", style="bold")
        line.append(blame_counts(blame))
    if Arm.BASELINE in row.blames:
        line.append(f" (baseline lost {row.blames[Arm.BASELINE].failed})", style="dim")
    return line


def _undecided(comparison: Comparison) -> Iterator[RenderableType]:
    """Cells that were not decided and do not block, by metric: they must not read as passed."""
    cells = [v for v in comparison.verdicts if v.gating and v.outcome is Outcome.INCONCLUSIVE]
    if not cells or Outcome.INCONCLUSIVE.blocks(comparison.policy):
        return
    yield Text("")
    yield Text(f"Not decided: {counted(len(cells), 'gating cell')}", style="bold underline")
    for title in dict.fromkeys(verdict.metric.title for verdict in cells):
        told = sorted((verdict for verdict in cells if verdict.metric.title == title), key=doubt)
        line = Text(f"? {one_line(title, limit=60)} in {counted(len(told), 'cohort')}", style="yellow")
        line.append(
            f"{', the worst' if len(told) > 1 else ''}: {one_line(told[0].cohort.name, limit=80)}",
            style="not dim default",
        )
        yield _indented(line, 2)
        yield _indented(Text(one_line(told[0].reason), style="dim"), 4)


def _reported(comparison: Comparison) -> Iterator[RenderableType]:
    table = reported_metrics_table(comparison)
    overall = [row for row in table.rows if row.cohort == EVERYONE]
    if overall:
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        for heading in ("metric", "baseline → candidate", "difference", "interval"):
            grid.add_column(heading)
        for metric in table.metrics:
            if metric.name in overall[0].cells:
                grid.add_row(*_reported_cells(overall[0].cells[metric.name]))
        yield Text("")
        yield Text("Reported only, overall (never fails the run)", style="bold")
        yield grid
    worse = [
        verdict
        for row in (*reported_cohorts_table(comparison).rows, *table.rows)
        for verdict in row.cells.values()
        if verdict.outcome is Outcome.REGRESSED
    ]
    if worse:
        named = ", ".join(one_line(verdict.id, limit=80) for verdict in worse[:3])
        rest = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
        yield Text(f"Reported only, yet regressed: {named}{rest}", style="yellow")


def _reported_cells(verdict: Verdict) -> tuple[Text, ...]:
    metric, estimate = verdict.metric, verdict.estimate
    title = Text(one_line(metric.title, limit=60))
    if not isinstance(estimate, Estimate):
        return title, Text(one_line(estimate.reason, limit=60), style="dim"), Text(""), Text("")
    word = direction_word(metric, estimate)
    return (
        title,
        Text(levels(metric, estimate)),
        Text(f"{difference(metric, estimate.difference)} {word}"),
        Text(bounds(metric, estimate.interval), style="dim"),
    )
