"""From pairs to per-speaker sums, for all cohorts of a table at once.

A table's rows belong to any number of cohorts. Every figure of every cell comes from a few passes over the
memberships (row, cell), so that a thousand overlapping cohorts cost about what one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.pair_table import (
    AGENT_FAILED,
    COMPARED,
    HARNESS_FAILED,
    NOT_APPLICABLE,
    NOT_RUN,
    CohortRows,
    PairTable,
)
from voiceeval.statistics.contrast import ClusterSums, per_cell
from voiceeval.verdict import Counts

SEVERE_REPEATS = 3
"""So many calls must have succeeded, and failed, for the severity rule."""
_KINDS = (COMPARED, NOT_APPLICABLE, AGENT_FAILED, HARNESS_FAILED, NOT_RUN)
_FLAGS = 7
"""Six gaps by arm, and whether anything differs between the arms: the bits of a row's code."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one cell rests on."""

    counts: Counts
    measurable: bool
    """Whether two rates and a standard error exist: two speakers, and something to score in each arm."""
    unchanged: bool
    """Pairs were compared, and not one of them differs in anything."""
    one_arm_only: int
    """Pairs left out because the metric applied to one arm only."""
    harness_alone: tuple[int, int]
    """Pairs that failed on our side in the baseline only, and in the candidate only."""
    severe: tuple[tuple[str, int], ...]
    """Critical scenarios that the baseline always and the candidate never passed, with their calls."""


class Tallies(NamedTuple):
    """All cells of a table."""

    cells: tuple[Tally, ...]
    sums: ClusterSums
    """Per cell and speaker, turned so that more is worse: by cell, then by speaker."""


class _Memberships(NamedTuple):
    """Which row is in which cell; arrays of one shape, by cell and then by row."""

    row: IntArray
    cell: IntArray
    cells: int


def tally(table: PairTable, cohorts: Sequence[CohortRows]) -> Tallies:
    """One tally per cohort, and the sums per speaker of them all."""
    lengths = [len(cohort.rows) for cohort in cohorts]
    members = _Memberships(
        row=np.concatenate([cohort.rows for cohort in cohorts]) if cohorts else np.zeros(0, dtype=np.int64),
        cell=np.repeat(np.arange(len(cohorts)), lengths),
        cells=len(cohorts),
    )
    sums = _cluster_sums(table, members)
    severe = _severe(table, members) if table.metric.yes_no else {}
    coded = _coded(table, members)
    clusters, enough = _enough(sums, members.cells, paired=table.paired)
    return Tallies(
        tuple(
            _tally(coded[i], clusters=int(clusters[i]), measurable=bool(enough[i]), severe=severe.get(i, ()))
            for i in range(members.cells)
        ),
        sums,
    )


def _enough(sums: ClusterSums, cells: int, *, paired: bool) -> tuple[IntArray, NDArray[np.bool_]]:
    """Speakers of each cell (without pairs: of the arm that has fewer), and whether they can be compared."""
    scored = [per_cell((n > 0).astype(np.float64), sums.cell, cells) for n in (sums[1], sums[3])]
    fewer = np.minimum(scored[0], scored[1])
    if not paired:
        return fewer.astype(np.int64), fewer >= 2
    clusters = np.bincount(sums.cell, minlength=cells)
    return clusters, (clusters >= 2) & (fewer > 0)


def _cluster_sums(table: PairTable, members: _Memberships) -> ClusterSums:
    kept = table.kind[members.row] == COMPARED
    row, cell = members.row[kept], members.cell[kept]
    speakers = int(table.speaker.max()) + 1 if len(table.speaker) else 0
    key = cell * speakers + table.speaker[row]
    if members.cells * speakers <= 4 * len(key) + 1_000_000:
        found = np.flatnonzero(np.bincount(key, minlength=members.cells * speakers))
        place = np.empty(members.cells * speakers, dtype=np.int64)
        place[found] = np.arange(len(found))
        cluster = place[key]
    else:  # few of many speakers in each cell: sorting is cheaper than a table of all combinations
        found, cluster = np.unique(key, return_inverse=True)
    x_b, n_b, x_c, n_c = (per_cell(column[row], cluster, len(found)) for column in table.values.T)
    return ClusterSums(x_b, n_b, x_c, n_c, (found // max(speakers, 1)).astype(np.int64))


def _coded(table: PairTable, members: _Memberships) -> IntArray:
    """How often each code occurs, shape ``(cells, kinds, 2 ** _FLAGS)``: one pass for all the counts."""
    pairs = len(table.kind)
    differs = np.any(table.values[:, :2] != table.values[:, 2:], axis=1)
    differs |= np.any(table.gaps[:, 0] != table.gaps[:, 1], axis=1)
    bits = np.column_stack([table.gaps.reshape(pairs, 6), differs])
    code = table.kind * 2**_FLAGS + bits @ (1 << np.arange(_FLAGS))
    size = len(_KINDS) * 2**_FLAGS
    found = np.bincount(members.cell * size + code[members.row], minlength=members.cells * size)
    return found.reshape(members.cells, len(_KINDS), 2**_FLAGS)


_BIT = ((np.arange(2**_FLAGS)[:, None] >> np.arange(_FLAGS)) & 1).astype(np.bool_)
"""Shape ``(codes, _FLAGS)``."""


def _tally(coded: IntArray, *, clusters: int, measurable: bool, severe: tuple[tuple[str, int], ...]) -> Tally:
    by_kind, by_flags = coded.sum(axis=1), coded.sum(axis=0)
    flagged = by_flags @ _BIT  # agent, harness, absent of the baseline; the same of the candidate; differs
    inapplicable = coded[NOT_APPLICABLE]
    return Tally(
        counts=Counts(
            pairs=int(by_kind.sum()),
            scored=int(by_kind[COMPARED]),
            clusters=clusters,
            not_applicable=int(by_kind[NOT_APPLICABLE]),
            agent_failed={"baseline": int(flagged[0]), "candidate": int(flagged[3])},
            harness_failed={"baseline": int(flagged[1]), "candidate": int(flagged[4])},
            not_run=int(by_kind[NOT_RUN]),
        ),
        measurable=measurable,
        unchanged=bool(by_kind[COMPARED] and not by_flags[_BIT[:, 6]].any()),
        one_arm_only=int(inapplicable[_BIT[:, 2] != _BIT[:, 5]].sum()),
        harness_alone=(
            int(by_flags[_BIT[:, 1] & ~_BIT[:, 4]].sum()),
            int(by_flags[_BIT[:, 4] & ~_BIT[:, 1]].sum()),
        ),
        severe=severe,
    )


def _severe(table: PairTable, members: _Memberships) -> dict[int, tuple[tuple[str, int], ...]]:
    """By cell: critical scenarios lost altogether, pooled over callers, lines and trials."""
    kept = (table.kind[members.row] == COMPARED) & table.critical[members.row]
    row, cell = members.row[kept], members.cell[kept]
    if not len(row) or not table.paired:
        return {}
    many = len(table.scenarios)
    key, values, size = cell * many + table.scenario[row], table.values[row], members.cells * many
    calls = np.bincount(key, minlength=size)
    failed = [np.bincount(key, weights=values[:, column], minlength=size) for column in (0, 2)]
    lost = np.flatnonzero((calls >= SEVERE_REPEATS) & (failed[0] == 0) & (failed[1] == calls))
    found: dict[int, tuple[tuple[str, int], ...]] = {}
    for index in lost:
        where, scenario = divmod(int(index), many)
        found[where] = (*found.get(where, ()), (table.scenarios[scenario], int(calls[index])))
    return found
