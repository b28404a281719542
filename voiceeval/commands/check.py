"""``voiceeval check``: load agents and suites, and say what is wrong with them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from voiceeval.errors import ConfigError, InputError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    check = commands.add_parser("check", help="load agents and suites, and say what is wrong with them")
    check.add_argument(
        "sources", nargs="+", metavar="AGENT|SUITE", help="a file, a folder, or package.module:attr"
    )
    check.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when all sources can be loaded."""
    from voiceeval.agents import load_agent
    from voiceeval.scenario_files import load_suite

    wrong = []
    for source in given.sources:
        path = Path(source)
        try:
            if path.is_dir() or _is_suite(path):
                suite = load_suite(path)
                said = f"suite {suite.name!r}, {len(suite.scenarios)} scenarios, {len(suite.callers)} callers"
            elif path.suffix == ".toml" or ":" in source:
                said = f"agent {load_agent(source).name!r}"
            else:
                raise ConfigError(
                    f"{source}: neither a suite's folder or file, nor an agent's, nor package.module:attr"
                )
        except InputError as error:
            wrong.append(str(error))
        else:
            sys.stdout.write(f"{source}: {said}: ok\n")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return 0


def _is_suite(path: Path) -> bool:
    """Whether a file is a suite's, by its name or because it lists scenarios; a suite may have several."""
    from voiceeval.scenario_files import SUITE_FILE
    from voiceeval.toml_files import read_toml

    if path.name == SUITE_FILE:
        return True
    return path.suffix == ".toml" and path.is_file() and "scenarios" in read_toml(path, error=ConfigError)
