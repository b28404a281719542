"""From pairs to per-speaker sums: who is counted, who is left out, and who is to blame for it.

===================================  ==================================================================
a pair with …                        is …
===================================  ==================================================================
``NOT_RUN`` on a side                not compared; the cell is INVALID
``HARNESS_FAILED`` on a side         left out on both sides, counted and capped
``NOT_APPLICABLE`` on a side         left out on both sides and counted; if the other side had a score, the
                                     verdict says so, because an agent can make itself inapplicable
nothing to score on either side      the same (no words, no entities: 0/0)
``AGENT_FAILED`` on one side         for shares counted in full: everything wrong, of the other side's
                                     denominator; for other units left out and counted (the metric censors)
``AGENT_FAILED`` on both sides       for yes/no metrics a failure of both; otherwise left out and counted
a score on both sides                compared
===================================  ==================================================================

The first row that applies wins. Sums are added in the order of the calls' names, so that the order in which
pairs or cohorts arrive changes no bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.cohort import Pair, PairedSample
from voiceeval.score import Direction, Gap, MetricInfo, NotScored, Ratio, Score
from voiceeval.statistics.contrast import ClusterSums, per_cell
from voiceeval.verdict import Counts

COMPARED, NOT_APPLICABLE, AGENT_FAILED, HARNESS_FAILED, NOT_RUN = range(5)
SEVERE_REPEATS = 3
"""So many calls must have succeeded, and failed, for the severity rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one cell rests on: counts, and sums per speaker turned so that more is worse."""

    counts: Counts
    sums: ClusterSums
    """One cluster per speaker, sorted by name; ``cell`` is 0 throughout."""
    unchanged: bool
    """Pairs were compared, and not one of them differs in anything."""
    one_arm_only: int
    """Pairs left out because the metric applied to one arm only."""
    harness_alone: tuple[int, int]
    """Pairs that failed on our side in the baseline only, and in the candidate only."""
    severe: tuple[tuple[str, int], ...]
    """Critical scenarios that the baseline always and the candidate never passed, with their calls."""

    @property
    def measurable(self) -> bool:
        """Whether two rates and a standard error exist: two speakers, and something to score in each arm."""
        return len(self.sums.cell) >= 2 and self.sums.n_baseline.sum() > 0 and self.sums.n_candidate.sum() > 0


class _Row(NamedTuple):
    """One pair, read once however many cohorts it belongs to."""

    kind: int
    x_baseline: float = 0.0
    n_baseline: float = 0.0
    x_candidate: float = 0.0
    n_candidate: float = 0.0


class _Table(NamedTuple):
    """All pairs of a metric as arrays in the order of their names."""

    kind: NDArray[np.int64]
    values: NDArray[np.float64]
    """Shape ``(pairs, 4)``: x and n of the baseline, x and n of the candidate."""
    speaker: NDArray[np.int64]
    scenario: NDArray[np.int64]
    critical: NDArray[np.bool_]
    gaps: NDArray[np.bool_]
    """Shape ``(pairs, 2, 3)``: by arm, whether agent or harness failed, or the metric did not apply."""
    scenarios: tuple[str, ...]


def tally(samples: Sequence[PairedSample]) -> tuple[Tally, ...]:
    """One tally per sample; all samples are of one metric, and may share their pairs."""
    place: dict[int, int] = {}
    pairs: list[Pair] = []
    for sample in samples:
        for pair in sample.pairs:
            if id(pair) not in place:
                place[id(pair)] = len(pairs)
                pairs.append(pair)
    if not pairs:
        return tuple(_empty() for _ in samples)
    rows = [_row(pair, samples[0].metric) for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda i: (pairs[i].planned.id, rows[i]))
    position = np.empty(len(pairs), dtype=np.int64)
    position[order] = np.arange(len(pairs))
    table = _table([pairs[i] for i in order], [rows[i] for i in order])
    at = {key: int(position[index]) for key, index in place.items()}
    yes_no = samples[0].metric.yes_no
    return tuple(
        _cell(
            table, np.sort(np.array([at[id(pair)] for pair in sample.pairs], dtype=np.int64)), yes_no=yes_no
        )
        for sample in samples
    )


def _row(pair: Pair, metric: MetricInfo) -> _Row:
    """Classify a pair, and turn its scores so that more is worse."""
    gaps = [side.gap for side in (pair.baseline, pair.candidate) if isinstance(side, NotScored)]
    for gap, kind in (
        (Gap.NOT_RUN, NOT_RUN),
        (Gap.HARNESS_FAILED, HARNESS_FAILED),
        (Gap.NOT_APPLICABLE, NOT_APPLICABLE),
    ):
        if gap in gaps:
            return _Row(kind)
    baseline, candidate = _oriented(pair.baseline, metric), _oriented(pair.candidate, metric)
    if gaps and metric.unit != "share":
        return _Row(AGENT_FAILED)
    if len(gaps) == 2:
        return _Row(COMPARED, 1.0, 1.0, 1.0, 1.0) if metric.yes_no else _Row(AGENT_FAILED)
    if isinstance(pair.baseline, NotScored):
        baseline = Ratio(candidate.denominator, candidate.denominator)
    if isinstance(pair.candidate, NotScored):
        candidate = Ratio(baseline.denominator, baseline.denominator)
    row = (baseline.numerator, baseline.denominator, candidate.numerator, candidate.denominator)
    return _Row(COMPARED, *row) if any(row) else _Row(NOT_APPLICABLE)


def _oriented(score: Score, metric: MetricInfo) -> Ratio:
    """The call's sums, + is worse (failures where a higher share is better); 0/0 without a score."""
    if isinstance(score, NotScored):
        return Ratio(0, 0)
    x = math.fsum(observation.numerator for observation in score.observations)
    n = math.fsum(observation.denominator for observation in score.observations)
    if metric.direction is Direction.LOWER_IS_BETTER:
        return Ratio(x, n)
    return Ratio(n - x if metric.unit == "share" else -x, n)


def _table(pairs: Sequence[Pair], rows: Sequence[_Row]) -> _Table:
    speakers = {name: code for code, name in enumerate(sorted({pair.planned.speaker for pair in pairs}))}
    scenarios = {name: code for code, name in enumerate(sorted({pair.planned.scenario for pair in pairs}))}
    failures = (Gap.AGENT_FAILED, Gap.HARNESS_FAILED, Gap.NOT_APPLICABLE)
    gaps = [[[_has(side, gap) for gap in failures] for side in (p.baseline, p.candidate)] for p in pairs]
    return _Table(
        kind=np.array([row.kind for row in rows], dtype=np.int64),
        values=np.array([row[1:] for row in rows], dtype=np.float64),
        speaker=np.array([speakers[pair.planned.speaker] for pair in pairs], dtype=np.int64),
        scenario=np.array([scenarios[pair.planned.scenario] for pair in pairs], dtype=np.int64),
        critical=np.array([pair.planned.critical for pair in pairs], dtype=np.bool_),
        gaps=np.array(gaps, dtype=np.bool_),
        scenarios=tuple(scenarios),
    )


def _has(score: Score, gap: Gap) -> bool:
    return isinstance(score, NotScored) and score.gap is gap


def _cell(table: _Table, rows: NDArray[np.int64], *, yes_no: bool) -> Tally:
    kind, gaps = table.kind[rows], table.gaps[rows]
    compared = rows[kind == COMPARED]
    values = table.values[compared]
    speakers, cluster = np.unique(table.speaker[compared], return_inverse=True)
    x_b, n_b, x_c, n_c = (per_cell(column, cluster, len(speakers)) for column in values.T)
    agent, harness, absent = (gaps[:, :, which] for which in range(3))
    failed = agent.sum(axis=0)
    return Tally(
        counts=Counts(
            pairs=len(rows),
            scored=len(compared),
            clusters=len(speakers),
            not_applicable=int(np.sum(kind == NOT_APPLICABLE)),
            agent_failed={"baseline": int(failed[0]), "candidate": int(failed[1])},
            harness_failed={"baseline": int(harness[:, 0].sum()), "candidate": int(harness[:, 1].sum())},
            not_run=int(np.sum(kind == NOT_RUN)),
        ),
        sums=ClusterSums(x_b, n_b, x_c, n_c, np.zeros(len(speakers), dtype=np.int64)),
        unchanged=bool(
            len(compared)
            and np.array_equal(values[:, :2], values[:, 2:])
            and np.array_equal(gaps[:, 0], gaps[:, 1])
        ),
        one_arm_only=int(np.sum((kind == NOT_APPLICABLE) & (absent[:, 0] != absent[:, 1]))),
        harness_alone=(
            int(np.sum(harness[:, 0] & ~harness[:, 1])),
            int(np.sum(harness[:, 1] & ~harness[:, 0])),
        ),
        severe=_severe(table, compared) if yes_no else (),
    )


def _severe(table: _Table, compared: NDArray[np.int64]) -> tuple[tuple[str, int], ...]:
    """Critical scenarios lost altogether, pooled over callers, lines and trials: scenarios break whole."""
    critical = compared[table.critical[compared]]
    if not len(critical):
        return ()
    scenario, values, many = table.scenario[critical], table.values[critical], len(table.scenarios)
    calls = np.bincount(scenario, minlength=many)
    failed = [np.bincount(scenario, weights=values[:, column], minlength=many) for column in (0, 2)]
    lost = (calls >= SEVERE_REPEATS) & (failed[0] == 0) & (failed[1] == calls)
    return tuple((table.scenarios[index], int(calls[index])) for index in np.flatnonzero(lost))


def _empty() -> Tally:
    nothing = np.zeros(0)
    return Tally(
        counts=Counts(
            pairs=0,
            scored=0,
            clusters=0,
            agent_failed={"baseline": 0, "candidate": 0},
            harness_failed={"baseline": 0, "candidate": 0},
        ),
        sums=ClusterSums(nothing, nothing, nothing, nothing, np.zeros(0, dtype=np.int64)),
        unchanged=False,
        one_arm_only=0,
        harness_alone=(0, 0),
        severe=(),
    )
