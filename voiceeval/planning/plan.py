"""The plan of a suite: per cell what it can certify and find, and what it would take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from voiceeval.cohort import PlannedCall
from voiceeval.margins import Margin
from voiceeval.planning.cells import Cell, Unknown
from voiceeval.planning.noise import (
    Design,
    Goal,
    Noise,
    chance_to_certify,
    chance_to_find,
    repeats_to_certify,
    speakers_to_certify,
)
from voiceeval.planning.release import Release, choose_release
from voiceeval.planning.steps import certifiable, doubled
from voiceeval.reasons import amount, people
from voiceeval.statistics.power import smallest_detectable

MOST_AGAIN = 20
"""How many times the calls at hand are looked at when something is to be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one cell can do today, and what it lacks. Differences are in the metric's unit."""

    cell: Cell
    se: float
    half_width: float
    """Of the 90 % interval to expect."""
    detectable: float
    """Smallest worsening found with the wished power, before any adjustment."""
    detectable_adjusted: float
    """The same at alpha over the number of cells, which Holm's adjustment never falls behind."""
    certify: float
    """P(passed) if nothing changed."""
    effect: str
    """The worsening that is to be found, as written."""
    find: float
    """P(regressed) if the candidate is worse by that, before the adjustment."""
    find_adjusted: float
    speakers_needed: int | None
    """To certify the margin with the wished power; None over 20 000."""
    repeats_needed: int | None
    """The same with today's speakers, as a multiple of their calls; None where no multiple does."""
    today: Margin | None
    """The smallest margin in steps that is certified with the wished power today."""
    distance: float
    """That margin over the one in force: 1 or less is no distance at all."""
    advice: str

    @property
    def noise(self) -> Noise:
        """The cell's noise; cells without any have no figures."""
        if isinstance(self.cell.noise, Unknown):
            raise TypeError(self.cell.noise.reason)
        return self.cell.noise

    @property
    def calls_needed(self) -> int | None:
        """Calls of so many speakers as are needed, each calling as often as now."""
        if self.speakers_needed is None:
            return None
        return -(-self.speakers_needed * self.noise.calls // self.noise.speakers)


class Addition(NamedTuple):
    """Something that could be added to the suite."""

    what: str
    calls: int
    """Planned calls that it adds, per arm."""
    certified: int
    """Cells that would then certify their margins with the wished power."""
    expected: float
    """Sum of the cells' chances to certify."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a plan says. Reports render it and compute nothing."""

    basis: str
    """Where the noise comes from, in a sentence or two."""
    goal: Goal
    suite: Suite
    family: int
    """Gating cells over which the blocking tests are adjusted."""
    figures: tuple[Figures, ...]
    """Those farthest from their margin first."""
    unplanned: tuple[Cell, ...]
    """Cells of which nothing is known."""
    additions: tuple[Addition, ...]
    """For as many calls again; the one that helps most first."""
    advice: str
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the release that a plan proposes may be."""

    trials: int | None = None
    """Repeats of every call; as the suite has them unless given."""
    widest: float = 2.0
    """How many times the margin in force a margin may be."""
    tighten: bool = False
    """Propose smaller margins than those in force as well."""
    report: tuple[tuple[str, ...], ...] = ()
    """Slicings that only report now, and go on to."""


def plan_of(
    cells: Sequence[Cell],
    suite: Suite,
    *,
    basis: str,
    goal: Goal,
    effects: Mapping[str, Margin] | None = None,
    wish: Wish | None = None,
) -> Plan:
    """The plan of all cells together.

    Args:
        cells: from a run or from stated rates.
        suite: their design.
        basis: where the noise comes from.
        goal: what is asked.
        effects: by metric name the worsening to be found; twice the margin elsewhere.
        wish: what the release that is proposed may be.
    """
    known = [cell for cell in cells if isinstance(cell.noise, Noise)]
    family = sum(cell.copies for cell in known)
    found = [_figures(cell, goal, family, (effects or {}).get(cell.metric.name)) for cell in known]
    figures = sorted(found, key=lambda each: (-each.distance, each.cell.metric.name, each.cell.cohort))
    additions = _additions(figures, suite, goal)
    wanted = wish or Wish()
    trials = wanted.trials or suite.trials
    return Plan(
        basis=basis,
        goal=goal,
        suite=suite,
        family=family,
        figures=tuple(figures),
        unplanned=tuple(cell for cell in cells if isinstance(cell.noise, Unknown)),
        additions=additions,
        advice=_advice(figures, additions, suite, goal),
        release=choose_release(
            cells,
            goal,
            trials=trials,
            repeats=trials / suite.trials,
            widest=wanted.widest,
            tighten=wanted.tighten,
            report=wanted.report,
        ),
    )


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


def _figures(cell: Cell, goal: Goal, family: int, effect: Margin | None) -> Figures:
    from scipy.special import stdtrit

    noise = cell.noise
    if isinstance(noise, Unknown):
        raise TypeError(noise.reason)
    tolerance = cell.tolerance()
    effect = effect or doubled(cell.margin)
    wanted = cell.tolerance(effect).amount
    se, df = noise.spread(Design(noise.speakers))
    half = float(stdtrit(df, 1 - goal.alpha)) * se
    if noise.clean:
        half = max(half, noise.clean_half(noise.speakers, goal.alpha))
    levels = (goal.alpha, goal.alpha / family)
    detectable = [float(smallest_detectable(se, df, alpha=level, power=goal.power)) for level in levels]
    find = [chance_to_find(noise, wanted, tolerance.amount, alpha=level, goal=goal) for level in levels]
    today = certifiable(cell, noise, goal)
    certify = chance_to_certify(noise, tolerance, goal)
    speakers = speakers_to_certify(noise, tolerance, goal)
    repeats = repeats_to_certify(noise, tolerance, goal)
    return Figures(
        cell=cell,
        se=cell.in_unit(se),
        half_width=cell.in_unit(half),
        detectable=cell.in_unit(detectable[0]),
        detectable_adjusted=cell.in_unit(detectable[1]),
        certify=certify,
        effect=effect.written,
        find=find[0],
        find_adjusted=find[1],
        speakers_needed=speakers,
        repeats_needed=repeats,
        today=today,
        distance=today.amount / cell.margin.amount if today else float("inf"),
        advice=_lacks(cell, noise, certify >= goal.power, speakers, repeats),
    )


def _lacks(cell: Cell, noise: Noise, certified: bool, speakers: int | None, repeats: int | None) -> str:
    """What brings one cell under its margin: more calls of the same speakers, or more speakers."""
    if certified:
        return "certifies its margin today"
    written = cell.margin.written
    more = "no number of speakers that we looked at would do"
    if speakers is not None:
        more = f"add {people(speakers - noise.speakers)}"
    if not noise.separable:
        return f"{more}; with one call per speaker nothing tells whether more of them would help"
    if repeats is not None:
        return f"{repeats} times the calls per speaker, or {more}"
    left = amount(cell.in_unit(noise.between_se), cell.metric)
    if noise.between_se == 0:
        return f"more calls per speaker cannot certify {written} with {people(noise.speakers)}; {more}"
    return (
        f"more calls per speaker cannot certify {written} with {people(noise.speakers)}: between-speaker "
        f"noise alone is {left}; {more}"
    )


def _additions(figures: Sequence[Figures], suite: Suite, goal: Goal) -> tuple[Addition, ...]:
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


def _advice(figures: Sequence[Figures], additions: Sequence[Addition], suite: Suite, goal: Goal) -> str:
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
