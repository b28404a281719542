"""What counts as the reply to a turn, and how long it took; all times by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from spoken_calls import agent, aside, call, caller, ended, over, pressed, scenario

from voiceeval.call import Call, Ending
from voiceeval.metrics import BUNDLED, ResponseRate, TimeToFirstAudio
from voiceeval.score import Gap, NotScored, Ratio, Scored


def _waits(c: Call) -> list[float]:
    score = TimeToFirstAudio().score(scenario(), c)
    assert isinstance(score, Scored)
    return [ratio.numerator for ratio in score.observations]


def _answered(c: Call) -> list[float]:
    score = ResponseRate().score(scenario(), c)
    assert isinstance(score, Scored)
    return [ratio.numerator for ratio in score.observations]


def test_a_reply_is_waited_for_from_the_end_of_the_afterthought() -> None:
    said = [*caller(1, 1000, 3000), *caller(1, 3700, 5000, "no wait", wording="afterthought")]
    assert _waits(call(*said, *agent(1, 5800, 9000))) == [800]


def test_what_the_afterthought_cut_off_is_no_reply() -> None:
    said = [*caller(1, 1000, 3000), *caller(1, 3700, 5000, "no wait", wording="afterthought")]
    cut = agent(1, 3600, 4100, cut=True)
    assert _waits(call(*said, *cut, *agent(1, 5900, 9000, "another"))) == [900]
    assert _waits(call(*said, *cut)) == [10_000]


def test_a_reply_into_a_pause_that_is_given_up_just_after_the_caller_finished_is_no_reply() -> None:
    early = agent(1, 2800, 3150, cut=True)
    assert _waits(call(*caller(1, 1000, 3000), *early, *agent(1, 4000, 7000, "another"))) == [1000]


def test_a_reply_that_plays_when_the_caller_finishes_and_goes_on_took_no_time() -> None:
    assert _waits(call(*caller(1, 1000, 3000), *agent(1, 2800, 6000))) == [0]


def test_a_reply_that_was_over_before_the_caller_finished_is_no_reply() -> None:
    c = call(*caller(1, 1000, 6000), *agent(1, 2500, 4000), *agent(1, 6700, 8000, "another"))
    assert _waits(c) == [700]


def test_a_reply_that_a_later_turn_cuts_off_is_a_reply() -> None:
    barge_in = caller(2, 3900, 5000, barge_in=True)
    c = call(*caller(1, 1000, 3000), *agent(1, 2900, 4200, cut=True), *barge_in, *agent(2, 5600, 8000, "b"))
    assert _waits(c) == [0, 600]


def test_a_barge_in_waits_from_its_own_end_and_not_for_the_reply_that_it_broke_into() -> None:
    start = [*caller(1, 1000, 3000), *caller(2, 5000, 6500, barge_in=True)]
    yields = call(*start, *agent(1, 3800, 5400, cut=True), *agent(2, 7400, 9000, "done"))
    assert _waits(yields) == [800, 900]
    talks_on = call(*start, *agent(1, 3800, 9000))
    assert _waits(talks_on) == [800, 10_000]
    takes_up_again = call(*start, *agent(1, 3800, 5400, cut=True), *agent(2, 6600, 9000, offset_ms=1600))
    assert _waits(takes_up_again) == [800, 10_000]


def test_the_rest_of_a_reply_to_this_turn_is_a_reply() -> None:
    """Cut off in the caller's pause, taken up when they have finished: it was begun for this turn."""
    c = call(*caller(1, 1000, 4000), *agent(1, 2500, 2900, cut=True), *agent(1, 4700, 8000, offset_ms=400))
    assert _waits(c) == [700]


def test_what_the_agent_still_owes_an_earlier_turn_answers_no_later_one() -> None:
    late = call(*caller(1, 1000, 3000), *caller(2, 14_000, 15_000), *agent(1, 14_500, 17_000))
    assert _waits(late) == [10_000, 10_000]


def test_a_caller_who_leaves_waits_for_nothing() -> None:
    first = [*caller(1, 1000, 3000), *agent(1, 3700, 5000)]
    leaving = caller(2, 5500, 6500, "never mind")
    assert _waits(call(*first, *leaving, *over(2, 6600, reason="hung up"))) == [700]
    assert _waits(call(*first, *leaving, *over(2, 16_600, reason="out of patience"))) == [700, 10_000]


def test_a_turn_that_the_agent_hangs_up_on_was_never_answered() -> None:
    unfinished = [*caller(1, 1000, None), *agent(1, 1500, 3000, "goodbye"), *over(1, 3000, "agent")]
    assert _waits(call(*unfinished)) == [10_000]
    assert _answered(call(*unfinished)) == [0]


def test_keys_are_due_a_reply_and_are_no_audio() -> None:
    c = call(
        *caller(1, 1000, 3000), *agent(1, 3500, 5000), *pressed(2, 6000, "41#"), *agent(2, 7300, 8000, "b")
    )
    assert _waits(c) == [500]
    assert _answered(c) == [1, 1]
    ignored = call(*caller(1, 1000, 3000), *agent(1, 3500, 5000), *pressed(2, 6000, "41#"))
    assert _answered(ignored) == [1, 0]


def test_a_reply_later_than_the_limit_is_missing() -> None:
    assert _answered(call(*caller(1, 1000, 3000), *agent(1, 13_000, 14_000))) == [1]
    assert _answered(call(*caller(1, 1000, 3000), *agent(1, 13_001, 14_000))) == [0]


def test_asides_wait_for_nothing() -> None:
    c = call(*caller(1, 1000, 3000), *agent(1, 3500, 8000), *aside(1, 5000, 5400), *over(1, 9000))
    assert _waits(c) == [500]


def test_an_agent_that_answers_less_scores_less() -> None:
    def total(*answers: int) -> Ratio:
        events = [*caller(1, 1000, 2000), *caller(2, 20_000, 21_000)]
        for turn in answers:
            events += agent(
                turn, 2600 if turn == 1 else 21_600, 23_000 if turn == 2 else 4000, f"reply {turn}"
            )
        score = ResponseRate().score(scenario(), call(*events))
        assert isinstance(score, Scored)
        return score.total

    assert (total(1, 2), total(1), total()) == (Ratio(2, 2), Ratio(1, 2), Ratio(0, 2))


def test_a_call_that_the_agent_failed_is_all_wrong_and_not_a_short_calm_one() -> None:
    crashed = replace(call(*caller(1, 1000, 2000), *agent(1, 2500, 3000)), ending=Ending.AGENT_FAILED)
    score = ResponseRate().score(scenario(), crashed)
    assert isinstance(score, NotScored)
    assert score.gap is Gap.AGENT_FAILED


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ((3400,), 400),
        ((2000, 3500), 500),
        ((2000,), 0),
        ((3400, 9000), 400),
        ((2000, 9000), 0),
    ],
)
def test_end_pointing_takes_until_the_decision_that_the_reply_rests_on(
    decisions: tuple[int, ...], expected: int
) -> None:
    """At 9000 a cough during the reply is over; it has nothing to do with the turn."""
    events = [*caller(1, 1000, 3000), *agent(1, 4000, 10_000)]
    for at_ms in decisions:
        events += ended(1, at_ms)
    score = BUNDLED["endpointing_ms"]().score(scenario(), call(*events))
    assert isinstance(score, Scored)
    assert score.observations == (Ratio(expected, 1),)
