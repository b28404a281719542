"""Simulated speakers, calls and suites for ``calibration.py``: the model and its numbers in one place.

Rates are shares (0.11 is 11 %), + is worse. Arrays have the shape ``(runs, speakers)`` or, in a suite,
``(runs, speakers, lines)``. The model is described in ``docs/calibration.md``; it was written down before the
first run and is a plausible one, not one fitted to a recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Metric = Literal["WER", "WER, own denominators", "yes/no", "rare yes/no", "yes/no, one call"]
Pattern = Literal["none", "spread", "each arm", "a few better", "a few worse"]

WORDS = 8
"""Words of an average utterance: four, and a Poisson number with mean four."""
BURSTS = 0.1
"""Gamma shape per word of the utterances' difficulty. The errors of one 8-word utterance then have the
variance m + m²/0.8: about twice a Poisson's at 11 % WER, and 55 % of utterances come through clean."""
SPEAKER_CV = 0.4
"""Standard deviation of the speakers' own error rates, as a part of the mean."""
SPEAKER_ICC = 0.1
"""The same for yes/no outcomes, as an intraclass correlation."""
PAIR_CORRELATION = 0.3
"""Of the two arms' yes/no outcomes of one call, given the speaker."""
REPAIRS = 0.1
"""Words of repair turns, as a part of the others, where each arm has denominators of its own."""
SMALLEST = 1e-6
RATE: dict[Metric, float] = {
    "WER": 0.11,
    "WER, own denominators": 0.11,
    "yes/no": 0.10,
    "rare yes/no": 0.01,
    "yes/no, one call": 0.10,
}
CALLS: dict[Metric, int] = {
    "WER": 25,
    "WER, own denominators": 25,
    "yes/no": 6,
    "rare yes/no": 6,
    "yes/no, one call": 1,
}
"""Per speaker on average: utterances for WER, calls for yes/no."""


class Draw(NamedTuple):
    """Sums per speaker in both arms; four arrays of one shape."""

    x_baseline: FloatArray
    n_baseline: FloatArray
    x_candidate: FloatArray
    n_candidate: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """How the candidate departs from a speaker's own rate; no pattern changes the mean over speakers."""

    pattern: Pattern = "spread"
    cv: float = 0.25
    """Of ``spread``: a gamma factor with mean 1 (ratio metrics) or a beta of the same spread (yes/no).
    ``each arm`` gives both arms one of their own, of half the variance, so that no arm is the skewed one."""

    @property
    def name(self) -> str:
        """As in the tables."""
        return f"{self.pattern} {self.cv:g}" if self.pattern in ("spread", "each arm") else self.pattern


NONE = Interaction(pattern="none")
SPREAD = Interaction()
STRONG = Interaction(cv=0.5)
EACH_ARM = Interaction(pattern="each arm", cv=0.5)
BETTER = Interaction(pattern="a few better")
WORSE = Interaction(pattern="a few worse")


def sizes(rng: Generator, shape: tuple[int, ...], mean: float, sigma: float) -> FloatArray:
    """Whole numbers of calls, at least 1, log-normal around ``mean``; all alike where ``sigma`` is 0."""
    drawn = mean * np.exp(sigma * rng.standard_normal(shape) - sigma**2 / 2)
    return np.asarray(np.maximum(1, np.round(drawn)), dtype=np.float64)


def words_of(rng: Generator, utterances: FloatArray) -> FloatArray:
    """Words in so many utterances."""
    half = WORDS / 2 * utterances
    return np.asarray(half + rng.poisson(half), dtype=np.float64)


def speaker_rates(
    rng: Generator, shape: tuple[int, ...], mean: float | FloatArray, *, yes_no: bool
) -> FloatArray:
    """Each speaker's own rate: gamma around ``mean`` for error rates, beta for yes/no outcomes."""
    if yes_no:
        both = 1 / SPEAKER_ICC - 1
        rates = rng.beta(np.broadcast_to(mean * both, shape), np.broadcast_to((1 - mean) * both, shape))
        return np.clip(rates, SMALLEST, 1 - SMALLEST)
    return np.asarray(mean * rng.gamma(SPEAKER_CV**-2, SPEAKER_CV**2, shape), dtype=np.float64)


def candidate_rates(
    rng: Generator,
    own: FloatArray,
    mean: float | FloatArray,
    interaction: Interaction,
    worse: float | FloatArray,
    *,
    yes_no: bool,
) -> FloatArray:
    """The candidate's rate per speaker; its expectation is ``mean + worse`` whatever the pattern."""
    pattern, cv = interaction.pattern, interaction.cv
    if pattern == "a few worse" and yes_no:
        raise ValueError("2.5 times a share may pass 1: that pattern is for error rates")
    if pattern == "spread" and cv > 0 and yes_no:
        both = np.broadcast_to((1 - mean) / (mean * cv**2) - 1, own.shape)
        changed = rng.beta(own * both, (1 - own) * both)
    elif pattern == "spread" and cv > 0:
        changed = own * rng.gamma(cv**-2, cv**2, own.shape)
    elif pattern in ("a few better", "a few worse"):
        few, factor = rng.random(own.shape) < 0.1, 0.3 if pattern == "a few better" else 2.5
        changed = own * np.where(few, factor, (1 - 0.1 * factor) / 0.9)
        if yes_no:
            changed = np.minimum(changed, 1 - SMALLEST)
    else:
        changed = own
    # A share cannot pass 1: the higher a yes/no rate, the less is added, and the mean stays exact.
    room = (1 - changed) / (1 - mean) if yes_no else 1.0
    return np.asarray(changed + worse * room, dtype=np.float64)


def both_rates(
    rng: Generator,
    own: FloatArray,
    mean: float | FloatArray,
    interaction: Interaction,
    worse: float | FloatArray,
    *,
    yes_no: bool,
) -> tuple[FloatArray, FloatArray]:
    """Baseline and candidate: the speaker's own rate and a departure from it, or a departure in each."""
    if interaction.pattern != "each arm":
        return own, candidate_rates(rng, own, mean, interaction, worse, yes_no=yes_no)
    half = Interaction(cv=interaction.cv / 2**0.5)
    baseline = candidate_rates(rng, own, mean, half, 0.0, yes_no=yes_no)
    return baseline, candidate_rates(rng, own, mean, half, worse, yes_no=yes_no)


def errors(rng: Generator, own: FloatArray, candidate: FloatArray, words: FloatArray) -> Draw:
    """Word errors: difficulty shared by the arms (they hear the same audio), errors independent given it.

    The gamma difficulty of each utterance has a shape in proportion to its words, so that the sum over
    utterances is a gamma again and can be drawn at once.
    """
    heard = rng.gamma(BURSTS * words) / BURSTS
    wrong = (rng.poisson(own * heard), rng.poisson(candidate * heard))
    return Draw(wrong[0].astype(np.float64), words, wrong[1].astype(np.float64), words)


def with_repairs(rng: Generator, draw: Draw) -> Draw:
    """The same errors over denominators that differ: each arm has repair turns of its own."""
    drawn = [rng.poisson(REPAIRS * n) for n in (draw.n_baseline, draw.n_candidate)]
    extra = [np.asarray(words, dtype=np.float64) for words in drawn]
    return Draw(draw.x_baseline, draw.n_baseline + extra[0], draw.x_candidate, draw.n_candidate + extra[1])


def outcomes(rng: Generator, own: FloatArray, candidate: FloatArray, calls: FloatArray) -> Draw:
    """Failed calls of both arms, the two outcomes of one call correlated."""
    spread = np.sqrt(own * (1 - own) * candidate * (1 - candidate))
    both = np.minimum(own * candidate + PAIR_CORRELATION * spread, np.minimum(own, candidate))
    number = calls.astype(np.int64)
    failed = rng.binomial(number, both)
    baseline = rng.binomial(number - failed, np.clip((own - both) / (1 - both), 0, 1))
    alone = np.clip((candidate - both) / np.maximum(1 - own, SMALLEST), 0, 1)
    only_candidate = rng.binomial(number - failed - baseline, alone)
    x_b, x_c = ((failed + each).astype(np.float64) for each in (baseline, only_candidate))
    return Draw(x_b, calls, x_c, calls)


def cells(
    rng: Generator,
    metric: Metric,
    shape: tuple[int, int],
    *,
    sigma: float = 0.0,
    interaction: Interaction = SPREAD,
    worse: float = 0.0,
) -> Draw:
    """Cells of one metric, ``(cells, speakers)``, the candidate truly worse by ``worse``."""
    yes_no, mean = "yes/no" in metric, RATE[metric]
    if metric == "WER, own denominators":
        # Errors are drawn over the words without repairs; the rates are to be those over all words.
        mean, worse = mean * (1 + REPAIRS), worse * (1 + REPAIRS)
    calls = sizes(rng, shape, CALLS[metric], sigma if metric != "yes/no, one call" else 0.0)
    own = speaker_rates(rng, shape, mean, yes_no=yes_no)
    rates = both_rates(rng, own, mean, interaction, worse, yes_no=yes_no)
    if yes_no:
        return outcomes(rng, *rates, calls)
    draw = errors(rng, *rates, words_of(rng, calls))
    return with_repairs(rng, draw) if metric == "WER, own denominators" else draw


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCell:
    """One cohort of a suite: which speakers on which lines."""

    name: str
    speakers: slice
    lines: slice
    affected: bool
    """It is the cohort that the worsening is in."""
    touched: bool
    """It holds calls of that cohort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A run: accents of so many speakers, each heard on every line, WER and perhaps task completion."""

    accents: tuple[int, ...]
    lines: int = 1
    utterances: float = 25
    """Per speaker and line."""
    task: bool = False
    """Whether task completion is gated as well: a call to every five utterances, 10 % of them failing."""
    sigma: float = 0.5
    interaction: Interaction = SPREAD
    worse: float = 0.0
    """Added to the WER of every speaker of the middle accent."""
    proportional: bool = False
    """The same worsening on average, but in proportion to the speaker's own rate."""

    @property
    def speakers(self) -> int:
        """In the run."""
        return sum(self.accents)

    @property
    def bad(self) -> int:
        """Position of the accent that gets worse."""
        return len(self.accents) // 2

    def cells(self) -> tuple[SuiteCell, ...]:
        """Overall, by line, by accent, and by both: cohorts that share their calls."""
        ends = np.cumsum((0, *self.accents)).tolist()
        who = [("overall", slice(0, self.speakers), False, True)]
        who += [
            (f"accent {i}", slice(ends[i], ends[i + 1]), i == self.bad, i == self.bad)
            for i in range(len(self.accents))
        ]
        where = [("", slice(0, self.lines))]
        if self.lines > 1:
            where += [(f" × line {i}", slice(i, i + 1)) for i in range(self.lines)]
        return tuple(
            SuiteCell(name=name + line, speakers=group, lines=on, affected=bad and not line, touched=touched)
            for name, group, bad, touched in who
            for line, on in where
        )

    def draw(self, rng: Generator, runs: int) -> dict[str, Draw]:
        """So many runs; per metric arrays of shape ``(runs, speakers, lines)``."""
        shape = (runs, self.speakers, self.lines)
        accent = np.repeat(np.linspace(0.08, 0.14, len(self.accents) + 2)[1:-1], self.accents)
        mean = np.broadcast_to(accent[:, None], (self.speakers, 1))
        harder = np.linspace(0.85, 1.15, self.lines) if self.lines > 1 else np.ones(1)
        utterances = sizes(rng, (runs, self.speakers, 1), self.utterances, self.sigma) * np.ones(self.lines)
        bad = np.repeat(np.arange(len(self.accents)) == self.bad, self.accents)[:, None]
        own = speaker_rates(rng, (runs, self.speakers, 1), mean, yes_no=False)
        added = self.worse * bad * (own / mean if self.proportional else 1.0)
        old, new = both_rates(rng, own, mean, self.interaction, added, yes_no=False)
        found = {"wer": errors(rng, old * harder, new * harder, words_of(rng, utterances))}
        if self.task:
            share = np.full((self.speakers, 1), RATE["yes/no"])
            own = speaker_rates(rng, (runs, self.speakers, 1), share, yes_no=True)
            old, new = both_rates(rng, own, share, self.interaction, 0.0, yes_no=True)
            calls = np.maximum(1, np.round(utterances / 5))
            old, new = np.broadcast_to(old, shape), np.broadcast_to(new, shape)
            found["task"] = outcomes(rng, old, new, calls)
        return found


def within(draw: Draw, cell: SuiteCell) -> Draw:
    """The cohort's sums per speaker, ``(runs, speakers of the cohort)``."""
    return Draw(*(array[:, cell.speakers, cell.lines].sum(axis=2) for array in draw))
