"""What the data could have shown, and how many speakers it would take."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def smallest_detectable(
    se: ArrayLike, df: ArrayLike, *, alpha: float = 0.05, power: float = 0.80
) -> FloatArray:
    """The true worsening that a one-sided t test at ``alpha`` finds with ``power``: (t₁₋α + t_power)·SE.

    Before any adjustment for multiplicity. The usual approximation to the non-central t (Bloom, Evaluation
    Review 19, 1995), in the unit of ``se``.

    Args:
        se: standard errors, not negative.
        df: degrees of freedom; infinity means the normal distribution.
        alpha: one-sided level.
        power: probability of finding it.

    Raises:
        ValueError: NaN, a negative standard error, or degrees of freedom that are not positive.
    """
    errors, freedom = np.asarray(se, dtype=np.float64), np.asarray(df, dtype=np.float64)
    if not bool(np.all(np.isfinite(errors)) and np.all(errors >= 0)):
        raise ValueError("a standard error is NaN, infinite or negative")
    if not bool(np.all(freedom > 0)):
        raise ValueError("degrees of freedom must be positive")
    return np.asarray((_t(freedom, 1 - alpha) + _t(freedom, power)) * errors, dtype=np.float64)


def clusters_needed(detectable: ArrayLike, margin: ArrayLike, clusters: ArrayLike) -> NDArray[np.int64]:
    """Clusters after which ``margin`` is detectable, and certified if there is no change: ceil(G·(MDE/m)²).

    Assumes more of the same clusters, so that the standard error falls with √G.

    Args:
        detectable: ``smallest_detectable`` with the clusters at hand.
        margin: in the same unit, above 0.
        clusters: how many gave that figure.

    Raises:
        ValueError: NaN, or a margin of 0 or less.
    """
    mde, m, g = (np.asarray(value, dtype=np.float64) for value in (detectable, margin, clusters))
    if not bool(np.all(np.isfinite(mde)) and np.all(np.isfinite(g)) and np.all(m > 0)):
        raise ValueError("clusters needed are defined for finite effects and margins above 0")
    # A figure that is whole but for rounding is not rounded up to the next one.
    return np.ceil(g * (mde / m) ** 2 - 1e-9).astype(np.int64)


def detectable_without_discordance(
    clusters: ArrayLike, *, alpha: float = 0.05, power: float = 0.80
) -> FloatArray:
    """The share of clusters that must newly fail for McNemar's mid-p to find it, if nothing else differs.

    With k pairs worse and none better the mid-p is 2^−(k+1), so the test needs the smallest k below ``alpha``
    (4 at 5 %), and the share π solves P(Binomial(G, π) ≥ k) = power: a beta quantile (Clopper & Pearson
    1934). 1 where there are fewer than k clusters: nothing can be found.
    """
    from scipy.special import betaincinv

    g = np.asarray(clusters, dtype=np.float64)
    k = int(np.floor(-np.log2(alpha)))  # the smallest k with 2^−(k+1) < alpha
    enough = g >= k
    share = betaincinv(k, np.where(enough, g - k + 1, 1.0), power)
    return np.asarray(np.where(enough, share, 1.0), dtype=np.float64)


def clusters_without_discordance(share: ArrayLike, *, alpha: float = 0.05) -> NDArray[np.int64]:
    """Clusters whose clean record certifies that no more than ``share`` of them change: ceil(z²(1 − s)/s).

    Where Tango's bound z²/(G + z²) for no discordant pair falls to ``share`` (in (0, 1]).

    Raises:
        ValueError: NaN, or a share of 0 or less.

    >>> [int(g) for g in clusters_without_discordance([0.05, 0.02])]
    [52, 133]
    """
    from scipy.special import ndtri

    s = np.asarray(share, dtype=np.float64)
    if not bool(np.all(s > 0)):
        raise ValueError("a share must be above 0")
    z2 = float(ndtri(1 - alpha)) ** 2
    return np.maximum(np.ceil(z2 * (1 - s) / s - 1e-9), 1).astype(np.int64)


def _t(df: FloatArray, probability: float) -> FloatArray:
    from scipy.special import ndtri, stdtrit

    finite = np.isfinite(df)
    values = np.where(finite, stdtrit(np.where(finite, df, 1.0), probability), ndtri(probability))
    return np.asarray(values, dtype=np.float64)
