"""``voiceeval report``: score a finished run again and write its reports."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceeval.redaction import Redaction
    from voiceeval.run_folder import RunFolder


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    report = commands.add_parser("report", help="score a finished run again and write its reports")
    report.add_argument("run", type=Path, help="a run's folder, or a folder of runs for the latest of them")
    report.add_argument("--metrics", help="comma-separated names or import paths; default: the run's own")
    report.add_argument(
        "--out", type=Path, metavar="DIR", help="write gate.json and the reports into it; default: the run"
    )
    report.add_argument(
        "--redact",
        metavar="NAMES",
        help="what the reports leave out, comma-separated: text, audio, types of entities; none: card "
        "numbers are shown; default: as the run's settings say",
    )
    report.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """1 when the run may not ship."""
    from rich.console import Console

    from voiceeval.assembly import judge, report_input, restored
    from voiceeval.reports import terminal
    from voiceeval.reports.redacted_report import redacted
    from voiceeval.reports.report_files import render_all
    from voiceeval.run_folder import RunFolder, find_run

    folder = RunFolder.open(find_run(given.run))
    names = other_metrics(folder, given.metrics)
    experiment = restored(folder, metrics=names)
    judged, calls = judge(folder, experiment)
    out = target(folder, given.out, own=not names)
    if out is None:
        terminal.render(judged.comparison, Console(highlight=False))
        sys.stdout.write("nothing was written: these are not the run's own metrics; see --out DIR\n")
        return 1 if judged.comparison.failed else 0
    redaction = redaction_of(folder, given.redact)
    report = report_input(folder, experiment, judged, calls)
    if out != folder.path:
        give_clips(folder, out, permitted=redacted(report, redaction).audio_href)
    files = render_all(report, out, redaction=redaction)
    terminal.render(judged.comparison, Console(highlight=False), report_path=files.html, gate_path=files.gate)
    return 1 if judged.comparison.failed else 0


def redaction_of(folder: RunFolder, given: str | None) -> Redaction:
    """What the reports leave out: what was asked for now, or else with the run."""
    from voiceeval.config import Config
    from voiceeval.redaction import Redaction, entity_types

    scenarios = folder.scenarios.values()
    if given is not None:
        return Redaction.of(given.split(","), entity_types(scenarios), where="--redact")
    config = Config.restored(folder.stated("config"), where=f"{folder.path}/manifest.json: config")
    return config.redaction(scenarios)


def other_metrics(folder: RunFolder, given: str | None) -> tuple[str, ...]:
    """The metrics to score with in place of the run's own; none where those are given in any order."""
    from voiceeval.assembly import score_with
    from voiceeval.config import Config

    names = tuple(name.strip() for name in given.split(",")) if given else ()
    config = Config.restored(folder.stated("config"), where=f"{folder.path}/manifest.json: config")
    own = config.settings.metrics
    if not own and names:
        own = tuple(metric.info.name for metric in score_with(()))
    # One with options of its own is not the one that its bare name means.
    plain = {each for each in own if isinstance(each, str)}
    return () if names and len(plain) == len(own) and set(names) == plain else names


def target(folder: RunFolder, out: Path | None, *, own: bool) -> Path | None:
    """Where the reports go; ``None``: nowhere.

    What lies in the run's own folder tells of the run's own metrics: bots, blessing and later runs read it
    as the run's result.

    Raises:
        ConfigError: Other metrics were to be written over the run's own.
    """
    from voiceeval.errors import ConfigError

    if out is None or out.resolve() == folder.path.resolve():
        if out is not None and not own:
            raise ConfigError(
                f"--out {out}: holds the results of the run's own metrics, which --metrics would replace; "
                "allowed: another folder"
            )
        return folder.path if own else None
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file; allowed: a folder")
    return out


def give_clips(folder: RunFolder, out: Path, *, permitted: Callable[[str], str]) -> None:
    """Put the clips that may be heard beside a report in another folder, so that it can be moved by itself.

    Others of this run that lie there since an earlier report are removed.
    """
    from voiceeval.content_files import FlacStore
    from voiceeval.run_folder import clips

    store = FlacStore(out / "audio")
    for call in folder.calls().values():
        for digest in clips(call):
            if permitted(digest):
                store.link_from(folder.audio, digest)
            else:
                store.path(digest).unlink(missing_ok=True)
    # What is known of clips that may not be heard is known from them alone.
    (out / "audio" / "waveforms.json").unlink(missing_ok=True)
