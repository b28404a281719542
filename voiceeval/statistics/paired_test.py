"""The paired test of one metric in many cells: which test applies where, and what if nothing differs.

One pass of clustered contrasts serves every cell; three kinds of cell then get something better than t:

* **One outcome per speaker** (yes/no metrics; each cluster holds one call, or repeats that all ended alike):
  McNemar's mid-p and Tango's interval over the clusters.
* **Nothing moves** (standard error 0): the largest share of clusters that could be changing unseen,
  z²/(G + z²), times what one change is worth. For yes/no metrics that is a whole cluster, which makes it
  Tango's bound with n = G. For ratios it is the smallest resolvable step, one error in one cluster of average
  size: the data could not have shown less, and with one call per cluster and n = 1 both rules agree.
  Clusters that all moved by one same amount get that half-width around it, and the exact sign-flip p.
* **Fewer than five clusters differ** (yes/no metrics): the bound away from the estimate's side of 0 is never
  nearer than the one of a clean cell. Otherwise a single new failure, which gives t a small standard error
  to work with, would certify a margin that the same cell without the failure cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.statistics.contrast import (
    ClusterSums,
    Contrast,
    clustered_contrast,
    per_cell,
    t_bounds,
    t_p_above,
)
from voiceeval.statistics.power import (
    clusters_needed,
    clusters_without_discordance,
    detectable_without_discordance,
    smallest_detectable,
)
from voiceeval.statistics.proportions import mcnemar_midp, tango_interval, undiscordant_half_width
from voiceeval.statistics.sign_flip import exact_sign_flip_p

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FEWEST_DIFFERING = 5
SIGN_FLIP_CLUSTERS = range(5, 13)
ROUNDING = 1e-10
"""A standard error below this part of the rates is rounding, not variation."""


class MarginTerms(NamedTuple):
    """A margin as the contrast takes it: candidate − factor · baseline − shift below 0 is within it.

    For all cells, or arrays of shape ``(cells,)``.
    """

    factor: float | FloatArray
    shift: float | FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedResult:
    """One cell, oriented so that + is worse, in the metric's unit."""

    baseline: float
    candidate: float
    worse_by: float
    lower: float
    upper: float
    p_worse: float
    """One-sided, for "no worsening"."""
    excess: float
    """The point estimate less the margin; ``worse_by`` where none is set."""
    excess_upper: float
    """Upper bound of the same; below 0 the margin is certified."""
    tolerated: float
    """The margin as an amount in this cell; 0 where none is set."""
    detectable: float
    clusters_needed: int
    clusters: int
    method: str


class _Cells(NamedTuple):
    """Which rule applies to each cell; arrays of shape ``(cells,)``."""

    single: BoolArray
    """One yes/no outcome per cluster."""
    still: BoolArray
    """No variation to estimate a standard error from."""
    worse: FloatArray
    """Clusters whose rate rose."""
    better: FloatArray
    sparse: BoolArray
    clean_half: FloatArray
    """Half-width where nothing differs."""
    step: FloatArray
    """What a change of one cluster is worth, as a rate of that cluster."""


def paired_test(
    sums: ClusterSums,
    cells: int,
    *,
    yes_no: bool,
    margin: MarginTerms | None = None,
    step: float = 1.0,
    level: float = 0.90,
    alpha: float = 0.05,
) -> tuple[PairedResult, ...]:
    """One result per cell.

    Args:
        sums: oriented so that more is worse; at least two clusters and a denominator in each cell and arm.
        cells: how many cells ``sums.cell`` names, in ascending order.
        yes_no: numerators count failures of denominators that count calls.
        margin: what is tolerated, if anything was said.
        step: the smallest change of one call's numerator (ratio metrics).
        level: of the two-sided interval.
        alpha: one-sided level, for power.

    Raises:
        ValueError: as ``clustered_contrast``; cells out of order.
    """
    if bool(np.any(np.diff(sums.cell) < 0)):
        raise ValueError("the clusters must stand by cell, in ascending order")
    plain = clustered_contrast(sums, cells, correction="CR2")
    kind = _kinds(sums, plain, yes_no=yes_no, step=step, level=level)
    lower, upper = _bounds(plain, kind, yes_no=yes_no, level=level)
    p_worse = _p_worse(plain, kind)
    detectable = _detectable(plain, kind, (lower, upper), level=level, alpha=alpha)
    terms = margin or MarginTerms(1.0, 0.0)
    factor, shift = (np.broadcast_to(np.asarray(term, dtype=np.float64), (cells,)) for term in terms)
    tolerated = shift + (factor - 1) * plain.baseline
    excess_upper, spread = upper - tolerated, plain
    if bool(np.any(factor != 1)):
        spread = clustered_contrast(sums, cells, factor=factor, shift=shift, correction="CR2")
        by_t = t_bounds(spread, level)[1]
        no_t = kind.single | kind.still | kind.sparse | _is_still(spread)
        # The baseline's own error counts as well; where t is not to be trusted, the wider bound holds.
        by_t = np.where(no_t, np.maximum(by_t, excess_upper), by_t)
        excess_upper = np.where(factor != 1, by_t, excess_upper)
    needed = np.zeros(cells, dtype=np.int64)
    starts = np.searchsorted(sums.cell, np.arange(cells + 1))
    if margin is not None:
        needed = _needed(spread, kind, detectable, tolerated, alpha=alpha)
    return tuple(
        PairedResult(
            baseline=float(plain.baseline[i]),
            candidate=float(plain.candidate[i]),
            worse_by=float(plain.estimate[i]),
            lower=float(lower[i]),
            upper=float(upper[i]),
            p_worse=float(p_worse[i]),
            excess=float(plain.estimate[i] - tolerated[i]),
            excess_upper=float(excess_upper[i]),
            tolerated=float(tolerated[i]),
            detectable=float(detectable[i]),
            clusters_needed=int(needed[i]),
            clusters=int(plain.clusters[i]),
            method=_method(sums, plain, kind, i, slice(starts[i], starts[i + 1]), yes_no=yes_no),
        )
        for i in range(cells)
    )


def _is_still(found: Contrast) -> BoolArray:
    scale = np.abs(found.baseline) + np.abs(found.candidate)
    return np.asarray(found.se <= ROUNDING * scale, dtype=np.bool_)


def _kinds(sums: ClusterSums, plain: Contrast, *, yes_no: bool, step: float, level: float) -> _Cells:
    cells, cell = len(plain.estimate), sums.cell
    # Cross-multiplied, so that equal rates of counts compare equal to the last bit.
    movement = np.sign(sums.x_candidate * sums.n_baseline - sums.x_baseline * sums.n_candidate)
    worse = per_cell((movement > 0).astype(np.float64), cell, cells)
    better = per_cell((movement < 0).astype(np.float64), cell, cells)
    single = np.zeros(cells, dtype=np.bool_)
    worth = np.ones(cells)
    if yes_no:
        size = np.zeros(cells)
        np.maximum.at(size, cell, sums.n_baseline)
        alike = (sums.n_baseline == size[cell]) & (sums.n_candidate == size[cell])
        for x in (sums.x_baseline, sums.x_candidate):
            alike &= (x == 0) | (x == size[cell])
        single = per_cell((~alike).astype(np.float64), cell, cells) == 0
    else:
        n_b, n_c = (per_cell(n, cell, cells) for n in (sums.n_baseline, sums.n_candidate))
        worth = step * plain.clusters / np.minimum(n_b, n_c)
    clean_half = undiscordant_half_width(plain.clusters, level) * worth
    sparse = (worse + better < FEWEST_DIFFERING) & yes_no
    return _Cells(single, _is_still(plain) & ~single, worse, better, sparse, clean_half, worth)


def _bounds(plain: Contrast, kind: _Cells, *, yes_no: bool, level: float) -> tuple[FloatArray, FloatArray]:
    lower, upper = t_bounds(plain, level)
    lower = np.where(kind.still, plain.estimate - kind.clean_half, lower)
    upper = np.where(kind.still, plain.estimate + kind.clean_half, upper)
    lower = np.where(kind.sparse & (lower <= 0), np.minimum(lower, -kind.clean_half), lower)
    upper = np.where(kind.sparse & (upper >= 0), np.maximum(upper, kind.clean_half), upper)
    if yes_no:
        tango = tango_interval(
            np.where(kind.single, kind.worse, 0), np.where(kind.single, kind.better, 0), plain.clusters, level
        )
        lower, upper = np.where(kind.single, tango.lower, lower), np.where(kind.single, tango.upper, upper)
        lower, upper = np.maximum(lower, -1.0), np.minimum(upper, 1.0)
    return lower, upper


def _p_worse(plain: Contrast, kind: _Cells) -> FloatArray:
    by_t = t_p_above(plain._replace(se=np.where(plain.se > 0, plain.se, 1.0)))
    # All clusters moved alike: of the 2^G sign flips only the observed one is as bad; all are, if good.
    unmoved = np.abs(plain.estimate) <= ROUNDING * (np.abs(plain.baseline) + np.abs(plain.candidate))
    moved = np.where(plain.estimate > 0, 0.5**plain.clusters, 1.0)
    p = np.where(kind.still, np.where(unmoved, 0.5, moved), by_t)
    return np.where(kind.single, mcnemar_midp(kind.worse, kind.better), p)


def _detectable(
    plain: Contrast, kind: _Cells, bounds: tuple[FloatArray, FloatArray], *, level: float, alpha: float
) -> FloatArray:
    from scipy.special import ndtri

    by_t = smallest_detectable(plain.se, plain.df, alpha=alpha)
    # Tango's interval has no standard error; its width says what one would have been.
    implied = (bounds[1] - bounds[0]) / (2 * float(ndtri((1 + level) / 2)))
    by_tango = np.minimum(smallest_detectable(implied, np.full_like(implied, np.inf), alpha=alpha), 1.0)
    clean = detectable_without_discordance(plain.clusters, alpha=alpha) * kind.step
    found = np.where(kind.single, by_tango, by_t)
    return np.where(kind.still | (kind.single & (kind.worse + kind.better == 0)), clean, found)


def _needed(
    spread: Contrast, kind: _Cells, detectable: FloatArray, tolerated: FloatArray, *, alpha: float
) -> NDArray[np.int64]:
    """Clusters that certify the margin without a change; 0 where the margin amounts to nothing."""
    amount = np.where(tolerated > 0, tolerated, 1.0)
    by_t = smallest_detectable(spread.se, spread.df, alpha=alpha)
    needed = clusters_needed(np.where(kind.single, detectable, by_t), amount, spread.clusters)
    clean = clusters_without_discordance(np.minimum(amount / kind.step, 1.0), alpha=alpha)
    nothing_seen = kind.still | (kind.single & (kind.worse + kind.better == 0))
    needed = np.where(nothing_seen, clean, np.where(kind.sparse, np.maximum(needed, clean), needed))
    return np.where(tolerated > 0, needed, 0)


def _of(sums: ClusterSums, mine: slice) -> ClusterSums:
    x_b, n_b, x_c, n_c, cell = sums
    return ClusterSums(x_b[mine], n_b[mine], x_c[mine], n_c[mine], cell[mine])


def _method(sums: ClusterSums, plain: Contrast, kind: _Cells, i: int, mine: slice, *, yes_no: bool) -> str:
    """The test in words; ``mine`` are the clusters of cell ``i``."""
    clusters = int(plain.clusters[i])
    if kind.single[i]:
        discordant = int(kind.worse[i] + kind.better[i])
        return f"McNemar mid-p and Tango interval, {discordant} discordant of {clusters} speakers"
    if kind.still[i]:
        bound = f"Tango with n = {clusters}" if yes_no else "the smallest resolvable step"
        alike = "no speaker differs" if kind.worse[i] + kind.better[i] == 0 else "all speakers moved alike"
        words = f"{alike}; bound from {bound}"
    else:
        words = f"cluster-t, {float(plain.df[i]):.1f}".removesuffix(".0") + " df"
    if clusters in SIGN_FLIP_CLUSTERS and kind.worse[i] + kind.better[i] > 0:
        p = exact_sign_flip_p(_of(sums, mine))
        words += f"; exact sign-flip p {p:.4f}"
    return words
