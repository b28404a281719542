"""Quantiles of waiting times per cohort and arm, to be looked at; ``slow_replies`` is what gates a tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voiceeval.call import Arm, CallKey
from voiceeval.cohort import Cohort, PlannedCall
from voiceeval.score import MetricInfo, Score, Scored
from voiceeval.statistics.tails import fewest_for_quantile, quantile
from voiceeval.verdict import Quantiles

SHOWN: Mapping[str, float] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def quantiles(
    metrics: Sequence[MetricInfo],
    cohorts: Sequence[tuple[Cohort, Sequence[PlannedCall]]],
    scores: Mapping[tuple[str, str], Score],
) -> tuple[Quantiles, ...]:
    """One per metric, cohort and arm in which a turn was timed, in that order.

    Over turns; one that needs more calls than there are (59 for p95, 299 for p99) is left out, because the
    largest of fewer may well lie below it.

    Args:
        metrics: durations with an observation per turn.
        cohorts: with their planned calls.
        scores: by call id and metric name.
    """
    return tuple(
        found
        for metric in metrics
        for cohort, planned in cohorts
        for arm in Arm
        if (found := _of(metric, cohort, str(arm), _scored(metric, planned, arm, scores))).calls
    )


def _scored(
    metric: MetricInfo, planned: Sequence[PlannedCall], arm: Arm, scores: Mapping[tuple[str, str], Score]
) -> list[Scored]:
    found = []
    for call in planned:
        key = CallKey(scenario=call.scenario, caller=call.caller, line=call.line, trial=call.trial, arm=arm)
        score = scores[key.id, metric.name]
        if isinstance(score, Scored):
            found.append(score)
    return found


def _of(metric: MetricInfo, cohort: Cohort, arm: str, scored: Sequence[Scored]) -> Quantiles:
    values = [
        observation.numerator / observation.denominator
        for score in scored
        for observation in score.observations
        if observation.denominator
    ]
    return Quantiles(
        metric=metric,
        cohort=cohort,
        arm=arm,
        calls=len(scored),
        observations=len(values),
        values={
            name: quantile(values, q)
            for name, q in SHOWN.items()
            if values and (q <= 0.5 or len(scored) >= fewest_for_quantile(q))
        },
    )
