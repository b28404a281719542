"""The verdicts by cohort, for a page that shows any of them."""

from __future__ import annotations

from typing import Any

from voiceeval.cohort import Cohort
from voiceeval.reports.cohort_table import gating_table, reported_cohorts_table, reported_metrics_table
from voiceeval.reports.metric_columns import plain
from voiceeval.reports.wording import one_line
from voiceeval.verdict import Comparison, Estimate, Verdict


def cohort_columns(comparison: Comparison) -> list[dict[str, Any]]:
    """Every cohort with a verdict: those that can fail the run first, worst first, as on the first screen."""
    gating = gating_table(comparison)
    reported = (reported_cohorts_table(comparison), reported_metrics_table(comparison))
    rows = [row.cohort for table in (gating, *reported) for row in table.rows]
    cells: dict[Cohort, dict[str, Verdict]] = {cohort: {} for cohort in rows}
    for verdict in comparison.verdicts:
        cells.setdefault(verdict.cohort, {})[verdict.metric.name] = verdict
    places = {
        metric.name: place
        for place, metric in enumerate(metric for table in (gating, *reported) for metric in table.metrics)
    }
    return [
        {
            "parts": [list(part) for part in cohort.parts],
            "verdicts": [_cell(found[name]) for name in sorted(found, key=lambda n: (places.get(n, 0), n))],
        }
        for cohort, found in cells.items()
    ]


def _cell(verdict: Verdict) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "metric": verdict.metric.name,
        "outcome": verdict.outcome.value,
        "gating": verdict.gating,
        "waived": verdict.waiver is not None,
        "reason": one_line(verdict.reason, limit=400),
        "margin": verdict.margin,
    }
    estimate = verdict.estimate
    if isinstance(estimate, Estimate):
        numbers = {
            "baseline": estimate.baseline,
            "candidate": estimate.candidate,
            "difference": estimate.difference,
            "lower": estimate.interval.lower,
            "upper": estimate.interval.upper,
            "worse_by": estimate.worse_by,
        }
        cell["estimate"] = {name: plain(number) for name, number in numbers.items()}
    return cell
