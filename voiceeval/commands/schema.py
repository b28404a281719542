"""``voiceeval schema``: write the JSON Schemas of the files people write, and of those that programs read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    schema = commands.add_parser("schema", help="write the JSON Schemas of suites and of gate.json")
    schema.add_argument("folder", type=Path)
    schema.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when they are written."""
    from voiceeval.content_files import write_whole
    from voiceeval.reports.gate_json import SCHEMA_FILE
    from voiceeval.scenario_schemas import write_schemas

    gate = given.folder / "gate.json"
    written = write_schemas(given.folder)
    write_whole(gate, SCHEMA_FILE.read_bytes())
    for path in (*written, gate):
        sys.stdout.write(f"{path}\n")
    return 0
