"""How far two judges agree beyond chance: an automatic metric and people, or people among themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Scale = Literal["nominal", "ordinal", "interval", "ratio"]


class Kappa(NamedTuple):
    """Agreement of two judges on the same items."""

    value: float
    """1 is perfect, 0 what chance would give, below 0 worse than that."""
    lower: float
    upper: float
    observed: float
    """Share of items on which they agree; read it beside ``value``, which skewed labels push down."""
    by_chance: float
    """What that share would be if both kept their habits and judged blindly."""


def cohen_kappa(table: ArrayLike, level: float = 0.95) -> Kappa:
    """Cohen's κ of a table of counts, with the large-sample interval of Fleiss, Cohen & Everitt.

    κ = (observed − by chance) / (1 − by chance) (Cohen, Educational and Psychological Measurement 20, 1960);
    standard error from Psychological Bulletin 72 (1969), which holds for tens of items, not for a handful.

    Args:
        table: shape ``(k, k)``; rows are one judge's labels, columns the other's, in the same order.
        level: of the interval, cut at −1 and 1.

    Raises:
        ValueError: no square, NaN, a negative or fractional count, no item, a level outside (0, 1), or both
            judges using one and the same label throughout: no agreement beyond chance is defined there.

    >>> round(cohen_kappa([[20, 5], [10, 15]]).value, 6)
    0.4
    """
    from scipy.special import ndtri

    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a table of agreement is square, got shape {counts.shape}")
    whole = bool(np.all(np.isfinite(counts)) and np.all(counts >= 0) and np.all(counts == np.floor(counts)))
    if not whole or counts.sum() == 0:
        raise ValueError("a table of agreement holds whole numbers, 0 or more, and one item at least")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    n = float(counts.sum())
    p = counts / n
    row, column = p.sum(axis=1), p.sum(axis=0)
    observed, by_chance = float(np.trace(p)), float(row @ column)
    if np.count_nonzero(row) == np.count_nonzero(column) == 1 and observed == 1:
        raise ValueError("both judges gave every item the same label; kappa is not defined")
    kappa = (observed - by_chance) / (1 - by_chance)
    marginal = row[None, :] + column[:, None]  # of the pair (i, j): the column's i and the row's j
    own = np.diag(p) * (1 - (row + column) * (1 - kappa)) ** 2
    crossed = p * marginal**2
    others = (1 - kappa) ** 2 * float(crossed.sum() - np.trace(crossed))
    variance = (float(own.sum()) + others - (kappa - by_chance * (1 - kappa)) ** 2) / (
        n * (1 - by_chance) ** 2
    )
    half = float(ndtri((1 + level) / 2)) * float(np.sqrt(max(variance, 0.0)))
    return Kappa(kappa, max(kappa - half, -1.0), min(kappa + half, 1.0), observed, by_chance)


class Skew(NamedTuple):
    """What pushes Cohen's κ of yes or no down, or up, at the same share of agreement."""

    prevalence: float
    """Share of items that both call yes less that which both call no; far from 0, κ is low."""
    bias: float
    """How much more often the rows' judge says yes than the columns'; far from 0, κ is a little high."""
    adjusted: float
    """κ if neither were there: 2 · observed − 1."""


def skew(table: ArrayLike) -> Skew:
    """Prevalence index, bias index and the κ adjusted for both of a 2 × 2 table, yes first.

    Byrt, Bishop & Carlin, Journal of Clinical Epidemiology 46 (1993); their indices are without a sign, these
    keep it.

    Raises:
        ValueError: another shape, or no item.

    >>> skew([[40, 9], [6, 45]])
    Skew(prevalence=-0.05, bias=0.03, adjusted=0.7)
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.shape != (2, 2) or not counts.sum() > 0:
        raise ValueError("prevalence and bias take a 2 × 2 table with one item at least")
    (both, first), (second, neither) = (counts / counts.sum()).tolist()
    return Skew(*(round(each, 12) for each in (both - neither, first - second, 2 * (both + neither) - 1)))


def krippendorff_alpha(values: ArrayLike, present: ArrayLike, scale: Scale) -> float:
    """Krippendorff's α of any number of judges, some of whom may have left items out.

    1 − D_o/D_e over the coincidences of values within items (Krippendorff, Computing Krippendorff's
    Alpha-Reliability, 2011). Items that fewer than two judges labelled say nothing and are left out.

    Args:
        values: shape ``(judges, items)``; what stands where ``present`` is false is not looked at.
        present: same shape, true where the judge labelled the item.
        scale: how far two labels are apart: ``nominal`` (alike or not), ``ordinal`` (how many labels lie
            between them), ``interval`` (their squared difference), ``ratio`` (the same relative to their
            sum; labels must not be negative).

    Raises:
        ValueError: other shapes, NaN among the present, an unknown scale, no item with two labels, or a
            single label throughout: no disagreement could have been seen.
    """
    labels, mask = np.asarray(values, dtype=np.float64), np.asarray(present, dtype=np.bool_)
    if labels.ndim != 2 or labels.shape != mask.shape:
        raise ValueError(
            f"values and their mask need one shape (judges, items), got {labels.shape}, {mask.shape}"
        )
    if scale not in DISTANCES:
        raise ValueError(f"no scale is called {scale!r}; known: {', '.join(sorted(DISTANCES))}")
    mask = mask & (mask.sum(axis=0) >= 2)
    if not bool(mask.any()):
        raise ValueError("no item was labelled twice; agreement is not defined")
    if not bool(np.all(np.isfinite(labels[mask]))):
        raise ValueError("a label is NaN or infinite; mark it as not present")
    if scale == "ratio" and bool(np.any(labels[mask] < 0)):
        raise ValueError("a ratio scale has no negative labels")
    known, code = np.unique(labels[mask], return_inverse=True)
    if len(known) == 1:
        raise ValueError("every label is the same; no disagreement could have been seen")
    coincidences = _coincidences(code, np.nonzero(mask)[1], labels.shape[1], len(known))
    total = coincidences.sum(axis=1)
    distance = DISTANCES[scale](known, total)
    n = float(total.sum())
    expected = float((np.outer(total, total) * distance).sum()) / (n - 1)
    return 1 - float((coincidences * distance).sum()) / expected


def _coincidences(code: NDArray[np.int64], item: NDArray[np.int64], items: int, labels: int) -> FloatArray:
    """How often two labels met in an item, each item weighing as many as it has labels."""
    counts = np.zeros((items, labels))
    np.add.at(counts, (item, code), 1.0)
    per_item = counts.sum(axis=1)
    counts, per_item = counts[per_item > 0], per_item[per_item > 0]
    weighted = counts / (per_item - 1)[:, None]
    return np.asarray(weighted.T @ counts - np.diag(weighted.sum(axis=0)), dtype=np.float64)


def _nominal(known: FloatArray, total: FloatArray) -> FloatArray:
    return 1 - np.eye(len(known))


def _ordinal(known: FloatArray, total: FloatArray) -> FloatArray:
    # Ranks in the middle of each label's share: their difference counts the labels in between, ends by half.
    middle = np.cumsum(total) - total / 2
    return np.asarray((middle[:, None] - middle) ** 2, dtype=np.float64)


def _interval(known: FloatArray, total: FloatArray) -> FloatArray:
    return np.asarray((known[:, None] - known) ** 2, dtype=np.float64)


def _ratio(known: FloatArray, total: FloatArray) -> FloatArray:
    sums = known[:, None] + known
    return np.asarray(((known[:, None] - known) / np.where(sums > 0, sums, 1.0)) ** 2, dtype=np.float64)


DISTANCES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval,
    "ratio": _ratio,
}
