"""Verdicts arranged for reading: cohorts down, metrics across, the worst cohort first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.reports.interval_bars import margins_over
from voiceeval.reports.wording import OWN_MARGIN, SEVERITY, severity
from voiceeval.score import MetricInfo
from voiceeval.verdict import Blame, Comparison, Estimate, Outcome, Verdict

STAGE_METRICS = {
    "endpointing_ms": "endpointing",
    "recognizer_ms": "recognizer",
    "dialogue_ms": "dialogue",
    "tools_ms": "tools",
    "synthesizer_ms": "synthesizer",
}
"""Metrics that time one stage each: they tell where a slower answer lost its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortRow:
    """One cohort's verdicts, by metric name, and who lost its tasks, by arm."""

    cohort: Cohort
    cells: Mapping[str, Verdict]
    blames: Mapping[str, Blame]

    @property
    def speakers(self) -> int:
        """Speakers of the best covered metric."""
        return max(verdict.counts.clusters for verdict in self.cells.values())

    @property
    def pairs(self) -> int:
        """Planned calls of the best covered metric."""
        return max(verdict.counts.pairs for verdict in self.cells.values())

    @property
    def worst(self) -> Verdict:
        """The most severe verdict among its gating cells, or among all where none gates."""
        cells = list(self.cells.values())
        return min([verdict for verdict in cells if verdict.gating] or cells, key=severity)

    @property
    def waived(self) -> tuple[Verdict, ...]:
        """The cells that regressed and do not block because somebody answers for them."""
        return tuple(verdict for verdict in self.cells.values() if verdict.gating and verdict.waiver)

    def blocking(self, comparison: Comparison) -> tuple[Verdict, ...]:
        """The cells that keep the run from shipping, worst first."""
        cells = [verdict for verdict in self.cells.values() if verdict.blocks(comparison.policy)]
        return tuple(sorted(cells, key=severity))


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortTable:
    """Rows with the overall row first, then the worst cohort; columns in the verdicts' order of metrics."""

    metrics: tuple[MetricInfo, ...]
    rows: tuple[CohortRow, ...]

    def common_margins(self, metric: MetricInfo) -> tuple[str, ...]:
        """The margins of a metric's cells but for cohorts that have their own; as written, sorted."""
        cells = [row.cells[metric.name] for row in self.rows if metric.name in row.cells]
        return tuple(sorted({v.margin for v in cells if v.margin and not has_own_margin(v)}))

    @property
    def own_margins(self) -> tuple[Verdict, ...]:
        """The cells that were held to a margin of their cohort's own."""
        return tuple(v for row in self.rows for v in row.cells.values() if has_own_margin(v))


def has_own_margin(verdict: Verdict) -> bool:
    """Whether it was held to its cohort's own margin, not to the metric's."""
    return OWN_MARGIN in verdict.flags


def gating_table(comparison: Comparison) -> CohortTable:
    """What can fail the run. The overall row is there even where it only reports."""
    gating = [verdict for verdict in comparison.verdicts if verdict.gating]
    names = {verdict.metric.name for verdict in gating}
    judged_overall = {verdict.metric.name for verdict in gating if verdict.cohort == EVERYONE}
    overall = [
        verdict
        for verdict in comparison.verdicts
        if verdict.cohort == EVERYONE and verdict.metric.name in names - judged_overall
    ]
    return _table(comparison, [*gating, *overall])


def reported_metrics_table(comparison: Comparison) -> CohortTable:
    """The metrics that gate nowhere, in every cohort they were computed for."""
    names = {verdict.metric.name for verdict in comparison.verdicts if verdict.gating}
    return _table(comparison, [v for v in comparison.verdicts if v.metric.name not in names])


def reported_cohorts_table(comparison: Comparison) -> CohortTable:
    """The gating metrics in the cohorts that gate nowhere."""
    gating = [verdict for verdict in comparison.verdicts if verdict.gating]
    names = {verdict.metric.name for verdict in gating}
    cohorts = {verdict.cohort for verdict in gating} | {EVERYONE}
    return _table(
        comparison,
        [v for v in comparison.verdicts if v.metric.name in names and v.cohort not in cohorts],
    )


def slower_stage(comparison: Comparison, cohort: Cohort) -> tuple[Verdict, ...]:
    """The stage timing that grew most in a cohort: one verdict, or none where no stage took longer."""
    timed = [
        (verdict.estimate.worse_by, verdict)
        for verdict in comparison.verdicts
        if verdict.metric.name in STAGE_METRICS
        and verdict.cohort == cohort
        and isinstance(verdict.estimate, Estimate)
        and verdict.estimate.worse_by > 0
    ]
    return tuple(verdict for _, verdict in sorted(timed, key=lambda item: -item[0])[:1])


def _table(comparison: Comparison, verdicts: Iterable[Verdict]) -> CohortTable:
    metrics: dict[str, MetricInfo] = {}
    cells: dict[Cohort, dict[str, Verdict]] = {}
    for verdict in verdicts:
        cells.setdefault(verdict.cohort, {})[verdict.metric.name] = verdict
    for verdict in comparison.verdicts:
        if any(verdict.metric.name in row for row in cells.values()):
            metrics.setdefault(verdict.metric.name, verdict.metric)
    rows = [
        CohortRow(cohort=cohort, cells=row, blames=_blames(comparison, cohort))
        for cohort, row in cells.items()
    ]
    return CohortTable(
        metrics=tuple(sorted(metrics.values(), key=_metric_order(comparison))),
        rows=tuple(sorted(rows, key=_row_order)),
    )


def _blames(comparison: Comparison, cohort: Cohort) -> dict[str, Blame]:
    found = {blame.arm: blame for blame in comparison.blames if blame.cohort == cohort}
    return {arm: found[arm] for arm in Arm if arm in found}


def _metric_order(comparison: Comparison) -> Callable[[MetricInfo], tuple[int, str]]:
    # The manifest lists metrics as configured; verdicts are sorted by severity, which would shuffle columns.
    listed = comparison.manifest.get("metrics", ())
    names = list(listed) if isinstance(listed, Mapping | list | tuple) else []
    places = {name: index for index, name in enumerate(names) if isinstance(name, str)}
    return lambda metric: (places.get(metric.name, len(places)), metric.name)


def _row_order(row: CohortRow) -> tuple[bool, float, int, float, float, Cohort]:
    gating = [verdict for verdict in row.cells.values() if verdict.gating]
    severities = [severity(verdict) for verdict in gating]
    worst = min(severities, default=float(len(SEVERITY)))
    # Many undecided cells are not worse than one, nor is the one with the largest estimate; of regressed ones
    # both are.
    decided = worst < SEVERITY[Outcome.INCONCLUSIVE]
    repeated = severities.count(worst) if decided else 0
    over = max((margins_over(v) for v in gating if severity(v) == worst), default=0.0) if decided else 0.0
    least = min(map(doubt, gating), default=1.0)
    return (row.cohort != EVERYONE, worst, -repeated, -over, least, row.cohort)


def doubt(verdict: Verdict) -> float:
    """The unadjusted p for "no worsening": the smaller, the sooner to look at; 1 without an estimate."""
    return verdict.estimate.p_worse if isinstance(verdict.estimate, Estimate) else 1.0
