"""``voiceeval holdout``: set a suite aside, look at it, and say how often that was done."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from voiceeval.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from voiceeval.config import Config
    from voiceeval.holdout import Looked
    from voiceeval.look_ledger import History

SHOWN = 12
"""Characters of a digest that people are shown."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    holdout = commands.add_parser("holdout", help="set a suite aside, look at it, count the looks")
    parts = holdout.add_subparsers(required=True, metavar="commit|run|ledger")
    commit = parts.add_parser("commit", help="print the settings that commit a project to a holdout suite")
    commit.add_argument("suite", type=Path, metavar="SUITE", help="the holdout suite's folder")
    commit.add_argument("--looks", type=int, default=10, help="how often it may be looked at; default: 10")
    commit.set_defaults(command=run_commit)
    look = parts.add_parser("run", help="place the holdout's calls with both agents; spends a look")
    look.add_argument("--baseline", metavar="AGENT", help="in place of the setting")
    look.add_argument("--candidate", metavar="AGENT", help="in place of the setting")
    look.add_argument("--policy", choices=("pr", "release"), default="release", help="default: release")
    look.add_argument("--json", type=Path, metavar="FILE", help="write the answer there, too")
    look.set_defaults(command=run_look)
    ledger = parts.add_parser("ledger", help="check the ledger, and say what was looked at and what is left")
    ledger.add_argument(
        "--extends", type=Path, metavar="OLDER", help="an older copy, of which no line may be missing"
    )
    ledger.set_defaults(command=run_ledger)
    for part in (commit, look, ledger):
        part.add_argument(
            "--project", type=Path, default=Path(), metavar="DIR", help="the folder of pyproject.toml"
        )


def run_commit(given: argparse.Namespace) -> int:
    """0 when the suite could be loaded; its digest is all that is said of it."""
    from voiceeval.scenario_files import load_suite
    from voiceeval.settings import TABLE, HoldoutSettings
    from voiceeval.toml_files import validated

    digest = load_suite(given.suite).digest()
    settings = validated(
        {"suite": _from(given.project, given.suite), "digest": digest, "looks": given.looks},
        HoldoutSettings,
        where="--looks",
        error=ConfigError,
    )
    lines = [f"{TABLE[:-1]}.holdout]"]
    lines += [
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.model_dump().items()
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    ledger = given.project / settings.ledger
    if not ledger.exists():
        sys.stderr.write(
            f"voiceeval: begin the ledger as an empty file under version control: touch {ledger}\n"
        )
    return 0


def run_look(given: argparse.Namespace) -> int:
    """0 when nothing in the holdout blocks; 1 when something does, or when there was no look."""
    from voiceeval.content_files import write_whole
    from voiceeval.errors import LooksSpentError, RefusedError
    from voiceeval.holdout import look

    if given.json is not None and not given.json.parent.is_dir():
        # Before the look: one whose answer cannot be written down is spent for nothing.
        raise ConfigError(f"--json: {given.json}: no such folder")
    if given.json is not None and given.json.is_dir():
        raise ConfigError(f"--json: {given.json}: a folder; allowed: a file's name")
    options = {name: value for name in ("baseline", "candidate", "policy") if (value := getattr(given, name))}
    console = _console()
    try:
        looked = look(_config(given, options), console)
    except (RefusedError, LooksSpentError) as refusal:
        sys.stderr.write(f"voiceeval: {refusal}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "voiceeval: stopped, and nothing is kept; once calls were being placed the look is spent, see "
            "'voiceeval holdout ledger'\n"
        )
        return 1
    _show(looked, console)
    if given.json is not None:
        document = looked.answer.document(head=looked.head, left=looked.left)
        write_whole(given.json, f"{json.dumps(document, indent=1, sort_keys=True)}\n".encode())
    return 0 if looked.answer.may_ship else 1


def run_ledger(given: argparse.Namespace) -> int:
    """0 when the ledger is whole; 1 when lines of an older copy are missing in it."""
    from voiceeval.holdout import allowance, holdout_settings, ledger_of
    from voiceeval.look_ledger import LookLedger

    config = _config(given, {})
    settings, ledger = holdout_settings(config), ledger_of(config)
    history = ledger.read()
    _show_history(history, settings.digest, _console())
    left = history.left(settings.digest, allowance(config))
    sys.stdout.write(f"{left} of {settings.looks} looks left at {settings.digest[:SHOWN]}\n")
    sys.stdout.write(f"ledger head: {history.head}\n")
    if given.extends is not None and not history.extends(LookLedger(given.extends).read()):
        sys.stderr.write(f"voiceeval: {ledger.path}: does not hold all lines of {given.extends}, in order\n")
        return 1
    return 0


def _show(looked: Looked, console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from voiceeval.holdout_answer import MEANINGS
    from voiceeval.reports.wording import one_line, outcome_word

    answer = looked.answer
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("cohort", "metric", "verdict", "difference (rounded)", "speakers"):
        grid.add_column(heading)
    for cell in answer.cells:
        verdict = outcome_word(cell.outcome)
        name = one_line(cell.cohort.name)
        grid.add_row(Text(name), cell.metric, Text(verdict), cell.interval_words, str(cell.speakers))
    agents = ", ".join(f"{arm} {one_line(name, limit=60)}" for arm, name in answer.agents.items())
    console.print(Text(agents))
    console.print(grid)
    outcomes = dict.fromkeys(cell.outcome for cell in answer.cells)
    console.print(
        Text("; ".join(f"{outcome_word(each)}: {MEANINGS[each]}" for each in outcomes), style="dim")
    )
    console.print(Text(_sentence(looked), style="bold"))


def _sentence(looked: Looked) -> str:
    from voiceeval.verdict import Outcome

    answer = looked.answer
    blocking = sum(cell.blocks for cell in answer.cells)
    undecided = sum(cell.outcome is Outcome.INCONCLUSIVE for cell in answer.cells)
    if answer.may_ship:
        said = "holdout: nothing blocks" + (
            f", {undecided} of {len(answer.cells)} cells not decided" if undecided else ""
        )
    elif blocking:
        said = f"holdout: MAY NOT SHIP: {blocking} of {len(answer.cells)} cells block"
    else:
        said = "holdout: MAY NOT SHIP: " + ("the run itself failed" if answer.cells else "nothing was gated")
    look = answer.look
    return f"{said} (policy {answer.policy}, look {look.number}, {looked.left} left, alpha {look.alpha:.3g})"


def _show_history(history: History, commitment: str, console: Console) -> None:
    from rich import box
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("look", "day", "holdout", "baseline", "candidate", "alpha", "result"):
        grid.add_column(heading)
    for look in history.looks:
        number = f"{look.number}" + ("" if look.commitment == commitment else " (earlier)")
        digests = [digest[:SHOWN] for digest in (look.commitment, look.baseline, look.candidate)]
        grid.add_row(number, look.day.isoformat(), *digests, f"{look.alpha:.3g}", look.result)
    if history.looks:
        console.print(grid)


def _config(given: argparse.Namespace, options: dict[str, object]) -> Config:
    from voiceeval.config import load_config

    if not (given.project / "pyproject.toml").is_file():
        raise ConfigError(f"--project: {given.project}: no pyproject.toml there")
    return load_config(given.project.resolve(), options, from_folder=Path.cwd())


def _console() -> Console:
    from rich.console import Console

    from voiceeval.reports.terminal_style import console_width

    return Console(file=sys.stdout, width=console_width(), highlight=False)


def _from(folder: Path, path: Path) -> str:
    """The path as pyproject.toml in ``folder`` names it."""
    return os.path.relpath(path.resolve(), folder.resolve())
