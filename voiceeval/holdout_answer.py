"""What a look at a holdout lets out: a verdict per gating cell and an interval in coarse steps, no more.

The steps are whole percentage points, tens of milliseconds and hundredths of a currency, always outwards.
Coarse answers are what keeps a holdout of use after several looks: a team that tunes on them learns a few
bits per look and not the data (Blum & Hardt, *The Ladder*, ICML 2015; Dwork et al., *Generalization in
Adaptive Data Analysis and Holdout Reuse*, NIPS 2015). ``docs/holdout.md`` says what that does not promise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from voiceeval.cohort import Cohort
from voiceeval.look_ledger import Look
from voiceeval.score import MetricInfo
from voiceeval.verdict import Comparison, Estimate, NoEstimate, Outcome, Policy, Verdict

SCHEMA_VERSION = 1


class _Step(NamedTuple):
    """How coarse the differences of a unit are shown."""

    per_unit: float
    """Of the shown unit, how many make one of the metric's."""
    size: int
    unit: str


_STEPS: Mapping[Literal["share", "ms", "currency", "count"], _Step] = {
    "share": _Step(100, 1, "pp"),
    "ms": _Step(1, 10, "ms"),
    "currency": _Step(100, 1, "hundredths"),
    "count": _Step(100, 1, "hundredths"),
}
_FINER = 1e-6
"""Of a step: what a bound may lie over a step without being taken to the next; floats are not exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """An interval of candidate minus baseline, rounded outwards to whole steps."""

    lower: float
    """A whole number, or minus infinity."""
    upper: float
    unit: str
    """``pp``, ``ms`` or ``hundredths`` of a currency or of one."""

    @classmethod
    def of(cls, metric: MetricInfo, lower: float, upper: float) -> Rounded:
        """Round an interval that is in the metric's own unit."""
        step = _STEPS[metric.unit]
        low, high = (bound * step.per_unit / step.size for bound in (lower, upper))
        return cls(
            lower=step.size * math.floor(low + _FINER) if math.isfinite(low) else low,
            upper=step.size * math.ceil(high - _FINER) if math.isfinite(high) else high,
            unit=step.unit,
        )

    @property
    def words(self) -> str:
        """For people: ``-3 to +5 pp``."""
        return f"{_bound(self.lower)} to {_bound(self.upper)} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One gating cell, as far as it may be shown."""

    metric: str
    cohort: Cohort
    outcome: Outcome
    blocks: bool
    interval: Rounded | NoEstimate
    speakers: int

    @property
    def interval_words(self) -> str:
        """The interval, or why there is none."""
        return self.interval.words if isinstance(self.interval, Rounded) else self.interval.reason


MEANINGS: Mapping[Outcome, str] = {
    Outcome.INVALID: "could not be judged",
    Outcome.REGRESSED: "worse than the margin allows",
    Outcome.IMPROVED: "better",
    Outcome.PASSED: "no worse than the margin allows",
    Outcome.INCONCLUSIVE: "too little to decide",
}
"""What is said of an outcome in place of the gate's reason, which holds exact numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that comes out of a look."""

    cells: tuple[Cell, ...]
    """Blocking ones first, then by metric and cohort."""
    may_ship: bool
    policy: Policy
    look: Look
    agents: Mapping[str, str]
    """By arm: the agent's name."""

    def document(self, *, head: str, left: int) -> dict[str, Any]:
        """As JSON.

        Args:
            head: Hash of the ledger's last line.
            left: Looks that are left at this holdout.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "may_ship": self.may_ship,
            "policy": self.policy,
            "agents": dict(self.agents),
            "look": {
                "number": self.look.number,
                "left": left,
                "alpha": self.look.alpha,
                "commitment": self.look.commitment,
                "ledger_head": head,
            },
            "cells": [
                {
                    "metric": cell.metric,
                    "cohort": {"name": cell.cohort.name, "tags": dict(cell.cohort.parts)},
                    "outcome": str(cell.outcome),
                    "blocks": cell.blocks,
                    "interval": _interval_document(cell.interval),
                    "speakers": cell.speakers,
                }
                for cell in self.cells
            ],
        }


def answer(comparison: Comparison, look: Look, *, min_clusters: int) -> Answer:
    """What may be said of a comparison.

    Args:
        comparison: Of the holdout's calls.
        look: What it was spent on.
        min_clusters: Speakers below which a cell's interval is withheld: it would be about single people.
    """
    gating = [verdict for verdict in comparison.verdicts if verdict.gating]
    cells = tuple(_cell(verdict, comparison.policy, min_clusters) for verdict in gating)
    arms: Mapping[str, Mapping[str, Any]] = comparison.manifest["arms"]
    return Answer(
        cells=cells,
        # Nothing that could fail is not a pass.
        may_ship=bool(cells) and not comparison.failed,
        policy=comparison.policy,
        look=look,
        agents={arm: str(described["name"]) for arm, described in arms.items()},
    )


def _cell(verdict: Verdict, policy: Policy, min_clusters: int) -> Cell:
    interval: Rounded | NoEstimate
    if verdict.outcome is Outcome.INVALID or not isinstance(verdict.estimate, Estimate):
        interval = NoEstimate(reason="not measured")
    elif verdict.counts.clusters < min_clusters:
        interval = NoEstimate(reason="too few speakers")
    else:
        bounds = verdict.estimate.interval
        interval = Rounded.of(verdict.metric, bounds.lower, bounds.upper)
    return Cell(
        metric=verdict.metric.name,
        cohort=verdict.cohort,
        outcome=verdict.outcome,
        blocks=verdict.blocks(policy),
        interval=interval,
        speakers=verdict.counts.clusters,
    )


def _bound(value: float) -> str:
    return f"{value:+.0f}" if value and math.isfinite(value) else "0" if not value else "unbounded"


def _interval_document(interval: Rounded | NoEstimate) -> dict[str, Any]:
    if isinstance(interval, NoEstimate):
        return {"kind": "none", "reason": interval.reason}
    bounds = {
        name: int(value) if math.isfinite(value) else "unbounded"
        for name, value in (("lower", interval.lower), ("upper", interval.upper))
    }
    return {"kind": "rounded", **bounds, "unit": interval.unit}
