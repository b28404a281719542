"""``voiceeval labels``: what people said of a run's calls, beside what its metrics say."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceeval.labels import Merged


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    labels = commands.add_parser("labels", help="take in labels of a review; agreement of people and metrics")
    doing = labels.add_subparsers(required=True, metavar="ACTION")
    taking = doing.add_parser("import", help="add files that the review page exported to a run")
    showing = doing.add_parser("show", help="say again how far people and metrics agree on a run")
    for parser in (taking, showing):
        parser.add_argument(
            "run", type=Path, help="a run's folder, or a folder of runs for the latest of them"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the same for machines")
    taking.add_argument("files", type=Path, nargs="+", metavar="FILE", help="one a reviewer")
    taking.set_defaults(command=run)
    showing.set_defaults(command=run, files=[])


def run(given: argparse.Namespace) -> int:
    """0 when the labels are kept, and printed."""
    from rich.console import Console

    from voiceeval.assembly import judge, restored
    from voiceeval.cohort import EVERYONE
    from voiceeval.content_files import write_whole
    from voiceeval.experiment import cohorts_of
    from voiceeval.label_agreement import agreement
    from voiceeval.labels import merged, read_kept, read_label_files, run_digest, said_in, write_kept
    from voiceeval.reports.labels_page import write_labels_page
    from voiceeval.reports.labels_table import labels_json, render
    from voiceeval.run_folder import RunFolder, find_run

    folder = RunFolder.open(find_run(given.run))
    experiment = restored(folder)
    judged, calls = judge(folder, experiment)
    digest = run_digest(judged.comparison.manifest, experiment.planned, calls)
    planned = [call.id for call in experiment.planned]
    said = read_kept(folder.path, run=digest, calls=planned)
    if given.files:
        files = read_label_files(given.files, run=digest, calls=planned)
        together = merged(said, said_in(files))
        said = together.said
        _tell(together, write_kept(folder.path, said, run=digest))
    cohorts = [EVERYONE, *(each.cohort for each in cohorts_of(experiment) if each.gates)]
    found = agreement(said, judged.scores, experiment.planned, cohorts)
    render(found, Console(highlight=False))
    if given.files and folder.report.is_dir():
        sys.stdout.write(f"page: {write_labels_page(found, folder.report)}\n")
    if given.json:
        text = json.dumps(labels_json(found, digest), indent=1, sort_keys=True, ensure_ascii=True)
        write_whole(given.json, f"{text}\n".encode())
    return 0


def _tell(together: Merged, path: Path) -> None:
    from voiceeval.reports.wording import counted, one_line

    sys.stdout.write(
        f"{path}: {counted(together.added, 'label')} added, {together.replaced} replaced by newer ones, "
        f"{together.outdated} older than what was there and left out\n"
    )
    for said in together.contradicting:
        sys.stdout.write(
            f"left out: a second word of {said.reviewer!r} of the same moment on {one_line(said.label.call)} "
            f"({said.label.arm})\n"
        )
