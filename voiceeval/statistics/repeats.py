"""Repeats of one scenario: the chance that k fresh attempts all pass, or that one of them does.

Both are unbiased and need at least k attempts. Their plug-in counterparts are not: (c/n)^k is too high for
"all pass" (0.244 instead of 0.179 for 5 of 8 and k = 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def pass_hat_k(attempts: ArrayLike, passed: ArrayLike, k: ArrayLike) -> FloatArray:
    """C(passed, k) / C(attempts, k): the share of the subsets of k attempts in which all pass.

    "pass^k" of Yao et al., τ-bench (arXiv 2406.12045). The arguments broadcast; the result is in [0, 1].

    Raises:
        ValueError: NaN, fractions, fewer attempts than k, k below 1, or more passes than attempts.

    >>> round(float(pass_hat_k(8, 5, 3)), 6)
    0.178571
    """
    n, c, size = _counts(attempts, passed, k)
    return _share_of_subsets(n, c, size)


def pass_at_k(attempts: ArrayLike, passed: ArrayLike, k: ArrayLike) -> FloatArray:
    """1 − C(attempts − passed, k) / C(attempts, k): the share of the subsets of k in which one passes.

    "pass@k" of Chen et al. (arXiv 2107.03374). The arguments broadcast; the result is in [0, 1].

    Raises:
        ValueError: as ``pass_hat_k``.

    >>> round(float(pass_at_k(200, 10, 10)), 6)
    0.408548
    """
    n, c, size = _counts(attempts, passed, k)
    return np.asarray(1 - _share_of_subsets(n, n - c, size), dtype=np.float64)


def _share_of_subsets(n: FloatArray, marked: FloatArray, k: FloatArray) -> FloatArray:
    """C(marked, k) / C(n, k) as a product of k factors, none of which overflows as the binomials would."""
    share = np.ones(n.shape)
    for i in range(int(np.max(k, initial=0))):
        factor = np.maximum(marked - i, 0.0) / np.maximum(n - i, 1.0)
        share = np.where(i < k, share * factor, share)
    return share


def _counts(
    attempts: ArrayLike, passed: ArrayLike, k: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    given = (np.asarray(each, dtype=np.float64) for each in (attempts, passed, k))
    n, c, size = np.broadcast_arrays(*given)
    whole = np.concatenate([each.ravel() for each in (n, c, size)])
    if not bool(np.all(np.isfinite(whole)) and np.all(whole == np.floor(whole)) and np.all(whole >= 0)):
        raise ValueError("attempts, passes and k must be whole numbers, 0 or more")
    if bool(np.any(size < 1)) or bool(np.any(n < size)):
        raise ValueError("k must be 1 or more, and takes as many fresh attempts at least")
    if bool(np.any(c > n)):
        raise ValueError("there are more passes than attempts")
    return n, c, size
