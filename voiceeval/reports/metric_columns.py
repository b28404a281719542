"""The metrics of the calls as columns of sums, so that the rate of any set of calls can be told at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from voiceeval.call import Arm
from voiceeval.reports.call_list import metrics_of
from voiceeval.reports.cohort_table import gating_table, reported_metrics_table
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.score import Direction, Gap, MetricInfo, NotScored, Ratio, Scored

SCORED = "."
_NOTHING = Ratio(0, 0)
GAP_LETTERS: Mapping[Gap, str] = {
    Gap.NOT_APPLICABLE: "n",
    Gap.AGENT_FAILED: "a",
    Gap.HARNESS_FAILED: "h",
    Gap.NOT_RUN: "r",
}


def metric_columns(report: ReportInput) -> list[dict[str, Any]]:
    """A ``MetricColumns`` for every metric with a verdict; gated ones first, else as the run lists them."""
    gating = gating_table(report.comparison)
    listed = [*gating.metrics, *reported_metrics_table(report.comparison).metrics]
    shown = {metric.name: metric for metric in listed} | metrics_of(report)
    gated = {metric.name for metric in gating.metrics}
    targets = _targets(report.comparison.manifest)
    ids = {arm: [arm_call_id(planned, arm) for planned in report.planned] for arm in Arm}
    return [
        {
            "name": name,
            "title": metric.title,
            "definition": metric.definition,
            "unit": metric.unit,
            "higher_is_better": metric.direction is Direction.HIGHER_IS_BETTER,
            "yes_no": metric.yes_no,
            "gated": name in gated,
            "margin": ", ".join(gating.common_margins(metric)) if name in gated else "",
            "targets": targets.get(name, {}) if metric.unit == "ms" else {},
            "sides": [_side(report, metric, ids[arm]) for arm in Arm],
        }
        for name, metric in shown.items()
    ]


def plain(value: float, *, whole: bool = False) -> float | int | None:
    """A number as short as its use allows: six significant digits; ``None`` for one that is not finite.

    >>> plain(0.0412000001), plain(3.0), plain(1204.4, whole=True)
    (0.0412, 3, 1204)
    """
    if isinstance(value, int):
        return int(value)
    if not math.isfinite(value):
        return None
    if whole or value == int(value):
        return round(value)
    return float(f"{value:.6g}")


def _side(report: ReportInput, metric: MetricInfo, ids: list[str]) -> dict[str, Any]:
    whole = metric.unit == "ms"
    scores = [report.scores.get((call_id, metric.name)) for call_id in ids]
    observed = [score.observations if isinstance(score, Scored) else () for score in scores]
    totals = [found[0] if len(found) == 1 else _total(found) for found in observed]
    columns: dict[str, Any] = {
        "numerators": [plain(total.numerator, whole=whole) for total in totals],
        "denominators": [plain(total.denominator) for total in totals],
        "gaps": "".join(
            SCORED if isinstance(score, Scored) else _gap(report, call_id, score)
            for call_id, score in zip(ids, scores, strict=True)
        ),
    }
    if whole:
        columns["observations"] = [
            [_each(ratio) for ratio in found if ratio.denominator] for found in observed
        ]
    return columns


def _total(observed: tuple[Ratio, ...]) -> Ratio:
    if not observed:
        return _NOTHING
    return Ratio(sum(ratio.numerator for ratio in observed), sum(ratio.denominator for ratio in observed))


def _each(ratio: Ratio) -> float | int | None:
    return plain(
        ratio.numerator if ratio.denominator == 1 else ratio.numerator / ratio.denominator, whole=True
    )


def _gap(report: ReportInput, call_id: str, score: NotScored | None) -> str:
    if score is not None:
        return GAP_LETTERS[score.gap]
    # What only repeats have is no score of a call.
    return GAP_LETTERS[Gap.NOT_APPLICABLE if call_id in report.calls else Gap.NOT_RUN]


def _targets(manifest: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    found = manifest.get("targets", {})
    return found if isinstance(found, Mapping) else {}
