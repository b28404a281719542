"""One cell at a time: type I error, coverage and false passes by metric, sizes, interaction and speakers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from calibration_tables import SEED, Runs, Section, percent, share
from gates_compared import ALPHA, bootstrap_p, plain_p, tested
from numpy.random import Generator
from simulated_suites import BETTER, EACH_ARM, NONE, SPREAD, STRONG, WORSE, Draw, Interaction, Metric, cells

SPEAKERS = (5, 8, 12, 20, 30, 50)
MARGIN: dict[Metric, float] = {
    "WER": 0.02,
    "WER, own denominators": 0.02,
    "yes/no": 0.05,
    "rare yes/no": 0.05,
    "yes/no, one call": 0.05,
}


class Kind(NamedTuple):
    """One row of the single-cell tables."""

    metric: Metric
    sigma: float
    interaction: Interaction

    @property
    def words(self) -> tuple[str, str, str]:
        """Metric, sizes and interaction, as in the tables."""
        alike = "equal" if self.sigma == 0 else f"σ {self.sigma:g}"
        return self.metric, "one each" if "one call" in self.metric else alike, self.interaction.name


GRID = (
    *(Kind("WER", sigma, inter) for sigma in (0.0, 0.5, 1.0) for inter in (NONE, SPREAD, STRONG, EACH_ARM)),
    *(Kind("WER, own denominators", sigma, SPREAD) for sigma in (0.0, 1.0)),
    *(Kind("yes/no", sigma, inter) for sigma in (0.0, 1.0) for inter in (NONE, SPREAD, STRONG, EACH_ARM)),
    *(Kind("rare yes/no", sigma, SPREAD) for sigma in (0.0, 1.0)),
    *(Kind("yes/no, one call", 0.0, inter) for inter in (NONE, SPREAD)),
)
STRESS = tuple(Kind("WER", sigma, inter) for inter in (BETTER, WORSE) for sigma in (0.0, 0.5, 1.0))
PLOTTED = Kind("WER", 1.0, SPREAD)


class Error(NamedTuple):
    """Shares of replicates of one kind of cell."""

    cr2: float
    plain: float
    bootstrap: float
    coverage: float
    still: float


def type_one(kind: Kind, speakers: int, runs: Runs, rng: Generator) -> Error:
    """No true change: how often each test says otherwise at 5 %, one-sided, and what the interval covers."""
    draw = cells(rng, kind.metric, (runs.cells, speakers), sigma=kind.sigma, interaction=kind.interaction)
    found = tested(draw, yes_no="yes/no" in kind.metric, margin=MARGIN[kind.metric])
    few = Draw(*(array[: runs.bootstrapped_cells] for array in draw))
    return Error(
        share(found.p < ALPHA),
        share(plain_p(draw) < ALPHA),
        share(bootstrap_p(rng, few, 999) < ALPHA),
        share((found.lower <= 0) & (found.upper >= 0)),
        share(found.still),
    )


def falsely_passed(kind: Kind, speakers: int, runs: Runs, rng: Generator) -> float:
    """A true worsening of exactly the margin: how often the cell is passed."""
    margin = MARGIN[kind.metric]
    draw = cells(
        rng,
        kind.metric,
        (runs.cells, speakers),
        sigma=kind.sigma,
        interaction=kind.interaction,
        worse=margin,
    )
    return share(tested(draw, yes_no="yes/no" in kind.metric, margin=margin).excess_upper < 0)


def single_cells(runs: Runs) -> tuple[list[Section], dict[Kind, list[Error]]]:
    """Type I error, coverage and false passes for every kind of cell and number of speakers."""
    errors: dict[Kind, list[Error]] = {}
    passed: dict[Kind, list[float]] = {}
    for index, kind in enumerate((*GRID, *STRESS)):
        for speakers in SPEAKERS:
            rng = np.random.default_rng([SEED, 1, index, speakers])
            errors.setdefault(kind, []).append(type_one(kind, speakers, runs, rng))
            passed.setdefault(kind, []).append(falsely_passed(kind, speakers, runs, rng))
    head = ("metric", "sizes", "interaction", *(f"{g} speakers" for g in SPEAKERS))

    def section(marker: str, kinds: Sequence[Kind], figure: Callable[[Kind, int], str]) -> Section:
        rows = [(*kind.words, *(figure(kind, i) for i in range(len(SPEAKERS)))) for kind in kinds]
        return Section(marker, head, rows)

    def three(kind: Kind, i: int) -> str:
        found = errors[kind][i]
        return " / ".join(percent(value) for value in (found.cr2, found.plain, found.bootstrap))

    return [
        section("type-one", GRID, three),
        section("type-one-stress", STRESS, three),
        section("coverage", (*GRID, *STRESS), lambda kind, i: percent(errors[kind][i].coverage)),
        section("passed", (*GRID, *STRESS), lambda kind, i: percent(passed[kind][i])),
        section(
            "still",
            [kind for kind in GRID if "yes/no" in kind.metric and kind.interaction == SPREAD],
            lambda kind, i: percent(errors[kind][i].still),
        ),
        extremes(errors, passed),
    ], errors


def extremes(errors: dict[Kind, list[Error]], passed: dict[Kind, list[float]]) -> Section:
    """The worst figure of each test from 8 speakers on, and where it is."""
    rows = []
    for name, kinds in (("grid", GRID), ("stress", STRESS)):
        for what, figures in (
            ("type I, CR2", {kind: [e.cr2 for e in errors[kind]] for kind in kinds}),
            ("type I, G−1", {kind: [e.plain for e in errors[kind]] for kind in kinds}),
            ("type I, bootstrap", {kind: [e.bootstrap for e in errors[kind]] for kind in kinds}),
            ("falsely passed", {kind: passed[kind] for kind in kinds}),
        ):
            value, kind, at = max(
                ((figures[kind][i], kind, i) for kind in kinds for i in range(1, len(SPEAKERS))),
                key=lambda found: found[0],
            )
            where = f"{', '.join(kind.words)}; {SPEAKERS[at]} speakers"
            rows.append((name, what, percent(value), where))
    return Section("extremes", ("rows", "what", "worst", "where"), rows)


def clean_cells(runs: Runs) -> Section:
    """A baseline that never fails and a candidate that fails 5 % of calls: can a clean cell certify +5 pp?"""
    rows = []
    for speakers in (12, 24, 52, 59, 80, 133):
        rng = np.random.default_rng([SEED, 2, speakers])
        shares = []
        for calls, both in ((1, None), (6, 9.0)):
            shape = (runs.cells, speakers)
            # Speakers are hit unequally where a speaker has several calls: intraclass correlation 0.1.
            rate = np.full(shape, 0.05) if both is None else rng.beta(0.05 * both, 0.95 * both, shape)
            n = np.full(shape, float(calls))
            draw = Draw(np.zeros(shape), n, rng.binomial(calls, rate).astype(np.float64), n)
            found = tested(draw, yes_no=True, margin=0.05)
            shares += [share(found.still), share(found.excess_upper < 0)]
        rows.append((str(speakers), *(percent(value) for value in shares)))
    header = ("speakers", "one call: no failure seen", "passed", "six calls: no failure seen", "passed")
    return Section("clean", header, rows)
