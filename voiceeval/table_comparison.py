"""Two tables of outcomes → a `Comparison`: the gate alone, for calls that another runner placed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import PurePath
from typing import Any

import numpy as np

from voiceeval.call import Arm
from voiceeval.cohort import Cohort
from voiceeval.disparity import disparities
from voiceeval.errors import ConfigError, TableError, unknown_name
from voiceeval.exploration import explore
from voiceeval.gate import CohortGate, alarms
from voiceeval.outcome_cells import Coded, IntArray, shown
from voiceeval.outcome_mix import at_the_baselines_mix, mix
from voiceeval.outcome_pairs import (
    ABSENT,
    Pairing,
    TablePair,
    check_disjoint_speakers,
    check_same_facts,
    paired,
    unpaired,
)
from voiceeval.outcome_tables import OutcomeTable
from voiceeval.pair_table import AGENT_FAILED, CohortRows, PairTable
from voiceeval.score import MetricInfo
from voiceeval.verdict import Comparison, Exploration, Verdict, Waiver
from voiceeval.waivers import waive


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGate:
    """How two tables are to be compared."""

    gate: CohortGate
    metrics: Mapping[str, MetricInfo]
    """Every metric that a table may name."""
    cohorts: tuple[tuple[str, ...], ...] = ((),)
    """Tags to slice by, in cohorts that may fail the comparison."""
    report_cohorts: tuple[tuple[str, ...], ...] = ()
    expect: tuple[str, ...] = ()
    """Tags that have values which must occur; each is a column."""
    paired: bool = True
    standardise: tuple[str, ...] = ()
    """Unpaired: tags whose mix in the baseline both arms are given."""
    waivers: tuple[Waiver, ...] = ()
    today: date
    explore_depth: int = 0
    """Tags of an undeclared intersection, at most; 0: none is searched."""
    facts: Mapping[str, Any]
    """What else describes the comparison, for the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Everything of one metric."""

    pairing: Pairing
    cohorts: tuple[CohortRows, ...]

    @property
    def metric(self) -> MetricInfo:
        return self.pairing.table.metric


def compare_tables(baseline: OutcomeTable, candidate: OutcomeTable, how: TableGate) -> Comparison:
    """The verdicts on two tables. Pure: the rows' order changes no byte.

    Paired, a call of one table alone was planned and not run, so that its cells are INVALID. Unpaired, calls
    that are not in a table cannot be missed.

    Raises:
        TableError: The tables do not fit each other, or a metric does not allow a number.
        ConfigError: A metric or cohort tag that is not known, or a margin without a metric.
    """
    tables = TablePair(baseline, candidate)
    metrics = _metrics_of(tables.tables, how)
    _check_tags(tables.tables, how)
    if how.paired:
        _check_shared_calls(baseline, candidate)
        check_same_facts(tables)
    else:
        check_disjoint_speakers(tables)
    make = paired if how.paired else unpaired
    pairings = [make(tables, metric, log_scale=_log_scale(how.gate, metric)) for metric in metrics]
    judged = _with_cohorts(tables, pairings, how)
    verdicts = how.gate.judge_tables([_columns(tables, each, how) for each in judged])
    _check_own_margins(how.gate, verdicts)
    waived = waive(verdicts, how.waivers, today=how.today)
    return Comparison(
        manifest=_manifest(tables, metrics, how),
        verdicts=waived.verdicts,
        blames=(),
        alarms=alarms(waived.verdicts),
        partial=False,
        policy=how.gate.policy,
        faults=waived.faults,
        disparities=disparities(waived.verdicts, min_clusters=how.gate.min_clusters),
        exploration=_explored(tables, pairings, how),
    )


def missing_calls(baseline: OutcomeTable, candidate: OutcomeTable) -> dict[str, int]:
    """By arm: calls that only the other arm's table has."""
    known = [set(table.key.names) for table in (baseline, candidate)]
    return {str(Arm.BASELINE): len(known[1] - known[0]), str(Arm.CANDIDATE): len(known[0] - known[1])}


def _metrics_of(tables: Sequence[OutcomeTable], how: TableGate) -> list[MetricInfo]:
    names = sorted({name for table in tables for name in table.metric.names})
    for table in tables:
        for code, name in enumerate(table.metric.names):
            if name not in how.metrics:
                rows = np.flatnonzero(table.metric.codes == code)
                row = int(rows[np.argmin(table.number[rows])])
                raise TableError(
                    f"{table.place(row, 'metric')}: {unknown_name('metric', name, how.metrics)}; declare it "
                    f"with --metric {name}:share:higher:yes_no, or in [metrics.{name}] of the settings"
                )
    return [how.metrics[name] for name in names]


def _check_tags(tables: Sequence[OutcomeTable], how: TableGate) -> None:
    sliced = {tag for tags in (*how.cohorts, *how.report_cohorts, how.standardise) for tag in tags}
    for key, tags in (("cohorts", sliced), ("expect", how.expect)):
        for tag in sorted(tags):
            for table in tables:
                if tag not in table.tags:
                    problem = unknown_name("tag column", tag, table.tags)
                    raise ConfigError(f"{table.source}: {key}: {problem}")


def _check_shared_calls(baseline: OutcomeTable, candidate: OutcomeTable) -> None:
    if not set(baseline.key.names) & set(candidate.key.names):
        raise TableError(
            f"{candidate.source}: none of its calls is in {baseline.source} (first: "
            f"{shown(candidate.key.names[0])} against {shown(baseline.key.names[0])}), so that nothing is "
            "paired; give the same calls the same name, or compare two sets of calls with --unpaired"
        )


def _check_own_margins(gate: CohortGate, verdicts: Sequence[Verdict]) -> None:
    judged = {verdict.id for verdict in verdicts if verdict.gating}
    for own in gate.own_margins:
        cell = f"{own.metric}[{own.cohort.name}]"
        if cell not in judged:
            raise ConfigError(f"cohort_margins: {unknown_name('gating cell', cell, judged)}")


def _log_scale(gate: CohortGate, metric: MetricInfo) -> bool:
    own = [each.margin for each in gate.own_margins if each.metric == metric.name]
    common = [gate.margins[metric.name]] if metric.name in gate.margins else []
    return any(margin.on_log_scale(metric) for margin in (*common, *own))


def _with_cohorts(tables: TablePair, pairings: Sequence[Pairing], how: TableGate) -> list[_Pairs]:
    """The rows of every cohort; one that a metric has no row in although others do is INVALID for it."""
    found: list[dict[Cohort, CohortRows]] = [{} for _ in pairings]
    for slicings, gates in ((how.cohorts, True), (how.report_cohorts, False)):
        for tags in dict.fromkeys(tuple(sorted(set(slicing))) for slicing in slicings):
            for cells, pairing in zip(found, pairings, strict=True):
                for cohort, rows in _sliced(tables, pairing, tags):
                    cells.setdefault(cohort, CohortRows(cohort=cohort, rows=rows, gates=gates))
    everywhere = {cohort: rows.gates for cells in reversed(found) for cohort, rows in cells.items()}
    nobody = np.zeros(0, dtype=np.int64)
    for cells, pairing in zip(found, pairings, strict=True):
        for cohort in everywhere.keys() - cells.keys():
            cells[cohort] = CohortRows(
                cohort=cohort,
                rows=nobody,
                gates=everywhere[cohort],
                invalid=f"no row of {pairing.table.metric.name} is of this cohort; where the metric does not "
                "apply, a row says so in the column gap",
            )
    return [
        _Pairs(pairing=pairing, cohorts=tuple(cells[cohort] for cohort in sorted(cells)))
        for pairing, cells in zip(pairings, found, strict=True)
    ]


def _sliced(tables: TablePair, pairing: Pairing, tags: tuple[str, ...]) -> list[tuple[Cohort, IntArray]]:
    """The cohorts of a slicing with their rows; a call without one of the tags is in none of them."""
    pairs = len(pairing.baseline)
    code, inside, names = np.zeros(pairs, dtype=np.int64), np.ones(pairs, dtype=np.bool_), []
    for tag in tags:
        values, which = tables.fact((pairing.baseline, pairing.candidate), tag)
        code = code * len(values) + which
        inside &= np.array([bool(value) for value in values], dtype=np.bool_)[which]
        names.append((tag, values, which))
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(code[rows], kind="stable")]
    if not len(rows):
        return []
    groups = np.split(rows, np.flatnonzero(np.diff(code[rows])) + 1)
    return [
        (Cohort.of({tag: values[which[group[0]]] for tag, values, which in names}), group) for group in groups
    ]


def _columns(tables: TablePair, pairs: _Pairs, how: TableGate) -> tuple[PairTable, Sequence[CohortRows]]:
    """What the gate judges; unpaired, it is said where failed calls cannot be counted."""
    table = pairs.pairing.table
    if how.paired:
        return table, pairs.cohorts
    cohorts = [
        replace(each, invalid=each.invalid or _uncounted(pairs.pairing, each.rows, how.gate))
        for each in pairs.cohorts
    ]
    if not how.standardise:
        return table, cohorts
    at = (pairs.pairing.baseline, pairs.pairing.candidate)
    strata = Coded.of(
        [
            ", ".join(f"{tag}={value or 'none'}" for tag, value in zip(how.standardise, values, strict=True))
            for values in zip(*(_fact_texts(tables, at, tag) for tag in how.standardise), strict=True)
        ]
    )
    return at_the_baselines_mix(table, cohorts, strata, in_baseline=pairs.pairing.baseline != ABSENT)


def _fact_texts(tables: TablePair, at: tuple[IntArray, IntArray], tag: str) -> list[str]:
    names, codes = tables.fact(at, tag)
    return [names[code] for code in codes.tolist()]


def _uncounted(pairing: Pairing, rows: IntArray, gate: CohortGate) -> str:
    """Why the candidate's failed calls leave a cell unjudged: a crash must not leave the average."""
    mine = pairing.candidate[rows] != ABSENT
    lost, calls = int(np.sum(mine & (pairing.table.kind[rows] == AGENT_FAILED))), int(mine.sum())
    if lost <= max(1, int(gate.harness_failure_cap * calls)):
        return ""
    return (
        f"the candidate failed {lost} of {calls} calls that cannot be counted; give a failed call the "
        "denominator it would have been scored over, or the limit as its duration"
    )


def _explored(tables: TablePair, pairings: Sequence[Pairing], how: TableGate) -> Exploration:
    gated = {*how.gate.margins, *(each.metric for each in how.gate.own_margins)}
    tags = tables.baseline.tags
    if not how.explore_depth or how.standardise or set(tags) != set(tables.candidate.tags):
        return Exploration()
    found = []
    for pairing in pairings:
        if pairing.table.metric.name in gated:
            at = (pairing.baseline, pairing.candidate)
            columns = [_fact_texts(tables, at, tag) for tag in tags]
            rows = list(zip(*columns, strict=True)) or [()] * len(pairing.baseline)
            known = {
                row: {tag: value for tag, value in zip(tags, row, strict=True) if value} for row in set(rows)
            }
            found.append((pairing.table, [known[row] for row in rows]))
    return explore(
        found,
        declared=(*how.cohorts, *how.report_cohorts),
        depth=how.explore_depth,
        min_clusters=how.gate.min_clusters,
        alpha=how.gate.alpha,
    )


def _manifest(tables: TablePair, metrics: Sequence[MetricInfo], how: TableGate) -> dict[str, Any]:
    baseline, candidate = tables.tables
    names = [PurePath(table.source).name for table in tables.tables]
    speakers, _ = tables.coded("speaker")
    return {
        **how.facts,
        "compared": "tables of outcomes",
        "paired": how.paired,
        "arms": {
            str(arm): {"name": name, "parts": {"outcomes": _digest(table)}, "calls": len(table.key.names)}
            for arm, name, table in zip(Arm, names, tables.tables, strict=True)
        },
        "differences": [{"key": "table", "baseline": names[0], "candidate": names[1]}],
        "metrics": {metric.name: metric.version for metric in metrics},
        "policy": how.gate.policy,
        "partial": False,
        "speakers": len(speakers),
        "cohort_mix": {
            tag: mix(baseline, candidate, tag)
            for tag in sorted(
                {tag for tags in (*how.cohorts, *how.report_cohorts, how.standardise) for tag in tags}
            )
        },
        **(
            {"calls_missing": missing_calls(baseline, candidate)}
            if how.paired
            else {"standardised_to_the_baselines": list(how.standardise)}
        ),
    }


def _digest(table: OutcomeTable) -> str:
    """Hex SHA-256 over everything the table says, whatever the order of its rows."""
    digest = hashlib.sha256()
    columns = {"key": table.key, "call": table.call, "metric": table.metric, **table.facts}
    for name in sorted(columns):
        digest.update("\0".join([name, *columns[name].names, ""]).encode())
        digest.update(columns[name].codes.astype("<i8").tobytes())
    for numbers in (table.numerator, table.denominator, table.log_sum):
        digest.update(numbers.astype("<f8").tobytes())
    digest.update(table.gap.astype("<i8").tobytes())
    return digest.hexdigest()
