"""``gate.json``: the verdicts for machines; equal comparisons give equal bytes. See ``docs/gate-json.md``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voiceeval.call import Arm
from voiceeval.cohort import Cohort
from voiceeval.content_files import write_whole
from voiceeval.reports.wording import HEARING, SIGNS, headline, outcome_counts, waived_verdicts
from voiceeval.score import MetricInfo
from voiceeval.verdict import (
    Blame,
    Comparison,
    Consistency,
    Counts,
    Disparity,
    Estimate,
    Exploration,
    NoEstimate,
    Policy,
    Quantiles,
    Verdict,
    Waiver,
)

SCHEMA_VERSION = 3
SCHEMA_ID = f"urn:voiceeval:schema:gate:{SCHEMA_VERSION}"
SCHEMA_FILE = Path(__file__).with_name("gate_schema.json")
"""The JSON Schema of the document; ``voiceeval schema`` writes it out."""
_ABSOLUTE = re.compile(r"(?:/|[A-Za-z]:[\\/]|\\\\|~/)(?:[^/\\]*[/\\])*[^/\\]+")


def gate_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values: no times of day, no absolute paths, no transcripts, no evidence."""
    return {
        "$schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "may_ship": not comparison.failed,
        "headline": _portable(headline(comparison)),
        "policy": comparison.policy,
        "partial": comparison.partial,
        "outcomes": {str(outcome): count for outcome, count in outcome_counts(comparison).items()},
        "waived": len(waived_verdicts(comparison)),
        "faults": _portable(comparison.faults),
        "alarms": list(comparison.alarms),
        "cohorts": _cohorts(comparison),
        "verdicts": [_verdict(verdict, comparison.policy) for verdict in comparison.verdicts],
        "blames": [_blame(blame) for blame in comparison.blames],
        "disparities": [_disparity(disparity) for disparity in comparison.disparities],
        "exploration": _exploration(comparison.exploration),
        "consistency": [_consistency(item) for item in comparison.consistency],
        "identical_repeats": _by_arm(comparison.identical_repeats),
        "quantiles": [_quantiles(item) for item in comparison.quantiles],
        "retried": _by_arm(comparison.retried),
        "manifest": _portable(comparison.manifest),
    }


def canonical_json(document: Mapping[str, Any]) -> str:
    """Sorted keys, floats by ``repr``, never NaN, and a final line feed."""
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def write(comparison: Comparison, path: Path) -> Path:
    """Write the document at once: a reader sees the old file or the new one, never half of it."""
    write_whole(path, canonical_json(gate_document(comparison)).encode())
    return path


def _by_arm(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(arm): int(counts.get(arm, 0)) for arm in Arm}


def _cohorts(comparison: Comparison) -> list[dict[str, Any]]:
    cells: dict[Cohort, list[Verdict]] = {}
    for verdict in comparison.verdicts:
        cells.setdefault(verdict.cohort, []).append(verdict)
    return [_cohort_counts(cohort, cells[cohort], comparison.policy) for cohort in sorted(cells)]


def _cohort_counts(cohort: Cohort, cells: Sequence[Verdict], policy: Policy) -> dict[str, Any]:
    gating = [verdict for verdict in cells if verdict.gating]
    return {
        "cohort": _cohort(cohort),
        "gating": bool(gating),
        "pairs": max(int(verdict.counts.pairs) for verdict in cells),
        "speakers": max(int(verdict.counts.clusters) for verdict in cells),
        "outcomes": {str(outcome): sum(v.outcome is outcome for v in gating) for outcome in SIGNS},
        "waived": sum(verdict.waiver is not None for verdict in gating),
        "blocking": sum(verdict.blocks(policy) for verdict in gating),
    }


def _verdict(verdict: Verdict, policy: Policy) -> dict[str, Any]:
    waiver = {} if verdict.waiver is None else {"waiver": _waiver(verdict.waiver)}
    return {
        "id": verdict.id,
        "metric": _metric(verdict.metric),
        "cohort": _cohort(verdict.cohort),
        "outcome": str(verdict.outcome),
        "gating": verdict.gating,
        "blocks": verdict.blocks(policy),
        "reason": verdict.reason,
        "margin": verdict.margin,
        "estimate": _estimate(verdict.estimate),
        "counts": _counts(verdict.counts),
        "flags": list(verdict.flags),
        **waiver,
    }


def _waiver(waiver: Waiver) -> dict[str, Any]:
    return {
        "owner": _portable(waiver.owner),
        "reason": _portable(waiver.reason),
        "expires": waiver.expires.isoformat(),
    }


def _cohort(cohort: Cohort) -> dict[str, Any]:
    return {"name": cohort.name, "tags": dict(cohort.parts)}


def _metric(metric: MetricInfo) -> dict[str, Any]:
    return {
        "name": metric.name,
        "version": metric.version,
        "title": metric.title,
        "unit": metric.unit,
        "direction": str(metric.direction),
    }


def _estimate(estimate: Estimate | NoEstimate) -> dict[str, Any]:
    if isinstance(estimate, NoEstimate):
        return {"kind": "none", "reason": estimate.reason}
    return {
        "kind": "estimate",
        "baseline": float(estimate.baseline),
        "candidate": float(estimate.candidate),
        "difference": float(estimate.difference),
        "worse_by": float(estimate.worse_by),
        "interval": {
            "lower": _bound(estimate.interval.lower),
            "upper": _bound(estimate.interval.upper),
            "level": float(estimate.interval.level),
        },
        "p_worse": float(estimate.p_worse),
        "p_adjusted": float(estimate.p_adjusted),
        "method": estimate.method,
        "detectable": _bound(estimate.detectable),
        "clusters_needed": int(estimate.clusters_needed),
    }


def _bound(value: float) -> float | str:
    """A number, or the word for what JSON has no number for: ``unbounded``."""
    return "unbounded" if math.isinf(value) else float(value)


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "pairs": int(counts.pairs),
        "scored": int(counts.scored),
        "speakers": int(counts.clusters),
        "not_applicable": int(counts.not_applicable),
        "agent_failed": {str(arm): int(count) for arm, count in counts.agent_failed.items()},
        "harness_failed": {str(arm): int(count) for arm, count in counts.harness_failed.items()},
        "not_run": int(counts.not_run),
    }


def _blame(blame: Blame) -> dict[str, Any]:
    return {
        "cohort": _cohort(blame.cohort),
        "arm": str(blame.arm),
        "failed": int(blame.failed),
        "saved_by_right_words": int(blame.saved_by_right_words),
        "stage": HEARING if blame.stage == "recognition" else blame.stage,
    }


def _disparity(disparity: Disparity) -> dict[str, Any]:
    return {
        "metric": _metric(disparity.metric),
        "tags": list(disparity.tags),
        **{str(arm): _served(disparity, arm) for arm in Arm},
    }


def _served(disparity: Disparity, arm: Arm) -> dict[str, Any]:
    worst, best = disparity.rates[arm]
    return {
        "worst": {"cohort": _cohort(disparity.worst[arm]), "rate": float(worst)},
        "best": {"cohort": _cohort(disparity.best[arm]), "rate": float(best)},
        "gap": float(disparity.gap(arm)),
    }


def _exploration(exploration: Exploration) -> dict[str, Any]:
    return {
        "tested": int(exploration.tested),
        "rate": float(exploration.rate),
        "found": [
            {
                "metric": _metric(found.metric),
                "cohort": _cohort(found.cohort),
                "estimate": _estimate(found.estimate),
                "q_value": float(found.q_value),
                "shrunken": float(found.shrunken),
                "counts": _counts(found.counts),
            }
            for found in exploration.found
        ],
    }


def _consistency(item: Consistency) -> dict[str, Any]:
    return {
        "scenario": item.scenario,
        "arm": str(item.arm),
        "repeats": int(item.repeats),
        "groups": int(item.groups),
        "mixed": int(item.mixed),
        "pass_hat": {str(k): float(chance) for k, chance in item.pass_hat.items()},
        "pass_at": {str(k): float(chance) for k, chance in item.pass_at.items()},
    }


def _quantiles(item: Quantiles) -> dict[str, Any]:
    return {
        "metric": _metric(item.metric),
        "cohort": _cohort(item.cohort),
        "arm": str(item.arm),
        "calls": int(item.calls),
        "observations": int(item.observations),
        "values": {name: float(value) for name, value in item.values.items()},
    }


def _portable(value: Any) -> Any:
    """The value with plain JSON types; of an absolute path only the last part, which is the same anywhere."""
    if isinstance(value, Mapping):
        return {str(key): _portable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(inner) for inner in value]
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str):
        text = str(value)
        return "…/" + re.split(r"[/\\]", text)[-1] if _ABSOLUTE.fullmatch(text) else text
    return value
