"""Links between the pages of a report. What one shows is in its fragment: a copied link shows it again."""

from __future__ import annotations

from urllib.parse import urlencode

from voiceeval.cohort import Cohort, PlannedCall
from voiceeval.reports.call_list import slug


def cohort_href(cohort: Cohort, *, metric: str = "", root: str = "") -> str:
    """The page of a cohort, turned to a metric.

    >>> cohort_href(Cohort.of({"line": "telephone"}), metric="wer")
    'cohort.html#tag.line=telephone&metric=wer'
    """
    view = {f"tag.{tag}": value for tag, value in cohort.parts} | ({"metric": metric} if metric else {})
    return f"{root}cohort.html" + (f"#{urlencode(view, errors='replace')}" if view else "")


def call_href(planned: PlannedCall, *, turn: int = -1) -> str:
    """The page of a call as seen from the report's folder, at one of its turns."""
    return f"calls/{slug(planned.id)}.html" + (f"#turn-{turn}" if turn >= 0 else "")
