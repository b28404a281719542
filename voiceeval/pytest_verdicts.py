"""Verdicts as pytest's test reports, and so as test cases of a JUnit file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from voiceeval.verdict import Estimate, Outcome, Policy, Verdict

FILE = "voice"
"""Stands where a test report names a file."""
UNDECIDED = "inconclusive: not decided; policy 'pr' does not block on it"
"""One reason for all of them, so that pytest's summary folds them into one line; each verdict's own reason
is a property of its test case."""


def verdict_report(verdict: Verdict, policy: Policy) -> Iterator[pytest.TestReport]:
    """A gating verdict as a test that passed, failed, or was skipped because it is not decided.

    What is inconclusive and does not block is *skipped*: a build server must not count it as passed.
    """
    nodeid = f"{FILE}::{verdict.id}"
    location = (FILE, None, verdict.id)
    for when in ("setup", "call", "teardown"):
        outcome, longrepr = _outcome(verdict, policy) if when == "call" else ("passed", None)
        yield pytest.TestReport(
            nodeid=nodeid,
            location=location,
            keywords={verdict.id: 1, "voice": 1},
            outcome=outcome,  # type: ignore[arg-type]
            longrepr=longrepr,
            when=when,
            user_properties=list(properties(verdict)) if when == "teardown" else [],
        )


def _outcome(verdict: Verdict, policy: Policy) -> tuple[str, str | tuple[str, int, str] | None]:
    if verdict.outcome.blocks(policy):
        return "failed", f"{verdict.outcome}: {verdict.reason}"
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return "skipped", (FILE, 0, UNDECIDED)
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
    if verdict.flags:
        yield "flags", ", ".join(verdict.flags)
