"""What the first screen shows, as values that its template lays out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from voiceeval.call import Arm
from voiceeval.cohort import Cohort
from voiceeval.reports import wording
from voiceeval.reports.call_list import Change, call_rows, failure_kinds, metrics_of
from voiceeval.reports.cohort_table import (
    STAGE_METRICS,
    CohortRow,
    gating_table,
    reported_cohorts_table,
    reported_metrics_table,
    slower_stage,
)
from voiceeval.reports.disparity_table import disparity_rows
from voiceeval.reports.exploration_table import explored_rows
from voiceeval.reports.interval_bars import IntervalBar, bars
from voiceeval.reports.manifest_view import arm_view, changed_in_short, changes, facts
from voiceeval.reports.quantiles_table import quantile_tables
from voiceeval.reports.repeats_table import repeats_table, retries_told
from voiceeval.reports.report_input import ReportInput
from voiceeval.verdict import Verdict

_MOST_CARDS = 12
_MOST_FAULTS = 50
_MOST_FINDS = 20
_MOST_OPEN_ROWS = 30
_MOST_OPEN_GAPS = 8
_MOST_FILTER_VALUES = 60


def index_values(report: ReportInput) -> dict[str, Any]:
    """Everything ``index.html.j2`` asks for."""
    comparison = report.comparison
    gating = gating_table(comparison)
    tag_filters = _tag_filters(report)
    calls = call_rows(report, gating.metrics)
    changed = Counter(row.change for row in calls)
    blocking = [(row, row.blocking(comparison)) for row in gating.rows if row.blocking(comparison)]
    return {
        "comparison": comparison,
        "headline": wording.headline(comparison),
        "tally": wording.tally(comparison),
        "undecided": wording.undecided_count(comparison),
        "baseline": arm_view(comparison.manifest, Arm.BASELINE),
        "candidate": arm_view(comparison.manifest, Arm.CANDIDATE),
        "in_short": changed_in_short(comparison.manifest),
        "changes": changes(comparison.manifest),
        "facts": facts(comparison.manifest),
        "gating": gating,
        "margins": {metric.name: gating.common_margins(metric) for metric in gating.metrics},
        "bars": {metric.name: _bars(gating.rows, metric.name) for metric in gating.metrics},
        "blocking": blocking,
        "waived": [row for row in gating.rows if row.waived],
        "most_cards": _MOST_CARDS,
        "most_faults": _MOST_FAULTS,
        "most_rows": _MOST_OPEN_ROWS,
        "most_gaps": _MOST_OPEN_GAPS,
        "slower": {v.id: _slower(report, v) for _, cells in blocking for v in cells},
        "stage_names": STAGE_METRICS,
        "numbers": {row.cohort: number for number, row in enumerate(gating.rows)},
        "filters_of": {row.cohort: _filters_of(row.cohort, tag_filters) for row in gating.rows},
        "disparities": disparity_rows(comparison),
        "explored": explored_rows(comparison.exploration, most=_MOST_FINDS),
        "repeats": repeats_table(comparison),
        "retries": retries_told(comparison),
        "quantiles": quantile_tables(comparison),
        "reported": (
            ("Other metrics", reported_metrics_table(comparison)),
            ("Gated metrics in other cohorts", reported_cohorts_table(comparison)),
        ),
        "all_metrics": tuple(metrics_of(report).values()),
        "failures": failure_kinds(report),
        "calls": calls,
        "change_counts": [(change, changed[change]) for change in Change if changed[change]],
        "tag_filters": tag_filters,
    }


def _bars(rows: tuple[CohortRow, ...], metric: str) -> Mapping[str, IntervalBar]:
    return bars(row.cells[metric] for row in rows if metric in row.cells)


def _slower(report: ReportInput, verdict: Verdict) -> tuple[Verdict, ...]:
    timed = verdict.metric.unit == "ms" and verdict.metric.name not in STAGE_METRICS
    return slower_stage(report.comparison, verdict.cohort) if timed else ()


def _tag_filters(report: ReportInput) -> list[tuple[int, str, list[str]]]:
    """Tags that tell calls apart, numbered: attribute names are made of the number, never of the tag."""
    values: dict[str, set[str]] = {}
    for planned in report.planned:
        for tag, value in planned.tags.items():
            values.setdefault(tag, set()).add(wording.one_line(value))
    useful = [tag for tag in sorted(values) if 1 < len(values[tag]) <= _MOST_FILTER_VALUES]
    return [(index, tag, sorted(values[tag])) for index, tag in enumerate(useful)]


def _filters_of(cohort: Cohort, filters: list[tuple[int, str, list[str]]]) -> list[tuple[int, str]]:
    numbers = {tag: index for index, tag, _ in filters}
    return [(numbers[tag], wording.one_line(value)) for tag, value in cohort.parts if tag in numbers]
