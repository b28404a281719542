"""The templates of the pages, with what all of them may call. Whatever they print is escaped and visible."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from voiceeval.reports import call_markup, wording
from voiceeval.reports.call_page import LONGEST_STATE, MOST_CHANGES
from voiceeval.reports.cohort_table import has_own_margin
from voiceeval.reports.disparity_table import INTRODUCTION
from voiceeval.reports.exploration_table import CAUTION, HEADINGS, searched
from voiceeval.reports.quantiles_table import overall_line
from voiceeval.reports.repeats_table import EXPLANATION
from voiceeval.verdict import Estimate

if TYPE_CHECKING:
    from jinja2 import Environment

_LONGEST_TEXT = LONGEST_STATE + 100
"""A last resort: whatever shows a longer text shortens it earlier, and says so."""


@cache
def page_templates() -> Environment:
    """Compiles ``templates/``; autoescape is on and an absent value is an error."""
    import jinja2
    from markupsafe import Markup

    def finalize(value: object) -> object:
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        if len(value) <= _LONGEST_TEXT and value.isascii() and value.isprintable():
            return value  # as nearly everything is
        return wording.visible(wording.shortened(value, limit=_LONGEST_TEXT))

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("voiceeval.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        name: getattr(wording, name)
        for name in [
            "answered",
            "blamed",
            "blamed_stage",
            "blame_counts",
            "bounds",
            "clock",
            "counted",
            "coverage",
            "difference",
            "direction_word",
            "distance",
            "level",
            "levels",
            "one_line",
            "outcome_word",
            "probability",
            "reason_with_interval",
            "shortened",
            "sign",
            "verdict_words",
        ]
    }
    environment.globals |= {
        "aligned": call_markup.aligned,
        "reason_rows": call_markup.reason_rows,
        "most_changes": MOST_CHANGES,
        "moment": call_markup.moment,
        "step_head": call_markup.step_head,
        "signs": wording.SIGNS,
        "explored_headings": HEADINGS,
        "caution": CAUTION,
        "searched": searched,
        "overall_line": overall_line,
        "repeats_explanation": EXPLANATION,
        "disparity_introduction": INTRODUCTION,
    }
    environment.tests["own_margin"] = has_own_margin
    environment.tests["estimate"] = lambda value: isinstance(value, Estimate)
    return environment
