"""The verdicts of a run as a table for notebooks: a row per cohort and metric.

The columns are described in ``docs/outputs.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from voiceeval.call import Arm
from voiceeval.outcome_files import Table
from voiceeval.verdict import Comparison, Estimate, Policy, Verdict

NO_ESTIMATE = "no estimate"

_FIRST: Mapping[str, type] = {"cohort": str}
_COLUMNS: Mapping[str, type] = {
    "metric": str,
    "metric_version": int,
    "unit": str,
    "direction": str,
    "outcome": str,
    "gating": bool,
    "blocks": bool,
    "waived": bool,
    "policy": str,
    "margin": str,
    "gap": str,
    "baseline": float,
    "candidate": float,
    "difference": float,
    "worse_by": float,
    "interval_lower": float,
    "interval_upper": float,
    "interval_level": float,
    "p_worse": float,
    "p_adjusted": float,
    "method": str,
    "detectable": float,
    "speakers_needed": int,
    "unbounded": str,
    "pairs": int,
    "scored": int,
    "speakers": int,
    "not_applicable": int,
    "not_run": int,
    "agent_failed_baseline": int,
    "agent_failed_candidate": int,
    "harness_failed_baseline": int,
    "harness_failed_candidate": int,
    "flags": str,
    "reason": str,
}


def cohort_table(comparison: Comparison) -> Table:
    """Every verdict, those that only report too, in the order of ``gate.json``."""
    tags = sorted({tag for verdict in comparison.verdicts for tag in verdict.cohort.tags})
    types = {**_FIRST, **{f"tag_{tag}": str for tag in tags}, **_COLUMNS}
    rows = [dict(_row(verdict, comparison.policy)) for verdict in comparison.verdicts]
    return Table.of_rows(types, rows)


def _row(verdict: Verdict, policy: Policy) -> Iterator[tuple[str, Any]]:
    yield "cohort", verdict.cohort.name
    for tag, value in verdict.cohort.parts:
        yield f"tag_{tag}", value
    yield "metric", verdict.metric.name
    yield "metric_version", verdict.metric.version
    yield "unit", verdict.metric.unit
    yield "direction", str(verdict.metric.direction)
    yield "outcome", str(verdict.outcome)
    yield "gating", verdict.gating
    yield "blocks", verdict.blocks(policy)
    yield "waived", verdict.waiver is not None
    yield "policy", policy
    yield "margin", verdict.margin
    yield "flags", "; ".join(verdict.flags)
    yield "reason", verdict.reason
    yield from _counts(verdict)
    if isinstance(verdict.estimate, Estimate):
        yield from _estimated(verdict.estimate)
    else:
        yield "gap", NO_ESTIMATE


def _counts(verdict: Verdict) -> Iterator[tuple[str, int]]:
    counts = verdict.counts
    yield "pairs", counts.pairs
    yield "scored", counts.scored
    yield "speakers", counts.clusters
    yield "not_applicable", counts.not_applicable
    yield "not_run", counts.not_run
    for arm in Arm:
        yield f"agent_failed_{arm}", counts.agent_failed.get(arm, 0)
        yield f"harness_failed_{arm}", counts.harness_failed.get(arm, 0)


def _estimated(estimate: Estimate) -> Iterator[tuple[str, Any]]:
    numbers = {
        "baseline": estimate.baseline,
        "candidate": estimate.candidate,
        "difference": estimate.difference,
        "worse_by": estimate.worse_by,
        "interval_lower": estimate.interval.lower,
        "interval_upper": estimate.interval.upper,
        "interval_level": estimate.interval.level,
        "p_worse": estimate.p_worse,
        "p_adjusted": estimate.p_adjusted,
        "detectable": estimate.detectable,
    }
    for name, value in numbers.items():
        if math.isfinite(value):
            yield name, float(value)
    yield "unbounded", "; ".join(name for name, value in numbers.items() if not math.isfinite(value))
    yield "method", estimate.method
    yield "speakers_needed", estimate.clusters_needed
