"""Planning: how likely a design is to find or to rule out a change, and how much data that takes.

``power.py`` says what data at hand could have shown; here the change is assumed and the data are planned.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

MOST_PAIRS = 20_000
"""Where the search for a number of discordant pairs gives up: a win rate within a hair of one half."""


def power_of_test(effect: ArrayLike, se: ArrayLike, df: ArrayLike, *, alpha: float = 0.05) -> FloatArray:
    """The chance that a one-sided t test at ``alpha`` finds a true worsening of ``effect``.

    T_df(effect/se − t₁₋α), the inverse of ``smallest_detectable`` and as approximate (the non-central t is
    taken as a shifted one). Infinite ``df`` mean the normal distribution.

    Raises:
        ValueError: NaN, a standard error that is not above 0, or degrees of freedom that are not positive.
    """
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    true, error, freedom = (np.asarray(each, dtype=np.float64) for each in (effect, se, df))
    if not (bool(np.all(np.isfinite(true))) and bool(np.all(error > 0)) and bool(np.all(freedom > 0))):
        raise ValueError("power needs a finite effect, a standard error above 0 and positive df")
    finite = np.isfinite(freedom)
    safe = np.where(finite, freedom, 1.0)
    score = true / error
    by_t = stdtr(safe, score - stdtrit(safe, 1 - alpha))
    return np.asarray(np.where(finite, by_t, ndtr(score - ndtri(1 - alpha))), dtype=np.float64)


def power_to_certify(
    margin: ArrayLike, se: ArrayLike, df: ArrayLike, *, true_effect: ArrayLike = 0.0, alpha: float = 0.05
) -> FloatArray:
    """The chance that the upper bound stays below ``margin`` when the true worsening is ``true_effect``.

    The power of the test of the margin: that of finding an effect as large as what is left of it.

    Raises:
        ValueError: as ``power_of_test``.
    """
    left = np.asarray(margin, dtype=np.float64) - np.asarray(true_effect, dtype=np.float64)
    return power_of_test(left, se, df, alpha=alpha)


def calls_needed(
    variance: ArrayLike,
    effect: ArrayLike,
    *,
    alpha: float = 0.05,
    power: float = 0.80,
    sides: Literal[1, 2] = 2,
) -> NDArray[np.int64]:
    """Independent pairs that find a mean difference: ceil((z_{α/sides} + z_power)² · variance / effect²).

    Miller, Adding Error Bars to Evals (arXiv 2411.00640), §5. Pairs of one speaker are not independent; see
    ``variance.py`` for those.

    Args:
        variance: of one pair's difference.
        effect: to be found, in the same unit, not 0.
        alpha: level of the test.
        power: chance of finding it.
        sides: 1 or 2.

    Raises:
        ValueError: NaN, a negative variance or an effect of 0.

    >>> int(calls_needed(1 / 9, 0.03))
    969
    """
    from scipy.special import ndtri

    spread, true = np.asarray(variance, dtype=np.float64), np.asarray(effect, dtype=np.float64)
    if not (bool(np.all(spread >= 0)) and bool(np.all(np.abs(true) > 0))):
        raise ValueError("a variance must not be negative or NaN, and an effect not 0 or NaN")
    z = float(ndtri(1 - alpha / sides) + ndtri(power))
    return np.ceil(z**2 * spread / true**2 - 1e-9).astype(np.int64)


def mcnemar_pairs_needed(
    worse: float, better: float, *, alpha: float = 0.05, power: float = 0.80, sides: Literal[1, 2] = 2
) -> int:
    """Pairs that let McNemar's test tell the shares of ``worse`` and ``better`` pairs apart.

    Connor, Biometrics 43 (1987), normal approximation: ceil((z_α·√ψ + z_power·√(ψ − δ²))² / δ²) with ψ the
    share of discordant pairs and δ the difference.

    Raises:
        ValueError: shares that are equal, negative or above 1 together.

    >>> mcnemar_pairs_needed(0.45, 0.05)
    23
    """
    from scipy.special import ndtri

    psi, delta = _discordant(worse, better)
    z_alpha, z_power = float(ndtri(1 - alpha / sides)), float(ndtri(power))
    root = z_alpha * math.sqrt(psi) + z_power * math.sqrt(max(psi - delta**2, 0.0))
    return math.ceil(root**2 / delta**2 - 1e-9)


def mcnemar_power(
    worse: float, better: float, pairs: ArrayLike, *, alpha: float = 0.05, sides: Literal[1, 2] = 2
) -> FloatArray:
    """The power of McNemar's test by the same approximation; the inverse of ``mcnemar_pairs_needed``.

    Raises:
        ValueError: as there, or shares that leave nothing to chance (every pair is worse, or every better).
    """
    from scipy.special import ndtr, ndtri

    psi, delta = _discordant(worse, better)
    if psi - delta**2 <= 0:
        raise ValueError("where every pair is discordant and on one side, nothing is left to chance")
    n = np.asarray(pairs, dtype=np.float64)
    score = (abs(delta) * np.sqrt(n) - float(ndtri(1 - alpha / sides)) * math.sqrt(psi)) / math.sqrt(
        psi - delta**2
    )
    return np.asarray(ndtr(score), dtype=np.float64)


def mcnemar_exact_power(worse: float, better: float, pairs: int, *, alpha: float = 0.05) -> float:
    """The power of the one-sided exact McNemar test for "worse", over every number of discordant pairs.

    Σ_d P(d of ``pairs`` are discordant) · P(Binomial(d, worse/(worse + better)) is significant at d).
    With ``worse`` = ``better`` this is the level the test really has, which is below ``alpha``.

    Raises:
        ValueError: shares that are negative, both 0 or above 1 together, or fewer than one pair.

    >>> round(mcnemar_exact_power(0.32, 0.08, 50), 6)
    0.839357
    """
    psi = worse + better
    if not (min(worse, better) >= 0 and 0 < psi <= 1 and pairs >= 1):
        raise ValueError(f"shares of discordant pairs must be in (0, 1] together, got {worse} and {better}")
    d = np.arange(pairs + 1)
    seen = _binomial_pmf(np.full(pairs + 1, pairs), d, psi)
    return float(np.sum(seen * _sign_test_power(d, worse / psi, alpha)))


def sign_test_pairs_needed(
    win: float, *, alpha: float = 0.05, power: float = 0.80, sides: Literal[1, 2] = 1
) -> int:
    """The fewest discordant pairs with which the exact sign test has ``power`` if a share ``win`` is worse.

    The power of an exact test goes up and down with the number of pairs; this is the first that has it.

    Raises:
        ValueError: ``win`` not above one half or above 1, or so near one half that it takes over 20 000.

    >>> [sign_test_pairs_needed(win) for win in (0.6, 0.7, 0.8, 0.9)]
    [158, 37, 18, 8]
    """
    if not 0.5 < win <= 1:
        raise ValueError(f"win must be above one half and no more than 1, got {win}")
    step = 512
    for first in range(1, MOST_PAIRS, step):
        d = np.arange(first, first + step)
        found = _sign_test_power(d, win, alpha / sides)
        if sides == 2:
            found = found + _sign_test_power(d, 1 - win, alpha / sides)
        if bool(np.any(found >= power)):
            return int(d[int(np.argmax(found >= power))])
    raise ValueError(f"a win rate of {win} takes more than {MOST_PAIRS} discordant pairs")


def _discordant(worse: float, better: float) -> tuple[float, float]:
    psi, delta = worse + better, worse - better
    if not (min(worse, better) >= 0 and psi <= 1 and abs(delta) > 0):
        raise ValueError(f"shares of discordant pairs must differ and be in [0, 1], got {worse} and {better}")
    return psi, delta


def _sign_test_power(pairs: NDArray[np.int64], win: float, alpha: float) -> FloatArray:
    """P(Binomial(d, win) ≥ c_d), c_d the fewest wins whose exact p is ``alpha`` or less; 0 where none is."""
    from scipy.special import bdtr

    d = np.asarray(pairs, dtype=np.int64)
    critical = _critical_wins(d, alpha)
    possible = critical <= d
    power = bdtr(np.where(possible, d - critical, 0).astype(np.float64), d, 1 - win)
    return np.asarray(np.where(possible, power, 0.0), dtype=np.float64)


def _critical_wins(d: NDArray[np.int64], alpha: float) -> NDArray[np.int64]:
    """The smallest c with P(Binomial(d, ½) ≥ c) ≤ alpha; d + 1 where not even d wins are enough."""
    from scipy.special import bdtr

    low, high = np.zeros_like(d), d + 1
    while bool(np.any(low < high)):
        middle = (low + high) // 2
        # P(X ≥ c) = P(X ≤ d − c); c = d + 1 never happens and has probability 0.
        tail = np.where(middle > d, 0.0, bdtr(np.maximum(d - middle, 0).astype(np.float64), d, 0.5))
        enough = tail <= alpha
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
        low = np.minimum(low, high)
    return low


def _binomial_pmf(n: NDArray[np.int64], k: NDArray[np.int64], p: float) -> FloatArray:
    from scipy.special import gammaln, xlog1py, xlogy

    log_choose = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return np.asarray(np.exp(log_choose + xlogy(k, p) + xlog1py(n - k, -p)), dtype=np.float64)
