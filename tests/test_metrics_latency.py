from __future__ import annotations

from dataclasses import replace

import pytest
from spoken_calls import call, called, hung_up, said, scenario

from voiceeval.call import Call, Ending, EndOfTurn, Replied
from voiceeval.errors import ConfigError
from voiceeval.metrics import BUNDLED, SlowReplies, TimeToFirstAudio
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


def _late(c: Call, **options: object) -> list[float]:
    score = SlowReplies(**options).score(scenario(), c)  # type: ignore[arg-type] # options are named where used
    assert isinstance(score, Scored)
    assert all(ratio.denominator == 1 for ratio in score.observations)
    return [ratio.numerator for ratio in score.observations]


def test_a_reply_is_slow_when_it_comes_after_the_limit_and_not_at_it() -> None:
    turns = [said(i, "hi", "hi", reply="hello", waited_ms=ms) for i, ms in enumerate((1999, 2000, 2001), 1)]
    c = call(*(event for turn in turns for event in turn))
    assert _late(c) == [0, 0, 1]
    assert _late(c, limit_ms=1999) == [0, 1, 1]


def test_a_missing_reply_is_slow_whatever_the_limit() -> None:
    assert _late(call(*said(1, "hi", "hi")), limit_ms=9999) == [1]


def test_the_tail_counts_the_turns_that_the_mean_counts() -> None:
    silent = call(*said(0, "", None, reply="welcome"), *said(1, "", "", reply="are you there"))
    assert isinstance(SlowReplies().score(scenario(), silent), NotScored)
    crashed = replace(call(), ending=Ending.AGENT_FAILED)
    assert _late(crashed) == [1]


def test_a_percentile_decides_how_many_calls_a_cohort_needs() -> None:
    assert BUNDLED["slow_replies"]().info.fewest_calls == 59
    assert BUNDLED["very_slow_replies"]().info.fewest_calls == 299
    assert SlowReplies(limit_ms=1200, quantile=0.9, name="p90").info.fewest_calls == 29


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit_ms": 0}, "limit_ms: given 0"),
        ({"limit_ms": 10_000}, "below 10000, where waiting is censored"),
        ({"quantile": 1.0}, "quantile: given 1.0"),
        ({"quantile": 0.2}, "quantile: given 0.2"),
    ],
)
def test_a_limit_that_decides_nothing_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SlowReplies(**options)  # type: ignore[arg-type] # one of them at a time


def test_every_metric_that_rests_on_the_clock_says_so() -> None:
    clocked = {name for name, make in BUNDLED.items() if make().info.timing}
    waiting = {"time_to_first_audio", "slow_replies", "very_slow_replies", "response_rate"}
    both = {"agent_interrupts_caller", "time_to_yield", "talk_over_ms"}
    assert clocked == waiting | both | {"silence_ms", "reply_length_ms", "call_length_ms", *STAGES}
