"""The search of undeclared intersections for regressions: reported with what it is worth, never gated.

Cohorts that are chosen after looking at the data are chosen for their luck, too. So the search says how many
cells it tested, controls the share of false finds among those it lists (Benjamini-Hochberg), and ranks them
by estimates shrunk towards the metric's other cells. What it finds is a cohort to declare in the next run, on
fresh calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.cohort import Cohort
from voiceeval.estimates import estimate_of
from voiceeval.pair_table import CohortRows, PairTable
from voiceeval.statistics.contrast import ClusterSums
from voiceeval.statistics.log_ratio import from_log_scale
from voiceeval.statistics.multiplicity import benjamini_hochberg
from voiceeval.statistics.paired_test import PairedResult, paired_test
from voiceeval.statistics.shrinkage import shrink
from voiceeval.statistics.unpaired import unpaired_test
from voiceeval.tally import tally
from voiceeval.verdict import Counts, Exploration, Explored

RATE = 0.10
"""False discovery rate of what is listed."""
LEVEL = 0.90
MOST_VALUES = 50
"""A tag with more values than this names calls rather than describing them."""


class _Cell(NamedTuple):
    """One metric in one intersection."""

    table: PairTable
    cohort: Cohort
    counts: Counts
    result: PairedResult


def explore(
    tables: Sequence[tuple[PairTable, Sequence[Mapping[str, str]]]],
    *,
    declared: Sequence[tuple[str, ...]],
    depth: int,
    min_clusters: int,
    alpha: float = 0.05,
) -> Exploration:
    """Test every intersection of 2 to ``depth`` tags that nobody declared, for every metric given.

    Intersections with fewer speakers than ``min_clusters`` are not tested, nor is one that holds the very
    calls of a cohort with fewer tags or of a declared one.

    Args:
        tables: per metric, its pairs and the tags of each row.
        declared: the slicings that are judged or reported already.
        depth: 2 or 3; 0: nothing is searched.
        min_clusters: speakers that a cell needs.
        alpha: for the detectable effect of the estimates.
    """
    cells: list[_Cell] = []
    searched: list[CohortRows] = []
    last: Sequence[Mapping[str, str]] = ()
    for table, tags in tables if depth else ():
        if tags != last:  # metrics of the same calls have the same intersections
            searched, last = _intersections(tags, declared, depth), tags
        cells.extend(_tested(table, searched, min_clusters=min_clusters, alpha=alpha))
    if not cells:
        return Exploration(rate=RATE)
    q_values = benjamini_hochberg([cell.result.p_worse for cell in cells])
    shrunken = _shrunken(cells)
    found = [
        Explored(
            metric=cell.table.metric,
            cohort=cell.cohort,
            estimate=estimate_of(cell.result, cell.table.metric, level=LEVEL, p_adjusted=cell.result.p_worse),
            q_value=float(q),
            shrunken=drawn,
            counts=cell.counts,
        )
        for cell, q, drawn in zip(cells, q_values, shrunken, strict=True)
        if q < RATE and cell.result.worse_by > 0
    ]
    # Across metrics of different units only the evidence compares; within one, the shrunken worsening ranks.
    units = ("share", "ms", "currency", "count")
    found.sort(
        key=lambda each: (units.index(each.metric.unit), -each.shrunken, each.metric.name, each.cohort)
    )
    return Exploration(tested=len(cells), rate=RATE, found=tuple(found))


def _intersections(
    tags: Sequence[Mapping[str, str]], declared: Sequence[tuple[str, ...]], depth: int
) -> list[CohortRows]:
    """Cohorts nobody declared, each with rows of its own, those of fewer tags first."""
    columns = {}
    for tag in sorted({tag for row in tags for tag in row}):
        values = [row.get(tag, "") for row in tags]
        if 1 < len(set(values)) <= MOST_VALUES:
            columns[tag] = np.array(values)
    known = {frozenset(slicing) for slicing in declared}
    seen = {np.arange(len(tags), dtype=np.int64).tobytes()}
    for slicing in [(tag,) for tag in columns] + [tuple(sorted(each)) for each in known if len(each) > 1]:
        if all(tag in columns for tag in slicing):
            seen |= {rows.tobytes() for _, rows in _groups(columns, slicing)}
    found = []
    for size in range(2, depth + 1):
        for slicing in combinations(sorted(columns), size):
            if frozenset(slicing) in known:
                continue
            for cohort, rows in _groups(columns, slicing):
                key = rows.tobytes()
                if key not in seen:
                    seen.add(key)
                    found.append(CohortRows(cohort=cohort, rows=rows))
    return found


def _groups(
    columns: Mapping[str, NDArray[np.str_]], slicing: tuple[str, ...]
) -> Iterator[tuple[Cohort, NDArray[np.int64]]]:
    """The cohorts of a slicing with their rows; a call without one of the tags is in none."""
    levels, code = [], np.zeros(len(columns[slicing[0]]), dtype=np.int64)
    for tag in slicing:
        values, place = np.unique(columns[tag], return_inverse=True)
        levels.append(values)
        code = code * len(values) + place
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        parts = tuple((tag, str(columns[tag][rows[0]])) for tag in slicing)
        if all(value for _, value in parts):
            yield Cohort(parts), rows.astype(np.int64)


def _tested(
    table: PairTable, cohorts: Sequence[CohortRows], *, min_clusters: int, alpha: float
) -> Iterator[_Cell]:
    tallies = tally(table, cohorts)
    kept = [
        number
        for number, cell in enumerate(tallies.cells)
        if cell.measurable and not cell.unchanged and cell.counts.clusters >= min_clusters
    ]
    if not kept:
        return
    place = np.full(len(cohorts), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    mine = place[tallies.sums.cell] >= 0
    x_b, n_b, x_c, n_c = (array[mine] for array in tallies.sums[:4])
    results = (paired_test if table.paired else unpaired_test)(
        ClusterSums(x_b, n_b, x_c, n_c, place[tallies.sums.cell[mine]]),
        len(kept),
        yes_no=table.metric.is_proportion,
        step=table.step,
        level=LEVEL,
        alpha=alpha,
    )
    for number, result in zip(kept, results, strict=True):
        shown = from_log_scale(result) if table.log_scale else result
        yield _Cell(table, cohorts[number].cohort, tallies.cells[number].counts, shown)


def _shrunken(cells: Sequence[_Cell]) -> list[float]:
    """``worse_by`` of each cell drawn towards its metric's mean; as it is where it stands alone."""
    from scipy.special import ndtri

    drawn = [cell.result.worse_by for cell in cells]
    z = float(ndtri((1 + LEVEL) / 2))
    for name in {cell.table.metric.name for cell in cells}:
        mine = [i for i, cell in enumerate(cells) if cell.table.metric.name == name]
        errors = [(cells[i].result.upper - cells[i].result.lower) / (2 * z) for i in mine]
        if len(mine) < 2 or min(errors) <= 0:
            continue
        values = shrink([drawn[i] for i in mine], errors).values
        for i, value in zip(mine, values, strict=True):
            drawn[i] = float(value)
    return drawn
