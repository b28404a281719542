"""The test of one metric in many cells where the arms share no cluster: live traffic, two sets of calls.

Each arm speaks for itself: its rate, its clustered standard error, its degrees of freedom. Under every bound
stands one formula, in which each arm brings the error on the side that counts::

    lower = estimate − t · sqrt(below_c² + k² · above_b²)
    upper = estimate + t · sqrt(above_c² + k² · below_b²)

with t at Welch's degrees of freedom (Satterthwaite 1946; Welch, Biometrika 34, 1947). An arm brings

* **its CR2 standard error** on both sides, with the degrees of freedom that go with it; or
* **the distance to its Wilson bound over z** (infinite degrees of freedom), where each of its clusters holds
  one yes/no outcome. Two such arms give Newcombe's hybrid score interval (Statistics in Medicine 1998;17:873,
  method 10); a mixture is the same recovery of variances from bounds (Zou & Donner, ibid. 2008;27:1693); or
* **z²/(G + z²)**, the largest share of clusters that could differ unseen, times what one cluster is worth,
  over z, where its clusters do not vary at all: never a width of zero. At a rate of 0 or 1 that is Wilson's.

*Measured*, nominal 5 %, one-sided, no change: for word errors of speakers of unequal length (sigma 0.8), 8
and 8, 12 and 6, 25 and 10 of them, 4 to 5 % are called worse and the upper bound misses 5 to 7 %; for yes/no
cells of 10 to 30 speakers with 5 calls each, which agree with 0.1 to 0.3, both are about 5 % or less.

A yes/no cell with fewer than five clusters that failed anywhere (or fewer than five that ever succeeded) has
no bound nearer, on the far side of 0, than that of the same cell without them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voiceeval.statistics.contrast import ClusterSums, check_sums
from voiceeval.statistics.independent import fisher_midp
from voiceeval.statistics.paired_test import FEWEST_DIFFERING, MarginTerms, PairedResult
from voiceeval.statistics.power import clusters_needed, clusters_without_discordance, smallest_detectable
from voiceeval.statistics.proportions import undiscordant_half_width
from voiceeval.statistics.single_arm import Arm, one_arm, welch_df

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Side(NamedTuple):
    """The error of a contrast on one side of its estimate, and the degrees of freedom."""

    se: FloatArray
    df: FloatArray


def unpaired_test(
    sums: ClusterSums,
    cells: int,
    *,
    yes_no: bool,
    margin: MarginTerms | None = None,
    step: float = 1.0,
    level: float = 0.90,
    alpha: float = 0.05,
) -> tuple[PairedResult, ...]:
    """One result per cell, as ``paired_test`` gives; ``clusters`` is that of the arm which has fewer.

    ``p_worse`` is Fisher's mid-p where both arms hold one outcome per cluster, else Welch's t with the error
    on the side of 0; where only one arm varies, it is taken to hide as much as the other shows, cluster for
    cluster, as it does if there is no worsening. ``clusters_needed`` is per arm, the two growing together.

    Args:
        sums: oriented so that more is worse; each cluster has denominators in one arm only.
        cells: how many cells ``sums.cell`` names.
        yes_no: numerators count failures of denominators that count calls.
        margin: what is tolerated, if anything was said.
        step: the smallest change of one call's numerator (ratio metrics).
        level: of the two-sided interval.
        alpha: one-sided level, for power.

    Raises:
        ValueError: NaN or infinity, a negative denominator, a cluster seen in both arms, or an arm of a cell
            with fewer than two clusters or no denominator.
    """
    _check(sums)
    cell = sums.cell
    b = one_arm(
        "baseline", sums.x_baseline, sums.n_baseline, cell, cells, yes_no=yes_no, step=step, level=level
    )
    c = one_arm(
        "candidate", sums.x_candidate, sums.n_candidate, cell, cells, yes_no=yes_no, step=step, level=level
    )
    estimate = c.rate - b.rate
    low, high = _side(c.below, b.above, c, b), _side(c.above, b.below, c, b)
    lower, upper = _bounds(estimate, low, high, b, c, yes_no=yes_no, level=level)
    p_worse = _p_worse(estimate, low, high, b, c)
    terms = margin or MarginTerms(1.0, 0.0)
    factor, shift = (np.broadcast_to(np.asarray(term, dtype=np.float64), (cells,)) for term in terms)
    tolerated = shift + (factor - 1) * b.rate
    wider = Side(np.maximum(low.se, high.se), np.where(low.se >= high.se, low.df, high.df))
    detectable = smallest_detectable(wider.se, wider.df, alpha=alpha)
    if yes_no:
        clean = detectable_without_failures(c.clusters, b.clusters, alpha=alpha)
        detectable = np.where(b.failing + c.failing == 0, clean, np.minimum(detectable, 1.0))
    excess_upper, spread = upper - tolerated, wider
    if bool(np.any(factor != 1)):
        scaled = _side(c.above, b.below, c, b, factor=factor)
        spread = Side(np.where(factor != 1, scaled.se, wider.se), np.where(factor != 1, scaled.df, wider.df))
        by_t = estimate - tolerated + _t(scaled.df, level) * scaled.se
        by_t = np.where(_sparse(b, c) & yes_no, np.maximum(by_t, excess_upper), by_t)
        excess_upper = np.where(factor != 1, by_t, excess_upper)
    needed = np.zeros(cells, dtype=np.int64)
    if margin is not None:
        needed = _needed(spread, b, c, tolerated, yes_no=yes_no, level=level, alpha=alpha)
    return tuple(
        PairedResult(
            baseline=float(b.rate[i]),
            candidate=float(c.rate[i]),
            worse_by=float(estimate[i]),
            lower=float(lower[i]),
            upper=float(upper[i]),
            p_worse=float(p_worse[i]),
            excess=float(estimate[i] - tolerated[i]),
            excess_upper=float(excess_upper[i]),
            tolerated=float(tolerated[i]),
            detectable=float(detectable[i]),
            clusters_needed=int(needed[i]),
            clusters=int(min(b.clusters[i], c.clusters[i])),
            method=_method(low, b, c, i),
        )
        for i in range(cells)
    )


def detectable_without_failures(
    candidate: ArrayLike, baseline: ArrayLike, *, alpha: float = 0.05, power: float = 0.80
) -> FloatArray:
    """The share of the candidate's clusters that must fail for Fisher's mid-p to find it, the baseline clean.

    The smallest k for which k failures against none are significant, and the share π that gives so many with
    ``power``: P(Binomial(G, π) ≥ k), a beta quantile (Clopper & Pearson 1934). 1 where all of the clusters
    failing would not be enough.
    """
    from scipy.special import betaincinv

    g, other = np.broadcast_arrays(
        np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    )
    k, enough = np.ones(g.shape), np.zeros(g.shape, dtype=np.bool_)
    while True:
        enough = fisher_midp(np.minimum(k, g), g, np.zeros(g.shape), other) < alpha
        if bool(np.all(enough | (k >= g))):
            break
        k = np.where(enough | (k >= g), k, k + 1)
    share = betaincinv(k, np.maximum(g - k + 1, 1.0), power)
    return np.asarray(np.where(enough, share, 1.0), dtype=np.float64)


def _side(
    candidate: FloatArray, baseline: FloatArray, c: Arm, b: Arm, *, factor: float | FloatArray = 1.0
) -> Side:
    parts = np.stack([candidate**2, (factor * baseline) ** 2])
    return Side(np.sqrt(parts[0] + parts[1]), welch_df(parts, np.stack([c.df, b.df])))


def _sparse(b: Arm, c: Arm) -> BoolArray:
    few = (b.failing + c.failing < FEWEST_DIFFERING) | (b.succeeding + c.succeeding < FEWEST_DIFFERING)
    return np.asarray(few, dtype=np.bool_)


def _bounds(
    estimate: FloatArray, low: Side, high: Side, b: Arm, c: Arm, *, yes_no: bool, level: float
) -> tuple[FloatArray, FloatArray]:
    lower = estimate - _t(low.df, level) * low.se
    upper = estimate + _t(high.df, level) * high.se
    if not yes_no:
        return lower, upper
    # Where nearly nothing fails, the candidate's unseen failures make the upper bound and the baseline's the
    # lower one; where nearly everything does, their unseen successes make them the other way about.
    all_fail = b.failing + c.failing >= b.succeeding + c.succeeding
    far_low = np.where(all_fail, c.clean_half, b.clean_half)
    far_high = np.where(all_fail, b.clean_half, c.clean_half)
    sparse = _sparse(b, c)
    lower = np.where(sparse & (lower <= 0), np.minimum(lower, -far_low), lower)
    upper = np.where(sparse & (upper >= 0), np.maximum(upper, far_high), upper)
    return np.maximum(lower, -1.0), np.minimum(upper, 1.0)


def _p_worse(estimate: FloatArray, low: Side, high: Side, b: Arm, c: Arm) -> FloatArray:
    from scipy.special import ndtr, stdtr

    se, df = np.where(estimate >= 0, low.se, high.se), np.where(estimate >= 0, low.df, high.df)
    for shown, hidden in ((b, c), (c, b)):
        alone = hidden.still & ~shown.still
        se = np.where(alone, shown.se * np.sqrt(1 + shown.clusters / hidden.clusters), se)
        df = np.where(alone, shown.se_df, df)
    # No error on that side: one arm always fails and the other never does.
    sure = np.where(estimate == 0, 0.0, np.copysign(np.inf, estimate))
    score = np.where(se > 0, estimate / np.where(se > 0, se, 1.0), sure)
    finite = np.isfinite(df)
    by_t = np.where(finite, stdtr(np.where(finite, df, 1.0), -score), ndtr(-score))
    counted = b.single & c.single
    fisher = fisher_midp(
        np.where(counted, c.failing, 0), c.clusters, np.where(counted, b.failing, 0), b.clusters
    )
    return np.where(counted, fisher, by_t)


def _needed(
    spread: Side, b: Arm, c: Arm, tolerated: FloatArray, *, yes_no: bool, level: float, alpha: float
) -> IntArray:
    """Clusters per arm that certify the margin without a change; 0 where the margin amounts to nothing."""
    fewer = np.minimum(b.clusters, c.clusters)
    amount = np.where(tolerated > 0, tolerated, 1.0)
    needed = clusters_needed(smallest_detectable(spread.se, spread.df, alpha=alpha), amount, fewer)
    worth = c.clean_half / undiscordant_half_width(c.clusters, level)
    clean = clusters_without_discordance(np.minimum(amount / worth, 1.0), alpha=alpha)
    nothing_seen = (b.failing + c.failing == 0) & yes_no
    needed = np.where(
        nothing_seen, clean, np.where(_sparse(b, c) & yes_no, np.maximum(needed, clean), needed)
    )
    return np.where(tolerated > 0, needed, 0)


def _method(low: Side, b: Arm, c: Arm, i: int) -> str:
    """The test in words."""
    speakers = f"{int(b.clusters[i])} and {int(c.clusters[i])} speakers, none in both arms"
    if b.single[i] and c.single[i]:
        return f"Fisher mid-p and Newcombe interval, {speakers}"
    words = "score bounds" if np.isinf(low.df[i]) else f"Welch cluster-t, {float(low.df[i]):.1f} df"
    if b.still[i] or c.still[i]:
        arms = " and ".join(name for name, arm in (("baseline", b), ("candidate", c)) if arm.still[i])
        words += f"; nothing varies in {arms}"
    return f"{words}, {speakers}"


def _t(df: FloatArray, level: float) -> FloatArray:
    from scipy.special import ndtri, stdtrit

    finite = np.isfinite(df)
    by_t = stdtrit(np.where(finite, df, 1.0), (1 + level) / 2)
    return np.asarray(np.where(finite, by_t, ndtri((1 + level) / 2)), dtype=np.float64)


def _check(sums: ClusterSums) -> None:
    check_sums(sums)
    in_baseline = (sums.n_baseline > 0) | (sums.x_baseline != 0)
    in_candidate = (sums.n_candidate > 0) | (sums.x_candidate != 0)
    if bool(np.any(in_baseline & in_candidate)):
        first = int(np.argmax(in_baseline & in_candidate))
        raise ValueError(
            f"cell {int(sums.cell[first])}: cluster {first} has calls in both arms; compare those in pairs"
        )
