"""Every planned call of a run by columns: the file ``data/calls.js``, which the pages look calls up in.

The shape is ``CallsData`` in ``web/src/report_data.ts``. Rows stand in the order of the plan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voiceeval.call import Arm
from voiceeval.labels import run_digest
from voiceeval.reports.call_list import Change, Result, call_rows
from voiceeval.reports.coded_columns import coded
from voiceeval.reports.cohort_columns import cohort_columns
from voiceeval.reports.cohort_table import gating_table
from voiceeval.reports.data_files import write_data
from voiceeval.reports.manifest_view import arm_view
from voiceeval.reports.metric_columns import metric_columns
from voiceeval.reports.report_input import ReportInput
from voiceeval.reports.tool_confusion import tool_columns
from voiceeval.reports.word_confusions import word_columns

SCHEMA_VERSION = 1


def write_columns(report: ReportInput, folder: Path) -> Path:
    """Write ``data/calls.js`` into the report's folder."""
    return write_data(folder / "data", "calls.js", "voiceevalCalls", calls_data(report))


def calls_data(report: ReportInput) -> dict[str, Any]:
    """A ``CallsData``."""
    planned, manifest = report.planned, report.comparison.manifest
    rows = {row.planned.id: row for row in call_rows(report, gating_table(report.comparison).metrics)}
    listed = [rows[call.id] for call in planned]
    tags = sorted({tag for call in planned for tag in call.tags})
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run_digest(manifest, planned, report.calls),
        "arms": [arm_view(manifest, arm).label for arm in Arm],
        "count": len(planned),
        "slugs": [row.slug for row in listed],
        "scenario": coded("scenario", [call.scenario for call in planned]),
        "caller": coded("caller", [call.caller for call in planned]),
        "line": coded("line", [call.line for call in planned]),
        "speaker": coded("speaker", [call.speaker for call in planned]),
        "trials": [call.trial for call in planned],
        "tags": [coded(tag, [call.tags.get(tag) for call in planned]) for tag in tags],
        "change": coded("change", [row.change.value for row in listed], order=map(str, Change)),
        "results": [
            coded("result", [row.results[arm].value for row in listed], order=map(str, Result)) for arm in Arm
        ],
        "metrics": metric_columns(report),
        "tools": tool_columns(report),
        "words": word_columns(report),
        "cohorts": cohort_columns(report.comparison),
    }
