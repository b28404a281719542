"""What people say of a run's calls: the files in which a review hands its labels over, and the run they are of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from voiceeval.call import Arm, Call
from voiceeval.cohort import PlannedCall


def run_digest(manifest: Mapping[str, Any], planned: Iterable[PlannedCall], calls: Mapping[str, Call]) -> str:
    """What labels of a run's calls belong to: 16 hexadecimal digits.

    It rests on what was planned, on what the agents are made of, and on when what happened in every call, so
    that another run of the same agents has another one as soon as a single call went another way. Scores,
    margins, versions of ours and the texts of calls are not in it: a run that is scored again, or whose report
    was redacted, keeps its labels.

    Args:
        manifest: as in ``Comparison.manifest``.
        planned: the planned calls, in any order.
        calls: by ``CallKey.id``; those that were placed.
    """
    arms = manifest.get("arms", {})
    found = hashlib.sha256()

    def add(*facts: object) -> None:
        found.update(json.dumps(facts, ensure_ascii=True, sort_keys=True).encode() + b"\n")

    add(1, manifest.get("seed", 0), [arms.get(str(arm), {}).get("parts", {}) for arm in Arm])
    for call_id in sorted(item.id for item in planned):
        add(call_id)
        for arm in Arm:
            if call := calls.get(f"{call_id}/{arm}"):
                add(
                    str(arm),
                    str(call.ending),
                    [[event.kind, event.turn, event.at_ms] for event in call.events],
                )
    return found.hexdigest()[:16]
