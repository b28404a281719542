"""Two tables of outcomes as the columns that the gate sums; what becomes of a pair is said in ``pair_table``.

Paired: the two rows of one call and trial. A call that only one table has was planned and not run. Unpaired:
a row is one call of one arm, and

===========================  ==========================================================================
a call with …                is …
===========================  ==========================================================================
``NOT_RUN``                  not compared; the cell is INVALID
``HARNESS_FAILED``           left out, counted and capped
``NOT_APPLICABLE``, 0/0      left out and counted
``AGENT_FAILED``             for yes/no metrics a failure; for shares everything wrong, of the denominator
                             that the row states; without one it cannot be counted, and too many such
                             calls of the candidate make the cell INVALID
===========================  ==========================================================================
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.errors import TableError
from voiceeval.outcome_cells import GAPS as ALL_GAPS
from voiceeval.outcome_cells import SCORED, FloatArray, IntArray, shown
from voiceeval.outcome_tables import OutcomeTable
from voiceeval.pair_table import (
    AGENT_FAILED,
    COMPARED,
    GAPS,
    HARNESS_FAILED,
    NOT_APPLICABLE,
    NOT_RUN,
    PairTable,
)
from voiceeval.score import Direction, Gap, MetricInfo

_CODE = {gap: ALL_GAPS.index(gap) for gap in Gap}
ABSENT = -1
"""In place of a row of a table that does not have the call."""


class TablePair:
    """Both arms' tables, and the columns of both under common codes, each coded once."""

    def __init__(self, baseline: OutcomeTable, candidate: OutcomeTable) -> None:
        self.baseline = baseline
        self.candidate = candidate
        self._coded: dict[str, tuple[tuple[str, ...], tuple[IntArray, IntArray]]] = {}

    @property
    def tables(self) -> tuple[OutcomeTable, OutcomeTable]:
        """The baseline's and the candidate's."""
        return self.baseline, self.candidate

    def coded(self, name: str) -> tuple[tuple[str, ...], tuple[IntArray, IntArray]]:
        """The distinct texts of a fact (or of ``key`` or ``call``) in order, and each table's codes."""
        if name not in self._coded:
            own = {"key": [each.key for each in self.tables], "call": [each.call for each in self.tables]}
            columns = own[name] if name in own else [each.facts[name] for each in self.tables]
            names = tuple(sorted({*columns[0].names, *columns[1].names}))
            code = {text: index for index, text in enumerate(names)}
            b, c = (
                np.array([code[text] for text in column.names], dtype=np.int64)[column.codes]
                for column in columns
            )
            self._coded[name] = names, (b, c)
        return self._coded[name]

    def fact(self, at: tuple[IntArray, IntArray], name: str) -> tuple[tuple[str, ...], IntArray]:
        """A fact of every pair's call, from whichever table has the call: the distinct texts, and codes."""
        names, codes = self.coded(name)
        found = np.zeros(len(at[0]), dtype=np.int64)
        for code, rows in zip(reversed(codes), reversed(at), strict=True):
            there = rows != ABSENT
            found[there] = code[rows[there]]
        return names, found


class Pairing(NamedTuple):
    """The pairs of one metric, and where their calls' facts are found."""

    table: PairTable
    baseline: IntArray
    """By pair: its row in the baseline's table, or ``ABSENT``."""
    candidate: IntArray


class _Side(NamedTuple):
    """One arm of every pair; arrays of shape ``(pairs,)``."""

    gap: IntArray
    x: FloatArray
    """Turned so that more is worse."""
    n: FloatArray


def paired(tables: TablePair, metric: MetricInfo, *, log_scale: bool) -> Pairing:
    """The pairs of a metric: every call and trial that either table has a row of it for, by speaker and name.

    Raises:
        TableError: A row that the metric does not allow.
    """
    names, codes = tables.coded("key")
    at = []
    for table, code in zip(tables.tables, codes, strict=True):
        rows = _rows_of(table, metric)
        where = np.full(len(names), ABSENT, dtype=np.int64)
        where[code[rows]] = rows
        at.append(where)
    planned = (at[0] != ABSENT) | (at[1] != ABSENT)
    at_b, at_c = _by_speaker(tables, (at[0][planned], at[1][planned]))
    b = _side(tables.baseline, at_b, metric, log_scale=log_scale)
    c = _side(tables.candidate, at_c, metric, log_scale=log_scale)
    kind, values = _classified(b, c, metric)
    made = _table(tables, (at_b, at_c), metric, (kind, values))
    return Pairing(replace(made, log_scale=log_scale), at_b, at_c)


def unpaired(tables: TablePair, metric: MetricInfo, *, log_scale: bool) -> Pairing:
    """The calls of a metric in either arm, by speaker and name.

    Raises:
        TableError: A row that the metric does not allow.
    """
    rows_b, rows_c = (_rows_of(table, metric) for table in tables.tables)
    nobody_b, nobody_c = (np.full(len(rows), ABSENT, dtype=np.int64) for rows in (rows_b, rows_c))
    at_b, at_c = _by_speaker(tables, (np.concatenate([rows_b, nobody_c]), np.concatenate([nobody_b, rows_c])))
    kind, values = np.zeros(len(at_b), dtype=np.int64), np.zeros((len(at_b), 4))
    for table, at, column in ((tables.baseline, at_b, 0), (tables.candidate, at_c, 2)):
        there = np.flatnonzero(at != ABSENT)
        side = _side(table, at[there], metric, log_scale=log_scale)
        kind[there], values[there, column], values[there, column + 1] = _alone(
            side, table.denominator[at[there]], metric
        )
    made = _table(tables, (at_b, at_c), metric, (kind, values))
    return Pairing(replace(made, log_scale=log_scale, paired=False), at_b, at_c)


def _by_speaker(tables: TablePair, at: tuple[IntArray, IntArray]) -> tuple[IntArray, IntArray]:
    """The same pairs, those of a speaker side by side, as a `PairTable` has them."""
    order = np.argsort(tables.fact(at, "speaker")[1], kind="stable")
    return at[0][order], at[1][order]


def _rows_of(table: OutcomeTable, metric: MetricInfo) -> IntArray:
    """The table's rows of a metric, by call and trial, after a look at their numbers."""
    if metric.name not in table.metric.names:
        return np.zeros(0, dtype=np.int64)
    rows: IntArray = np.flatnonzero(table.metric.codes == table.metric.names.index(metric.name))
    x, n, scored = table.numerator[rows], table.denominator[rows], table.gap[rows] == SCORED
    checks: list[tuple[NDArray[np.bool_], str, str]] = []
    if metric.yes_no:
        checks += [(n != 1, "denominator", "1"), ((x != 0) & (x != 1), "numerator", "0 or 1")]
    elif metric.unit == "share" and metric.direction is Direction.HIGHER_IS_BETTER:
        checks.append((x > n, "numerator", "at most the denominator"))
    for wrong, column, allowed in checks:
        found = rows[scored & wrong]
        if len(found):
            given = {"numerator": table.numerator, "denominator": table.denominator}[column][found[0]]
            raise TableError(
                f"{table.place(int(found[0]), column)}: given {given:g}; allowed for {metric.name}: {allowed}"
            )
    return rows


def _side(table: OutcomeTable, rows: IntArray, metric: MetricInfo, *, log_scale: bool) -> _Side:
    """One arm of every pair, as ``pair_table`` orients a score; an absent row was not run."""
    there = rows != ABSENT
    at = np.where(there, rows, 0)
    if not there.any():
        nothing = np.zeros(len(rows))
        return _Side(np.full(len(rows), _CODE[Gap.NOT_RUN], dtype=np.int64), nothing, nothing)
    gap = np.where(there, table.gap[at], _CODE[Gap.NOT_RUN])
    n = np.where(gap == SCORED, table.denominator[at], 0.0)
    x = np.where(gap == SCORED, (table.log_sum if log_scale else table.numerator)[at], 0.0)
    if metric.direction is Direction.HIGHER_IS_BETTER and not log_scale:
        x = n - x if metric.unit == "share" else -x
    return _Side(gap, x, n)


def _classified(b: _Side, c: _Side, metric: MetricInfo) -> tuple[IntArray, FloatArray]:
    """Kind and values of every pair: ``pair_table.row_of`` for whole columns."""
    kind = np.full(len(b.gap), COMPARED, dtype=np.int64)
    failed = [side.gap == _CODE[Gap.AGENT_FAILED] for side in (b, c)]
    values = np.column_stack([b.x, b.n, c.x, c.n])
    if metric.unit != "share":
        kind[failed[0] | failed[1]] = AGENT_FAILED
    else:
        both = failed[0] & failed[1]
        for alone, (x, n), other in ((failed[0] & ~both, (0, 1), c), (failed[1] & ~both, (2, 3), b)):
            values[alone, x] = np.maximum(other.x, other.n)[alone]
            values[alone, n] = other.n[alone]
        if metric.yes_no:
            values[both] = 1.0
        else:
            kind[both] = AGENT_FAILED
    kind[(kind == COMPARED) & ~values.any(axis=1)] = NOT_APPLICABLE
    for gap, found in (
        (Gap.NOT_APPLICABLE, NOT_APPLICABLE),
        (Gap.HARNESS_FAILED, HARNESS_FAILED),
        (Gap.NOT_RUN, NOT_RUN),
    ):
        kind[(b.gap == _CODE[gap]) | (c.gap == _CODE[gap])] = found
    values[kind != COMPARED] = 0.0
    return kind, values


def _alone(side: _Side, stated: FloatArray, metric: MetricInfo) -> tuple[IntArray, FloatArray, FloatArray]:
    """Kind, numerator and denominator of calls that have no partner."""
    kind = np.full(len(side.gap), COMPARED, dtype=np.int64)
    failed = side.gap == _CODE[Gap.AGENT_FAILED]
    of = np.ones(len(failed)) if metric.yes_no else stated
    countable = failed & (of > 0) & (metric.unit == "share")
    x, n = np.where(countable, of, side.x), np.where(countable, of, side.n)
    kind[(x == 0) & (n == 0)] = NOT_APPLICABLE
    kind[failed & ~countable] = AGENT_FAILED
    for gap, found in (
        (Gap.NOT_APPLICABLE, NOT_APPLICABLE),
        (Gap.HARNESS_FAILED, HARNESS_FAILED),
        (Gap.NOT_RUN, NOT_RUN),
    ):
        kind[side.gap == _CODE[gap]] = found
    return kind, np.where(kind == COMPARED, x, 0.0), np.where(kind == COMPARED, n, 0.0)


def _table(
    tables: TablePair,
    at: tuple[IntArray, IntArray],
    metric: MetricInfo,
    classified: tuple[IntArray, FloatArray],
) -> PairTable:
    _, speaker = tables.fact(at, "speaker")
    scenarios, scenario = tables.fact(at, "scenario")
    words, critical = tables.fact(at, "critical")
    gaps = [
        np.where(rows != ABSENT, table.gap[np.where(rows != ABSENT, rows, 0)], SCORED)
        for table, rows in zip(tables.tables, at, strict=True)
    ]
    return PairTable(
        metric=metric,
        kind=classified[0],
        values=classified[1],
        speaker=speaker,
        scenario=scenario,
        critical=np.array([word == "true" for word in words], dtype=np.bool_)[critical],
        gaps=np.stack([np.column_stack([gap == _CODE[each] for each in GAPS]) for gap in gaps], axis=1),
        scenarios=scenarios,
    )


def check_same_facts(tables: TablePair) -> None:
    """Raise TableError unless calls that both tables have are of one speaker, scenario and tags in both."""
    baseline, candidate = tables.tables
    for one, other in ((baseline, candidate), (candidate, baseline)):
        missing = sorted(one.facts.keys() - other.facts.keys())
        if missing:
            raise TableError(
                f"{other.source}: no column {missing[0]!r}, which {one.source} has; paired tables have the "
                f"same columns; leave it out of both with --ignore {missing[0]}"
            )
    _, (in_b, in_c) = tables.coded("call")
    first = np.full(int(max(in_b.max(), in_c.max())) + 1, ABSENT, dtype=np.int64)
    first[in_b[::-1]] = np.arange(len(in_b))[::-1]
    partner = first[in_c]
    shared = np.flatnonzero(partner != ABSENT)
    for name in sorted(baseline.facts):
        _, (b, c) = tables.coded(name)
        wrong = shared[b[partner[shared]] != c[shared]]
        if len(wrong):
            row, other_row = int(wrong[0]), int(partner[wrong[0]])
            raise TableError(
                f"{candidate.place(row, name)}: {shown(candidate.facts[name][row])}, but "
                f"{shown(baseline.facts[name][other_row])} in {baseline.place(other_row)}, of the same call "
                f"{shown(candidate.call[row])}; what a call is does not depend on the arm"
            )


def check_disjoint_speakers(tables: TablePair) -> None:
    """Raise TableError if a speaker is in both tables: their calls would not be independent."""
    baseline, candidate = tables.tables
    known = [set(table.facts["speaker"].names) for table in (baseline, candidate)]
    both = sorted(known[0] & known[1])
    if both:
        row = int(
            np.argmax(candidate.facts["speaker"].codes == candidate.facts["speaker"].names.index(both[0]))
        )
        raise TableError(
            f"{candidate.place(row, 'speaker')}: {shown(both[0])} is in {baseline.source} too (speakers in "
            f"both: {len(both)}); unpaired arms share no speaker. Compare calls that both tables have in "
            "pairs, without --unpaired, or leave a speaker's calls in one of the tables"
        )
