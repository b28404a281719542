"""The gate: samples in, one verdict per cell out; ``finding.py`` has the rules, ``statistics`` the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np

from voiceeval.cohort import Cohort, PairedSample
from voiceeval.errors import ConfigError, unknown_name
from voiceeval.finding import Finding, alarms, decide, why_invalid, with_overall_flags
from voiceeval.margins import Margin, parse_margins
from voiceeval.reasons import reason, why_unmeasured
from voiceeval.score import Direction, MetricInfo
from voiceeval.statistics.contrast import ClusterSums
from voiceeval.statistics.multiplicity import holm
from voiceeval.statistics.paired_test import PairedResult, paired_test
from voiceeval.tally import Tally, tally
from voiceeval.verdict import Estimate, Interval, NoEstimate, Policy, Verdict

__all__ = ["CohortGate", "Margin", "alarms", "parse_margins"]

FEWEST_CLUSTERS = 5
"""``min_clusters`` cannot go lower: with 4, no exact test can reach 5 %."""
STEP: Mapping[str, float] = {"share": 1.0, "ms": 1.0, "currency": 0.01}
"""The smallest change that counts as one: an error, a millisecond, a cent."""


@dataclass(frozen=True, slots=True)
class CohortGate:
    """Judges every metric in every cohort at once."""

    margins: Mapping[str, Margin]
    """By metric name; a metric without one is reported and never gated."""
    _: KW_ONLY
    policy: Policy = "pr"
    alpha: float = 0.05
    """Family-wise level of the blocking tests, one-sided."""
    level: float = 0.90
    """Of the two-sided intervals, so that each bound holds at 95 %."""
    min_clusters: int = 8
    """Speakers without which a cell is inconclusive; 5 or more."""
    harness_failure_cap: float = 0.02
    """Share of a cell's pairs that may fail on our side; one pair always may."""
    declared: tuple[Cohort, ...] = ()
    """Cohorts that must be judged for every metric; one without a sample is INVALID."""

    def __post_init__(self) -> None:
        if self.policy not in ("pr", "release"):
            raise ConfigError(f"policy: {unknown_name('policy', self.policy, ('pr', 'release'))}")
        for key, value, upper in (("alpha", self.alpha, 0.5), ("level", self.level, 1.0)):
            if not 0 < value < upper:
                raise ConfigError(f"{key}: must be between 0 and {upper:g}, got {value}")
        if not 0 <= self.harness_failure_cap < 1:
            raise ConfigError(f"harness_failure_cap: must be in [0, 1), got {self.harness_failure_cap}")
        if self.min_clusters < FEWEST_CLUSTERS:
            raise ConfigError(
                f"min_clusters: must be {FEWEST_CLUSTERS} or more, got {self.min_clusters}; with fewer "
                "speakers no test can tell a regression from chance"
            )

    def judge(self, samples: Sequence[PairedSample]) -> tuple[Verdict, ...]:
        """One verdict per sample (and per declared cohort without one), blocking ones first.

        Raises:
            ConfigError: a margin for a metric that has no sample, or in another unit than the metric's.
            ValueError: two samples of one metric and cohort, or two metrics of one name.
        """
        by_metric = self._by_metric(samples)
        findings = [finding for name in sorted(by_metric) for finding in self._findings(by_metric[name])]
        tested = [i for i, finding in enumerate(findings) if finding.tested]
        adjusted = holm([result.p_worse for f in findings if f.tested and (result := f.result) is not None])
        for i, p in zip(tested, adjusted, strict=True):
            findings[i] = replace(findings[i], p_adjusted=float(p))
        verdicts = with_overall_flags([self._verdict(finding) for finding in findings])
        return tuple(sorted(verdicts, key=self._order))

    def _order(self, verdict: Verdict) -> tuple[bool, str, Cohort]:
        blocks = verdict.gating and verdict.outcome.blocks(self.policy)
        return not blocks, verdict.metric.name, verdict.cohort

    def _by_metric(self, samples: Sequence[PairedSample]) -> dict[str, list[PairedSample]]:
        groups: dict[str, dict[Cohort, PairedSample]] = {}
        metrics: dict[str, MetricInfo] = {}
        for sample in samples:
            name = sample.metric.name
            if metrics.setdefault(name, sample.metric) != sample.metric:
                raise ValueError(f"two different metrics are named {name!r}")
            if sample.cohort in groups.setdefault(name, {}):
                raise ValueError(f"two samples of {name}[{sample.cohort.name}]")
            groups[name][sample.cohort] = sample
        for name, margin in self.margins.items():
            if name not in metrics:
                raise ConfigError(
                    f"margins.{name}: nothing was scored for it: {unknown_name('metric', name, metrics)}"
                )
            margin.check(metrics[name], key=f"margins.{name}")
        for name, group in groups.items():
            for cohort in self.declared:
                group.setdefault(cohort, PairedSample(metric=metrics[name], cohort=cohort, pairs=()))
        return {name: [group[cohort] for cohort in sorted(group)] for name, group in groups.items()}

    def _findings(self, samples: Sequence[PairedSample]) -> list[Finding]:
        metric, margin = samples[0].metric, self.margins.get(samples[0].metric.name)
        tallies = tally(samples)
        results = self._results(metric, margin, tallies)
        applies = any(cell.counts.scored for cell in tallies)
        findings = []
        for sample, cell, result in zip(samples, tallies, results, strict=True):
            counts = cell.counts
            # A metric that suits only some cohorts is no gap in the others; one that suits none is a mistake.
            inapplicable = applies and counts.not_applicable == counts.pairs > 0 and not cell.one_arm_only
            findings.append(
                Finding(
                    sample=sample,
                    tally=cell,
                    margin=margin,
                    gating=margin is not None and sample.gates and not inapplicable,
                    invalid=why_invalid(cell, metric, margin, result, cap=self.harness_failure_cap),
                    result=result,
                    enough=result is not None and counts.clusters >= self.min_clusters,
                    unchanged=sample.same_by_construction and cell.unchanged,
                )
            )
        return findings

    def _results(
        self, metric: MetricInfo, margin: Margin | None, tallies: Sequence[Tally]
    ) -> list[PairedResult | None]:
        """One result per tally, from a single pass over all that can be measured."""
        results: list[PairedResult | None] = [None] * len(tallies)
        measurable = [i for i, cell in enumerate(tallies) if cell.measurable]
        if not measurable:
            return results
        x_b, n_b, x_c, n_c = (np.concatenate([tallies[i].sums[arm] for i in measurable]) for arm in range(4))
        cell = np.repeat(np.arange(len(measurable)), [len(tallies[i].sums.cell) for i in measurable])
        found = paired_test(
            ClusterSums(x_b, n_b, x_c, n_c, cell),
            len(measurable),
            yes_no=metric.yes_no,
            margin=margin.terms(metric) if margin is not None else None,
            step=STEP[metric.unit],
            level=self.level,
            alpha=self.alpha,
        )
        for i, result in zip(measurable, found, strict=True):
            results[i] = result
        return results

    def _verdict(self, finding: Finding) -> Verdict:
        outcome, flags = decide(finding, alpha=self.alpha)
        sample, margin = finding.sample, finding.margin
        return Verdict(
            metric=sample.metric,
            cohort=sample.cohort,
            outcome=outcome,
            reason=reason(finding, outcome, level=self.level, min_clusters=self.min_clusters),
            gating=finding.gating,
            margin=margin.written if margin is not None else "",
            estimate=self._estimate(finding),
            counts=finding.tally.counts,
            flags=flags,
        )

    def _estimate(self, finding: Finding) -> Estimate | NoEstimate:
        result, metric = finding.result, finding.sample.metric
        if result is None:
            return NoEstimate(reason=why_unmeasured(finding.tally))
        rates, (low, high) = (result.baseline, result.candidate), (result.lower, result.upper)
        difference = result.worse_by
        if metric.direction is Direction.HIGHER_IS_BETTER:
            whole = 1.0 if metric.unit == "share" else 0.0
            rates = (whole - result.baseline, whole - result.candidate)
            # Adding 0.0 turns a negative zero into the one that people write.
            difference, low, high = -difference + 0.0, -high + 0.0, -low + 0.0
        return Estimate(
            baseline=rates[0],
            candidate=rates[1],
            difference=difference,
            worse_by=result.worse_by,
            interval=Interval(lower=low, upper=high, level=self.level),
            p_worse=result.p_worse,
            p_adjusted=finding.p_adjusted if finding.tested else result.p_worse,
            method=result.method,
            detectable=result.detectable,
            clusters_needed=max(result.clusters_needed, self.min_clusters) if finding.margin else 0,
        )
