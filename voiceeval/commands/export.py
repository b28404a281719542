"""``voiceeval export``: an arm of a finished run as a table of outcomes per call."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    export = commands.add_parser("export", help="write an arm's outcomes per call as a table")
    export.add_argument("run", type=Path, help="a run's folder, or a folder of runs for the latest of them")
    export.add_argument("file", type=Path, help="ends in .csv, .json, .jsonl or .parquet")
    export.add_argument(
        "--arm",
        choices=("candidate", "baseline"),
        default="candidate",
        help="whose calls; default: candidate",
    )
    export.add_argument("--metrics", help="comma-separated names or import paths; default: the run's own")
    export.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when the table was written."""
    from voiceeval.call import Arm
    from voiceeval.outcome_export import export
    from voiceeval.run_folder import RunFolder, find_run

    folder = RunFolder.open(find_run(given.run))
    names = tuple(name.strip() for name in given.metrics.split(",")) if given.metrics else ()
    rows = export(folder, Arm(given.arm), given.file, metrics=names)
    sys.stdout.write(f"{given.file}: {rows} outcomes of the {given.arm}\n")
    return 0
