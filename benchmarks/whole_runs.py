"""Whole runs: false blocks and power of the gate and of three others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from calibration_tables import SEED, Runs, Section, percent
from gates_compared import Judged, judge
from numpy.random import Generator
from numpy.typing import NDArray
from simulated_suites import BETTER, EACH_ARM, NONE, STRONG, Suite

LINES = Suite(accents=(20, 14, 9, 7), lines=2, utterances=13, task=True)
HARMLESS: tuple[tuple[str, Suite], ...] = (
    ("5 speakers", replace(LINES, accents=(3, 2))),
    ("8 speakers", replace(LINES, accents=(5, 3))),
    ("12 speakers", replace(LINES, accents=(6, 4, 2))),
    ("20 speakers", replace(LINES, accents=(9, 6, 5))),
    ("30 speakers", replace(LINES, accents=(13, 9, 8))),
    ("50 speakers", LINES),
    ("50 speakers, A/A", replace(LINES, interaction=NONE)),
    ("50 speakers, strong interaction, σ 1", replace(LINES, interaction=STRONG, sigma=1.0)),
    ("50 speakers, interaction in each arm 0.5, σ 1", replace(LINES, interaction=EACH_ARM, sigma=1.0)),
    ("50 speakers, a few better, σ 1", replace(LINES, interaction=BETTER, sigma=1.0)),
    ("60 speakers, six accents of 10", replace(LINES, accents=(10,) * 6)),
    (
        "300 speakers, 30 accents of 10 × 10 utterances, WER only, A/A",
        Suite(accents=(10,) * 30, utterances=10, sigma=0.0, interaction=NONE),
    ),
)


def blocked(found: NDArray[np.bool_], which: NDArray[np.bool_] | slice = slice(None)) -> float:
    """Share of runs with at least one regressed cell among those."""
    return float(np.mean(found[:, which].any(axis=1)))


def false_blocks(runs: Runs) -> tuple[Section, Judged]:
    """Suites without a change, and one with: how often does a cell block that should not?"""
    rows, shown = [], None
    for index, (name, suite) in enumerate(HARMLESS):
        rng = np.random.default_rng([SEED, 3, index])
        found = judge(suite, rng, runs.suites, bootstrapped=runs.bootstrapped_suites)
        gates = (found.cohort_gate, found.tests_alone, found.point_estimate, found.bootstrap)
        figures = [percent(blocked(gate)) for gate in (*gates, found.overall_only)]
        rows.append((name, str(len(found.names)), *figures))
        shown = found if suite is LINES else shown
    for index, accents in enumerate(((20, 14, 9, 7), (10,) * 6)):
        rng = np.random.default_rng([SEED, 4, index])
        suite = replace(LINES, accents=accents, worse=0.05)
        found = judge(suite, rng, runs.suites, bootstrapped=runs.bootstrapped_suites)
        gates = (found.cohort_gate, found.tests_alone, found.point_estimate, found.bootstrap)
        figures = [percent(blocked(gate, ~found.touched)) for gate in (*gates, found.overall_only)]
        name = f"{suite.speakers} speakers, one accent +5 pp: the other cells"
        rows.append((name, str(int((~found.touched).sum())), *figures))
    header = ("suite", "gating cells", "cohort gate", "its tests, no margin", "point estimate")
    assert shown is not None
    return Section("false-blocks", (*header, "bootstrap", "overall only"), rows), shown


POWER = (
    (4, 4, 4),
    (12,),
    (8, 8, 8),
    (12, 12),
    (10,) * 6,
    (12,) * 5,
    (15,) * 4,
    (20,) * 3,
    (24,) * 5,
    (60,) * 5,
)


def power_of(suite: Suite, runs: int, rng: Generator) -> tuple[float, ...]:
    """Chance that the affected accent's own cell blocks (second: any that is worse), by gate."""
    found = judge(suite, rng, runs, bootstrapped=runs, resamples=999)
    overall = np.array([cell == "overall" and metric == "wer" for metric, cell in found.names])
    own = found.affected
    return (
        blocked(found.cohort_gate, own),
        blocked(found.cohort_gate, found.touched),
        blocked(found.point_estimate, own),
        blocked(found.bootstrap, own),
        blocked(found.overall_only, overall),
    )


def power(runs: Runs) -> Section:
    """One accent worse by 3 or 5 pp WER, by the speakers in the run and in that accent."""
    rows = []
    for index, accents in enumerate(POWER):
        for pp in (3, 5):
            rng = np.random.default_rng([SEED, 5, index, pp])
            figures = power_of(Suite(accents=accents, worse=pp / 100), runs.power, rng)
            who = f"{sum(accents)} in {len(accents)}" if len(accents) > 1 else f"{accents[0]}, all of it"
            rows.append((who, str(accents[0]), f"+{pp} pp", *(percent(value) for value in figures)))
    header = ("speakers in the run, accents", "in the accent", "true change", "cohort gate: that accent")
    return Section(
        "power", (*header, "any cell with it", "point estimate", "bootstrap", "overall only"), rows
    )


def sensitivity(runs: Runs) -> Section:
    """The same power when an assumption is another one."""
    variants: tuple[tuple[str, Callable[[Suite], Suite]], ...] = (
        ("as above", lambda suite: suite),
        ("no interaction", lambda suite: replace(suite, interaction=NONE)),
        ("interaction 0.5", lambda suite: replace(suite, interaction=STRONG)),
        ("interaction in each arm 0.5", lambda suite: replace(suite, interaction=EACH_ARM)),
        ("speakers of equal size", lambda suite: replace(suite, sigma=0.0)),
        ("10 utterances per speaker", lambda suite: replace(suite, utterances=10)),
        ("50 utterances per speaker", lambda suite: replace(suite, utterances=50)),
        ("worsening in proportion to the speaker's rate", lambda suite: replace(suite, proportional=True)),
        ("two lines and task completion gate too", lambda s: replace(s, lines=2, utterances=13, task=True)),
    )
    rows = []
    for index, (name, change) in enumerate(variants):
        figures = []
        for accents in ((12,) * 5, (20,) * 3, (60,) * 5):
            for pp in (3, 5):
                rng = np.random.default_rng([SEED, 6, index, accents[0], pp])
                suite = change(Suite(accents=accents, worse=pp / 100))
                found = judge(suite, rng, max(runs.power // 2, 20), bootstrapped=1, resamples=9)
                figures.append(percent(blocked(found.cohort_gate, found.affected)))
        rows.append((name, *figures))
    groups = ("12 of 60", "20 of 60", "60 of 300")
    header = ("assumption", *(f"{group}, +{pp} pp" for group in groups for pp in (3, 5)))
    return Section("sensitivity", header, rows)


def power_curves(runs: Runs) -> tuple[tuple[int, ...], dict[int, list[tuple[float, ...]]]]:
    """For the plot: five accents of so many speakers, one of them worse."""
    sizes = (8, 10, 12, 16, 20, 24, 30, 40, 60)
    curves: dict[int, list[tuple[float, ...]]] = {}
    for pp in (3, 5):
        for speakers in sizes:
            rng = np.random.default_rng([SEED, 7, speakers, pp])
            suite = Suite(accents=(speakers,) * 5, worse=pp / 100)
            figures = power_of(suite, max(runs.power // 2, 20), rng)
            curves.setdefault(pp, []).append((figures[0], *figures[2:]))
    return sizes, curves
