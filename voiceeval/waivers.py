"""Known regressions that somebody answers for: which verdicts they let pass, and when they fail the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from voiceeval.errors import ConfigError
from voiceeval.verdict import Outcome, Verdict, Waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """Verdicts with the waivers that hold, and what is wrong with the others."""

    verdicts: tuple[Verdict, ...]
    faults: tuple[str, ...]


def waive(
    verdicts: Sequence[Verdict], waivers: Sequence[Waiver], *, today: date, partial: bool = False
) -> Waived:
    """Let regressed cells pass that a waiver names, in the order of the verdicts.

    Only ``regressed`` can be waived: what could not be judged, and what is not decided, nobody knows to be
    acceptable. A waiver that expired, or whose cell did not regress, is a fault, so that none outlives its
    regression unnoticed. Where only part of the suite was selected, a waiver that nothing needed is no fault.

    Raises:
        ConfigError: two waivers of one verdict.
    """
    by_verdict: dict[str, Waiver] = {}
    for waiver in waivers:
        if waiver.verdict in by_verdict:
            raise ConfigError(f"waivers: {waiver.verdict} is waived twice; keep one")
        by_verdict[waiver.verdict] = waiver
    passed = [_waived(verdict, by_verdict.get(verdict.id), today) for verdict in verdicts]
    found = {verdict.id: verdict for verdict in passed}
    faults = [
        fault
        for name, waiver in sorted(by_verdict.items())
        if (fault := _fault(waiver, found.get(name), today=today, partial=partial))
    ]
    return Waived(verdicts=tuple(passed), faults=tuple(faults))


def _waived(verdict: Verdict, waiver: Waiver | None, today: date) -> Verdict:
    holds = waiver is not None and today <= waiver.expires
    regressed = verdict.gating and verdict.outcome is Outcome.REGRESSED
    return replace(verdict, waiver=waiver) if holds and regressed else verdict


def _fault(waiver: Waiver, verdict: Verdict | None, *, today: date, partial: bool) -> str:
    """What is wrong with a waiver, as a sentence; empty where nothing is."""
    name = f"the waiver of {waiver.verdict} (owner {waiver.owner})"
    if today > waiver.expires:
        day = waiver.expires.isoformat()
        return f"{name} expired on {day}; mend the regression, or renew it with a reason"
    if partial or (verdict is not None and verdict.outcome is Outcome.INVALID):
        return ""
    if verdict is None or not verdict.gating:
        return f"{name} is not needed: no gating cell has that name; remove it"
    if verdict.waiver is None:
        return f"{name} is not needed: the cell is {verdict.outcome}; remove it"
    return ""
