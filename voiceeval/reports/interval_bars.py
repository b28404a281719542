"""Where the parts of a drawn interval lie. Drawing only: the numbers come from the verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
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


def margins_over(verdict: Verdict) -> float:
    """The worsening as a multiple of what the margin allows, whatever the unit; 0 where none is set."""
    allowed = margin_worse_by(verdict)
    if not isinstance(verdict.estimate, Estimate) or not allowed or not allowed[0] > 0:
        return 0.0
    return verdict.estimate.worse_by / allowed[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From a worsening in the metric's unit to a position in per cent; zero is always on it."""

    left: float
    right: float

    def position(self, worse_by: float) -> float:
        """Where it is drawn; what lies outside is drawn at the edge."""
        inside = min(max(worse_by, self.left), self.right)
        return round(3 + 94 * (inside - self.left) / ((self.right - self.left) or 1.0), 2)


def scale_of(verdicts: Iterable[Verdict]) -> Scale:
    """The scale on which all intervals and margins of one metric have room."""
    found = [0.0]
    for verdict in verdicts:
        for low, high in _drawable(verdict):
            found += [low, high, *margin_worse_by(verdict)]
    return Scale(left=min(found), right=max(found))


def bar(verdict: Verdict, scale: Scale) -> tuple[IntervalBar, ...]:
    """How one verdict is drawn; nothing where there is no estimate, or no end to its interval."""
    return tuple(
        IntervalBar(
            start=scale.position(low),
            end=scale.position(high),
            point=scale.position(verdict.estimate.worse_by),
            zero=scale.position(0.0),
            margin=tuple(scale.position(value) for value in margin_worse_by(verdict)),
        )
        for low, high in _drawable(verdict)
        if isinstance(verdict.estimate, Estimate)
    )


def bars(verdicts: Iterable[Verdict]) -> dict[str, IntervalBar]:
    """A bar per verdict id on one common scale, for one metric; none where there is no estimate."""
    listed = tuple(verdicts)
    scale = scale_of(listed)
    return {verdict.id: drawn for verdict in listed for drawn in bar(verdict, scale)}


def _drawable(verdict: Verdict) -> Iterator[tuple[float, float]]:
    if isinstance(verdict.estimate, Estimate):
        low, high = _worse_range(verdict, verdict.estimate)
        if math.isfinite(low) and math.isfinite(high):
            yield low, high


def _worse_range(verdict: Verdict, estimate: Estimate) -> tuple[float, float]:
    lower, upper = estimate.interval.lower, estimate.interval.upper
    return (-upper, -lower) if verdict.metric.direction is Direction.HIGHER_IS_BETTER else (lower, upper)
