"""Quantiles of a latency, and how far the data can bound them without assuming a distribution.

A quantile is the smallest observed value that at least a share q of the values do not exceed: the inverse of
the empirical distribution, type 1 of Hyndman & Fan (The American Statistician 50, 1996). It is a latency
that a caller had, it survives any change of unit, logarithms included, and it is the definition under which
order statistics bound the true quantile; interpolating types report values nobody waited.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def quantile(values: ArrayLike, q: float) -> float:
    """The smallest of ``values`` that at least a share ``q`` of them do not exceed, in their unit.

    Raises:
        ValueError: no values, NaN, or q outside (0, 1].

    >>> quantile([400, 100, 300, 200], 0.5)
    200.0
    """
    ordered = _ordered(values)
    if not 0 < q <= 1:
        raise ValueError(f"q must be in (0, 1], got {q}")
    # A rank that is whole but for rounding is not moved up to the next.
    return float(ordered[max(math.ceil(q * len(ordered) - 1e-9), 1) - 1])


def fewest_for_quantile(q: float, level: float = 0.95) -> int:
    """How many values it takes before the largest bounds the true quantile: ceil(ln(1 − level) / ln q).

    The chance that all of n independent values lie below the true q-quantile is q^n (Wilks, Annals of
    Mathematical Statistics 12, 1941).

    Raises:
        ValueError: q or level outside (0, 1).

    >>> fewest_for_quantile(0.95), fewest_for_quantile(0.99)
    (59, 299)
    """
    _check(q, level)
    return math.ceil(math.log(1 - level) / math.log(q) - 1e-9)


def quantile_upper(values: ArrayLike, q: float, level: float = 0.95) -> float:
    """The smallest order statistic that bounds the true q-quantile from above with ``level`` confidence.

    X_(r) with the smallest r for which P(Binomial(n, q) < r) ≥ level (Conover, Practical Nonparametric
    Statistics, 1999, §3.2). Values must be independent: one per call, or per speaker.

    Raises:
        ValueError: NaN, q or level outside (0, 1), or fewer values than ``fewest_for_quantile``.
    """
    ordered = _ordered(values)
    fewest = fewest_for_quantile(q, level)
    if len(ordered) < fewest:
        raise ValueError(f"an upper bound of the {q:g}-quantile takes {fewest} values, got {len(ordered)}")
    below = _below(len(ordered), q)
    return float(ordered[int(np.argmax(below >= level))])


def quantile_lower(values: ArrayLike, q: float, level: float = 0.95) -> float:
    """The largest order statistic that bounds the true q-quantile from below with ``level`` confidence.

    Raises:
        ValueError: NaN, q or level outside (0, 1), or so few values that even the smallest is no bound.
    """
    ordered = _ordered(values)
    fewest = fewest_for_quantile(1 - q, level)
    if len(ordered) < fewest:
        raise ValueError(f"a lower bound of the {q:g}-quantile takes {fewest} values, got {len(ordered)}")
    below = _below(len(ordered), q)
    # X_(r) exceeds the quantile when fewer than r values do not.
    return float(ordered[int(np.sum(below <= 1 - level)) - 1])


def _below(n: int, q: float) -> NDArray[np.float64]:
    """P(Binomial(n, q) < r) for r = 1 … n."""
    from scipy.special import bdtr

    return np.asarray(bdtr(np.arange(n, dtype=np.float64), n, q), dtype=np.float64)


def _ordered(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or bool(np.any(np.isnan(array))):
        raise ValueError("a quantile needs one row of values, at least one of them and none of them NaN")
    return np.sort(array)


def _check(q: float, level: float) -> None:
    if not (0 < q < 1 and 0 < level < 1):
        raise ValueError(f"q and level must be in (0, 1), got {q} and {level}")
