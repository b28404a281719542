"""The page of the review: which calls are worth a person's ear, and why each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from voiceeval.call import Arm, stable_seed
from voiceeval.cohort import PlannedCall
from voiceeval.labels import LONGEST_NAME, LONGEST_NOTE, RANDOM, REASONS, SCHEMA_VERSION, Reason, run_digest
from voiceeval.reports.call_list import TASK_METRIC, CallRow, Change, call_rows, result_change, slug
from voiceeval.reports.manifest_view import arm_view
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import counted, one_line
from voiceeval.score import Scored

RANDOM_CALLS = 30
"""Calls that are drawn whatever became of them, so that agreement is not estimated on picked ones alone."""
MOST_PICKED = 200
"""Calls that are in the queue for what became of them, by each of the two reasons to pick one."""
MOST_OTHERS = 2000
"""Other calls that a link may bring into the page."""
MANY_WORDS_WRONG = 0.3
"""The word error rate from which it is surprising that a task was done."""
TOOLS_METRIC = "tool_path"
WORDS_METRIC = "wer"
RULES = (
    "task done, but the tool path is wrong",
    "task not done, but the tool path is right",
    f"task done, but {MANY_WORDS_WRONG:.0%} or more of the words were misheard",
    "task not done, but not one word was misheard",
)
"""When the automatic metrics disagree with each other on a call; the page says them."""
_FAILED: Mapping[Change, Reason] = {
    Change.NEWLY_FAILING: "newly failing",
    Change.FAILING: "failing on both",
    Change.NEWLY_PASSING: "newly passing",
}
DISAGREE: Reason = "metrics disagree"


def review_data(report: ReportInput) -> dict[str, Any]:
    """What ``data/review.js`` holds: the calls in the order to hear them, each with its reasons.

    Failed calls come first, those that fail only with the candidate before the others; then calls on which
    metrics disagree; then the rest of the random sample. Within a reason the order is drawn, so that whoever
    stops early has heard something of every cohort.
    """
    run = run_digest(report.comparison.manifest, report.planned, report.calls)
    rows = {row.planned.id: row for row in call_rows(report, ())}
    drawn = random_calls(report.planned, _strata(report), run)
    reasons: dict[str, dict[Reason, list[str]]] = {}
    order = sorted(rows, key=lambda id_: (stable_seed(f"{run} queue {slug(id_)}"), id_))
    failed = [id_ for change in _FAILED for id_ in order if rows[id_].change is change]
    disagreeing = {id_: found for id_ in order if (found := list(_disagreements(report, rows[id_].planned)))}
    for id_ in failed[:MOST_PICKED]:
        reasons.setdefault(id_, {})[_FAILED[rows[id_].change]] = _ends(rows[id_])
    for id_ in list(disagreeing)[:MOST_PICKED]:
        reasons.setdefault(id_, {})[DISAGREE] = disagreeing[id_]
    for id_ in (id_ for id_ in order if id_ in drawn):
        reasons.setdefault(id_, {})[RANDOM] = []
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "arms": [one_line(arm_view(report.comparison.manifest, arm).label) for arm in Arm],
        "planned": len(report.planned),
        "reasons": list(REASONS),
        "longest_name": LONGEST_NAME,
        "longest_note": LONGEST_NOTE,
        "queue": [_entry(report, rows[id_], why) for id_, why in reasons.items()],
        "others": [_entry(report, rows[id_], {}) for id_ in order if id_ not in reasons][:MOST_OTHERS],
    }


def review_values(report: ReportInput) -> dict[str, Any]:
    """What ``review.html.j2`` says before its script runs: how the queue is made."""
    failed = sum(result_change(report, planned) in _FAILED for planned in report.planned)
    disagreeing = sum(any(_disagreements(report, planned)) for planned in report.planned)
    planned = len(report.planned)
    strata = _strata(report)
    return {
        "rules": RULES,
        "failed": _share(failed),
        "disagreeing": _share(disagreeing),
        "drawn": f"{min(RANDOM_CALLS, planned)} of {counted(planned, 'planned call')}",
        "strata": " × ".join(one_line(tag) for tag in strata),
    }


def _share(calls: int) -> str:
    return counted(calls, "call") if calls <= MOST_PICKED else f"{MOST_PICKED} of {calls:,} calls"


def random_calls(planned: Iterable[PlannedCall], strata: tuple[str, ...], run: str) -> frozenset[str]:
    """Ids of the calls that are drawn by chance, every call with the same one.

    A systematic sample: calls lie cohort by cohort, in a drawn order within each, and every so-manieth is
    taken from a drawn start (Cochran, Sampling Techniques, 1977, chapter 8). Each cohort gets its share to
    within one call, and a plain share of the sample estimates that of the run.

    Args:
        planned: the planned calls, in any order.
        strata: tags whose values make the cohorts.
        run: the run's digest, which decides every draw.
    """
    lying = sorted(
        planned,
        key=lambda call: (
            [call.tags.get(tag, "") for tag in strata],
            stable_seed(f"{run} random {slug(call.id)}"),
            call.id,
        ),
    )
    taken = min(RANDOM_CALLS, len(lying))
    # Whole numbers throughout: the start is one of 2^64 points of a step, the same on every machine.
    start = stable_seed(f"{run} start")
    return frozenset(
        lying[((place << 64) + start) * len(lying) // (taken << 64)].id for place in range(taken)
    )


def _strata(report: ReportInput) -> tuple[str, ...]:
    """The tags by which gating cohorts are made."""
    return tuple(
        sorted({tag for each in report.comparison.verdicts if each.gating for tag in each.cohort.tags})
    )


def _entry(report: ReportInput, row: CallRow, why: Mapping[Reason, list[str]]) -> dict[str, Any]:
    planned = row.planned
    trial = [f"trial {planned.trial}"] if planned.trial else []
    return {
        "id": planned.id,
        "slug": row.slug,
        "name": [one_line(part) for part in (planned.scenario, planned.caller, planned.line, *trial)],
        "placed": [arm_call_id(planned, arm) in report.calls for arm in Arm],
        "why": [{"reason": reason, "told": told} for reason, told in why.items()],
    }


def _ends(row: CallRow) -> list[str]:
    return [f"{arm}: {row.results[arm]}" for arm in Arm]


def _disagreements(report: ReportInput, planned: PlannedCall) -> Iterator[str]:
    """On which arm metrics contradict each other, and how; in the words of `RULES`."""
    for arm in Arm:
        call_id = arm_call_id(planned, arm)
        shares = {
            name: score.total.numerator / score.total.denominator
            for name in (TASK_METRIC, TOOLS_METRIC, WORDS_METRIC)
            if isinstance(score := report.scores.get((call_id, name)), Scored) and score.total.denominator
        }
        if TASK_METRIC not in shares:
            continue
        done = shares[TASK_METRIC] >= 1
        if TOOLS_METRIC in shares and done != (shares[TOOLS_METRIC] >= 1):
            yield f"{arm}: {RULES[0 if done else 1]}"
        if WORDS_METRIC in shares and done and shares[WORDS_METRIC] >= MANY_WORDS_WRONG:
            yield f"{arm}: {RULES[2]}"
        if shares.get(WORDS_METRIC) == 0 and not done:
            yield f"{arm}: {RULES[3]}"
