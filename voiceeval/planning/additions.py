"""What to add to a suite first: more calls of the same speakers, or more speakers, and of which cohort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from voiceeval.cohort import PlannedCall
from voiceeval.planning.figures import Figures
from voiceeval.planning.noise import Design, Goal, chance_to_certify

MOST_AGAIN = 20
"""How many times the calls at hand are looked at when something is to be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The design that the noise was found with."""

    speakers: int
    calls: int
    """Planned calls per arm."""
    trials: int
    speaker_tags: frozenset[str]
    """Tags that never differ between calls of one speaker."""
    copies: int = 1
    """Cohorts that each stated one stands for; they are all alike, and none is added to alone."""


class Addition(NamedTuple):
    """Something that could be added to the suite."""

    what: str
    calls: int
    """Planned calls that it adds, per arm."""
    certified: int
    """Cells that would then certify their margins with the wished power."""
    expected: float
    """Sum of the cells' chances to certify."""


def suite_of(planned: Iterable[PlannedCall]) -> Suite:
    """The design of planned calls."""
    calls = tuple(planned)
    values: dict[str, dict[str, set[str]]] = {}
    trials: dict[tuple[str, str, str], int] = {}
    for call in calls:
        key = (call.scenario, call.caller, call.line)
        trials[key] = trials.get(key, 0) + 1
        for tag, value in call.tags.items():
            values.setdefault(tag, {}).setdefault(call.speaker, set()).add(value)
    return Suite(
        speakers=len({call.speaker for call in calls}),
        calls=len(calls),
        trials=max(trials.values(), default=1),
        speaker_tags=frozenset(
            tag for tag, by_speaker in values.items() if all(len(each) == 1 for each in by_speaker.values())
        ),
    )


def additions_of(figures: Sequence[Figures], suite: Suite, goal: Goal) -> tuple[Addition, ...]:
    """What as many calls again would bring, by where they go; the most helpful first.

    They are repeats, speakers everywhere, or speakers of the one cohort where they help most.
    """
    if not figures:
        return ()
    everywhere = [_addition(figures, suite, goal, kind, 2.0) for kind in (_REPEATS, _SPEAKERS)]
    somewhere = [_addition(figures, suite, goal, kind, 2.0) for kind in _speaker_cohorts(figures, suite)]
    best = sorted(somewhere, key=_most_helpful)[:1]
    return tuple(sorted([*everywhere, *best], key=_most_helpful))


def _most_helpful(addition: Addition) -> tuple[int, float]:
    return -addition.certified, -addition.expected


_REPEATS, _SPEAKERS = ("", "repeats"), ("", "speakers")


def _speaker_cohorts(figures: Sequence[Figures], suite: Suite) -> list[tuple[str, str]]:
    """Cohorts that a speaker is in with all calls or none, as a tag and its value."""
    single = {each.cell.cohort.parts[0] for each in figures if len(each.cell.cohort.parts) == 1}
    return sorted(part for part in single if part[0] in suite.speaker_tags and suite.copies == 1)


def _addition(
    figures: Sequence[Figures], suite: Suite, goal: Goal, kind: tuple[str, str], times: float
) -> Addition:
    """As many calls as make ``times`` those at hand, all of one kind."""
    per_speaker = suite.calls / suite.speakers
    added = round((times - 1) * suite.speakers)
    chances = []
    for each in figures:
        noise = each.noise
        design = Design(noise.speakers)
        if kind == _REPEATS:
            design = Design(noise.speakers, times)
        elif kind == _SPEAKERS:
            design = Design(round(noise.speakers * times))
        elif kind in each.cell.cohort.parts or kind[0] not in each.cell.cohort.tags:
            design = Design(noise.speakers + added)
        chances.append((each.cell.copies, chance_to_certify(noise, each.cell.tolerance(), goal, design)))
    what = f"{added} more speakers, spread over the cohorts as now"
    if kind == _REPEATS:
        what = f"{times:g} times the calls of each speaker (trials = {round(times * suite.trials)})"
    elif kind != _SPEAKERS:
        what = f"{added} more speakers, all of {kind[0]}={kind[1]}"
    return Addition(
        what=what,
        calls=round(added * per_speaker),
        certified=sum(copies for copies, chance in chances if chance >= goal.power),
        expected=sum(copies * chance for copies, chance in chances),
    )


def advice_of(figures: Sequence[Figures], additions: Sequence[Addition], suite: Suite, goal: Goal) -> str:
    """The single addition that brings most cells under their margins, and how far it would have to go."""
    if not figures:
        return "nothing could be measured, so that nothing can be advised"
    cells = sum(each.cell.copies for each in figures)
    now = sum(each.cell.copies for each in figures if each.certify >= goal.power)
    if now == cells:
        return f"nothing needs to be added: all {cells} cells certify their margins"
    best = additions[0]
    said = (
        f"for as many calls again, nothing helps more than {best.what}: {best.certified} of {cells} cells "
        f"would certify their margins with {100 * goal.power:g} % power instead of {now}"
    )
    for kind, name in ((_REPEATS, "times the calls of each speaker"), (_SPEAKERS, "times the speakers")):
        enough = [
            times
            for times in range(2, MOST_AGAIN + 1)
            if _addition(figures, suite, goal, kind, times).certified == cells
        ]
        said += (
            f"; all {cells} take {enough[0]} {name}"
            if enough
            else (f"; not even {MOST_AGAIN} {name} bring all of them there")
        )
    return said
