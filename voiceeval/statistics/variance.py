"""Where a contrast's uncertainty comes from, and the standard error that another design would have."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voiceeval.statistics.contrast import per_cell

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class VarianceParts(NamedTuple):
    """Per cell, arrays of shape ``(cells,)``, in the squared unit of the differences."""

    between: FloatArray
    """Variance between speakers; 0 where calls of one speaker are no more alike than any."""
    within: FloatArray
    """Variance between calls of one speaker."""
    correlation: FloatArray
    """Of two calls of one speaker: between / (between + within); 0 where nothing varies."""
    separable: BoolArray
    """Whether some speaker has two calls. If none has, all variance counts as ``between``: more calls per
    speaker then promise nothing, which errs on the safe side."""
    clusters: IntArray
    calls: IntArray


def linearised_differences(
    x_baseline: FloatArray,
    n_baseline: FloatArray,
    x_candidate: FloatArray,
    n_candidate: FloatArray,
    cell: IntArray,
    cells: int,
    *,
    factor: float = 1.0,
) -> FloatArray:
    """What each call contributes to the contrast of the two ratios, less their mean, shape ``(calls,)``.

    The influence of ``clustered_contrast`` per call, times the calls of its cell, so that the contrast
    behaves as the mean of these values; they sum to 0 in each cell.

    Raises:
        ValueError: NaN or infinity, or a cell without a denominator in one arm.
    """
    arrays = (x_baseline, n_baseline, x_candidate, n_candidate)
    if not all(bool(np.all(np.isfinite(array))) for array in arrays):
        raise ValueError("calls hold NaN or infinity; leave unscored calls out")
    total_b, total_c = per_cell(n_baseline, cell, cells), per_cell(n_candidate, cell, cells)
    if bool(np.any(np.minimum(total_b, total_c) <= 0)):
        first = int(np.argmax(np.minimum(total_b, total_c) <= 0))
        raise ValueError(f"cell {first} has no denominator in one arm: no rate exists")
    rate_b, rate_c = per_cell(x_baseline, cell, cells) / total_b, per_cell(x_candidate, cell, cells) / total_c
    influence = (x_candidate - rate_c[cell] * n_candidate) / total_c[cell]
    influence = influence - factor * (x_baseline - rate_b[cell] * n_baseline) / total_b[cell]
    return np.asarray(influence * np.bincount(cell, minlength=cells)[cell], dtype=np.float64)


def variance_parts(values: FloatArray, cluster: IntArray, cell: IntArray, cells: int = 1) -> VarianceParts:
    """One-way analysis of variance of calls within speakers, by moments (Searle, Linear Models, 1971, ch. 9).

    between = (MSB − MSW) / n0 with n0 = (N − Σ n_g²/N) / (G − 1), the mean number of calls per speaker less
    what their inequality takes away; below 0 it is 0, and ``within`` is then the variance of all calls.

    Args:
        values: per call, shape ``(calls,)``; see ``linearised_differences``.
        cluster: 0-based speaker of each call; the same number in another cell is another speaker.
        cell: 0-based cell of each call.
        cells: how many cells there are.

    Raises:
        ValueError: NaN or infinity, other shapes, or a cell with fewer than two speakers.
    """
    if not len(values) == len(cluster) == len(cell):
        raise ValueError("values, clusters and cells need one length")
    if not bool(np.all(np.isfinite(values))):
        raise ValueError("a value is NaN or infinite")
    _, group = np.unique(np.stack([cell, cluster]), axis=1, return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    home = np.zeros(groups, dtype=np.int64)
    home[group] = cell
    size = np.bincount(group, minlength=groups).astype(np.float64)
    clusters, calls = np.bincount(home, minlength=cells), np.bincount(cell, minlength=cells)
    if bool(np.any(clusters < 2)):
        first = int(np.argmax(clusters < 2))
        raise ValueError(
            f"cell {first} has {int(clusters[first])} speaker(s); a variance between them needs 2"
        )
    mean = per_cell(values, cell, cells) / calls
    group_mean = per_cell(values, group, groups) / size
    among = per_cell(size * (group_mean - mean[home]) ** 2, home, cells)
    inside = per_cell((values - group_mean[group]) ** 2, cell, cells)
    separable = calls > clusters
    ms_between = among / (clusters - 1)
    ms_within = np.where(separable, inside / np.where(separable, calls - clusters, 1), 0.0)
    n0 = (calls - per_cell(size**2, home, cells) / calls) / (clusters - 1)
    between = np.maximum((ms_between - ms_within) / n0, 0.0)
    within = np.where(between > 0, ms_within, (among + inside) / (calls - 1))
    total = between + within
    correlation = np.where(total > 0, between / np.where(total > 0, total, 1.0), 0.0)
    return VarianceParts(between, within, correlation, separable, clusters, calls)


def expected_se(parts: VarianceParts, clusters: ArrayLike, calls_per_cluster: ArrayLike) -> FloatArray:
    """The standard error to expect from ``clusters`` speakers with ``calls_per_cluster`` calls each.

    sqrt(between/G + within/(G·m)). With the design at hand, if it is balanced, this is the standard error of
    ``clustered_contrast`` to the last digits (while ``between`` is above 0).

    Raises:
        ValueError: fewer than one speaker or call.
    """
    g, m = np.asarray(clusters, dtype=np.float64), np.asarray(calls_per_cluster, dtype=np.float64)
    if not (bool(np.all(g >= 1)) and bool(np.all(m >= 1))):
        raise ValueError("a design has one speaker and one call per speaker at least")
    return np.asarray(np.sqrt(parts.between / g + parts.within / (g * m)), dtype=np.float64)
