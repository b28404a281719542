"""The static HTML report: an index and a page per planned call, readable over ``file://`` without a network.

Everything from a run is untrusted text: templates escape it, unseen characters are written out, and a content
security policy allows only the style and script this module wrote itself, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceeval.call import Arm, Stage
from voiceeval.cohort import Cohort
from voiceeval.reports import wording
from voiceeval.reports.call_clips import PlayedClips
from voiceeval.reports.call_list import Change, call_rows, failure_kinds, metrics_of, slug
from voiceeval.reports.call_page import LONGEST_STATE, call_page
from voiceeval.reports.cohort_table import (
    STAGE_METRICS,
    CohortRow,
    gating_table,
    has_own_margin,
    reported_cohorts_table,
    reported_metrics_table,
    slower_stage,
)
from voiceeval.reports.disparity_table import INTRODUCTION, disparity_rows
from voiceeval.reports.exploration_table import CAUTION, HEADINGS, explored_rows, searched
from voiceeval.reports.interval_bars import IntervalBar, bars
from voiceeval.reports.manifest_view import arm_view, changed_in_short, changes, facts
from voiceeval.reports.quantiles_table import overall_line, quantile_tables
from voiceeval.reports.repeats_table import EXPLANATION, repeats_table, retries_told
from voiceeval.reports.report_input import ReportInput
from voiceeval.verdict import Estimate, Verdict

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_MOST_CARDS = 12
_MOST_FAULTS = 50
_MOST_FINDS = 20
_MOST_OPEN_ROWS = 30
_MOST_OPEN_GAPS = 8
_LONGEST_TEXT = LONGEST_STATE + 100
"""A last resort: whatever shows a longer text shortens it earlier, and says so."""
_MOST_FILTER_VALUES = 60


class HtmlReport:
    """Writes ``index.html`` and ``calls/<slug>.html``; one instance compiles its templates once."""

    def __init__(self) -> None:
        self._environment = _environment()

    def write(self, report: ReportInput, folder: Path) -> Path:
        """Write all pages into ``folder``, which lies directly in the run folder; return the index.

        Of replies that were cut off, what was played is written beside them, into ``audio``.
        """
        calls = folder / "calls"
        calls.mkdir(parents=True, exist_ok=True)
        template = self._environment.get_template("call.html.j2")
        parts = PlayedClips(folder, report.audio)
        names = {arm: arm_view(report.comparison.manifest, arm).label for arm in Arm}
        shared = {"names": names, "stages": [str(stage) for stage in Stage], **_frame(script="")}
        for planned in report.planned:
            page = template.render(page=call_page(report, planned, played_href=parts.href), **shared)
            (calls / f"{slug(planned.id)}.html").write_text(page, encoding="utf-8", newline="\n")
        index = folder / "index.html"
        index.write_text(self.index(report), encoding="utf-8", newline="\n")
        return index

    def index(self, report: ReportInput) -> str:
        """The index page as text."""
        script = _asset("filter.js")
        template = self._environment.get_template("index.html.j2")
        return template.render(**_index_values(report), **_frame(script=script))


def _index_values(report: ReportInput) -> dict[str, Any]:
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


def _frame(*, script: str) -> dict[str, Any]:
    """What every page has: its style, its script, and the policy that allows just these two."""
    from markupsafe import Markup

    style = _asset("style.css")
    allowed_script = f"'sha256-{_digest(script)}'" if script else "'none'"
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; script-src {allowed_script}; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )
    # Both are this package's own files, not data: escaping them would change what the policy allows.
    own: dict[str, Markup] = {"css": Markup(style), "js": Markup(script)}  # noqa: S704
    return {"policy": policy, **own}


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return files("voiceeval.reports").joinpath("templates", name).read_text(encoding="utf-8")


def _environment() -> Environment:
    import jinja2
    from markupsafe import Markup

    def finalize(value: object) -> object:
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
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
            "counted",
            "coverage",
            "difference",
            "direction_word",
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
