"""What one cell can certify and find today, and what it lacks."""

from __future__ import annotations

from dataclasses import dataclass

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
from voiceeval.planning.steps import certifiable, doubled
from voiceeval.reasons import amount, people
from voiceeval.statistics.power import smallest_detectable


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


def figures_of(cell: Cell, goal: Goal, family: int, effect: Margin | None) -> Figures:
    """The figures of a cell whose noise is known.

    Args:
        cell: the cell.
        goal: what is asked.
        family: how many gating cells there are.
        effect: the worsening to be found; twice the margin if none is given.

    Raises:
        TypeError: nothing is known of its noise.
    """
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
