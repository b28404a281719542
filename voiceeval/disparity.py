"""How far apart an agent serves its cohorts: the worst against the best, in each arm."""

from __future__ import annotations

from collections.abc import Sequence

from voiceeval.cohort import Cohort
from voiceeval.score import Direction, MetricInfo
from voiceeval.verdict import Disparity, Estimate, Verdict

ARMS = ("baseline", "candidate")


def disparities(verdicts: Sequence[Verdict], *, min_clusters: int) -> tuple[Disparity, ...]:
    """One per metric and slicing with two comparable cohorts at least, by metric and tags.

    Cohorts with fewer speakers than ``min_clusters`` are left out: the extremes of many small cohorts are
    extreme by chance. The gap is of observed rates and has no interval; it is for looking at.
    """
    groups: dict[tuple[str, tuple[str, ...]], dict[Cohort, Estimate]] = {}
    metrics: dict[str, MetricInfo] = {}
    for verdict in sorted(verdicts, key=lambda each: (each.metric.name, each.cohort)):
        estimate = verdict.estimate
        if isinstance(estimate, Estimate) and verdict.cohort.tags and verdict.counts.clusters >= min_clusters:
            metrics[verdict.metric.name] = verdict.metric
            key = (verdict.metric.name, verdict.cohort.tags)
            groups.setdefault(key, {})[verdict.cohort] = estimate
    return tuple(
        _disparity(metrics[name], tags, cells)
        for (name, tags), cells in sorted(groups.items())
        if len(cells) > 1
    )


def _disparity(metric: MetricInfo, tags: tuple[str, ...], cells: dict[Cohort, Estimate]) -> Disparity:
    sign = 1 if metric.direction is Direction.LOWER_IS_BETTER else -1
    worst, best, rates = {}, {}, {}
    for arm in ARMS:
        of = {cohort: float(getattr(estimate, arm)) for cohort, estimate in cells.items()}
        ordered = sorted(of, key=lambda cohort: (sign * of[cohort], cohort))
        best[arm], worst[arm] = ordered[0], ordered[-1]
        rates[arm] = (of[worst[arm]], of[best[arm]])
    return Disparity(metric=metric, tags=tags, worst=worst, best=best, rates=rates)
