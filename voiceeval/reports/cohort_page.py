"""The page of a cohort: one static shell for every selection of calls; its script reads ``data/calls.js``."""

from __future__ import annotations

from typing import Any

from voiceeval.call import Arm
from voiceeval.reports.manifest_view import arm_view
from voiceeval.reports.page_frame import page_frame
from voiceeval.reports.report_input import ReportInput

PAGE = "cohort.html"


def cohort_values(report: ReportInput) -> dict[str, Any]:
    """What ``cohort.html.j2`` needs: it says nothing of a selection, which only the page's address knows."""
    frame = page_frame("cohort")
    return {
        **frame,
        # Scripts run in this order, the data first.
        "scripts": ["data/calls.js", *frame["scripts"]],
        "names": {arm: arm_view(report.comparison.manifest, arm).label for arm in Arm},
        "planned": len(report.planned),
    }
