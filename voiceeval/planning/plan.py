"""The plan of a suite: per cell what it can certify and find, and what it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voiceeval.margins import Margin
from voiceeval.planning.additions import Addition, Suite, additions_of, advice_of
from voiceeval.planning.cells import Cell, Unknown
from voiceeval.planning.figures import Figures, figures_of
from voiceeval.planning.noise import Goal, Noise
from voiceeval.planning.release import Release, choose_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a plan says. Reports render it and compute nothing."""

    basis: str
    """Where the noise comes from, in a sentence or two."""
    goal: Goal
    suite: Suite
    family: int
    """Gating cells over which the blocking tests are adjusted."""
    figures: tuple[Figures, ...]
    """Those farthest from their margin first."""
    unplanned: tuple[Cell, ...]
    """Cells of which nothing is known."""
    additions: tuple[Addition, ...]
    """For as many calls again; the one that helps most first."""
    advice: str
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the release that a plan proposes may be."""

    trials: int | None = None
    """Repeats of every call; as the suite has them unless given."""
    widest: float = 2.0
    """How many times the margin in force a margin may be."""
    tighten: bool = False
    """Propose smaller margins than those in force as well."""
    report: tuple[tuple[str, ...], ...] = ()
    """Slicings that only report now, and go on to."""


def plan_of(
    cells: Sequence[Cell],
    suite: Suite,
    *,
    basis: str,
    goal: Goal,
    effects: Mapping[str, Margin] | None = None,
    wish: Wish | None = None,
) -> Plan:
    """The plan of all cells together.

    Args:
        cells: from a run or from stated rates.
        suite: their design.
        basis: where the noise comes from.
        goal: what is asked.
        effects: by metric name the worsening to be found; twice the margin elsewhere.
        wish: what the release that is proposed may be.
    """
    known = [cell for cell in cells if isinstance(cell.noise, Noise)]
    family = sum(cell.copies for cell in known)
    found = [figures_of(cell, goal, family, (effects or {}).get(cell.metric.name)) for cell in known]
    figures = sorted(found, key=lambda each: (-each.distance, each.cell.metric.name, each.cell.cohort))
    additions = additions_of(figures, suite, goal)
    wanted = wish or Wish()
    trials = wanted.trials or suite.trials
    return Plan(
        basis=basis,
        goal=goal,
        suite=suite,
        family=family,
        figures=tuple(figures),
        unplanned=tuple(cell for cell in cells if isinstance(cell.noise, Unknown)),
        additions=additions,
        advice=advice_of(figures, additions, suite, goal),
        release=choose_release(
            cells,
            goal,
            trials=trials,
            repeats=trials / suite.trials,
            widest=wanted.widest,
            tighten=wanted.tighten,
            report=wanted.report,
        ),
    )
