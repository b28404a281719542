"""Forest plots: per metric the difference of every cohort with its interval, on one scale.

Drawing only: the numbers come from the verdicts. Worse is always to the right; what stands at the ticks is
the difference as people read it, so that for metrics of which more is better the numbers fall from left to
right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.reports.cohort_table import CohortTable
from voiceeval.reports.interval_bars import IntervalBar, Scale, bar, scale_of
from voiceeval.reports.wording import severity
from voiceeval.score import Direction, MetricInfo
from voiceeval.verdict import Estimate, Verdict

_MOST_TICKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """One cohort of a panel."""

    cohort: Cohort
    verdict: Verdict
    bars: tuple[IntervalBar, ...]
    """One, or none where nothing was estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A labelled place on a panel's axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestPanel:
    """One metric: the overall row first, then the worst cohort."""

    metric: MetricInfo
    rows: tuple[ForestRow, ...]
    ticks: tuple[Tick, ...]
    zero: float
    unit: str
    """Of the ticks."""


def forest_panels(table: CohortTable) -> tuple[ForestPanel, ...]:
    """A panel for each metric of the table, in its order."""
    return tuple(_panel(table, metric) for metric in table.metrics)


def _panel(table: CohortTable, metric: MetricInfo) -> ForestPanel:
    found = [row.cells[metric.name] for row in table.rows if metric.name in row.cells]
    scale = scale_of(found)
    return ForestPanel(
        metric=metric,
        rows=tuple(
            ForestRow(cohort=verdict.cohort, verdict=verdict, bars=bar(verdict, scale))
            for verdict in sorted(found, key=_row_order)
        ),
        ticks=_ticks(metric, scale),
        zero=scale.position(0.0),
        unit={"share": "pp", "ms": "ms"}.get(metric.unit, ""),
    )


def _row_order(verdict: Verdict) -> tuple[bool, float, float, Cohort]:
    worse = verdict.estimate.worse_by if isinstance(verdict.estimate, Estimate) else 0.0
    return (verdict.cohort != EVERYONE, severity(verdict), -worse, verdict.cohort)


def _ticks(metric: MetricInfo, scale: Scale) -> tuple[Tick, ...]:
    """Round numbers in the unit that is shown, zero among them."""
    unit = 100.0 if metric.unit == "share" else 1.0
    span = (scale.right - scale.left) * unit
    if not span > 0:
        return (Tick(at=scale.position(0.0), text="0"),)
    step = _step(span)
    first, last = math.ceil(scale.left * unit / step), math.floor(scale.right * unit / step)
    turned = -1 if metric.direction is Direction.HIGHER_IS_BETTER else 1
    return tuple(
        Tick(at=scale.position(number * step / unit), text=_text(turned * number * step))
        for number in range(first, last + 1)
    )


def _step(span: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that cuts ``span`` into few enough pieces."""
    power = 10.0 ** math.floor(math.log10(span / _MOST_TICKS))
    return next(power * times for times in (1, 2, 5, 10) if span / (power * times) <= _MOST_TICKS)


def _text(value: float) -> str:
    return f"{value:+.6g}".replace("-", "−") if value else "0"
