"""``voiceeval``: what there is to do with suites, agents and finished runs, apart from placing calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from voiceeval import __version__
from voiceeval.errors import ConfigError, InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when all is well, 1 when a run may not ship, 2 when the input is wrong."""
    given = _parser().parse_args(arguments)
    try:
        status: int = given.command(given)
    except InputError as error:
        sys.stderr.write(f"voiceeval: {error}\n")
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voiceeval", description="Calls are placed by pytest: pytest --voice-cohorts"
    )
    parser.add_argument("--version", action="version", version=f"voiceeval {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    report = commands.add_parser("report", help="score a finished run again and write its reports")
    report.add_argument("run", type=Path, help="a run's folder, or a folder of runs for the latest of them")
    report.add_argument("--metrics", help="comma-separated names or import paths; default: the run's own")
    report.set_defaults(command=_report)

    check = commands.add_parser("check", help="load agents and suites, and say what is wrong with them")
    check.add_argument(
        "sources", nargs="+", metavar="AGENT|SUITE", help="a file, a folder, or package.module:attr"
    )
    check.set_defaults(command=_check)

    schema = commands.add_parser("schema", help="write the JSON Schemas of the files people write")
    schema.add_argument("folder", type=Path)
    schema.set_defaults(command=_schema)
    return parser


def _report(given: argparse.Namespace) -> int:
    from rich.console import Console

    from voiceeval.assembly import judge, restored
    from voiceeval.reports import terminal
    from voiceeval.reports.report_files import render_all
    from voiceeval.reports.report_input import ReportInput
    from voiceeval.run_folder import RunFolder, find_run

    folder = RunFolder.open(find_run(given.run))
    names = tuple(name.strip() for name in given.metrics.split(",")) if given.metrics else ()
    experiment = restored(folder, metrics=names)
    judged, calls = judge(folder, experiment)
    files = render_all(
        ReportInput(
            comparison=judged.comparison,
            planned=experiment.planned,
            scenarios=experiment.scenarios,
            calls=calls,
            scores=judged.scores,
        ),
        folder.path,
    )
    terminal.render(judged.comparison, Console(highlight=False), report_path=files.html, gate_path=files.gate)
    return 1 if judged.comparison.failed else 0


def _check(given: argparse.Namespace) -> int:
    from voiceeval.agents import load_agent
    from voiceeval.scenario_files import SUITE_FILE, load_suite

    wrong = []
    for source in given.sources:
        path = Path(source)
        try:
            if path.is_dir() or path.name == SUITE_FILE:
                suite = load_suite(path)
                said = f"suite {suite.name!r}, {len(suite.scenarios)} scenarios, {len(suite.callers)} callers"
            elif path.suffix == ".toml" or ":" in source:
                said = f"agent {load_agent(source).name!r}"
            else:
                raise ConfigError(
                    f"{source}: neither a suite's folder, an agent's TOML file, nor package.module:attr"
                )
        except InputError as error:
            wrong.append(str(error))
        else:
            sys.stdout.write(f"{source}: {said}: ok\n")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return 0


def _schema(given: argparse.Namespace) -> int:
    from voiceeval.scenario_schemas import write_schemas

    for path in write_schemas(given.folder):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
