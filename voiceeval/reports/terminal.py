"""The comparison on a terminal or in a CI log: readable without colour, from 60 columns up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.text import Text

from voiceeval.call import Arm
from voiceeval.reports import sparkline
from voiceeval.reports.cohort_table import gating_table
from voiceeval.reports.manifest_view import arm_view, changed_in_short
from voiceeval.reports.terminal_cohorts import cohort_lines
from voiceeval.reports.terminal_reasons import blocking_lines, undecided_lines, waived_lines
from voiceeval.reports.terminal_reported import (
    disparity_lines,
    exploration_lines,
    quantile_lines,
    repeats_lines,
    reported_lines,
)
from voiceeval.reports.terminal_style import print_anywhere
from voiceeval.reports.wording import counted, headline, one_line, tally, waived_verdicts
from voiceeval.verdict import Comparison

_ASCII = sparkline.ASCII | str.maketrans(
    {"✗": "X", "✓": "v", "▲": "^", "→": ">", "×": "x", "−": "-", "±": " ", "…": "~", "–": "-", "⊘": "W"}
)
_MOST_FAULTS = 20


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
    print_anywhere(console, lambda: console.print(page), ascii_signs=_ASCII)


def _page(
    comparison: Comparison, width: int, report_path: Path | str, gate_path: Path | str
) -> Iterator[RenderableType]:
    table = gating_table(comparison)
    yield from _heading(comparison)
    yield from cohort_lines(table, comparison, width)
    yield from blocking_lines(table, comparison)
    yield from waived_lines(table)
    yield from undecided_lines(comparison)
    yield from disparity_lines(comparison)
    yield from exploration_lines(comparison)
    yield from repeats_lines(comparison)
    yield from quantile_lines(comparison)
    yield from reported_lines(comparison)
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
    told = headline(comparison)
    # Green is for a run that nobody has to answer for.
    calm = told.startswith("may ship") and not waived_verdicts(comparison)
    style = "bold white on red" if comparison.failed else "bold green" if calm else "bold yellow"
    yield Text.assemble((f" {told} ", style), f"  (policy: {comparison.policy})")
    if comparison.partial:
        yield Text(
            "partial: only a selection of the suite was judged; this run cannot be blessed", "bold yellow"
        )
    yield from _faults(comparison)
    for alarm in comparison.alarms:
        yield Text(f"alarm: {one_line(alarm)}", style="bold")


def _faults(comparison: Comparison) -> Iterator[RenderableType]:
    for fault in comparison.faults[:_MOST_FAULTS]:
        yield Text.assemble(("✗ fault: ", "bold red"), one_line(fault))
    if len(comparison.faults) > _MOST_FAULTS:
        yield Text(f"and {counted(len(comparison.faults) - _MOST_FAULTS, 'more fault')}: see the report")
