"""From the pairs of a run to the noise of every cell that could gate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voiceeval.cohort import Cohort
from voiceeval.margins import LEAST_RELATIVE_BASELINE, Margin
from voiceeval.pair_table import COMPARED, NOT_APPLICABLE, CohortRows, PairTable
from voiceeval.planning.measured import measured_noise
from voiceeval.planning.noise import Noise, Tolerance
from voiceeval.score import Direction, MetricInfo
from voiceeval.statistics.contrast import IntArray
from voiceeval.statistics.paired_test import PairedResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A cell that nothing can be planned for, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the run itself showed in a cell, as its verdict has it."""

    worse_by: float
    """In the metric's unit, + is worse."""
    half_width: float
    """Of the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One metric in one gating cohort: what it has to certify, and its noise."""

    metric: MetricInfo
    cohort: Cohort
    margin: Margin
    """In force."""
    pairs: int
    """Planned pairs."""
    baseline: float = 0.0
    """The baseline's rate as people read it; 0 where nothing could be measured."""
    log_scale: bool = False
    """The noise is of logarithms; ``baseline`` is then the geometric mean."""
    noise: Noise | Unknown
    observed: Observed | None = None
    """Absent where rates were stated."""
    own_margin: bool = False
    """The margin is the cohort's own, in place of the metric's."""
    copies: int = 1
    """Cells exactly like it that it stands for: stated cohorts are all alike."""

    def tolerance(self, margin: Margin | None = None) -> Tolerance:
        """The margin, or another one, in the unit of the noise."""
        given = margin or self.margin
        if self.log_scale:
            part = given.amount if given.relative else given.amount / self.baseline
            return Tolerance(math.log1p(part))
        if not given.relative:
            return Tolerance(given.amount)
        negated = self.metric.direction is Direction.HIGHER_IS_BETTER and self.metric.unit != "share"
        rate = 1 - self.baseline if self._complement else abs(self.baseline)
        return Tolerance(given.amount * rate, 1 - given.amount if negated else 1 + given.amount)

    def in_unit(self, amount: float) -> float:
        """A difference in the noise's unit, as one in the metric's."""
        return self.baseline * math.expm1(amount) if self.log_scale else amount

    @property
    def _complement(self) -> bool:
        return self.metric.direction is Direction.HIGHER_IS_BETTER and self.metric.unit == "share"


def cells_of(
    tables: Sequence[tuple[PairTable, Sequence[CohortRows]]],
    margins: Mapping[str, Margin],
    *,
    own: Mapping[tuple[str, Cohort], Margin] | None = None,
    alpha: float = 0.05,
) -> tuple[Cell, ...]:
    """Every gating cell with a margin, by metric and cohort.

    Cells of a cohort that a metric does not apply to at all are left out, as the gate leaves them out.

    Args:
        tables: a table per metric, with its cohorts.
        margins: in force, by metric; a cell without one only reports.
        own: margins that single cohorts have in place of the metric's.
        alpha: one-sided level of each bound.
    """
    found = []
    for table, cohorts in tables:
        name, margin = table.metric.name, margins.get(table.metric.name)
        own_here = {each: theirs for (metric, each), theirs in (own or {}).items() if metric == name}
        # A metric that suits only some cohorts is no gap in the others; one that suits none is a mistake.
        applies = bool(np.any(table.kind != NOT_APPLICABLE))
        judged = [
            (each, limit)
            for each in cohorts
            if each.gates
            and not each.ungated
            and (limit := own_here.get(each.cohort, margin)) is not None
            and not (applies and _inapplicable(table, each))
        ]
        cells = _cells(table, [each for each, _ in judged], [limit for _, limit in judged], alpha)
        found += [replace(cell, own_margin=cell.cohort in own_here) for cell in cells]
    return tuple(sorted(found, key=lambda cell: (cell.metric.name, cell.cohort)))


def _inapplicable(table: PairTable, cohort: CohortRows) -> bool:
    return len(cohort.rows) > 0 and bool(np.all(table.kind[cohort.rows] == NOT_APPLICABLE))


def _cells(
    table: PairTable, cohorts: Sequence[CohortRows], margins: Sequence[Margin], alpha: float
) -> list[Cell]:
    rows = [each.rows[table.kind[each.rows] == COMPARED] for each in cohorts]
    unmeasured = [
        each.invalid or _why_unmeasured(table, mine) for each, mine in zip(cohorts, rows, strict=True)
    ]
    measured = [i for i, reason in enumerate(unmeasured) if not reason]
    slicings = [cohorts[i].cohort.tags for i in measured]
    results, noises = measured_noise(table, [rows[i] for i in measured], slicings, alpha=alpha)
    cells = []
    for i, (members, margin) in enumerate(zip(cohorts, margins, strict=True)):
        metric, pairs = table.metric, len(members.rows)
        if unmeasured[i]:
            unknown = Unknown(reason=unmeasured[i])
            cells.append(
                Cell(metric=metric, cohort=members.cohort, margin=margin, pairs=pairs, noise=unknown)
            )
            continue
        result, noise = results[measured.index(i)], noises[measured.index(i)]
        cells.append(_cell(table, members.cohort, margin, pairs, result, noise))
    return cells


def _cell(
    table: PairTable, cohort: Cohort, margin: Margin, pairs: int, result: PairedResult, noise: Noise
) -> Cell:
    metric, rate = table.metric, result.baseline
    scale = math.exp(rate) if table.log_scale else 1.0
    higher = metric.direction is Direction.HIGHER_IS_BETTER
    low_rate = (
        margin.relative
        and not table.log_scale
        and (abs(rate) < LEAST_RELATIVE_BASELINE if metric.unit == "share" else rate == 0)
    )
    reason = f"the margin {margin.written} is relative to a baseline of next to nothing; say it in pp"

    def unit(value: float) -> float:
        return scale * math.expm1(value) if table.log_scale else value

    people = scale if table.log_scale else rate
    if higher:
        people = 1 - rate if metric.unit == "share" else -rate
    return Cell(
        metric=metric,
        cohort=cohort,
        margin=margin,
        pairs=pairs,
        baseline=people + 0.0,
        log_scale=table.log_scale,
        noise=Unknown(reason=reason) if low_rate else noise,
        observed=Observed(
            worse_by=unit(result.worse_by), half_width=(unit(result.upper) - unit(result.lower)) / 2
        ),
    )


def _why_unmeasured(table: PairTable, compared: IntArray) -> str:
    if len(compared) == 0:
        return "no pair of it could be compared"
    if len(np.unique(table.speaker[compared])) < 2:
        return f"all {len(compared)} compared pairs are of one speaker"
    values = table.values[compared]
    if min(values[:, 1].sum(), values[:, 3].sum()) <= 0:
        return "one arm has nothing to score"
    return ""
