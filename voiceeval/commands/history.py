"""``voiceeval history``: how every metric and cohort went from release to release, over finished runs."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    history = commands.add_parser("history", help="show each metric and cohort by release over finished runs")
    history.add_argument("runs", type=Path, nargs="+", help="folders of runs, or folders that hold them")
    history.add_argument("--metrics", default="", help="comma-separated names; default: what was gated")
    history.add_argument(
        "--cohort",
        action="append",
        default=[],
        metavar="TAG=VALUE[,TAG=VALUE]",
        help="only this cohort, or 'overall'; may be given several times",
    )
    history.add_argument("--html", type=Path, metavar="FOLDER", help="write the page history.html into it")
    history.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when it was shown."""
    from rich.console import Console

    from voiceeval.reports import history_table
    from voiceeval.reports.history_page import write_history
    from voiceeval.reports.terminal_style import console_width
    from voiceeval.run_history import chosen, cohort_named, history

    found = history(given.runs)
    names = tuple(name.strip() for name in given.metrics.split(",") if name.strip())
    trends = chosen(found.trends, metrics=names, cohorts=tuple(map(cohort_named, given.cohort)))
    page = write_history(found, trends, given.html) if given.html else ""
    history_table.render(found, trends, Console(highlight=False, width=console_width()), page=str(page))
    return 0
