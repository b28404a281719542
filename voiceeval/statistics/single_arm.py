"""One arm by itself: its rate, its clustered error, and the bounds that stand in where that says little."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.statistics.contrast import LARGEST_LEVERAGE, per_cell
from voiceeval.statistics.independent import wilson_interval
from voiceeval.statistics.paired_test import ROUNDING
from voiceeval.statistics.proportions import undiscordant_half_width

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Arm(NamedTuple):
    """One arm of every cell; arrays of shape ``(cells,)``."""

    rate: FloatArray
    below: FloatArray
    """What stands for its standard error where the rate might be lower."""
    above: FloatArray
    df: FloatArray
    """Infinite where score bounds stand in."""
    clusters: IntArray
    failing: FloatArray
    """Clusters with a failure anywhere."""
    succeeding: FloatArray
    """Clusters with a success anywhere (yes/no metrics)."""
    single: BoolArray
    """One yes/no outcome per cluster."""
    still: BoolArray
    """Its clusters do not vary."""
    se: FloatArray
    """CR2, whatever stands for it; with its degrees of freedom."""
    se_df: FloatArray
    clean_half: FloatArray
    """How far off the rate may be where nothing varies."""


def one_arm(
    name: str,
    x: FloatArray,
    n: FloatArray,
    cell: IntArray,
    cells: int,
    *,
    yes_no: bool,
    step: float,
    level: float,
) -> Arm:
    """What one arm brings to ``unpaired_test``; ``x`` and ``n`` are 0 in the other arm's clusters.

    Raises:
        ValueError: fewer than two clusters in a cell, or no denominator; ``name`` says of which arm.
    """
    from scipy.special import ndtri

    mine = (n > 0) | (x != 0)
    x, n, cell = x[mine], n[mine], cell[mine]
    clusters = np.bincount(cell, minlength=cells)
    if len(clusters) > cells:
        raise ValueError(f"cell {len(clusters) - 1} is named, but there are {cells} cells")
    if bool(np.any(clusters < 2)):
        first = int(np.argmax(clusters < 2))
        raise ValueError(
            f"cell {first}: the {name} has {int(clusters[first])} cluster(s); it needs 2 of its own"
        )
    total = per_cell(n, cell, cells)
    if bool(np.any(total <= 0)):
        raise ValueError(f"cell {int(np.argmax(total <= 0))}: the {name} has no denominator: no rate exists")
    rate, se, df = arm_error(x, n, cell, cells)
    z = float(ndtri((1 + level) / 2))
    failing = per_cell((x != 0).astype(np.float64), cell, cells)
    worth = np.ones(cells) if yes_no else step * clusters / total
    clean_half = undiscordant_half_width(clusters, level) * worth
    single = np.zeros(cells, dtype=np.bool_)
    below, above = se, se
    if yes_no:
        size = np.zeros(cells)
        np.maximum.at(size, cell, n)
        mixed = (n != size[cell]) | ((x != 0) & (x != n))
        single = per_cell(mixed.astype(np.float64), cell, cells) == 0
        wilson = wilson_interval(np.where(single, failing, 0), clusters, level)
        below = np.where(single, (rate - wilson.lower) / z, below)
        above = np.where(single, (wilson.upper - rate) / z, above)
    still = se <= ROUNDING * np.abs(rate)
    far = (
        (np.minimum(clean_half, rate), np.minimum(clean_half, 1 - rate))
        if yes_no
        else (clean_half, clean_half)
    )
    below, above = np.where(still & ~single, far[0] / z, below), np.where(still & ~single, far[1] / z, above)
    return Arm(
        rate=rate,
        below=np.maximum(below, 0.0),
        above=np.maximum(above, 0.0),
        df=np.where(single | still, np.inf, df),
        clusters=clusters,
        failing=failing,
        succeeding=per_cell((x < n).astype(np.float64), cell, cells),
        single=single,
        still=still,
        se=se,
        se_df=df,
        clean_half=clean_half,
    )


def arm_error(
    x: FloatArray, n: FloatArray, cell: IntArray, cells: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rate, CR2 standard error and degrees of freedom of one arm's ratio X/N per cell, shape ``(cells,)``.

    Σ u_g²/(1 − h_g) with u_g = (x_g − R·n_g)/N and h_g = n_g/N; Bell & McCaffrey's degrees of freedom, as in
    ``clustered_contrast``. Equal clusters: the ordinary standard error of a mean, G − 1.
    """
    total = per_cell(n, cell, cells)
    rate = per_cell(x, cell, cells) / total
    influence = (x - rate[cell] * n) / total[cell]
    share = np.minimum(n / total[cell], LARGEST_LEVERAGE)
    variance = per_cell(influence**2 / (1 - share), cell, cells)
    q = share**2 / (1 - share)
    trace = per_cell(share**2 - q**2, cell, cells) + per_cell(q, cell, cells) ** 2
    clusters = np.bincount(cell, minlength=cells)
    return rate, np.sqrt(variance), np.minimum(1 / trace, clusters - 1.0)


def welch_df(parts: FloatArray, df: FloatArray) -> FloatArray:
    """(Σ V_i)² / Σ (V_i²/df_i) over the first axis; infinite where every part is 0 or exact.

    >>> round(float(welch_df(np.array([1.0, 1.0]), np.array([9.0, 9.0]))), 6)
    18.0
    """
    parts, df = np.asarray(parts, dtype=np.float64), np.asarray(df, dtype=np.float64)
    largest = np.max(parts, axis=0)
    scaled = parts / np.where(largest > 0, largest, 1.0)
    lost = np.sum(scaled**2 / df, axis=0)
    found = np.sum(scaled, axis=0) ** 2 / np.where(lost > 0, lost, 1.0)
    return np.asarray(np.where(lost > 0, found, np.inf), dtype=np.float64)
