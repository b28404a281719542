"""``voiceeval report``: score a finished run again and write its reports."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    report = commands.add_parser("report", help="score a finished run again and write its reports")
    report.add_argument("run", type=Path, help="a run's folder, or a folder of runs for the latest of them")
    report.add_argument("--metrics", help="comma-separated names or import paths; default: the run's own")
    report.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """1 when the run may not ship."""
    from rich.console import Console

    from voiceeval.assembly import judge, restored
    from voiceeval.reports import terminal
    from voiceeval.reports.report_files import render_all
    from voiceeval.reports.report_input import ReportInput
    from voiceeval.run_folder import RunFolder, find_run

    folder = RunFolder.open(find_run(given.run))
    names = tuple(name.strip() for name in given.metrics.split(",")) if given.metrics else ()
    experiment = restored(folder, metrics=names)
    judged, calls = judge(folder, experiment)
    files = render_all(
        ReportInput(
            comparison=judged.comparison,
            planned=experiment.planned,
            scenarios=experiment.scenarios,
            calls=calls,
            scores=judged.scores,
            audio_href=folder.href,
            audio=folder.audio,
        ),
        folder.path,
    )
    terminal.render(judged.comparison, Console(highlight=False), report_path=files.html, gate_path=files.gate)
    return 1 if judged.comparison.failed else 0
