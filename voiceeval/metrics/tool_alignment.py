"""Expected and made tool calls, aligned one to one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from voiceeval.call import Event, ToolCalled
from voiceeval.metrics.json_values import Difference, as_json, differences
from voiceeval.scenario import ToolCall, ToolPath

_UNPAIRED = 1.0
"""What a missing or an extra call costs."""
_ALL_DIFFER = 0.9
"""What a pair costs in which every argument differs: less than a call that was not made at all."""


def calls_made(events: Iterable[Event]) -> tuple[ToolCall, ...]:
    """The tool calls of a conversation in the order they were made, failed ones included."""
    return tuple(
        ToolCall.model_construct(name=event.name, arguments=event.arguments)
        for event in events
        if isinstance(event, ToolCalled)
    )


class Step(NamedTuple):
    """One line of the alignment: an expected call, a made call, or both, paired."""

    expected: int | None
    """Index in the path's calls."""
    made: int | None
    """Index in the calls made."""
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAlignment:
    """How the calls made compare with one acceptable path. Each call stands in exactly one step."""

    path: ToolPath
    made: tuple[ToolCall, ...]
    steps: tuple[Step, ...]
    problems: tuple[str, ...]
    """Why this path was not taken, in words; empty when it was."""

    @property
    def taken(self) -> bool:
        """Whether the calls made are this path."""
        return not self.problems

    @property
    def cost(self) -> float:
        """How far the calls are from the path: the closest of several paths provides the evidence."""
        unpaired = sum(step.expected is None or step.made is None for step in self.steps)
        differing = sum(_pair_cost(self.path.calls, self.made, step) for step in self.steps)
        return unpaired * _UNPAIRED + differing

    def lines(self) -> tuple[str, ...]:
        """Expected beside made, one step a line, with the arguments that differ."""
        lines: list[str] = []
        for step in self.steps:
            if step.expected is None and step.made is not None:
                lines.append(f"  extra     {describe(self.made[step.made])}")
            elif step.expected is not None and step.made is None:
                lines.append(f"  missing   {describe(self.path.calls[step.expected])}")
            elif step.made is not None:
                mark = "differs  " if step.differences else "as wanted"
                lines.append(f"  {mark} {describe(self.made[step.made])}")
                lines.extend(f"            {difference}" for difference in step.differences)
        return tuple(lines)


def describe(call: ToolCall) -> str:
    """A call as people read it: ``block_card(number="4129")``."""
    return f"{call.name}({', '.join(f'{key}={as_json(call.arguments[key])}' for key in call.arguments)})"


def align_path(path: ToolPath, made: tuple[ToolCall, ...]) -> PathAlignment:
    """Align the calls made with one path, one to one, and say what is wrong.

    ``exact`` and ``in_order`` pair calls in order, at the least cost; ``any_order`` pairs equal calls first
    and then calls of the same name with the fewest differing arguments. A call made more often than the path
    says is *repeated*, and never a permitted extra.
    """
    steps = _in_any_order(path.calls, made) if path.order == "any_order" else _in_order(path.calls, made)
    problems: list[str] = []
    missing = sum(step.made is None for step in steps)
    differing = sum(bool(step.differences) for step in steps)
    extra = [made[step.made] for step in steps if step.expected is None and step.made is not None]
    if missing and not made:
        problems.append(f"no call was made where {missing} {_were('call', missing)} expected")
    elif missing:
        problems.append(f"{missing} expected {_were('call', missing)} not made")
    if differing:
        problems.append(f"{differing} {_were('call', differing)} made with other arguments")
    repeated = sum(any(same_call(call, wanted) for wanted in path.calls) for call in extra)
    if repeated:
        problems.append(f"{repeated} {_were('call', repeated)} repeated")
    if path.extra_calls == "forbid" and len(extra) > repeated:
        problems.append(f"{len(extra) - repeated} extra {_were('call', len(extra) - repeated)} made")
    if path.order == "exact" and not problems and not _unbroken(steps):
        problems.append("the expected calls were not made one directly after the other")
    return PathAlignment(path=path, made=made, steps=steps, problems=tuple(problems))


def closest_path(paths: Sequence[ToolPath], made: tuple[ToolCall, ...]) -> PathAlignment:
    """The path that was taken, or else the one the calls come closest to; the first among equals."""
    alignments = [align_path(path, made) for path in paths]
    return min(alignments, key=lambda alignment: (not alignment.taken, alignment.cost))


def forbidden_among(forbidden: Sequence[ToolCall], made: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls that must never be made and were.

    A forbidden call without arguments forbids the tool; with some, every call that has these arguments,
    whatever else it has.
    """
    return tuple(call for call in made if any(_is_forbidden(call, banned) for banned in forbidden))


def _is_forbidden(call: ToolCall, banned: ToolCall) -> bool:
    given = {name: value for name, value in call.arguments.items() if name in banned.arguments}
    return call.name == banned.name and not differences(banned.arguments, given)


def _were(noun: str, count: int) -> str:
    return f"{noun} was" if count == 1 else f"{noun}s were"


def same_call(left: ToolCall, right: ToolCall) -> bool:
    """Whether two calls are of one tool with the same arguments."""
    return left.name == right.name and not differences(left.arguments, right.arguments)


def _mismatch(expected: ToolCall, made: ToolCall) -> float:
    """0 for equal calls, more the more arguments differ, and never worth pairing across names."""
    if expected.name != made.name:
        return 2 * _UNPAIRED + 1
    arguments = expected.arguments.keys() | made.arguments.keys()
    return _ALL_DIFFER * len(differences(expected.arguments, made.arguments)) / max(1, len(arguments))


def _pair_cost(expected: Sequence[ToolCall], made: Sequence[ToolCall], step: Step) -> float:
    if step.expected is None or step.made is None or not step.differences:
        return 0.0
    return _mismatch(expected[step.expected], made[step.made])


def _paired(expected: Sequence[ToolCall], made: Sequence[ToolCall], at: int, made_at: int) -> Step:
    return Step(at, made_at, differences(expected[at].arguments, made[made_at].arguments))


def _in_order(expected: Sequence[ToolCall], made: Sequence[ToolCall]) -> tuple[Step, ...]:
    """Edit-distance alignment: the cheapest order-preserving pairing."""
    rows, columns = len(expected), len(made)
    cost = [[(row + column) * _UNPAIRED for column in range(columns + 1)] for row in range(rows + 1)]
    for row in range(rows - 1, -1, -1):
        cost[row][columns] = (rows - row) * _UNPAIRED
    for column in range(columns + 1):
        cost[rows][column] = (columns - column) * _UNPAIRED
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            cost[row][column] = min(
                _mismatch(expected[row], made[column]) + cost[row + 1][column + 1],
                _UNPAIRED + cost[row + 1][column],
                _UNPAIRED + cost[row][column + 1],
            )
    steps: list[Step] = []
    row = column = 0
    while row < rows or column < columns:
        if (
            row < rows
            and column < columns
            and cost[row][column] == _mismatch(expected[row], made[column]) + cost[row + 1][column + 1]
        ):
            steps.append(_paired(expected, made, row, column))
            row, column = row + 1, column + 1
        elif row < rows and cost[row][column] == _UNPAIRED + cost[row + 1][column]:
            steps.append(Step(row, None))
            row += 1
        else:
            steps.append(Step(None, column))
            column += 1
    return tuple(steps)


def _in_any_order(expected: Sequence[ToolCall], made: Sequence[ToolCall]) -> tuple[Step, ...]:
    """Equal calls first: equality is transitive, so that taking them greedily pairs as many as can be."""
    pairs = sorted(
        (cost, at, made_at)
        for at, wanted in enumerate(expected)
        for made_at, call in enumerate(made)
        if (cost := _mismatch(wanted, call)) <= _UNPAIRED
    )
    partner: dict[int, int] = {}
    used: Counter[int] = Counter()
    for _, at, made_at in pairs:
        if at not in partner and not used[made_at]:
            partner[at] = made_at
            used[made_at] += 1
    steps = [
        _paired(expected, made, at, partner[at]) if at in partner else Step(at, None)
        for at in range(len(expected))
    ]
    return (*steps, *(Step(None, made_at) for made_at in range(len(made)) if not used[made_at]))


def _unbroken(steps: Sequence[Step]) -> bool:
    """Whether no extra call lies between two expected ones."""
    wanted = [at for at, step in enumerate(steps) if step.expected is not None]
    return not wanted or wanted[-1] - wanted[0] + 1 == len(wanted)
