"""``voiceeval export``: a finished run as a table of outcomes, of calls or of cohorts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    export = commands.add_parser("export", help="write a run's outcomes, calls or cohorts as a table")
    export.add_argument("run", type=Path, help="a run's folder, or a folder of runs for the latest of them")
    export.add_argument("file", type=Path, help="ends in .csv, .json, .jsonl or .parquet")
    export.add_argument(
        "--table",
        choices=("outcomes", "calls", "cohorts"),
        default="outcomes",
        help="outcomes: a row per call and metric of an arm, for 'voiceeval compare'; calls: a row per call "
        "and arm; cohorts: a row per verdict; default: outcomes",
    )
    export.add_argument(
        "--arm",
        choices=("candidate", "baseline"),
        help="whose calls; default: the candidate's outcomes, the calls of both",
    )
    export.add_argument("--metrics", help="comma-separated names or import paths; default: the run's own")
    export.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when the table was written."""
    from voiceeval.call import Arm
    from voiceeval.errors import ConfigError
    from voiceeval.outcome_export import export, export_calls, export_cohorts
    from voiceeval.run_folder import RunFolder, find_run

    folder = RunFolder.open(find_run(given.run))
    names = tuple(name.strip() for name in given.metrics.split(",")) if given.metrics else ()
    if given.table == "cohorts":
        if given.arm:
            raise ConfigError("--arm: for outcomes and calls; a verdict is on both arms")
        written = f"{export_cohorts(folder, given.file, metrics=names)} verdicts"
    elif given.table == "calls":
        arms = (Arm(given.arm),) if given.arm else tuple(Arm)
        told = f"calls of the {given.arm}" if given.arm else "calls of both arms"
        written = f"{export_calls(folder, given.file, arms=arms, metrics=names)} {told}"
    else:
        arm = Arm(given.arm or Arm.CANDIDATE)
        written = f"{export(folder, arm, given.file, metrics=names)} outcomes of the {arm}"
    sys.stdout.write(f"{given.file}: {written}\n")
    return 0
