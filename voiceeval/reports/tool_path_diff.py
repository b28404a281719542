"""The tool calls that were due against those that were made, row by row, with the arguments that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from voiceeval.audio import Milliseconds
from voiceeval.call import Event, ToolCalled
from voiceeval.metrics.json_values import Difference
from voiceeval.metrics.tool_alignment import (
    PathAlignment,
    calls_made,
    closest_path,
    describe,
    forbidden_among,
    same_call,
)
from voiceeval.scenario import Scenario, ToolCall

ORDERS = {"exact": "one directly after the other", "in_order": "in this order", "any_order": "in any order"}


class Fit(StrEnum):
    """How a call that was made and one that was due go together."""

    MATCHED = "as due"
    DIFFERS = "arguments differ"
    MISSING = "missing"
    EXTRA = "extra"
    REPEATED = "made again"
    FORBIDDEN = "forbidden"
    OUT_OF_ORDER = "wrong order"
    ALLOWED = "extra, allowed"


SIGNS = {
    Fit.MATCHED: "✓",
    Fit.DIFFERS: "≠",
    Fit.MISSING: "−",
    Fit.EXTRA: "+",
    Fit.REPEATED: "+",
    Fit.FORBIDDEN: "✗",
    Fit.OUT_OF_ORDER: "↕",
    Fit.ALLOWED: "+",
}
"""Rows are told apart by these and by their word, without colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRow:
    """A call that was due, one that was made, or both."""

    fit: Fit
    due: ToolCall | None = None
    made: ToolCall | None = None
    differences: tuple[Difference, ...] = ()
    turn: int = -1
    """Of the call that was made."""
    at_ms: Milliseconds = -1

    @property
    def right(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.fit in (Fit.MATCHED, Fit.ALLOWED)

    @property
    def sign(self) -> str:
        """Of its fit."""
        return SIGNS[self.fit]

    @property
    def due_words(self) -> str:
        """The call that was due, as people read it; empty where none was."""
        return "" if self.due is None else describe(self.due)

    @property
    def made_words(self) -> str:
        """The call that was made; empty where none was."""
        return "" if self.made is None else describe(self.made)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathDiff:
    """The accepted path that fits best, and how the calls that were made differ from it."""

    rows: tuple[PathRow, ...]
    path: int
    """Which of the scenario's accepted paths, counted from 1."""
    paths: int
    asked: str
    """How strictly the path was to be kept."""
    problems: tuple[str, ...]
    """In words; empty where an accepted path was taken and nothing forbidden was done."""


def path_diff(scenario: Scenario, events: Sequence[Event]) -> PathDiff:
    """Compare the calls of a conversation with the accepted path that they come closest to.

    The alignment is the one that the metric ``tool_path`` rests on. A call that was due and made, at another
    place than it was due at, is one row out of order and not two, missing and extra.
    """
    made = calls_made(events)
    closest = closest_path(scenario.tool_paths, made)
    banned = {id(call) for call in forbidden_among(scenario.forbidden_calls, made)}
    times = [(event.turn, event.at_ms) for event in events if isinstance(event, ToolCalled)]
    forbidden = [f"forbidden: {describe(call)}" for call in made if id(call) in banned]
    extras = "no other calls" if closest.path.extra_calls == "forbid" else "other calls allowed"
    return PathDiff(
        rows=_rows(closest, banned, times),
        path=1 + next(at for at, path in enumerate(scenario.tool_paths) if path is closest.path),
        paths=len(scenario.tool_paths),
        asked=f"{ORDERS[closest.path.order]}, {extras}",
        problems=(*closest.problems, *forbidden),
    )


def _rows(
    closest: PathAlignment, banned: set[int], times: Sequence[tuple[int, Milliseconds]]
) -> tuple[PathRow, ...]:
    due, made = closest.path.calls, closest.made
    missing = [step.expected for step in closest.steps if step.made is None and step.expected is not None]
    moved: dict[int, int] = {}
    for step in closest.steps:
        if step.expected is None and step.made is not None:
            same = next((at for at in missing if same_call(due[at], made[step.made])), None)
            if same is not None:
                missing.remove(same)
                moved[step.made] = same
    rows: list[PathRow] = []
    for step in closest.steps:
        if step.made is None:
            if step.expected in missing and step.expected is not None:
                rows.append(PathRow(fit=Fit.MISSING, due=due[step.expected]))
            continue
        call = made[step.made]
        expected = moved.get(step.made, step.expected)
        if id(call) in banned:
            fit = Fit.FORBIDDEN
        elif step.made in moved:
            fit = Fit.OUT_OF_ORDER
        elif step.expected is not None:
            fit = Fit.DIFFERS if step.differences else Fit.MATCHED
        elif any(same_call(call, wanted) for wanted in due):
            fit = Fit.REPEATED
        else:
            fit = Fit.ALLOWED if closest.path.extra_calls == "allow" else Fit.EXTRA
        turn, at_ms = times[step.made]
        rows.append(
            PathRow(
                fit=fit,
                due=None if expected is None else due[expected],
                made=call,
                differences=step.differences,
                turn=turn,
                at_ms=at_ms,
            )
        )
    return tuple(rows)
