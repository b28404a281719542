"""``voiceeval plots``: a small gallery of a finished run, for a release note."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    plots = commands.add_parser("plots", help="draw a finished run's verdicts, differences and latency")
    plots.add_argument("run", type=Path, help="a run's folder, or a folder of runs for the latest of them")
    plots.add_argument("folder", type=Path, help="where the plots go")
    plots.add_argument(
        "--format",
        action="append",
        choices=("svg", "png"),
        default=[],
        help="may be given twice; default: both",
    )
    plots.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when they are drawn."""
    from voiceeval.assembly import judge, report_input, restored
    from voiceeval.reports.plots import FORMATS, draw_plots
    from voiceeval.run_folder import RunFolder, find_run

    folder = RunFolder.open(find_run(given.run))
    experiment = restored(folder)
    judged, calls = judge(folder, experiment)
    report = report_input(folder, experiment, judged, calls)
    for path in draw_plots(report, given.folder, formats=given.format or FORMATS):
        sys.stdout.write(f"{path}\n")
    return 0
