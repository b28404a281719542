"""Yes/no outcomes of two samples that share nothing: Fisher's mid-p and Wilson's score interval.

Arrays broadcast against each other; counts are whole numbers. The paired counterparts are in
``proportions.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voiceeval.statistics.proportions import Bounds

FloatArray = NDArray[np.float64]


def wilson_interval(failures: ArrayLike, n: ArrayLike, level: float = 0.90) -> Bounds:
    """Wilson's score interval for a share (Journal of the American Statistical Association 22, 1927).

    Without a failure it is [0, z²/(n + z²)], never a width of 0.

    Raises:
        ValueError: NaN, negative or fractional counts, more failures than calls, n = 0, or a level outside
            (0, 1).

    >>> low, high = wilson_interval(81, 263, level=0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.2553, 0.3662)
    """
    from scipy.special import ndtri

    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    x, size = np.broadcast_arrays(_counts("failures", failures), _counts("n", n))
    if bool(np.any(size < 1)) or bool(np.any(x > size)):
        raise ValueError("Wilson's interval needs at least one call, and no more failures than calls")
    z2 = float(ndtri((1 + level) / 2)) ** 2
    share = x / size
    centre = share + z2 / (2 * size)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * size)) / size)
    lower, upper = (centre - half) / (1 + z2 / size), (centre + half) / (1 + z2 / size)
    # At the ends the bound is the share itself, which rounding can miss by a hair on either side.
    return Bounds(np.where(x == 0, 0.0, lower), np.where(x == size, 1.0, upper))


def fisher_midp(
    candidate_failures: ArrayLike, candidate_n: ArrayLike, baseline_failures: ArrayLike, baseline_n: ArrayLike
) -> FloatArray:
    """One-sided mid-p for "the candidate fails no more often", given how many failed in all.

    P(X > failures) + ½·P(X = failures) for the hypergeometric X. Fisher's own p (The Design of Experiments,
    1935, §21.02) is conservative; the mid-p is what Lancaster (JASA 56, 1961) made of it. ½ where no call
    failed, or all did.

    Raises:
        ValueError: NaN, negative or fractional counts, or more failures than calls.

    >>> round(float(fisher_midp(3, 4, 1, 4)), 6)
    0.128571
    """
    from scipy.special import gammaln

    x, n, y, m = np.broadcast_arrays(
        _counts("candidate_failures", candidate_failures),
        _counts("candidate_n", candidate_n),
        _counts("baseline_failures", baseline_failures),
        _counts("baseline_n", baseline_n),
    )
    if bool(np.any(x > n)) or bool(np.any(y > m)):
        raise ValueError("there are more failures than calls")
    failures = x + y
    count = np.arange(int(np.max(failures, initial=0)) + 1).reshape((-1,) + (1,) * x.ndim)
    possible = (count <= np.minimum(n, failures)) & (count >= np.maximum(failures - m, 0))
    k = np.where(possible, count, x)

    def log_choose(whole: FloatArray, part: FloatArray) -> FloatArray:
        chosen = gammaln(whole + 1) - gammaln(part + 1) - gammaln(whole - part + 1)
        return np.asarray(chosen, dtype=np.float64)

    log_share = log_choose(n, k) + log_choose(m, failures - k) - log_choose(n + m, failures)
    share = np.where(possible, np.exp(log_share), 0.0)
    share = share / share.sum(axis=0)
    weight = np.where(count > x, 1.0, np.where(count == x, 0.5, 0.0))
    return np.asarray(np.minimum((share * weight).sum(axis=0), 1.0), dtype=np.float64)


def _counts(name: str, values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not bool(np.all(np.isfinite(array)) and np.all(array >= 0) and np.all(array == np.floor(array))):
        raise ValueError(f"{name} must be whole numbers, 0 or more; NaN is not a count")
    return array
