"""The noise of cells, from the calls of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from voiceeval.pair_table import PairTable
from voiceeval.planning.noise import BoolArray, FloatArray, Noise
from voiceeval.statistics.contrast import ClusterSums, IntArray, clustered_contrast, per_cell
from voiceeval.statistics.paired_test import ROUNDING, PairedResult, paired_test
from voiceeval.statistics.variance import linearised_differences

Tags = tuple[str, ...]


class _Calls(NamedTuple):
    """The compared calls of all cells: arrays of one shape."""

    values: FloatArray
    """What each contributes to its cell's difference, less the mean."""
    cell: IntArray
    group: IntArray
    """The speaker, another one in each cell."""
    home: IntArray
    """Cell of each group, shape ``(groups,)``."""


class _Alike(NamedTuple):
    """How alike the calls of one speaker are; arrays of shape ``(cells,)``."""

    correlation: FloatArray
    separable: BoolArray


def measured_noise(
    table: PairTable, rows: Sequence[IntArray], slicings: Sequence[Tags], *, alpha: float
) -> tuple[tuple[PairedResult, ...], list[Noise]]:
    """The gate's result and the noise of each cell.

    Args:
        table: the pairs of one metric.
        rows: per cell, its compared rows: of two speakers at least, with something to score in each arm.
        slicings: per cell, the tags it slices by.
        alpha: one-sided level of each bound.
    """
    if not rows:
        return (), []
    cells = len(rows)
    cell = np.repeat(np.arange(cells), [len(mine) for mine in rows])
    row = np.concatenate(rows)
    groups, group = np.unique(np.stack([cell, table.speaker[row]]), axis=1, return_inverse=True)
    home = groups[0].astype(np.int64)
    x_b, n_b, x_c, n_c = table.values[row].T
    summed = [per_cell(column, group, len(home)) for column in (x_b, n_b, x_c, n_c)]
    sums = ClusterSums(summed[0], summed[1], summed[2], summed[3], home)
    results = paired_test(
        sums, cells, yes_no=table.metric.is_proportion, step=table.step, level=1 - 2 * alpha, alpha=alpha
    )
    by_factor = [clustered_contrast(sums, cells, factor=k, correction="CR2") for k in (0.0, 1.0, 2.0)]
    calls = _Calls(linearised_differences(x_b, n_b, x_c, n_c, cell, cells), cell, group, home)
    alike = _alike(calls, cells, slicings)
    noises = []
    for i in range(cells):
        zero, one, two = (float(found.se[i]) ** 2 for found in by_factor)
        mine = home == i
        plain = Noise(
            speakers=int(np.sum(mine)),
            calls=len(rows[i]),
            variance=(zero, one - zero - (two - 2 * one + zero) / 2, (two - 2 * one + zero) / 2),
            df=float(by_factor[1].df[i]),
            correlation=float(alike.correlation[i]),
            separable=bool(alike.separable[i]),
            yes_no=table.metric.is_proportion,
            fewest_calls=table.metric.fewest_calls,
        )
        noises.append(_with_rules(ClusterSums(*(array[mine] for array in sums)), plain, step=table.step))
    return results, noises


def _alike(calls: _Calls, cells: int, slicings: Sequence[Tags]) -> _Alike:
    """Correlations by moments, one for all cells of a slicing: a dozen speakers cannot tell their own.

    One-way analysis of variance of calls within speakers (Searle, Linear Models, 1971, ch. 9), with the calls
    of each cell scaled to the same variance and the sums of squares and degrees of freedom added up over the
    cells. Where no speaker has two calls the correlation counts as 1, so that repeats promise nothing.
    """
    count = np.bincount(calls.cell, minlength=cells).astype(np.float64)
    scale = np.sqrt(per_cell(calls.values**2, calls.cell, cells) / count)
    values = np.where(scale[calls.cell] > 0, calls.values / np.where(scale > 0, scale, 1.0)[calls.cell], 0.0)
    groups = len(calls.home)
    size = np.bincount(calls.group, minlength=groups).astype(np.float64)
    mean = per_cell(values, calls.group, groups) / size
    among = per_cell(size * mean**2, calls.home, cells)
    inside = per_cell((values - mean[calls.group]) ** 2, calls.cell, cells)
    speakers = np.bincount(calls.home, minlength=cells).astype(np.float64)
    evenness = count - per_cell(size**2, calls.home, cells) / count
    correlation, separable = np.ones(cells), np.zeros(cells, dtype=np.bool_)
    for tags in dict.fromkeys(slicings):
        mine = np.array([each == tags for each in slicings])
        varying = mine & (scale > 0)
        within_df = float(np.sum((count - speakers)[varying if varying.any() else mine]))
        if within_df <= 0:
            continue
        separable[mine], correlation[mine] = True, 0.0
        if varying.any():
            among_df = float(np.sum((speakers - 1)[varying]))
            within = float(np.sum(inside[varying])) / within_df
            between = (float(np.sum(among[varying])) / among_df - within) * among_df
            between = max(between / float(np.sum(evenness[varying])), 0.0)
            correlation[mine] = between / (between + within) if between > 0 else 0.0
    return _Alike(correlation, separable)


def _with_rules(sums: ClusterSums, plain: Noise, *, step: float) -> Noise:
    """The noise with what the gate's rules for sparse and clean cells need to know of it."""
    movement = sums.x_candidate * sums.n_baseline != sums.x_baseline * sums.n_candidate
    worth, one_outcome = 1.0, False
    if plain.yes_no:
        size = max(float(sums.n_baseline.max()), float(sums.n_candidate.max()))
        sides = ((sums.x_baseline, sums.n_baseline), (sums.x_candidate, sums.n_candidate))
        one_outcome = all(_all_or_none(x, n, size) for x, n in sides)
    else:
        worth = step * plain.speakers / min(float(sums.n_baseline.sum()), float(sums.n_candidate.sum()))
    found = replace(plain, differing=float(np.mean(movement)), worth=worth, one_outcome=one_outcome)
    rates = abs(float(sums.x_baseline.sum() / sums.n_baseline.sum()))
    rates += abs(float(sums.x_candidate.sum() / sums.n_candidate.sum()))
    if plain.se > ROUNDING * rates:
        return found
    # A record without a difference is as likely as not at this share of speakers who would differ.
    unseen = 1 - 0.5 ** (1 / plain.speakers)
    variance = (worth**2 * unseen / plain.speakers, 0.0, 0.0)
    return replace(found, variance=variance, differing=unseen, clean=True)


def _all_or_none(x: FloatArray, n: FloatArray, size: float) -> bool:
    return bool(np.all(n == size) and np.all((x == 0) | (x == size)))
