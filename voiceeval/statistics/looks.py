"""Looking more than once at growing data: what it costs, and the critical value that pays for it.

The score after look k is S_k/√k, S_k the sum of k independent standard normal increments (equally spaced
looks). The density of S_k among runs not yet stopped follows from that of S_{k−1} by one integral, as
Armitage, McPherson & Rowe (Journal of the Royal Statistical Society A 132, 1969) computed it; here by
Gauss–Legendre quadrature on the interval between the two boundaries. Nothing is simulated.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

NODES = 96
"""Quadrature nodes per look: ten digits at 20 looks, whose interval is 20 standard deviations wide."""
MOST_LOOKS = 20
HALVINGS = 45


def repeated_look_alpha(looks: int, nominal: float = 0.05) -> float:
    """Chance that an unchanged system is called changed at one of several looks at two-sided ``nominal``.

    Args:
        looks: 1 to 20, equally spaced, none stopped early for any other reason.
        nominal: two-sided level of each look, in (0, 1).

    Raises:
        ValueError: looks outside 1 to 20, or a level outside (0, 1).

    >>> [round(repeated_look_alpha(looks), 3) for looks in (1, 2, 5)]
    [0.05, 0.083, 0.142]
    """
    from scipy.special import ndtri

    _check(looks, nominal)
    return _crossing(looks, -float(ndtri(nominal / 2)))


def pocock_critical(looks: int, alpha: float = 0.05) -> float:
    """The |z| to use at each of ``looks`` looks for an overall two-sided ``alpha``.

    Pocock, Biometrika 64 (1977): one constant boundary for every look.

    Raises:
        ValueError: as ``repeated_look_alpha``.

    >>> [round(pocock_critical(looks), 3) for looks in (1, 2, 3)]
    [1.96, 2.178, 2.289]
    """
    _check(looks, alpha)
    from scipy.special import ndtri

    # Bonferroni's value is never too small.
    low, high = -float(ndtri(alpha / 2)), -float(ndtri(alpha / 2 / looks))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _crossing(looks, middle) > alpha else (low, middle)
    return (low + high) / 2


def pocock_nominal(looks: int, alpha: float = 0.05) -> float:
    """The two-sided p below which each of ``looks`` looks may stop: .0294 for two.

    >>> round(pocock_nominal(2), 4)
    0.0294
    """
    from scipy.special import ndtr

    return 2 * float(ndtr(-pocock_critical(looks, alpha)))


def _crossing(looks: int, critical: float) -> float:
    """P(|S_k| ≥ critical·√k for some k up to ``looks``)."""
    from scipy.special import ndtr

    nodes, weights = _quadrature()
    before, mass = np.zeros(1), np.ones(1)
    inside = 1.0
    for look in range(1, looks + 1):
        bound = critical * np.sqrt(look)
        inside = float(mass @ (ndtr(bound - before) - ndtr(-bound - before)))
        here = nodes * bound
        density = np.exp(-((here[:, None] - before) ** 2) / 2) @ mass / np.sqrt(2 * np.pi)
        before, mass = here, density * weights * bound
    return 1 - inside


@cache
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights


def _check(looks: int, level: float) -> None:
    if not 1 <= looks <= MOST_LOOKS:
        raise ValueError(f"looks must be 1 to {MOST_LOOKS}, got {looks}")
    if not 0 < level < 1:
        raise ValueError(f"a level must be in (0, 1), got {level}")
