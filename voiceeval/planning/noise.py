"""How unsure one cell's difference is, and what the gate could say of it with other numbers of calls.

Powers are of the tests in ``statistics/paired_test.py``: the clustered t; Tango's interval and McNemar's
mid-p where every speaker has one yes/no outcome; and the floor under yes/no cells in which fewer than five
speakers differ. They come from quadrature and enumeration, so that equal input gives equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.statistics.paired_test import FEWEST_DIFFERING
from voiceeval.statistics.proportions import mcnemar_midp, tango_interval, undiscordant_half_width

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NODES = 256
"""Of the quadrature over what a standard error comes out as: good to 4 digits of a probability."""
MOST_SPEAKERS = 20_000
"""Where a search for speakers gives up."""
TAIL = 1e-9
"""Probability of numbers of discordant speakers that an enumeration leaves out."""


class Design(NamedTuple):
    """Speakers in a cell, and how many times the calls that each of them makes now."""

    speakers: int
    repeats: float = 1.0


class Tolerance(NamedTuple):
    """A margin as one cell's contrast takes it."""

    amount: float
    """What is tolerated, in the unit of the contrast; above 0."""
    factor: float = 1.0
    """Of the baseline's rate: 1 unless the margin is relative to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is asked of a plan."""

    alpha: float = 0.05
    """Level of the one-sided tests and of each bound."""
    power: float = 0.80
    """Probability of certifying that a cell should have."""
    joint: float = 0.90
    """Probability that all cells of a release certify together."""
    fewest_speakers: int = 8
    """Under which the gate concludes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The noise of one cell, measured or stated, with the design it was found with."""

    speakers: int
    calls: int
    """Compared pairs."""
    variance: tuple[float, float, float]
    """Squared standard error of candidate − k·baseline, as the coefficients of 1, k and k²."""
    df: float
    correlation: float
    """Of two calls of one speaker, in what they contribute to the difference; in [0, 1]."""
    separable: bool = True
    """Whether some speaker has two calls; if none has, all noise counts as between speakers."""
    yes_no: bool = False
    one_outcome: bool = False
    """Every speaker has one yes/no outcome, so that McNemar's test and Tango's interval apply."""
    differing: float = 1.0
    """Share of speakers whose rate differs between the arms."""
    clean: bool = False
    """Nothing differed; ``variance`` is what such a record does not rule out."""
    fewest_calls: int = 0
    """Under which the metric does not gate, as that of a tail."""
    worth: float = 1.0
    """What a change of one speaker is worth to their own rate: the whole of it for yes/no metrics."""

    @property
    def se(self) -> float:
        """Standard error of the plain difference."""
        return self.spread(Design(self.speakers))[0]

    @property
    def between_se(self) -> float:
        """What of it is left however often the same speakers call."""
        return self.se * math.sqrt(self.correlation)

    def spread(self, design: Design, factor: float = 1.0) -> tuple[float, float]:
        """Standard error and degrees of freedom to expect from another design.

        Between-speaker variance falls with speakers only, within-speaker variance with all calls (Kish,
        Survey Sampling, 1965, §5.4: 1 + (m − 1)ρ). More speakers are taken to be like those at hand.
        """
        constant, linear, square = self.variance
        now = constant + linear * factor + square * factor**2
        shrink = self.correlation + (1 - self.correlation) / design.repeats
        df = self.df * max(design.speakers - 1, 1) / max(self.speakers - 1, 1)
        return math.sqrt(max(now, 0.0) * shrink * self.speakers / design.speakers), max(df, 1.0)

    def too_few(self, design: Design, fewest_speakers: int) -> bool:
        """Whether the gate would conclude nothing from so many speakers or calls."""
        calls = self.calls * design.speakers / self.speakers * design.repeats
        return design.speakers < fewest_speakers or calls < self.fewest_calls

    def clean_half(self, speakers: int, alpha: float) -> float:
        """Half-width of the gate's interval where none of so many speakers differs."""
        return float(undiscordant_half_width(speakers, 1 - 2 * alpha)) * self.worth


def chance_to_certify(noise: Noise, tolerance: Tolerance, goal: Goal, design: Design | None = None) -> float:
    """P(upper bound < margin) if nothing changed.

    The non-central t: with s the standard error that comes out, the bound is below the margin when
    estimate + t₁₋α·s is (Owen, Biometrika 52, 1965). A yes/no cell in which fewer than five speakers differ
    certifies only what a clean cell does, whatever its t bound.
    """
    at = design or Design(noise.speakers)
    if noise.too_few(at, goal.fewest_speakers):
        return 0.0
    if noise.one_outcome and at.repeats == 1:
        level = 1 - 2 * goal.alpha
        return _enumerated(
            noise, at.speakers, 0.0, lambda w, b, n: tango_interval(w, b, n, level).upper < tolerance.amount
        )
    se, df = noise.spread(at, tolerance.factor)
    by_t = float(np.mean(_below(tolerance.amount - _t(df, 1 - goal.alpha) * se * _scales(df), se)))
    if noise.clean_half(at.speakers, goal.alpha) < tolerance.amount:
        return by_t
    if noise.yes_no:
        return by_t * _enough_differ(noise, at)
    return 0.0 if noise.clean else by_t


def chance_to_find(
    noise: Noise, effect: float, margin: float, *, alpha: float, goal: Goal, design: Design | None = None
) -> float:
    """P(regressed) if the candidate is worse by ``effect``: p < alpha and the estimate above the margin.

    Args:
        noise: of the cell.
        effect: the true worsening, in the unit of the contrast.
        margin: what is tolerated, in the same unit.
        alpha: level of the single test; the goal's alpha over the number of cells is Bonferroni's, which
            Holm's adjustment never falls behind.
        goal: how many speakers are enough.
        design: other speakers or calls than those at hand.
    """
    at = design or Design(noise.speakers)
    if noise.too_few(at, goal.fewest_speakers):
        return 0.0
    if noise.one_outcome and at.repeats == 1:
        return 1 - _enumerated(
            noise,
            at.speakers,
            effect,
            lambda w, b, n: (mcnemar_midp(w, b) >= alpha) | ((w - b) / n <= margin),
        )
    se, df = noise.spread(at)
    needed = np.maximum(_t(df, 1 - alpha) * se * _scales(df), margin)
    return float(np.mean(_below(effect - needed, se)))


def speakers_to_certify(
    noise: Noise, tolerance: Tolerance, goal: Goal, *, repeats: float = 1.0
) -> int | None:
    """The fewest speakers with which the margin is certified with the wished power; None over 20 000."""

    def enough(speakers: int) -> bool:
        return chance_to_certify(noise, tolerance, goal, Design(speakers, repeats)) >= goal.power

    high = goal.fewest_speakers
    while not enough(high):
        high *= 2
        if high > MOST_SPEAKERS:
            return None
    low = high // 2 if high > goal.fewest_speakers else goal.fewest_speakers - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def repeats_to_certify(noise: Noise, tolerance: Tolerance, goal: Goal, *, most: int = 50) -> int | None:
    """How many times the calls per speaker certify the margin; None where no number up to ``most`` does."""
    for repeats in range(1, most + 1 if noise.correlation < 1 else 2):
        if chance_to_certify(noise, tolerance, goal, Design(noise.speakers, repeats)) >= goal.power:
            return repeats
    return None


def _scales(df: float) -> FloatArray:
    """Estimated over true standard error, at evenly spaced probabilities: √(χ²/df)."""
    from scipy.special import gammaincinv

    middle = (np.arange(NODES) + 0.5) / NODES
    return np.asarray(np.sqrt(2 * gammaincinv(df / 2, middle) / df), dtype=np.float64)


def _below(distance: FloatArray, se: float) -> FloatArray:
    """P(a normal error stays below ``distance``); without any error it is 0 or 1."""
    from scipy.special import ndtr

    if se == 0:
        return np.asarray(distance > 0, dtype=np.float64)
    return np.asarray(ndtr(distance / se), dtype=np.float64)


def _t(df: float, probability: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def _enough_differ(noise: Noise, design: Design) -> float:
    """P(five speakers or more differ), which lifts the floor under the bounds of yes/no cells."""
    from scipy.special import bdtrc

    each = 1 - (1 - noise.differing) ** design.repeats
    return float(bdtrc(FEWEST_DIFFERING - 1, design.speakers, each))


def _enumerated(
    noise: Noise,
    speakers: int,
    effect: float,
    within: Callable[[FloatArray, FloatArray, FloatArray], BoolArray],
) -> float:
    """P(``within``) over all numbers of speakers who newly fail (w) and newly succeed (b).

    ``within`` holds up to some w for each b, so that only that w is looked for.
    """
    from scipy.special import bdtr, gammaln, xlog1py, xlogy

    discordant = min(max(noise.differing, abs(effect)), 1.0)
    worse, better = (discordant + effect) / 2, (discordant - effect) / 2
    most = np.arange(speakers + 1.0)
    b = most[: int(np.searchsorted(bdtr(most, speakers, better), 1 - TAIL)) + 1]
    n = np.full(len(b), float(speakers))
    low, high = np.full(len(b), -1.0), n - b + 1
    while bool(np.any(high - low > 1)):
        middle = np.floor((low + high) / 2)
        holds = within(np.clip(middle, 0, n - b), b, n)
        searching = high - low > 1
        low, high = np.where(searching & holds, middle, low), np.where(searching & ~holds, middle, high)
    log_p = gammaln(n + 1) - gammaln(b + 1) - gammaln(n - b + 1) + xlogy(b, better) + xlog1py(n - b, -better)
    share = min(worse / (1 - better), 1.0) if better < 1 else 0.0
    up_to = np.where(low < 0, 0.0, bdtr(np.maximum(low, 0), (n - b).astype(np.int64), share))
    return float(np.sum(np.exp(log_p) * up_to))
