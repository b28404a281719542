"""How far apart each arm serves its cohorts, arranged for reading: the gaps that widened most first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voiceeval.call import Arm
from voiceeval.cohort import Cohort
from voiceeval.reports.wording import difference, distance, level, number, one_line, signed
from voiceeval.score import MetricInfo
from voiceeval.verdict import Comparison, Disparity

INTRODUCTION = (
    "Per slicing: the cohort that an arm serves worst and the one it serves best. Reported, never gated."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisparityRow:
    """One metric in one slicing, on both arms."""

    metric: MetricInfo
    gating: bool
    """Whether the metric gates anywhere; the gap itself never does."""
    slicing: str
    """The tags it was sliced by: ``accent × line``."""
    worst: tuple[str, ...]
    """Who is served worst, with the rate: an entry per arm, or one where it is the same cohort on both."""
    best: tuple[str, ...]
    gaps: str
    """Both arms', without a sign: ``6.1 → 12.3 pp``."""
    change: str
    """How much the candidate's gap is wider, with sign: ``+6.2 pp``."""
    trend: str
    """``widened``, ``narrowed``, or ``unchanged`` as far as the shown digits tell."""

    @property
    def told(self) -> str:
        """Trend and change: ``widened +6.2 pp``."""
        return self.trend if self.trend == "unchanged" else f"{self.trend} {self.change}"


def disparity_rows(comparison: Comparison) -> tuple[DisparityRow, ...]:
    """Every disparity: those of gating metrics first, then by how much of the gap is new."""
    gating = {verdict.metric.name for verdict in comparison.verdicts if verdict.gating}
    ordered = sorted(comparison.disparities, key=lambda item: _order(item, gating))
    return tuple(_row(item, gates=item.metric.name in gating) for item in ordered)


def _order(disparity: Disparity, gating: set[str]) -> tuple[bool, float, str, tuple[str, ...]]:
    metric = disparity.metric
    before, after = disparity.gap(Arm.BASELINE), disparity.gap(Arm.CANDIDATE)
    # Milliseconds and shares do not compare; how far a gap grew, as a part of both, does.
    grown = (after - before) / (after + before or 1.0)
    return (metric.name not in gating, -grown, metric.name, disparity.tags)


def _row(disparity: Disparity, *, gates: bool) -> DisparityRow:
    metric = disparity.metric
    before, after = (disparity.gap(arm) for arm in Arm)
    moved = bool(signed(metric, after - before).strip("±+−0."))
    return DisparityRow(
        metric=metric,
        gating=gates,
        slicing=one_line(" × ".join(disparity.tags), limit=120),
        worst=_both(disparity, disparity.worst, 0),
        best=_both(disparity, disparity.best, 1),
        gaps=f"{number(metric, before)} → {distance(metric, after)}",
        change=difference(metric, after - before),
        trend=("widened" if after > before else "narrowed") if moved else "unchanged",
    )


def _both(disparity: Disparity, cohorts: Mapping[str, Cohort], place: int) -> tuple[str, ...]:
    metric = disparity.metric
    before, after = (disparity.rates[arm][place] for arm in Arm)
    first, second = (_values(cohorts[arm]) for arm in Arm)
    if cohorts[Arm.BASELINE] == cohorts[Arm.CANDIDATE]:
        return (f"{number(metric, before)} → {level(metric, after)} {second}",)
    return f"{level(metric, before)} {first}", f"{level(metric, after)} {second}"


def _values(cohort: Cohort) -> str:
    """A cohort without its tags, which the row names."""
    return one_line(" × ".join(value for _, value in cohort.parts), limit=80) or cohort.name
