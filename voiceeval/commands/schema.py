"""``voiceeval schema``: write the JSON Schemas of the files people write."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    schema = commands.add_parser("schema", help="write the JSON Schemas of the files people write")
    schema.add_argument("folder", type=Path)
    schema.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when they are written."""
    from voiceeval.scenario_schemas import write_schemas

    for path in write_schemas(given.folder):
        sys.stdout.write(f"{path}\n")
    return 0
