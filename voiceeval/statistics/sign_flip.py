"""The exact test for few clusters: every way of swapping the arms within clusters, enumerated."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voiceeval.statistics.contrast import ClusterSums

MOST_CLUSTERS = 16
"""Beyond this, 2^G swaps are no longer a moment's work; nobody needs them there."""


def exact_sign_flip_p(sums: ClusterSums, *, alternative: Literal["worse", "two-sided"] = "worse") -> float:
    """Exact p for "the arms are exchangeable within each cluster", from all 2^G swaps, for one cell.

    The statistic is the difference of the two pooled ratios, as swapped; where the arms share their
    denominators, swapping is flipping signs (Fisher, The Design of Experiments, 1935, §21). The smallest
    one-sided value is 2^−G: with 4 clusters nothing falls below 0.0625.

    Args:
        sums: the clusters of one cell, 1 to 16 of them; ``cell`` is not looked at.
        alternative: ``"worse"`` counts swaps at least as bad for the candidate; ``"two-sided"`` those at
            least as far from 0.

    Raises:
        ValueError: NaN, no cluster or more than 16, or no denominators.
    """
    clusters = len(sums.x_baseline)
    if not 1 <= clusters <= MOST_CLUSTERS:
        raise ValueError(f"an exact sign-flip test takes 1 to {MOST_CLUSTERS} clusters, got {clusters}")
    x = np.stack([sums.x_baseline, sums.x_candidate])
    n = np.stack([sums.n_baseline, sums.n_candidate])
    if not bool(np.all(np.isfinite(x)) and np.all(np.isfinite(n))):
        raise ValueError("cluster sums hold NaN or infinity; leave unscored calls out before summing")
    swapped = _all_swaps(clusters)
    x_b, n_b = x[0].sum() + swapped @ (x[1] - x[0]), n[0].sum() + swapped @ (n[1] - n[0])
    x_c, n_c = x.sum() - x_b, n.sum() - n_b
    possible = (n_b > 0) & (n_c > 0)
    if not bool(possible[0]):
        raise ValueError("an arm has no denominator: no rate exists")
    difference = (x_c / np.where(possible, n_c, 1.0) - x_b / np.where(possible, n_b, 1.0))[possible]
    # Rounding must not let a swap that equals the observed one count as smaller.
    slack = 1e-12 * float(np.max(np.abs(difference)))
    if alternative == "two-sided":
        difference = np.abs(difference)
    return float(np.mean(difference >= difference[0] - slack))


def _all_swaps(clusters: int) -> NDArray[np.float64]:
    """All 2^G rows of zeros and ones; the first swaps nothing."""
    numbers = np.arange(2**clusters)[:, None]
    return ((numbers >> np.arange(clusters)) & 1).astype(np.float64)
