"""The baseline against itself, with independent draws: how often is a cohort called regressed?

    python benchmarks/aa.py [--seeds 10] [--first 101] [--cache DIR]

Nothing differs between the arms but the draws of noise and timing, so that every regressed cohort is a false
alarm. Holm's adjustment keeps the chance of any in a run at or below alpha.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
ALPHA = 0.05


def run(seed: int, cache: Path, folder: Path) -> dict[str, int]:
    """Outcomes of the gating cells of one A/A run."""
    command = [sys.executable, "-m", "pytest", "--voice-cohorts", "--voice-aa", "-q"]
    command += [f"--voice-seed={seed}", f"--voice-cache={cache}", f"--voice-run={folder}"]
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if finished.returncode not in (0, 1):
        raise SystemExit(finished.stdout[-3000:] + finished.stderr[-3000:])
    gate = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    counts: dict[str, int] = {}
    for verdict in gate["verdicts"]:
        if verdict["gating"]:
            counts[verdict["outcome"]] = counts.get(verdict["outcome"], 0) + 1
    return counts


def main() -> None:
    """Run every seed and print the share of runs with a false alarm."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=101)
    parser.add_argument("--cache", type=Path, default=None)
    options = parser.parse_args()
    outcomes = ["invalid", "regressed", "improved", "passed", "inconclusive"]
    table = Table("seed", *outcomes)
    alarmed = 0
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(options.first, options.first + options.seeds):
            counts = run(seed, options.cache or Path(scratch) / "cache", Path(scratch) / str(seed))
            alarmed += counts.get("regressed", 0) > 0
            table.add_row(str(seed), *(str(counts.get(outcome, 0)) for outcome in outcomes))
            print(seed, counts, flush=True)
    console.print(table)
    console.print(
        f"runs with any regressed cohort: {alarmed} of {options.seeds} ({alarmed / options.seeds:.0%}); "
        f"nominal at most {ALPHA:.0%}"
    )


if __name__ == "__main__":
    main()
