"""``voiceeval contamination``: look for a suite's words and recordings in what a model was trained on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from voiceeval.errors import ConfigError

if TYPE_CHECKING:
    from voiceeval.contamination import Checked, TrainingSet
    from voiceeval.scenario_files import Suite

MOST_LINES = 5
"""Lines of the manifest that are named per match."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    contamination = commands.add_parser(
        "contamination", help="look for a suite's words and recordings in a training set"
    )
    contamination.add_argument(
        "--training",
        type=Path,
        required=True,
        metavar="MANIFEST",
        help="JSON lines or CSV with the columns text, audio_sha256 or audio",
    )
    which = contamination.add_mutually_exclusive_group()
    which.add_argument("--suite", type=Path, metavar="DIR", help="default: the project's own")
    which.add_argument(
        "--holdout", action="store_true", help="the project's holdout, of which only counts are said"
    )
    contamination.add_argument(
        "--fewest-words",
        type=int,
        default=1,
        metavar="N",
        help="leave out what callers say in fewer words, such as 'yes'; default: 1, nothing is left out",
    )
    contamination.add_argument(
        "--project", type=Path, default=Path(), metavar="DIR", help="the folder of pyproject.toml"
    )
    contamination.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """1 when something of the suite was found."""
    from voiceeval.contamination import check
    from voiceeval.errors import RefusedError
    from voiceeval.training_manifest import read_manifest

    if given.fewest_words < 1:
        raise ConfigError(f"--fewest-words: given {given.fewest_words}; allowed: 1 or more")
    try:
        suite = _suite(given)
    except RefusedError as refusal:
        sys.stderr.write(f"voiceeval: {refusal}\n")
        return 1
    training = read_manifest(given.training)
    checked = check(suite, training, fewest_words=given.fewest_words)
    if not (checked.texts and training.texts) and not (checked.recordings and training.recordings):
        raise ConfigError(
            f"--training: {given.training}: holds nothing that the suite could be compared with"
        )
    if not given.holdout:
        for match in checked.matches:
            where = f"{match.scenario} {match.part}" + (f" by {match.caller}" if match.caller else "")
            sys.stdout.write(f"{where}: {match.kind}: {_lines(match.lines)}\n")
    sys.stdout.write(f"{_summary(checked, training)}\n")
    return 1 if checked.matches else 0


def _suite(given: argparse.Namespace) -> Suite:
    from voiceeval.config import load_config
    from voiceeval.holdout import committed_suite
    from voiceeval.scenario_files import load_suite

    if given.suite is not None:
        return load_suite(given.suite)
    config = load_config(given.project.resolve(), {}, from_folder=Path.cwd())
    return committed_suite(config) if given.holdout else load_suite(config.suite)


def _lines(lines: tuple[int, ...]) -> str:
    named = ", ".join(map(str, lines[:MOST_LINES]))
    more = len(lines) - MOST_LINES
    return f"{'line' if len(lines) == 1 else 'lines'} {named}" + (f" and {more} more" if more > 0 else "")


def _summary(checked: Checked, training: TrainingSet) -> str:
    said = [
        f"contaminated: {checked.count('exact', 'contained', 'near')} of {checked.texts} texts "
        f"({checked.count('exact')} exact, {checked.count('contained')} contained, "
        f"{checked.count('near')} near), "
        f"{checked.count('same sound')} of {checked.recordings} recordings",
        f"compared with: {sum(map(len, training.texts.values()))} texts, {training.recordings} recordings",
    ]
    if checked.too_short:
        said.append(f"left out: {checked.too_short} texts with too few words")
    if checked.recordings and not training.recordings:
        said.append("not compared: the suite's recordings, because the manifest names none")
    if checked.texts and not training.texts:
        said.append("not compared: the suite's texts, because the manifest holds none")
    if training.bytes_only:
        said.append(
            f"compared by their bytes alone: {training.bytes_only} recordings that are not mono audio"
        )
    return "\n".join(said)
