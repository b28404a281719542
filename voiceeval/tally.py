"""From pairs to per-speaker sums, for all cohorts of a table at once.

A table's rows belong to any number of cohorts. Every figure of every cell comes from a few passes over the
memberships (row, cell), so that a thousand overlapping cohorts cost about what one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.pair_table import AGENT_FAILED, COMPARED, NOT_APPLICABLE, NOT_RUN, CohortRows, PairTable
from voiceeval.statistics.contrast import ClusterSums, per_cell
from voiceeval.verdict import Counts

SEVERE_REPEATS = 3
"""So many calls must have succeeded, and failed, for the severity rule."""
_FLAGS = 6
"""Three gaps by arm: the bits of a row's code."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one cell rests on."""

    counts: Counts
    calls: tuple[int, int]
    """By arm: its calls. With pairs they are the pairs; without, those of which the table says the arm."""
    scored: int
    """Compared calls; without pairs, of the arm that has fewer."""
    measurable: bool
    """Whether two rates and a standard error exist: two speakers, and something to score in each arm."""
    unchanged: bool
    """Pairs were compared, and not one of them differs in anything."""
    one_arm_only: int
    """Pairs left out because the metric applied to one arm only."""
    harness_alone: tuple[int, int]
    """Pairs that failed on our side in the baseline only, and in the candidate only."""
    lost_by_candidate: int
    """Pairs left out because the candidate failed the call and the baseline did not."""
    severe: tuple[tuple[str, int], ...]
    """Critical scenarios that the baseline always and the candidate never passed, with their calls."""


class Tallies(NamedTuple):
    """All cells of a table."""

    cells: tuple[Tally, ...]
    sums: ClusterSums
    """Per cell and speaker, turned so that more is worse: by cell, then by speaker."""


@dataclass(frozen=True)
class _Memberships:
    """Which rows are in which cell, one cell after the other."""

    row: IntArray
    """Shape ``(memberships,)``, ascending within each cell."""
    ends: IntArray
    """Shape ``(cells + 1,)``: where each cell begins, and where the last one ends."""

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.ends) - 1

    @cached_property
    def cell(self) -> IntArray:
        """The cell of each membership; made only where something has to be counted by it."""
        return np.repeat(np.arange(self.cells), np.diff(self.ends))

    def where(self, kept: NDArray[np.bool_]) -> _Memberships:
        """Only these memberships."""
        before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(kept)])
        return _Memberships(self.row[kept], before[self.ends])


def tally(table: PairTable, cohorts: Sequence[CohortRows]) -> Tallies:
    """One tally per cohort, and the sums per speaker of them all."""
    nobody = np.zeros(0, dtype=np.int64)
    members = _Memberships(
        row=np.concatenate([nobody, *(cohort.rows for cohort in cohorts)]),
        ends=np.cumsum([0, *(len(cohort.rows) for cohort in cohorts)], dtype=np.int64),
    )
    sums = _cluster_sums(table, members)
    severe = _severe(table, members) if table.metric.yes_no else {}
    clusters, measurable = _enough(sums, members.cells, paired=table.paired)
    unchanged = _unchanged(table, cohorts, sums)
    arms = None if table.paired else _by_arm(table, members)
    return Tallies(_tallies(_counted(table, members), clusters, measurable, unchanged, severe, arms), sums)


def _by_arm(table: PairTable, members: _Memberships) -> tuple[IntArray, IntArray]:
    """Calls and compared calls of each cell without pairs, by arm: arrays ``(cells, 2)``.

    A call that has neither a value nor a gap of ours or the agent's (0/0) is in none.
    """
    value = np.asarray(table.values.reshape(-1, 2, 2).any(axis=2), dtype=np.bool_)
    there = value | np.asarray(table.gaps.any(axis=2), dtype=np.bool_)
    compared = value & (table.kind[:, None] == COMPARED)
    calls, scored = (
        np.stack(
            [np.bincount(members.cell[which[members.row, arm]], minlength=members.cells) for arm in (0, 1)],
            axis=1,
        )
        for which in (there, compared)
    )
    return calls, scored


def _enough(sums: ClusterSums, cells: int, *, paired: bool) -> tuple[IntArray, NDArray[np.bool_]]:
    """Speakers of each cell (without pairs: of the arm that has fewer), and whether they can be compared."""
    scored = [per_cell((n > 0).astype(np.float64), sums.cell, cells) for n in (sums[1], sums[3])]
    fewer = np.minimum(scored[0], scored[1])
    if not paired:
        return fewer.astype(np.int64), fewer >= 2
    clusters = np.bincount(sums.cell, minlength=cells)
    return clusters, (clusters >= 2) & (fewer > 0)


def _cluster_sums(table: PairTable, members: _Memberships) -> ClusterSums:
    """Rows stand by speaker, so that a speaker's rows in a cell are one stretch."""
    compared = table.kind == COMPARED
    if not compared.all():
        members = members.where(compared[members.row])
    row, ends = members.row, members.ends
    if not len(row):
        nothing = np.zeros(0)
        return ClusterSums(nothing, nothing, nothing, nothing, np.zeros(0, dtype=np.int64))
    speaker = table.speaker.astype(np.int32)[row]
    begins = np.ones(len(row), dtype=np.bool_)
    np.not_equal(speaker[1:], speaker[:-1], out=begins[1:])
    begins[ends[:-1][ends[:-1] < len(row)]] = True
    first = np.flatnonzero(begins)
    cell = np.repeat(np.arange(members.cells), np.diff(np.searchsorted(first, ends)))
    columns = np.ascontiguousarray(table.values.T)  # gathered by the million: keep each of them together
    x_b, n_b, x_c = (np.add.reduceat(column[row], first) for column in columns[:3])
    same = np.array_equal(columns[1], columns[3])
    n_c = n_b if same else np.add.reduceat(columns[3][row], first)
    return ClusterSums(x_b, n_b, x_c, n_c, cell)


class _Counted(NamedTuple):
    """How many rows of each cell are of which kind and carry which flags; arrays ``(cells, codes)``."""

    rows: IntArray
    kind: IntArray
    """Kind of each code, shape ``(codes,)``."""
    bit: NDArray[np.bool_]
    """Flags of each code, shape ``(codes, _FLAGS)``: agent, harness, absent of the baseline; the same of the
    candidate."""

    def of(self, which: NDArray[np.bool_]) -> IntArray:
        """Rows of these codes in each cell."""
        return np.asarray(self.rows[:, which].sum(axis=1), dtype=np.int64)


def _counted(table: PairTable, members: _Memberships) -> _Counted:
    """All the counts in one pass: few of the possible codes occur, and only those are counted."""
    flags = table.gaps.reshape(len(table.kind), _FLAGS)
    codes, code = np.unique(table.kind * 2**_FLAGS + flags @ (1 << np.arange(_FLAGS)), return_inverse=True)
    if len(codes) == 1:
        rows = np.diff(members.ends)
    else:
        size = members.cells * len(codes)
        rows = np.bincount(members.cell * len(codes) + code[members.row], minlength=size)
    return _Counted(
        rows=rows.reshape(members.cells, len(codes)),
        kind=codes >> _FLAGS,
        bit=((codes[:, None] >> np.arange(_FLAGS)) & 1).astype(np.bool_),
    )


def _unchanged(table: PairTable, cohorts: Sequence[CohortRows], sums: ClusterSums) -> list[bool]:
    """Whether not one pair of a cell differs in anything, failures included."""
    moved = (sums.x_baseline != sums.x_candidate) | (sums.n_baseline != sums.n_candidate)
    suspects = np.bincount(sums.cell, weights=moved, minlength=len(cohorts)) == 0
    differs = np.any(table.values[:, :2] != table.values[:, 2:], axis=1)
    differs |= np.any(table.gaps[:, 0] != table.gaps[:, 1], axis=1)
    # Only where the speakers' sums agree does it take a look at the rows.
    return [
        bool(suspect) and not differs[cohort.rows].any()
        for suspect, cohort in zip(suspects, cohorts, strict=True)
    ]


def _tallies(
    counted: _Counted,
    clusters: IntArray,
    measurable: NDArray[np.bool_],
    unchanged: Sequence[bool],
    severe: Mapping[int, tuple[tuple[str, int], ...]],
    arms: tuple[IntArray, IntArray] | None,
) -> tuple[Tally, ...]:
    kind, bit = counted.kind, counted.bit
    pairs = counted.rows.sum(axis=1)
    by_kind = {each: counted.of(kind == each).tolist() for each in (COMPARED, NOT_APPLICABLE, NOT_RUN)}
    agent = [counted.of(bit[:, flag]).tolist() for flag in (0, 3)]
    harness = [counted.of(bit[:, flag]).tolist() for flag in (1, 4)]
    alone = [counted.of(bit[:, one] & ~bit[:, other]).tolist() for one, other in ((1, 4), (4, 1))]
    lost = counted.of((kind == AGENT_FAILED) & bit[:, 3] & ~bit[:, 0]).tolist()
    one_arm_only = counted.of((kind == NOT_APPLICABLE) & (bit[:, 2] != bit[:, 5])).tolist()
    calls = np.stack([pairs, pairs], axis=1) if arms is None else arms[0]
    scored = by_kind[COMPARED] if arms is None else arms[1].min(axis=1).tolist()
    if arms is not None:
        # A call without a partner says nothing of the other arm: it takes calls of both to apply to neither.
        neither = (pairs == by_kind[NOT_APPLICABLE]) & (calls.min(axis=1) > 0)
        one_arm_only = np.where(neither, 0, one_arm_only).tolist()
    return tuple(
        Tally(
            counts=Counts(
                pairs=int(pairs[i]),
                scored=by_kind[COMPARED][i],
                clusters=int(clusters[i]),
                not_applicable=by_kind[NOT_APPLICABLE][i],
                agent_failed={"baseline": agent[0][i], "candidate": agent[1][i]},
                harness_failed={"baseline": harness[0][i], "candidate": harness[1][i]},
                not_run=by_kind[NOT_RUN][i],
            ),
            calls=(int(calls[i, 0]), int(calls[i, 1])),
            scored=scored[i],
            measurable=bool(measurable[i]),
            unchanged=by_kind[COMPARED][i] > 0 and unchanged[i],
            one_arm_only=one_arm_only[i],
            harness_alone=(alone[0][i], alone[1][i]),
            lost_by_candidate=lost[i],
            severe=severe.get(i, ()),
        )
        for i in range(len(pairs))
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
