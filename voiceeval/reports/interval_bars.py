"""Where the parts of a drawn interval lie. Drawing only: the numbers come from the verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from voiceeval.errors import ConfigError
from voiceeval.margins import Margin
from voiceeval.score import Direction
from voiceeval.verdict import Estimate, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalBar:
    """Positions in per cent of the width, left to right; worse is always to the right."""

    start: float
    end: float
    point: float
    zero: float
    margin: tuple[float, ...]
    """One position, or none where no margin is set or readable."""


def margin_worse_by(verdict: Verdict) -> tuple[float, ...]:
    """How much worse the margin allows, in the metric's unit; nothing where none is set or readable."""
    if not isinstance(verdict.estimate, Estimate):
        return ()
    try:
        margin = Margin.parse(verdict.margin)
    except ConfigError:
        return ()
    if not margin.relative:
        return (margin.amount,)
    rate = verdict.estimate.baseline
    # A relative margin is a part of the failures, which are what higher-is-better shares leave of the whole.
    if verdict.metric.unit == "share" and verdict.metric.direction is Direction.HIGHER_IS_BETTER:
        rate = 1 - rate
    return (abs(rate) * margin.amount,)


def bars(verdicts: Iterable[Verdict]) -> dict[str, IntervalBar]:
    """A bar per verdict id on one common scale, for one metric; none where there is no estimate."""
    ranges = {}
    for verdict in verdicts:
        if isinstance(verdict.estimate, Estimate):
            low, high = _worse_range(verdict, verdict.estimate)
            if math.isfinite(low) and math.isfinite(high):
                ranges[verdict.id] = (low, high, verdict.estimate.worse_by, margin_worse_by(verdict))
    if not ranges:
        return {}
    left = min(0.0, *(low for low, _, _, _ in ranges.values()))
    right = max(0.0, *(max(high, *margin, high) for _, high, _, margin in ranges.values()))
    span = (right - left) or 1.0

    def position(value: float) -> float:
        return round(3 + 94 * (value - left) / span, 2)

    return {
        id_: IntervalBar(
            start=position(low),
            end=position(high),
            point=position(min(max(point, left), right)),
            zero=position(0.0),
            margin=tuple(position(value) for value in margin),
        )
        for id_, (low, high, point, margin) in ranges.items()
    }


def _worse_range(verdict: Verdict, estimate: Estimate) -> tuple[float, float]:
    lower, upper = estimate.interval.lower, estimate.interval.upper
    return (-upper, -lower) if verdict.metric.direction is Direction.HIGHER_IS_BETTER else (lower, upper)
