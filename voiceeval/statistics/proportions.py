"""Paired yes/no outcomes: McNemar's mid-p and Tango's score interval.

Both rest on the discordant pairs alone: ``worse`` pairs, in which only the candidate failed, and ``better``
ones, in which only the baseline did. Arrays broadcast against each other; ``n`` counts all pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

HALVINGS = 60
"""Bisection steps on an interval no longer than 2: to the last bit of a float."""


class Bounds(NamedTuple):
    """An interval per cell."""

    lower: FloatArray
    upper: FloatArray


def mcnemar_midp(worse: ArrayLike, better: ArrayLike) -> FloatArray:
    """One-sided mid-p for "the candidate fails no more often", in [0, 1]; 0.5 where no pair is discordant.

    P(X > worse) + ½·P(X = worse) for X ~ Binomial(worse + better, ½). Twice the smaller of it and its
    counterpart is the two-sided mid-p that Fagerland, Lydersen & Laake recommend (BMC Med Res Methodol 2013;
    13:91). The asymptotic test is not offered: it returns p = 0 where nothing differs.

    Raises:
        ValueError: NaN, or a negative or fractional count.

    >>> round(2 * float(mcnemar_midp(7, 1)), 7)
    0.0390625
    """
    from scipy.special import bdtr

    w, b = _counts("worse", worse), _counts("better", better)
    trials = w + b
    # By symmetry P(X ≥ w) = P(X ≤ better), which stays exact far in the tail.
    at_least = bdtr(b, trials.astype(np.int64), 0.5)
    above = np.where(b >= 1, bdtr(np.maximum(b - 1, 0), trials.astype(np.int64), 0.5), 0.0)
    p: FloatArray = np.asarray((at_least + above) / 2, dtype=np.float64)
    return p


def tango_interval(worse: ArrayLike, better: ArrayLike, n: ArrayLike, level: float = 0.90) -> Bounds:
    """Score interval for P(only the candidate fails) − P(only the baseline fails), in [−1, 1].

    Tango (Statistics in Medicine 1998;17:891). The statistic at a difference δ is::

        T(δ) = (worse − better − n·δ) / sqrt(n · (2·q + δ·(1 − δ)))

    with q the maximum-likelihood share of ``better`` pairs at δ. T falls as δ grows; the bounds, where
    |T| = z, are found by bisection. Without a discordant pair they are ±z²/(n + z²), never 0.

    Raises:
        ValueError: NaN, negative or fractional counts, more discordant pairs than pairs, n = 0, or a level
            outside (0, 1).

    >>> low, high = tango_interval(1, 7, 21, level=0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (-0.5172, -0.026)
    """
    from scipy.special import ndtri

    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    w, b, size = np.broadcast_arrays(_counts("worse", worse), _counts("better", better), _counts("n", n))
    if bool(np.any(size < 1)):
        raise ValueError("Tango's interval needs at least one pair")
    if bool(np.any(w + b > size)):
        raise ValueError("there are more discordant pairs than pairs")
    z = float(ndtri((1 + level) / 2))
    # The lower bound is the upper one of the swapped arms, so that swapping flips signs to the last bit.
    return Bounds(-_upper(b, w, size, z), _upper(w, b, size, z))


def undiscordant_half_width(clusters: ArrayLike, level: float = 0.90) -> FloatArray:
    """Half-width z²/(G + z²) of Tango's interval when none of ``clusters`` pairs is discordant.

    The largest share of clusters that could be changing without one of them having been seen to change.

    >>> round(float(undiscordant_half_width(52)), 4)
    0.0495
    """
    from scipy.special import ndtri

    z2 = float(ndtri((1 + level) / 2)) ** 2
    return np.asarray(z2 / (_counts("clusters", clusters) + z2), dtype=np.float64)


def _upper(w: FloatArray, b: FloatArray, n: FloatArray, z: float) -> FloatArray:
    """Where the falling T meets −z above the estimate; 1 if it does not."""
    low, high = (w - b) / n, np.ones_like(n)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = _tango_statistic(w, b, n, middle) > -z
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray((low + high) / 2, dtype=np.float64)


def _tango_statistic(w: FloatArray, b: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
    linear = (2 * n - w + b) * delta - w - b
    constant = -b * delta * (1 - delta)
    root = np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0.0))
    q = (root - linear) / (4 * n)
    # At the ends of [−1, 1] the variance vanishes; the statistic's sign is then that of its numerator.
    variance = np.maximum(n * (2 * q + delta * (1 - delta)), np.finfo(np.float64).tiny)
    return np.asarray((w - b - n * delta) / np.sqrt(variance), dtype=np.float64)


def _counts(name: str, values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not bool(np.all(np.isfinite(array)) and np.all(array >= 0) and np.all(array == np.floor(array))):
        raise ValueError(f"{name} must be whole numbers, 0 or more; NaN is not a count")
    return array
