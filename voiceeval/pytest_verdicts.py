"""Verdicts and faults as pytest's test reports, and so as test cases of a JUnit file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from voiceeval.verdict import Estimate, Outcome, Policy, Verdict, Waiver

FILE = "voice"
"""Stands where a test report names a file."""
UNDECIDED = "inconclusive: not decided; {} does not block on it"
"""One reason for all of them, so that pytest's summary folds them into one line; each verdict's own reason
is a property of its test case."""

Told = tuple[str, str | tuple[str, int, str] | None]
"""What pytest is told of a test: its outcome, and why."""


def verdict_report(verdict: Verdict, policy: Policy) -> Iterator[pytest.TestReport]:
    """A gating verdict as a test that passed, failed, or was skipped because it is not decided.

    What does not block although it is inconclusive, or regressed and waived, is *skipped*: a build server
    must not count it as passed.
    """
    yield from _reports(verdict.id, _told(verdict, policy), properties(verdict))


def fault_reports(faults: Iterable[str]) -> Iterator[pytest.TestReport]:
    """What fails a run beside its verdicts, each as a failed test: ``voice::fault[1]``."""
    for number, fault in enumerate(faults, start=1):
        yield from _reports(f"fault[{number}]", ("failed", fault), [("reason", fault)])


def waived(waiver: Waiver) -> str:
    """Who answers for a regression, until when, and why."""
    return f"waived by {waiver.owner} until {waiver.expires.isoformat()}: {waiver.reason}"


def _reports(name: str, told: Told, facts: Iterable[tuple[str, object]]) -> Iterator[pytest.TestReport]:
    for when in ("setup", "call", "teardown"):
        outcome, longrepr = told if when == "call" else ("passed", None)
        yield pytest.TestReport(
            nodeid=f"{FILE}::{name}",
            location=(FILE, None, name),
            keywords={name: 1, "voice": 1},
            outcome=outcome,  # type: ignore[arg-type]
            longrepr=longrepr,
            when=when,
            user_properties=list(facts) if when == "teardown" else [],
        )


def _told(verdict: Verdict, policy: Policy) -> Told:
    if verdict.blocks(policy):
        return "failed", f"{verdict.outcome}: {verdict.reason}"
    if verdict.waiver is not None:
        return "skipped", (FILE, 0, waived(verdict.waiver))
    if verdict.outcome is Outcome.INCONCLUSIVE:
        who = f"policy {policy!r}" if policy == "pr" else "this project"
        return "skipped", (FILE, 0, UNDECIDED.format(who))
    return "passed", None


def properties(verdict: Verdict) -> Iterator[tuple[str, object]]:
    """The facts behind a verdict, for a JUnit file."""
    yield "outcome", str(verdict.outcome)
    yield "reason", verdict.reason
    yield "margin", verdict.margin
    yield "pairs", verdict.counts.scored
    yield "clusters", verdict.counts.clusters
    if isinstance(verdict.estimate, Estimate):
        estimate = verdict.estimate
        yield "estimate", f"{estimate.difference:.6g}"
        yield "interval", f"{estimate.interval.lower:.6g} {estimate.interval.upper:.6g}"
        yield "p_adjusted", f"{estimate.p_adjusted:.4g}"
    if verdict.waiver is not None:
        yield "waiver", waived(verdict.waiver)
    if verdict.flags:
        yield "flags", ", ".join(verdict.flags)
