"""``voiceeval bless``: keep one arm of a finished run as the stored baseline of later runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    bless = commands.add_parser("bless", help="keep a finished run's calls as a stored baseline")
    bless.add_argument("run", type=Path, help="a run's folder, or a folder of runs for the latest of them")
    bless.add_argument(
        "--arm",
        choices=("candidate", "baseline"),
        default="candidate",
        help="whose calls; default: the candidate's, which is about to be in production",
    )
    bless.add_argument(
        "--to", type=Path, metavar="DIR", help="where; default: the setting stored_baseline of the project"
    )
    bless.add_argument(
        "--with-audio", action="store_true", help="keep the clips too, to listen to them in later reports"
    )
    bless.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """1 when the run does not deserve it, or another blessing is at work; nothing is changed then."""
    from voiceeval.blessing import Refused, bless
    from voiceeval.call import Arm
    from voiceeval.config import load_config
    from voiceeval.errors import ConfigError
    from voiceeval.run_folder import RunFolder, find_run
    from voiceeval.settings import TABLE

    here = Path.cwd()
    folder = RunFolder.open(find_run(given.run))
    target = given.to or load_config(here, {}, from_folder=here).stored_baseline
    if target is None:
        raise ConfigError(
            f"{here / 'pyproject.toml'}: {TABLE} stored_baseline: not set; set it, or give --to DIR"
        )
    done = bless(folder, Arm(given.arm), target, with_audio=given.with_audio)
    if isinstance(done, Refused):
        sys.stderr.write("".join(f"voiceeval: not blessed: {reason}\n" for reason in done.reasons))
        return 1
    agent, calls = done.fingerprint.agent, len(done.fingerprint.audio)
    sys.stdout.write(
        f"{target}: {calls} calls of {agent.name!r} ({agent.model_version}) are the stored baseline now\n"
    )
    for regression in done.waived:
        sys.stdout.write(f"{target}: the baseline now includes a waived regression: {regression}\n")
    return 0
