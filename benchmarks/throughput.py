"""How much simulated call is placed per second of wall time, cold and warm, and where the time goes.

    python benchmarks/throughput.py [--workers N] [-k EXPRESSION]

Runs the bundled suite as a user would, in a process of its own, twice over one fresh cache: both arms, both
sides of each call, its dialogue again on the right words, scoring, judging and the reports. What a run
makes is the sum of its calls' simulated durations, and "× real time" is that over the wall time of the
whole command.

The second row takes out what recognizers cost: the seconds that the stopwatch measured inside the agents'
recognizers and the reference recognizer, shared evenly among the workers. It is an estimate of what a
faster recognizer, on another machine say, would leave.

"Outside the stages" is the share of the wall time of the whole command, on all workers, that was spent in
none of: caller voice, channel, end-pointing, recognizer, dialogue, tools, synthesizer, reference voice and
recognizer. It holds pytest's start, the workers' imports, recording, scoring, judging, the reports, and
idle workers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from voiceeval.call import Stage
from voiceeval.run_folder import RunFolder
from voiceeval.stopwatch import Measured, read_measured

ROOT = Path(__file__).resolve().parent.parent
RECOGNIZERS = (Stage.RECOGNIZER, "reference recognizer")


def run(cache: Path, run_folder: Path, extra: list[str]) -> tuple[float, float]:
    """Place the bundled suite; seconds of wall time and of processor time of the whole command."""
    command = [sys.executable, "-m", "pytest", "--voice-cohorts", "-q"]
    command += [f"--voice-cache={cache}", f"--voice-run={run_folder}", *extra]
    started, used_s = time.perf_counter(), processor_s()
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if finished.returncode not in (0, 1):
        raise SystemExit(finished.stdout[-3000:] + finished.stderr[-3000:])
    return time.perf_counter() - started, processor_s() - used_s


def processor_s() -> float:
    """Seconds of processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def audio_seconds(run_folder: Path) -> tuple[int, float]:
    """How many calls the run has, and the seconds that they last in simulated time."""
    calls = RunFolder.open(run_folder).calls().values()
    return len(calls), sum(call.events[-1].at_ms for call in calls if call.events) / 1000


def row(name: str, wall_s: float, spoken_s: float, used: str = "", outside: str = "") -> tuple[str, ...]:
    """One line of the table."""
    ratio = spoken_s / wall_s
    return name, f"{wall_s:.1f}", f"{spoken_s / 60:.1f}", f"{ratio / 60:.2f}", f"{ratio:.0f} ×", used, outside


def main() -> None:
    """Run cold and warm, and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-k", dest="select", default="")
    options = parser.parse_args()
    extra = ["--voice-workers", str(options.workers)] + (["-k", options.select] if options.select else [])
    table = Table(
        "run", "wall s", "call min", "call min per wall s", "real time", "CPU s", "outside the stages"
    )
    details: dict[str, dict[str, Measured]] = {}
    count = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("cold", "warm"):
            folder = Path(scratch) / name
            wall_s, used_s = run(Path(scratch) / "cache", folder, extra)
            details[name] = parts = read_measured(folder / "measured")
            inside_s = sum(part.seconds for part in parts.values())
            outside = 1 - inside_s / (options.workers * wall_s)
            count, spoken_s = audio_seconds(folder)
            table.add_row(*row(name, wall_s, spoken_s, f"{used_s:.0f}", f"{outside:.1%}"))
            if name == "cold":
                listening_s = sum(parts[part].seconds for part in RECOGNIZERS if part in parts)
                left_s = wall_s - listening_s / options.workers
                table.add_row(*row("cold, without recognition", left_s, spoken_s))
    console = Console()
    console.print(
        f"{count} calls, {options.workers} workers on {len(os.sched_getaffinity(0))} cores "
        f"(load {os.getloadavg()[0]:.1f}, niceness {os.nice(0)}), Python {platform.python_version()}"
    )
    console.print(table)
    for name, parts in details.items():
        console.print(
            name,
            json.dumps(
                {part: (round(m.seconds, 2), m.computed, m.kept) for part, m in sorted(parts.items())}
            ),
        )


if __name__ == "__main__":
    main()
