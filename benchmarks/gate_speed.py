"""How fast the gate judges, as ratios to a percentile bootstrap and to one groupby of the exploded table.

    python benchmarks/gate_speed.py

1,000 overlapping cohorts (every intersection of up to three of seven tags, until there are a thousand) over
100,000 paired calls of 2,000 speakers are judged in one process: from columns to verdicts, with intervals,
Holm and the sentences of the reports. Beside it, in the same run and on the same data:

* ``scipy.stats.bootstrap`` (percentile, vectorised, its default of 9,999 resamples, and a tenth of that) on a
  sample of the same cells, given their sums per speaker for nothing, and scaled to all cells;
* one pandas groupby by cohort × speaker of the exploded table, with whole-number codes for keys (the fastest
  it gets) and with the names that people have in their tables; exploding is not counted.

Best of a few repeats each; one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from itertools import combinations

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from voiceeval.cohort import Cohort
from voiceeval.gate import CohortGate, Margin
from voiceeval.metrics import BUNDLED
from voiceeval.pair_table import COMPARED, CohortRows, PairTable
from voiceeval.tally import tally

RESAMPLES = 9_999
"""What scipy takes where nothing is said; the ends of a 90 % interval need about that many."""
SPEAKER_TAGS = {"accent": 5, "age": 4, "device": 6, "region": 3}
CALL_TAGS = {"line": 3, "noise": 2, "call_type": 4}


def simulated(calls: int, speakers: int, cohorts: int, seed: int) -> tuple[PairTable, list[CohortRows]]:
    """Word errors of both arms and the cohorts that calls belong to; no change between the arms."""
    rng = np.random.default_rng(seed)
    speaker = np.sort(rng.integers(0, speakers, calls))
    words = rng.integers(5, 15, calls)
    rate = np.clip(rng.normal(0.1, 0.03, speakers), 0.01, 0.5)[speaker]
    values = np.column_stack([rng.binomial(words, rate), words, rng.binomial(words, rate), words])
    table = PairTable(
        metric=BUNDLED["wer"]().info,
        kind=np.full(calls, COMPARED, dtype=np.int64),
        values=values.astype(np.float64),
        speaker=speaker,
        scenario=np.zeros(calls, dtype=np.int64),
        critical=np.zeros(calls, dtype=np.bool_),
        gaps=np.zeros((calls, 2, 3), dtype=np.bool_),
        scenarios=("one",),
    )
    tags = {name: rng.integers(0, many, speakers)[speaker] for name, many in SPEAKER_TAGS.items()}
    tags |= {name: rng.integers(0, many, calls) for name, many in CALL_TAGS.items()}
    found: list[CohortRows] = []
    for size in (1, 2, 3):
        for slicing in combinations(sorted(tags), size):
            grid = np.stack([tags[tag] for tag in slicing])
            for values_of in np.unique(grid, axis=1).T:
                rows = np.flatnonzero(np.all(grid == values_of[:, None], axis=0))
                parts = tuple((tag, f"{tag}{value}") for tag, value in zip(slicing, values_of, strict=True))
                found.append(CohortRows(cohort=Cohort(parts), rows=rows))
    return table, found[:cohorts]


def best(repeats: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest of some repeats."""
    took = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took)


def bootstrapped(table: PairTable, cohorts: list[CohortRows], *, cells: int, resamples: int) -> float:
    """Seconds for all cohorts, from every so-manieth of them."""
    from scipy.stats import bootstrap

    sums = tally(table, cohorts).sums
    chosen = range(0, len(cohorts), max(1, len(cohorts) // cells))

    def difference(x_b, n_b, x_c, n_c, axis):  # type: ignore[no-untyped-def] # as scipy calls it
        return x_c.sum(axis) / n_c.sum(axis) - x_b.sum(axis) / n_b.sum(axis)

    started = time.perf_counter()
    for number in chosen:
        mine = sums.cell == number
        bootstrap(
            tuple(array[mine] for array in sums[:4]),
            difference,
            n_resamples=resamples,
            batch=1_000,
            paired=True,
            vectorized=True,
            method="percentile",
            confidence_level=0.9,
            rng=np.random.default_rng(number),
        )
    return (time.perf_counter() - started) / len(chosen) * len(cohorts)


def grouped(table: PairTable, cohorts: list[CohortRows], repeats: int) -> tuple[float, float]:
    """Seconds of the groupby with codes and with names for keys."""
    import pandas as pd

    rows = np.concatenate([members.rows for members in cohorts])
    cell = np.repeat(np.arange(len(cohorts)), [len(members.rows) for members in cohorts])
    columns = {f"column{i}": table.values[rows, i] for i in range(4)}
    coded = pd.DataFrame({"cohort": cell, "speaker": table.speaker[rows], **columns})
    names = np.array([members.cohort.name for members in cohorts], dtype=object)
    speakers = np.array([f"speaker{i:05}" for i in range(int(table.speaker.max()) + 1)], dtype=object)
    named = coded.assign(cohort=names[cell], speaker=speakers[table.speaker[rows]])
    by_code = best(repeats, lambda: coded.groupby(["cohort", "speaker"]).sum())
    by_name = best(max(1, repeats // 3), lambda: named.groupby(["cohort", "speaker"]).sum())
    return by_code, by_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--speakers", type=int, default=2_000)
    parser.add_argument("--cohorts", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    table, cohorts = simulated(given.calls, given.speakers, given.cohorts, seed=1)
    gate = CohortGate({"wer": Margin.parse("+2pp")})
    judged = best(given.repeats, lambda: gate.judge_tables([(table, cohorts)]))
    by_code, by_name = grouped(table, cohorts, given.repeats)
    by_bootstrap = [
        (resamples, bootstrapped(table, cohorts, cells=50, resamples=resamples))
        for resamples in (RESAMPLES, RESAMPLES // 10)
    ]
    memberships = sum(len(members.rows) for members in cohorts)
    print(
        f"{len(cohorts):,} cohorts over {given.calls:,} paired calls of {given.speakers:,} speakers, "
        f"{memberships:,} memberships"
    )
    print(f"the gate, columns to verdicts        {judged:8.3f} s")
    for what, seconds in (
        *((f"scipy.stats.bootstrap, {many:,} resamples", seconds) for many, seconds in by_bootstrap),
        ("pandas groupby, codes for keys", by_code),
        ("pandas groupby, names for keys", by_name),
    ):
        print(f"{what:<36} {seconds:8.3f} s   {seconds / judged:7.1f} × the gate's time")


if __name__ == "__main__":
    main()
