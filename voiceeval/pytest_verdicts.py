"""Verdicts and faults as pytest's test reports, and so as test cases of a JUnit file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pytest

from voiceeval import __version__
from voiceeval.call import Arm
from voiceeval.reports.manifest_view import arm_view, written
from voiceeval.reports.wording import headline, one_line
from voiceeval.verdict import Comparison, Estimate, Outcome, Policy, Verdict, Waiver

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
    yield from _reports(verdict.id, _told(verdict, policy), properties(verdict, policy))


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


def properties(verdict: Verdict, policy: Policy) -> Iterator[tuple[str, object]]:
    """The facts behind a verdict, for a JUnit file; what does not exist has no property."""
    yield "metric", verdict.metric.name
    yield "unit", verdict.metric.unit
    yield "cohort", verdict.cohort.name
    for tag, value in verdict.cohort.parts:
        yield f"cohort.{one_line(tag)}", value
    yield "outcome", str(verdict.outcome)
    yield "gating", _said(verdict.gating)
    yield "blocks", _said(verdict.blocks(policy))
    yield "policy", policy
    yield "reason", verdict.reason
    yield "margin", verdict.margin
    yield "planned_pairs", verdict.counts.pairs
    yield "pairs", verdict.counts.scored
    yield "speakers", verdict.counts.clusters
    if isinstance(verdict.estimate, Estimate):
        yield from _estimated(verdict.estimate)
    if verdict.waiver is not None:
        yield "waiver", waived(verdict.waiver)
    if verdict.flags:
        yield "flags", ", ".join(verdict.flags)


def _estimated(estimate: Estimate) -> Iterator[tuple[str, object]]:
    """Numbers in the metric's unit, shares as parts of 1; a bound that does not exist is ``unbounded``."""
    interval = estimate.interval
    for name, value in (
        ("estimate.baseline", estimate.baseline),
        ("estimate.candidate", estimate.candidate),
        ("estimate.difference", estimate.difference),
        ("estimate.worse_by", estimate.worse_by),
        ("interval.lower", interval.lower),
        ("interval.upper", interval.upper),
        ("interval.level", interval.level),
        ("p", estimate.p_worse),
        ("p_adjusted", estimate.p_adjusted),
    ):
        yield name, f"{value:.6g}" if math.isfinite(value) else "unbounded"


def suite_properties(comparison: Comparison) -> Iterator[tuple[str, object]]:
    """The facts of the whole run, for the test suite of a JUnit file."""
    manifest = comparison.manifest
    yield "voiceeval.version", __version__
    yield "voiceeval.may_ship", _said(not comparison.failed)
    yield "voiceeval.headline", headline(comparison)
    yield "voiceeval.policy", comparison.policy
    yield "voiceeval.partial", _said(comparison.partial)
    for key in ("suite", "seed", "matrix", "trials", "engine"):
        if key in manifest:
            yield f"voiceeval.{key}", written(manifest[key])
    for arm in Arm:
        view = arm_view(manifest, arm)
        yield f"voiceeval.{arm}", view.label
        if view.release_date:
            yield f"voiceeval.{arm}.release_date", view.release_date


def record_suite(config: pytest.Config, comparison: Comparison) -> None:
    """Add the facts of the whole run to the JUnit file, if one is written.

    As pytest's ``record_testsuite_property`` does; that is a fixture, and no test of ours asks for one.
    """
    for plugin in config.pluginmanager.get_plugins():
        record = getattr(plugin, "add_global_property", None)
        if callable(record):
            for name, value in suite_properties(comparison):
                record(name, str(value))


def _said(value: bool) -> str:
    return str(value).lower()
