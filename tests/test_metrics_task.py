from __future__ import annotations

from typing import Any

import pytest
from spoken_calls import call, called, said, scenario

from voiceeval.call import Call, Ending, Stage, StageFailed, Usage
from voiceeval.metrics import CostPerCompletedCall, TaskCompletion, completes, judge_task
from voiceeval.score import Gap, NotScored, Ratio, Scored


def _outcome(**outcome: Any) -> Any:
    return scenario(outcome=outcome)


def _reply(text: str, **changes: Any) -> Call:
    return call(*said(1, "hi", "hi", reply=text), **changes)


def _completed(s: Any, c: Call) -> bool:
    score = TaskCompletion().score(s, c)
    assert isinstance(score, Scored)
    assert score.total.denominator == 1
    return score.total.numerator == 1


@pytest.mark.parametrize(
    ("world", "completed"),
    [
        ({"cards": {"4129": {"status": "blocked"}}}, True),
        ({"cards": {"4129": {"status": "Blocked "}}}, True),
        ({"cards": {"4129": {"status": "active"}}}, False),
        ({"cards": {"4129": {}}}, False),
        ({"cards": {"4129": "blocked"}}, False),
        ({}, False),
    ],
)
def test_the_world_must_be_as_demanded(world: Any, completed: bool) -> None:
    s = _outcome(state={"cards.4129.status": "blocked"})
    assert _completed(s, call(final_state=world)) is completed


def test_null_in_the_world_is_not_the_same_as_nothing_there() -> None:
    s = _outcome(state={"refund": None})
    assert completes(s, (), {"refund": None})
    assert judge_task(s, (), {}).reasons == ("state refund: expected null, nothing there",)


def test_numbers_in_a_path_count_into_lists() -> None:
    s = _outcome(state={"orders.1.open": False})
    assert completes(s, (), {"orders": [{}, {"open": False}]})
    assert not completes(s, (), {"orders": [{}]})


def test_every_phrase_must_be_said_and_either_alternative_will_do() -> None:
    s = _outcome(said=["4 1 2 9", "blocked|frozen"])
    assert _completed(s, _reply("Your card 4129 is frozen."))
    assert not _completed(s, _reply("Your card is frozen."))
    assert not _completed(s, _reply("Your card 4129 is fine."))


def test_a_phrase_is_not_pieced_together_from_two_utterances() -> None:
    s = _outcome(said=["is blocked"])
    two = call(*said(1, "a", "a", reply="It is"), *said(2, "b", "b", reply="blocked"))
    assert not _completed(s, two)


def test_what_must_not_be_said_fails_the_task() -> None:
    s = _outcome(not_said=["guarantee"])
    assert _completed(s, _reply("It should work."))
    assert not _completed(s, _reply("I guarantee it."))


def test_what_the_caller_says_is_not_what_the_agent_said() -> None:
    assert not _completed(_outcome(said=["blocked"]), call(*said(1, "is it blocked", "is it blocked")))


def test_a_forbidden_call_fails_the_task() -> None:
    s = scenario(forbidden_calls=[{"name": "refund"}])
    judgement = judge_task(s, called("refund", amount=5), {})
    assert not judgement.completed
    assert judgement.reasons == ("forbidden call: refund(amount=5)",)


def test_a_failed_call_is_not_completed_whatever_the_world_says() -> None:
    score = TaskCompletion().score(scenario(), call(ending=Ending.AGENT_FAILED))
    assert isinstance(score, Scored)
    assert score.total == Ratio(0, 1)
    failed = StageFailed(at_ms=1, turn=1, stage=Stage.DIALOGUE, error="KeyError at a.py:1")
    assert not completes(scenario(), (failed,), {})


def test_a_harness_failure_is_no_score_of_task_or_cost() -> None:
    for metric in (TaskCompletion(), CostPerCompletedCall()):
        score = metric.score(scenario(), call(ending=Ending.HARNESS_FAILED, cost=1.0))
        assert isinstance(score, NotScored)
        assert score.gap is Gap.HARNESS_FAILED


def test_the_judgement_says_everything_that_is_wrong() -> None:
    s = _outcome(state={"a": 1}, said=["yes"], not_said=["no"])
    assert judge_task(s, said(1, "hi", "hi", reply="no"), {"a": 2}).reasons == (
        "state a: expected 1, found 2",
        "not said: 'yes'",
        "said, and must not be: 'no'",
    )


def test_what_failed_calls_cost_is_paid_by_the_completed_ones() -> None:
    s = _outcome(state={"done": True})
    metric = CostPerCompletedCall()
    scores = [
        metric.score(s, call(cost=0.02, final_state={"done": True})),
        metric.score(s, call(cost=0.04, final_state={"done": False})),
        metric.score(s, call(cost=0.01, final_state={"done": True}, ending=Ending.AGENT_FAILED)),
    ]
    totals = [score.total for score in scores if isinstance(score, Scored)]
    assert totals == [Ratio(0.02, 1), Ratio(0.04, 0), Ratio(0.01, 0)]
    assert Ratio.pooled(totals).numerator == pytest.approx(0.07)


def test_an_agent_without_prices_has_no_cost_and_not_a_cost_of_nothing() -> None:
    score = CostPerCompletedCall().score(scenario(), call(usage=Usage(input_tokens=900)))
    assert isinstance(score, NotScored)
    assert score.gap is Gap.NOT_APPLICABLE
