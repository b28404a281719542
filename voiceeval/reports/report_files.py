"""All files of a report at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voiceeval.reports import gate_json
from voiceeval.reports.html import HtmlReport
from voiceeval.reports.markdown import summary
from voiceeval.reports.report_input import ReportInput


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """Where the parts of a report lie."""

    html: Path
    """The file to open first."""
    markdown: Path
    gate: Path


def render_all(report: ReportInput, run_folder: Path) -> ReportFiles:
    """Write ``report/index.html``, ``report/summary.md`` and ``gate.json`` into a run folder."""
    folder = run_folder / "report"
    # The verdicts first: a report that cannot be drawn must not take them away.
    gate = gate_json.write(report.comparison, run_folder / "gate.json")
    folder.mkdir(parents=True, exist_ok=True)
    markdown = folder / "summary.md"
    markdown.write_text(summary(report.comparison), encoding="utf-8", newline="\n")
    return ReportFiles(html=HtmlReport().write(report, folder), markdown=markdown, gate=gate)
