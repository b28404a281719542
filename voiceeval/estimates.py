"""From a test's result, which knows only that + is worse, to the estimate that people read."""

from __future__ import annotations

from voiceeval.score import Direction, MetricInfo
from voiceeval.statistics.paired_test import PairedResult
from voiceeval.verdict import Estimate, Interval


def estimate_of(
    result: PairedResult, metric: MetricInfo, *, level: float, p_adjusted: float, clusters_needed: int = 0
) -> Estimate:
    """The result in the metric's own direction: shares of successes again where a higher share is better."""
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
        interval=Interval(lower=low, upper=high, level=level),
        p_worse=result.p_worse,
        p_adjusted=p_adjusted,
        method=result.method,
        detectable=result.detectable,
        clusters_needed=clusters_needed,
    )
