"""All files of a report at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voiceeval.content_files import write_whole
from voiceeval.redaction import CARDS_ONLY, Redaction
from voiceeval.reports import gate_json
from voiceeval.reports.comment import comment
from voiceeval.reports.html import HtmlReport
from voiceeval.reports.markdown import summary
from voiceeval.reports.redacted_report import forget_earlier, redacted
from voiceeval.reports.report_input import ReportInput


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """Where the parts of a report lie."""

    html: Path
    """The file to open first."""
    markdown: Path
    """The summary of a CI step."""
    comment: Path
    """The comment on a pull request."""
    gate: Path


def render_all(report: ReportInput, run_folder: Path, *, redaction: Redaction = CARDS_ONLY) -> ReportFiles:
    """Write ``gate.json`` and the folder ``report`` into a run folder, without what ``redaction`` names."""
    folder = run_folder / "report"
    # The verdicts first: a report that cannot be drawn must not take them away.
    gate = gate_json.write(report.comparison, run_folder / "gate.json")
    markdown, note = folder / "summary.md", folder / "comment.md"
    write_whole(markdown, summary(report.comparison).encode())
    write_whole(note, comment(report.comparison).encode())
    shown = redacted(report, redaction)
    forget_earlier(shown, folder)
    return ReportFiles(html=HtmlReport().write(shown, folder), markdown=markdown, comment=note, gate=gate)
