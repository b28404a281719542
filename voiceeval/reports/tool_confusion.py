"""Which tool was called where which one was due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from voiceeval.call import Arm, Call, Ending
from voiceeval.metrics.tool_alignment import PathAlignment, calls_made, closest_path
from voiceeval.reports.coded_columns import Codes
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.scenario import Scenario

NOTHING = ""
"""In place of a tool: none was due, or none was called."""


def tool_columns(report: ReportInput) -> dict[str, Any]:
    """The ``tools`` of the pages' data: by arm, lines of row, due tool, called tool, and how often."""
    names = Codes([NOTHING])
    found: list[list[list[int]]] = []
    for arm in Arm:
        lines: list[list[int]] = []
        for row, planned in enumerate(report.planned):
            scenario, call = (
                report.scenarios.get(planned.scenario),
                report.calls.get(arm_call_id(planned, arm)),
            )
            if scenario is None or call is None:
                continue
            for (due, called), times in tools_confused(scenario, call).items():
                lines.append([row, names.number(due), names.number(called), times])
        found.append(lines)
    return {"names": names.texts, "calls": found}


def tools_confused(scenario: Scenario, call: Call) -> Counter[tuple[str, str]]:
    """How often a tool was called where one was due, along the path that the calls come closest to.

    Every call of that path is due once, and every call that was made stands in one pair; arguments are
    another matter. A call that we failed to measure has none.
    """
    if call.ending is Ending.HARNESS_FAILED:
        return Counter()
    return Counter(_pairs(closest_path(scenario.tool_paths, calls_made(call.events))))


def _pairs(alignment: PathAlignment) -> Iterator[tuple[str, str]]:
    """What was left out and what came instead of it, between two calls that were made as due, are a pair."""
    left_out: list[str] = []
    instead: list[str] = []
    for step in alignment.steps:
        if step.expected is not None and step.made is not None:
            yield from _swapped(alignment, left_out, instead)
            left_out, instead = [], []
            yield alignment.path.calls[step.expected].name, alignment.made[step.made].name
        elif step.expected is not None:
            left_out.append(alignment.path.calls[step.expected].name)
        elif step.made is not None:
            instead.append(alignment.made[step.made].name)
    yield from _swapped(alignment, left_out, instead)


def _swapped(alignment: PathAlignment, left_out: list[str], instead: list[str]) -> Iterator[tuple[str, str]]:
    # Without an order nothing tells which of several calls stands for which.
    tells = alignment.path.order != "any_order" or len(left_out) == len(instead) == 1
    pairs = min(len(left_out), len(instead)) if tells else 0
    yield from zip(left_out[:pairs], instead[:pairs], strict=True)
    yield from ((due, NOTHING) for due in left_out[pairs:])
    yield from ((NOTHING, called) for called in instead[pairs:])
