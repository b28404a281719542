"""Why a run may not ship, what was waived and what was not decided, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from voiceeval.call import Arm
from voiceeval.reports.cohort_table import STAGE_METRICS, CohortRow, CohortTable, doubt, slower_stage
from voiceeval.reports.terminal_style import heading, indented, style
from voiceeval.reports.wording import (
    answered,
    blame_counts,
    blamed_stage,
    change,
    counted,
    one_line,
    reason_with_interval,
    sign,
    verdict_words,
)
from voiceeval.verdict import Comparison, Outcome, Verdict


def blocking_lines(table: CohortTable, comparison: Comparison) -> Iterator[RenderableType]:
    """Every cohort with a verdict that blocks, worst first: numbers, reason, and who lost the tasks."""
    rows = [(row, row.blocking(comparison)) for row in table.rows]
    if not any(cells for _, cells in rows):
        return
    yield heading("Why it may not ship")
    for row, cells in rows:
        if not cells:
            continue
        yield _cohort_line(row)
        for verdict in cells:
            yield from _blocking_lines(verdict, comparison)
        yield indented(_blame_line(row), 2)


def waived_lines(table: CohortTable) -> Iterator[RenderableType]:
    """Every regression that does not block because somebody answers for it: who, until when, and why."""
    rows = [row for row in table.rows if row.waived]
    if not rows:
        return
    waived = sum(len(row.waived) for row in rows)
    yield heading(f"Waived, not passed: {counted(waived, 'known regression')}")
    for row in rows:
        yield _cohort_line(row)
        for verdict in row.waived:
            yield from _verdict_lines(verdict)


def _cohort_line(row: CohortRow) -> Text:
    size = f"{counted(row.speakers, 'speaker')}, {counted(row.pairs, 'call')}"
    return Text.assemble((one_line(row.cohort.name, limit=120), "bold"), (f"  {size}", "dim"))


def _verdict_lines(verdict: Verdict) -> Iterator[RenderableType]:
    title = one_line(verdict.metric.title, limit=60)
    line = Text.assemble((f"{sign(verdict)} {title} {verdict_words(verdict)}: ", style(verdict)))
    yield indented(line.append(change(verdict)), 2)
    if verdict.waiver:
        yield indented(Text(answered(verdict.waiver)), 4)
    yield indented(Text(reason_with_interval(verdict), style="dim"), 4)


def _blocking_lines(verdict: Verdict, comparison: Comparison) -> Iterator[RenderableType]:
    yield from _verdict_lines(verdict)
    timed = verdict.metric.unit == "ms" and verdict.metric.name not in STAGE_METRICS
    for stage in slower_stage(comparison, verdict.cohort) if timed else ():
        told = Text(f"slower stage: {STAGE_METRICS[stage.metric.name]}", style="bold")
        yield indented(told.append(f", {change(stage)}", style="not bold"), 4)


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


def undecided_lines(comparison: Comparison) -> Iterator[RenderableType]:
    """Cells that were not decided and do not block, by metric: they must not read as passed."""
    cells = [v for v in comparison.verdicts if v.gating and v.outcome is Outcome.INCONCLUSIVE]
    if not cells or Outcome.INCONCLUSIVE.blocks(comparison.policy):
        return
    yield heading(f"Not decided: {counted(len(cells), 'gating cell')}")
    for title in dict.fromkeys(verdict.metric.title for verdict in cells):
        told = sorted((verdict for verdict in cells if verdict.metric.title == title), key=doubt)
        line = Text(f"? {one_line(title, limit=60)} in {counted(len(told), 'cohort')}", style="yellow")
        line.append(
            f"{', the worst' if len(told) > 1 else ''}: {one_line(told[0].cohort.name, limit=80)}",
            style="not dim default",
        )
        yield indented(line, 2)
        yield indented(Text(one_line(told[0].reason), style="dim"), 4)
