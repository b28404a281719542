"""The static HTML report: a first screen, pages of cohorts and of calls; read over ``file://``, no network.

Everything from a run is untrusted text: templates escape it, unseen characters are written out, and a content
security policy allows only the style and script that come with the package.
"""

from __future__ import annotations

from pathlib import Path

from voiceeval.call import Arm, Stage
from voiceeval.reports.call_clips import PlayedClips
from voiceeval.reports.call_columns import write_columns
from voiceeval.reports.call_list import slug
from voiceeval.reports.call_page import CallPages
from voiceeval.reports.call_tracks import call_data, in_page
from voiceeval.reports.cohort_page import PAGE as COHORT_PAGE
from voiceeval.reports.cohort_page import cohort_values
from voiceeval.reports.data_files import write_data
from voiceeval.reports.index_page import index_values
from voiceeval.reports.manifest_view import arm_view
from voiceeval.reports.page_frame import copy_assets, page_frame
from voiceeval.reports.page_templates import page_templates
from voiceeval.reports.redacted_report import left_out_of
from voiceeval.reports.report_input import ReportInput
from voiceeval.reports.review_page import review_data, review_values
from voiceeval.waveform import KeptWaveforms


class HtmlReport:
    """Writes all pages of a report; one instance compiles its templates once."""

    def __init__(self) -> None:
        self._templates = page_templates()

    def write(self, report: ReportInput, folder: Path) -> Path:
        """Write all pages into ``folder``, which lies directly in the run folder; return the index.

        Of replies that were cut off, what was played is written beside them, into ``audio``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        copy_assets(folder)
        write_columns(report, folder)
        self._write_calls(report, folder)
        self._write_review(report, folder)
        cohort = self._templates.get_template("cohort.html.j2")
        _write(folder / COHORT_PAGE, cohort.render(**cohort_values(report)))
        index = folder / "index.html"
        _write(index, self.index(report))
        return index

    def index(self, report: ReportInput) -> str:
        """The first screen as text."""
        template = self._templates.get_template("index.html.j2")
        return template.render(**index_values(report), left_out=report.left_out, **page_frame("index"))

    def _write_calls(self, report: ReportInput, folder: Path) -> None:
        calls = folder / "calls"
        calls.mkdir(exist_ok=True)
        template = self._templates.get_template("call.html.j2")
        parts = PlayedClips(folder, report.audio)
        pages = CallPages(report, played_href=parts.href)
        waveforms = KeptWaveforms.read(folder.parent / "audio" / "waveforms.json")
        names = {arm: arm_view(report.comparison.manifest, arm).label for arm in Arm}
        shared = {
            "names": names,
            "stages": [str(stage) for stage in Stage],
            **page_frame("call", root="../"),
        }
        for planned in report.planned:
            tracks = call_data(report, planned, labels=names, played_href=parts.href, waveforms=waveforms)
            page = template.render(
                page=pages.page(planned),
                call_data=in_page(tracks),
                left_out=left_out_of(report, planned),
                **shared,
            )
            _write(calls / f"{slug(planned.id)}.html", page)
        waveforms.keep()

    def _write_review(self, report: ReportInput, folder: Path) -> None:
        write_data(folder / "data", "review.js", "voiceevalReview", review_data(report))
        template = self._templates.get_template("review.html.j2")
        frame = page_frame("review")
        frame["scripts"] = ["data/review.js", *frame["scripts"]]
        _write(folder / "review.html", template.render(**review_values(report), **frame))


def _write(path: Path, page: str) -> None:
    path.write_text(page, encoding="utf-8", newline="\n")
