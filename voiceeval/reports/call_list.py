"""The planned calls as a list: what became of each on both arms, the ones to look at first."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from voiceeval.call import Arm, Call, Ending, HungUp, StageFailed
from voiceeval.cohort import PlannedCall
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import HUNG_UP, is_plain, level, one_line
from voiceeval.score import MetricInfo, NotScored, Ratio, Score

TASK_METRIC = "task_completion"


class Result(StrEnum):
    """What became of one call."""

    DONE = "task done"
    LOST = "task not done"
    ENDED = "completed"
    """Where no metric says whether the task was done."""
    AGENT_FAILED = "agent failed"
    HARNESS_FAILED = "harness failed"
    NOT_RUN = "not run"


class Change(StrEnum):
    """How the arms compare on one planned call; in the order to look at them."""

    NEWLY_FAILING = "newly failing"
    UNMEASURED = "not measured"
    FAILING = "failing on both"
    NEWLY_PASSING = "newly passing"
    DIFFERENT = "same result, other scores"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One planned call in the list."""

    planned: PlannedCall
    slug: str
    change: Change
    results: Mapping[Arm, Result]
    values: tuple[tuple[str, str], ...]
    """Baseline's and candidate's value of each gating metric."""


def slug(call_id: str) -> str:
    """A file name that is safe anywhere and different for every id: readable start, then a digest.

    >>> slug("a/../b")
    'a-b-900ea8b7e0d8'
    """
    plain = "".join(character.lower() if is_plain(character) else "-" for character in call_id[:80])
    start = "-".join(part for part in plain.split("-") if part)[:48].rstrip("-")
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{start}-{digest}" if start else digest


def metrics_of(report: ReportInput) -> dict[str, MetricInfo]:
    """Every metric with a verdict, by name."""
    return {verdict.metric.name: verdict.metric for verdict in report.comparison.verdicts}


def call_rows(report: ReportInput, metrics: Iterable[MetricInfo]) -> tuple[CallRow, ...]:
    """All planned calls, changed and failed ones first."""
    shown = tuple(metrics)
    order = {change: place for place, change in enumerate(Change)}
    rows = [_row(report, planned, shown) for planned in report.planned]
    return tuple(sorted(rows, key=lambda row: (order[row.change], row.planned.id)))


def call_result(report: ReportInput, call_id: str) -> Result:
    """What became of one call on one arm."""
    call = report.calls.get(call_id)
    if call is None:
        return Result.NOT_RUN
    if call.ending is not Ending.COMPLETED:
        failed_by_agent = call.ending is Ending.AGENT_FAILED
        return Result.AGENT_FAILED if failed_by_agent else Result.HARNESS_FAILED
    score = report.scores.get((call_id, TASK_METRIC))
    if score is None or isinstance(score, NotScored):
        return Result.ENDED
    total = score.total
    return Result.DONE if total.numerator >= total.denominator > 0 else Result.LOST


def result_change(report: ReportInput, planned: PlannedCall) -> Change:
    """How the arms' results on one planned call compare, whatever their scores."""
    baseline, candidate = (call_result(report, arm_call_id(planned, arm)) for arm in Arm)
    return change_of(baseline, candidate)


def call_value(metric: MetricInfo, score: Score | None) -> str:
    """One metric on one call, in a word or number."""
    if score is None:
        return "not scored"
    if isinstance(score, NotScored):
        return str(score.gap)
    total: Ratio = score.total
    if not total.denominator:
        return "nothing to score"
    if metric.yes_no:
        return "yes" if total.numerator >= total.denominator else "no"
    return level(metric, total.numerator / total.denominator)


def failure_kinds(report: ReportInput) -> tuple[tuple[str, int, int], ...]:
    """Ways in which calls went wrong, with how often on the baseline and on the candidate."""
    found: dict[Arm, Counter[str]] = {arm: Counter() for arm in Arm}
    for planned in report.planned:
        for arm in Arm:
            call_id = arm_call_id(planned, arm)
            result = call_result(report, call_id)
            if result not in (Result.DONE, Result.ENDED):
                found[arm][_kind(result, report.calls.get(call_id))] += 1
    kinds = sorted(found[Arm.BASELINE] | found[Arm.CANDIDATE])
    counts = [(kind, found[Arm.BASELINE][kind], found[Arm.CANDIDATE][kind]) for kind in kinds]
    return tuple(sorted(counts, key=lambda item: (-item[2], -item[1], item[0])))


def _kind(result: Result, call: Call | None) -> str:
    if call is None:
        return str(result)
    for event in call.events:
        if isinstance(event, StageFailed):
            return f"{result}: {event.stage}, {one_line(event.error, limit=120)}"
    if call.failure:
        return f"{result}: {one_line(call.failure, limit=120)}"
    ends = [event for event in call.events if isinstance(event, HungUp)]
    return (
        f"{result}: {ends[-1].by} hung up, {HUNG_UP.get(ends[-1].reason, ends[-1].reason)}"
        if ends
        else str(result)
    )


def _row(report: ReportInput, planned: PlannedCall, metrics: tuple[MetricInfo, ...]) -> CallRow:
    ids = {arm: arm_call_id(planned, arm) for arm in Arm}
    results = {arm: call_result(report, ids[arm]) for arm in Arm}
    sides = [tuple(report.scores.get((ids[arm], metric.name)) for arm in Arm) for metric in metrics]
    values = tuple(
        (call_value(metric, side[0]), call_value(metric, side[1]))
        for metric, side in zip(metrics, sides, strict=True)
    )
    # Simulated times differ by a few milliseconds in nearly every call; that alone is no reason to look.
    differs = any(
        one != other for metric, (one, other) in zip(metrics, values, strict=True) if metric.unit == "share"
    )
    return CallRow(
        planned=planned,
        slug=slug(planned.id),
        change=change_of(results[Arm.BASELINE], results[Arm.CANDIDATE], differs=differs),
        results=results,
        values=values,
    )


def change_of(baseline: Result, candidate: Result, *, differs: bool = False) -> Change:
    """How two results compare; ``differs``: whether the scores do, where the results are alike."""
    bad = {Result.LOST, Result.AGENT_FAILED}
    if {baseline, candidate} & {Result.HARNESS_FAILED, Result.NOT_RUN}:
        return Change.UNMEASURED
    if candidate in bad:
        return Change.FAILING if baseline in bad else Change.NEWLY_FAILING
    if baseline in bad:
        return Change.NEWLY_PASSING
    return Change.DIFFERENT if differs else Change.SAME
