from __future__ import annotations

import pytest
from spoken_calls import call, called, hung_up, said, scenario

from voiceeval.call import Call, Ending, EndOfTurn, Replied
from voiceeval.metrics import BUNDLED, TimeToFirstAudio
from voiceeval.score import Gap, NotScored, Ratio, Scored

TTFA = TimeToFirstAudio()
STAGES = ("endpointing_ms", "recognizer_ms", "dialogue_ms", "tools_ms", "synthesizer_ms")


def _waits(c: Call) -> list[float]:
    score = TTFA.score(scenario(), c)
    assert isinstance(score, Scored)
    assert all(ratio.denominator == 1 for ratio in score.observations)
    return [ratio.numerator for ratio in score.observations]


def _stage(name: str, c: Call) -> tuple[Ratio, ...]:
    score = BUNDLED[name]().score(scenario(), c)
    assert isinstance(score, Scored)
    return score.observations


def test_each_spoken_turn_is_one_wait() -> None:
    c = call(
        *said(1, "hi", "hi", reply="hello", waited_ms=800), *said(2, "yes", "yes", reply="ok", waited_ms=1200)
    )
    assert _waits(c) == [800, 1200]


def test_an_early_reply_took_no_time() -> None:
    assert _waits(call(*said(1, "hi", "hi", reply="hello", waited_ms=-400))) == [0]


def test_a_missing_reply_is_censored_at_the_limit_and_never_dropped() -> None:
    c = call(*said(1, "hi", "hi"), *said(2, "hello?", "hello", reply="yes", waited_ms=700))
    assert _waits(c) == [10_000, 700]
    assert _waits(call(*said(1, "hi", "hi", reply="late", waited_ms=14_000))) == [10_000]


def test_silence_and_the_greeting_wait_for_nothing() -> None:
    greeting = said(0, "", None, reply="welcome")
    c = call(*greeting, *said(1, "", "", reply="are you there"), *said(2, "hi", "hi", reply="hello"))
    assert _waits(c) == [800]


def test_a_turn_that_ends_the_call_for_good_is_not_waited_on() -> None:
    c = call(*said(1, "hi", "hi", reply="hello"), *said(2, "bye", "bye"), hung_up(2))
    assert _waits(c) == [800]
    impatient = call(*said(1, "hi", "hi"), hung_up(1, "caller", "out of patience"))
    assert _waits(impatient) == [10_000]
    dropped = call(*said(1, "hi", "hi"), hung_up(1, "agent", "done"))
    assert _waits(dropped) == [10_000]


def test_a_failing_agent_leaves_the_caller_waiting_to_the_limit() -> None:
    first = said(1, "hi", "hi", reply="hello")
    assert _waits(call(*first, *said(2, "yes", None), ending=Ending.AGENT_FAILED)) == [800, 10_000]
    assert _waits(call(ending=Ending.AGENT_FAILED)) == [10_000]


def test_a_caller_who_says_nothing_waits_for_nothing() -> None:
    score = TTFA.score(scenario(), call(*said(1, "", "")))
    assert isinstance(score, NotScored)
    assert score.gap is Gap.NOT_APPLICABLE


def test_stage_durations_are_summed_within_a_turn() -> None:
    second_round = Replied(at_ms=24_000, turn=1, text="", tool_calls=0, stage_ms=40)
    c = call(
        *said(0, "", None, reply="welcome"),
        *said(1, "hi", "hi", reply="hello"),
        *called("find_card"),
        *called("log"),
        second_round,
        *said(2, "yes", "yes", reply="ok"),
    )
    assert _stage("endpointing_ms", c) == (Ratio(300, 1), Ratio(300, 1))
    assert _stage("recognizer_ms", c) == (Ratio(100, 1), Ratio(100, 1))
    assert _stage("dialogue_ms", c) == (Ratio(130, 1), Ratio(90, 1))
    assert _stage("tools_ms", c) == (Ratio(300, 1),)
    assert _stage("synthesizer_ms", c) == (Ratio(70, 1), Ratio(70, 1))


def test_an_early_decision_took_the_endpointer_no_time() -> None:
    events = [event for event in said(1, "hi", "hi", reply="hello") if not isinstance(event, EndOfTurn)]
    early = EndOfTurn(at_ms=21_000, turn=1, heard_ms=1000, reason="silence")
    assert _stage("endpointing_ms", call(*events, early)) == (Ratio(0, 1),)


@pytest.mark.parametrize("name", STAGES)
def test_stages_that_did_no_work_are_gaps_and_not_zeros(name: str) -> None:
    metric = BUNDLED[name]()
    gaps = []
    for ending in Ending:
        score = metric.score(scenario(), call(ending=ending))
        assert isinstance(score, NotScored)
        gaps.append(score.gap)
    assert gaps == [Gap.NOT_APPLICABLE, Gap.AGENT_FAILED, Gap.HARNESS_FAILED]


def test_a_harness_failure_is_no_latency() -> None:
    score = TTFA.score(scenario(), call(*said(1, "hi", "hi"), ending=Ending.HARNESS_FAILED))
    assert isinstance(score, NotScored)
    assert score.gap is Gap.HARNESS_FAILED
