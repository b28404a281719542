from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from test_report_sample import misheard_on_candidate, planned_calls, report_input

from voiceeval.call import Arm
from voiceeval.redaction import Redaction
from voiceeval.reports.redacted_report import redacted
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.review_page import (
    RANDOM_CALLS,
    RULES,
    random_calls,
    review_data,
    review_values,
)
from voiceeval.score import Ratio, Scored

STRATA = ("accent", "line")


def with_scores(report: ReportInput, **scores: tuple[int, int]) -> ReportInput:
    """The first planned call's candidate with other scores."""
    call_id = arm_call_id(report.planned[0], Arm.CANDIDATE)
    changed = {(call_id, name): Scored(observations=(Ratio(*value),)) for name, value in scores.items()}
    return replace(report, scores={**report.scores, **changed})


def queue(report: ReportInput) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = review_data(report)["queue"]
    return found


def reasons(report: ReportInput) -> dict[str, dict[str, list[str]]]:
    return {entry["id"]: {why["reason"]: why["told"] for why in entry["why"]} for entry in queue(report)}


def test_newly_failing_calls_come_first_and_each_call_once() -> None:
    report = report_input(planned=planned_calls())
    entries = queue(report)
    failing = {call.id for call in report.planned if misheard_on_candidate(call)}
    assert {entry["id"] for entry in entries[: len(failing)]} == failing
    assert all(entry["why"][0]["reason"] == "newly failing" for entry in entries[: len(failing)])
    assert len({entry["id"] for entry in entries}) == len(entries)
    assert {
        reason for entry in entries[len(failing) :] for reason in (w["reason"] for w in entry["why"])
    } == {"random sample"}


def test_what_does_not_stand_in_the_queue_can_be_reached_by_a_link() -> None:
    report = report_input(planned=planned_calls())
    data = review_data(report)
    assert sorted(entry["id"] for entry in (*data["queue"], *data["others"])) == sorted(
        call.id for call in report.planned
    )


def test_every_rule_of_disagreement_is_found_where_it_holds_and_told_by_its_words() -> None:
    report = report_input()
    first = report.planned[0].id
    for number, scores in enumerate(
        (
            {"task_completion": (1, 1), "tool_path": (0, 1)},
            {"task_completion": (0, 1), "tool_path": (1, 1), "wer": (3, 26)},
            {"task_completion": (1, 1), "tool_path": (1, 1), "wer": (9, 30)},
            {"task_completion": (0, 1), "tool_path": (0, 1), "wer": (0, 26)},
        )
    ):
        found = reasons(with_scores(report, **scores))
        assert found[first]["metrics disagree"] == [f"candidate: {RULES[number]}"]
        assert RULES[number] in review_values(report)["rules"]
    agreeing = with_scores(report, task_completion=(1, 1), tool_path=(1, 1), wer=(8, 30))
    assert "metrics disagree" not in reasons(agreeing).get(first, {})


def test_the_sample_is_drawn_whatever_became_of_the_calls() -> None:
    report = report_input(planned=planned_calls())
    drawn = {id_ for id_, why in reasons(report).items() if "random sample" in why}
    lost = {
        key: Scored(observations=(Ratio(0, 1),)) if key[1] == "task_completion" else score
        for key, score in report.scores.items()
    }
    assert len(drawn) == RANDOM_CALLS
    assert {
        id_ for id_, why in reasons(replace(report, scores=lost)).items() if "random sample" in why
    } == drawn


def test_the_sample_gives_every_cohort_its_share_and_knows_no_order() -> None:
    planned = planned_calls()
    drawn = random_calls(planned, STRATA, "a run")
    assert drawn == random_calls(planned[::-1], STRATA, "a run") != random_calls(planned, STRATA, "another")
    cohorts = Counter((call.tags["accent"], call.line) for call in planned if call.id in drawn)
    share = RANDOM_CALLS / len(set(cohorts) | {(a.tags["accent"], a.line) for a in planned})
    assert all(abs(count - share) < 1 for count in cohorts.values())
    assert len(cohorts) == 12


def test_every_call_has_the_same_chance_to_be_drawn() -> None:
    planned = planned_calls()[:50]
    runs = 1500
    counts = Counter(id_ for run in range(runs) for id_ in random_calls(planned, STRATA, f"run {run}"))
    expected = runs * RANDOM_CALLS / len(planned)
    spread = (expected * (1 - RANDOM_CALLS / len(planned))) ** 0.5
    assert all(abs(counts[call.id] - expected) < 4.5 * spread for call in planned)


def test_a_run_smaller_than_the_sample_is_drawn_whole() -> None:
    planned = planned_calls()[:7]
    assert random_calls(planned, STRATA, "a run") == {call.id for call in planned}
    assert random_calls((), STRATA, "a run") == frozenset()


def test_the_page_says_how_many_calls_are_left_out(monkeypatch: Any) -> None:
    monkeypatch.setattr("voiceeval.reports.review_page.MOST_PICKED", 5)
    report = report_input(planned=planned_calls())
    failing = sum(map(misheard_on_candidate, report.planned))
    assert review_values(report)["failed"] == f"5 of {failing} calls"
    assert sum("newly failing" in why for why in reasons(report).values()) == 5


@pytest.mark.parametrize("names", [["text"], ["audio"], ["card"], []])
def test_a_redacted_report_has_the_queue_of_its_run(names: list[str]) -> None:
    report = report_input()
    assert review_data(redacted(report, Redaction.of(names, ["card"], where="here"))) == review_data(report)


def test_the_same_run_gives_the_same_queue() -> None:
    report = report_input()
    turned = replace(report, planned=report.planned[::-1], calls=dict(list(report.calls.items())[::-1]))
    assert review_data(report) == review_data(turned)
