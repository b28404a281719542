"""The product's rule and three others, applied to thousands of simulated runs at once.

The tests are the product's own (``voiceeval.statistics``): every replicate of a cohort is one cell of one
call. ``calibration.py`` checks on a number of runs that ``CohortGate.judge`` says the same.
"""

from __future__ import annotations

from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from simulated_suites import Draw, Suite, within

from voiceeval.statistics import paired_test as tests
from voiceeval.statistics.contrast import ClusterSums, clustered_contrast, t_p_above
from voiceeval.statistics.multiplicity import holm

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ALPHA = 0.05
MIN_CLUSTERS = 8
MARGINS = {"wer": 0.02, "task": 0.05}
CHUNK = 500


class Tested(NamedTuple):
    """What the product's paired test says of each replicate; arrays of shape ``(runs,)``."""

    p: FloatArray
    lower: FloatArray
    upper: FloatArray
    excess: FloatArray
    """Point estimate less the margin."""
    excess_upper: FloatArray
    still: BoolArray
    """No speaker differs."""


def as_sums(draw: Draw) -> ClusterSums:
    """Every replicate a cell of its own."""
    runs, speakers = draw.x_baseline.shape
    x_b, n_b, x_c, n_c = (array.ravel() for array in draw)
    return ClusterSums(x_b, n_b, x_c, n_c, np.repeat(np.arange(runs), speakers))


def tested(draw: Draw, *, yes_no: bool, margin: float) -> Tested:
    """The product's test of every replicate."""
    # The exact sign-flip p is printed beside the test and decides nothing; it would take most of the time.
    with patch.object(tests, "SIGN_FLIP_CLUSTERS", range(0)):
        found = tests.paired_test(
            as_sums(draw),
            len(draw.x_baseline),
            yes_no=yes_no,
            margin=tests.MarginTerms(1.0, margin),
            alpha=ALPHA,
        )
    names = ("p_worse", "lower", "upper", "excess", "excess_upper")
    p, lower, upper, excess, excess_upper = (
        np.array([getattr(result, name) for result in found]) for name in names
    )
    moved = draw.x_baseline * draw.n_candidate != draw.x_candidate * draw.n_baseline
    return Tested(p, lower, upper, excess, excess_upper, ~moved.any(axis=1))


def plain_p(draw: Draw) -> FloatArray:
    """One-sided p of the uncorrected form, G/(G−1) and G − 1 degrees of freedom; 0.5 where SE is 0."""
    found = clustered_contrast(as_sums(draw), len(draw.x_baseline), correction="G-1")
    still = found.se <= 0
    return np.where(still, 0.5, t_p_above(found._replace(se=np.where(still, 1.0, found.se))))


def bootstrap_p(rng: Generator, draw: Draw, resamples: int) -> FloatArray:
    """One-sided p of a percentile bootstrap over speakers: the share of resamples without a worsening.

    All replicates share their resampling weights, which makes it four matrix products.
    """
    runs, speakers = draw.x_baseline.shape
    weights = rng.multinomial(speakers, np.full(speakers, 1 / speakers), size=resamples).T.astype(np.float32)
    p = np.empty(runs)
    for start in range(0, runs, CHUNK):
        x_b, n_b, x_c, n_c = (a[start : start + CHUNK].astype(np.float32) @ weights for a in draw)
        p[start : start + CHUNK] = (1 + (x_c * n_b <= x_b * n_c).sum(axis=1)) / (resamples + 1)
    return p


class Judged(NamedTuple):
    """Which gating cells each gate finds regressed; arrays of shape ``(runs, gating cells)``."""

    names: tuple[tuple[str, str], ...]
    """Metric and cohort of each cell."""
    affected: BoolArray
    touched: BoolArray
    cohort_gate: BoolArray
    tests_alone: BoolArray
    """Holm-adjusted p below alpha, whatever the estimate: what the margin adds is left out."""
    overall_only: BoolArray
    point_estimate: BoolArray
    bootstrap: BoolArray
    """Of the first ``bootstrapped`` runs."""
    passed: BoolArray


def judge(suite: Suite, rng: Generator, runs: int, *, bootstrapped: int, resamples: int = 1999) -> Judged:
    """Judge simulated runs of a suite; the cells are those that gate (8 speakers or more)."""
    return judge_drawn(suite, suite.draw(rng, runs), rng, bootstrapped=bootstrapped, resamples=resamples)


def judge_drawn(
    suite: Suite, drawn: dict[str, Draw], rng: Generator, *, bootstrapped: int, resamples: int
) -> Judged:
    """The same for runs that are drawn already."""
    cells = [
        (metric, cell, within(draw, cell))
        for metric, draw in drawn.items()
        for cell in suite.cells()
        if cell.speakers.stop - cell.speakers.start >= MIN_CLUSTERS
    ]
    runs = len(drawn["wer"].x_baseline)
    if not cells:
        empty = np.zeros((runs, 0), dtype=np.bool_)
        return Judged((), empty[0], empty[0], *(empty,) * 4, empty[:bootstrapped], empty)
    found = [tested(sums, yes_no=metric == "task", margin=MARGINS[metric]) for metric, _, sums in cells]
    p, over = np.stack([f.p for f in found], axis=1), np.stack([f.excess for f in found], axis=1) > 0
    overall = np.array([cell.name == "overall" for _, cell, _ in cells])
    alone = np.zeros_like(over)
    alone[:, overall] = significant(p[:, overall]) & over[:, overall]
    few = [Draw(*(array[:bootstrapped] for array in sums)) for _, _, sums in cells]
    resampled = np.stack([bootstrap_p(rng, sums, resamples) for sums in few], axis=1)
    return Judged(
        names=tuple((metric, cell.name) for metric, cell, _ in cells),
        affected=np.array([metric == "wer" and cell.affected for metric, cell, _ in cells]),
        touched=np.array([metric == "wer" and cell.touched for metric, cell, _ in cells]),
        cohort_gate=significant(p) & over,
        tests_alone=significant(p),
        overall_only=alone,
        point_estimate=over,
        bootstrap=significant(resampled) & over[:bootstrapped],
        passed=np.stack([f.excess_upper < 0 for f in found], axis=1),
    )


def significant(p: FloatArray) -> BoolArray:
    """Holm over the cells of each run."""
    return np.stack([holm(row) < ALPHA for row in p])
