"""Many cells, one error rate: Holm's adjustment for the gate, Benjamini–Hochberg's for exploring."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm-adjusted p-values, in the order given; rejecting those below α keeps the family-wise error at α.

    Holm, Scandinavian Journal of Statistics 6 (1979). Valid under any dependence between the cells, which
    matters: cohorts share calls. The size of the family is the number of p-values given.

    Args:
        p_values: shape ``(m,)``, each in [0, 1]; an empty family is returned as it is.

    Raises:
        ValueError: NaN or a value outside [0, 1]. Other implementations count NaN into the family silently.

    >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Benjamini–Hochberg-adjusted p-values, in the order given, for exploring and never for the gate.

    Benjamini & Hochberg, Journal of the Royal Statistical Society B 57 (1995): of the cells adjusted to q or
    less, a share of q is expected to be false alarms, under independence or positive dependence.

    Args:
        p_values: shape ``(m,)``, each in [0, 1]; an empty family is returned as it is.

    Raises:
        ValueError: NaN or a value outside [0, 1]. Elsewhere one NaN makes every adjusted value NaN.

    >>> [round(float(p), 3) for p in benjamini_hochberg([0.01, 0.04, 0.03, 0.005])]
    [0.02, 0.04, 0.04, 0.02]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    adjusted = np.empty_like(p)
    rank = np.arange(len(p), 0, -1)
    adjusted[order] = np.minimum(np.minimum.accumulate(p[order] * len(p) / rank), 1.0)
    return adjusted


def _checked(p_values: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise ValueError(f"p-values come in one row, got shape {p.shape}")
    if not bool(np.all((p >= 0) & (p <= 1))):
        raise ValueError("a p-value is NaN or outside [0, 1]; leave untested cells out of the family")
    return p
