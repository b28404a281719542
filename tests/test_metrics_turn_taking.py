"""Turn-taking on calls written by hand: what each metric counts, and that worse behaviour scores worse."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest
from spoken_calls import agent, aside, call, caller, ended, hung_up, over, pressed, said, scenario

from voiceeval.call import Call, Ending, Event
from voiceeval.metrics import BUNDLED, TransferRate, suffered
from voiceeval.scenario import Scenario
from voiceeval.score import Direction, Gap, NotScored, Ratio, Scored

NEW = (
    *("response_rate", "agent_interrupts_caller", "premature_endpoints", "yield_rate", "time_to_yield"),
    *("talk_through", "talk_over_ms", "silence_ms", "reprompts", "caller_asked_to_repeat", "asked_twice"),
    *(
        "repeated_corrections",
        "already_told_you",
        "agent_repeats_itself",
        "reply_length_ms",
        "call_length_ms",
    ),
    *("transfer_rate", "words_per_reply", "turns_per_call"),
)
S = scenario()
IMPATIENT = scenario(impatience={})
TURN = caller(1, 1000, 3000)
REPLY = agent(1, 3800, 8000)


def seen(name: str, *events: Event, of: Scenario = S) -> list[float]:
    """The numerators of a metric's observations."""
    score = BUNDLED[name]().score(of, call(*events))
    assert isinstance(score, Scored), score
    assert len(score.observations) == len(score.evidence) or not BUNDLED[name]().info.yes_no_per_turn
    return [ratio.numerator for ratio in score.observations]


def gap(name: str, c: Call, of: Scenario = S) -> Gap:
    score = BUNDLED[name]().score(of, c)
    assert isinstance(score, NotScored), score
    assert score.reason
    return score.gap


# --- interrupting ---------------------------------------------------------------------------------------


def test_an_agent_that_speaks_into_a_pause_of_the_turn_interrupts() -> None:
    assert seen("agent_interrupts_caller", *TURN, *agent(1, 2500, 2900, cut=True)) == [1]
    assert seen("agent_interrupts_caller", *TURN, *REPLY) == [0]
    assert seen("agent_interrupts_caller", *TURN, *agent(1, 3000, 5000)) == [0]


def test_an_agent_that_answers_before_an_afterthought_does_not_interrupt() -> None:
    more = caller(1, 3900, 5000, "no wait", wording="afterthought")
    assert seen("agent_interrupts_caller", *TURN, *more, *agent(1, 3600, 4200, cut=True)) == [0]
    assert seen("agent_interrupts_caller", *TURN, *more, *agent(1, 4500, 7000)) == [1]


def test_going_on_when_the_caller_breaks_in_is_not_beginning_to_speak() -> None:
    barge_in = caller(2, 5000, 6000, barge_in=True)
    assert seen("agent_interrupts_caller", *TURN, *REPLY, *barge_in) == [0, 0]
    again = [*agent(1, 3800, 5300, cut=True), *agent(2, 5700, 8000, offset_ms=1500)]
    assert seen("agent_interrupts_caller", *TURN, *again, *barge_in) == [0, 1]


def test_a_turn_is_taken_to_be_over_too_early_only_while_it_is_said() -> None:
    assert seen("premature_endpoints", *TURN, *ended(1, 2000), *ended(1, 3400)) == [1]
    assert seen("premature_endpoints", *TURN, *ended(1, 3000)) == [0]
    more = caller(1, 3900, 5000, "no wait", wording="afterthought")
    assert seen("premature_endpoints", *TURN, *more, *ended(1, 3500), *ended(1, 5400)) == [0]
    assert seen("premature_endpoints", *TURN, *more, *ended(1, 4500), *ended(1, 5400)) == [1]


def test_who_does_not_say_when_a_turn_is_over_has_no_premature_ends() -> None:
    assert gap("premature_endpoints", call(*TURN, *REPLY)) is Gap.NOT_APPLICABLE
    assert gap("reprompts", call(*TURN, *REPLY)) is Gap.NOT_APPLICABLE


def test_talk_over_is_the_time_in_which_both_speak() -> None:
    barge_in = caller(2, 7000, 9000, barge_in=True)
    assert seen("talk_over_ms", *TURN, *REPLY) == [0]
    assert seen("talk_over_ms", *TURN, *REPLY, *barge_in) == [1000]
    assert seen("talk_over_ms", *TURN, *agent(1, 3800, 7300, cut=True), *barge_in) == [300]
    assert seen("talk_over_ms", *TURN, *agent(1, 2500, 2900, cut=True), *REPLY, *barge_in) == [1400]


def test_asides_are_not_talked_over() -> None:
    assert seen("talk_over_ms", *TURN, *REPLY, *aside(1, 5000, 5500)) == [0]


# --- being interrupted ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stops_ms", "cut", "yields", "time_ms"),
    [(5300, True, 1, 300), (7000, True, 1, 2000), (7001, True, 0, 2000), (9000, False, 0, 2000)],
)
def test_an_agent_yields_when_it_stops_within_two_seconds(
    stops_ms: int, cut: bool, yields: int, time_ms: int
) -> None:
    barge_in = caller(2, 5000, 6000, barge_in=True)
    events = [*TURN, *agent(1, 3800, stops_ms, cut=cut), *barge_in]
    assert seen("yield_rate", *events) == [yields]
    assert seen("time_to_yield", *events) == [time_ms]


def test_a_reply_that_was_nearly_over_shows_nothing_about_yielding() -> None:
    events = [*TURN, *agent(1, 3800, 6500), *caller(2, 5000, 6000, barge_in=True)]
    assert gap("yield_rate", call(*events)) is Gap.NOT_APPLICABLE
    assert gap("time_to_yield", call(*events)) is Gap.NOT_APPLICABLE


def test_speech_that_ends_with_the_call_was_not_cut_off_by_the_agent() -> None:
    events = [*TURN, *agent(1, 3800, 6100, cut=True), *over(2, 6100, reason="hung up")]
    barge_in = caller(2, 5000, 6000, barge_in=True)
    assert gap("yield_rate", call(*events, *barge_in)) is Gap.NOT_APPLICABLE
    assert gap("time_to_yield", call(*events, *barge_in)) is Gap.NOT_APPLICABLE
    assert seen("talk_through", *events, *aside(1, 5000, 5400)) == [1]
    longer = [*TURN, *agent(1, 3800, 8000, cut=True), *over(2, 8000, reason="hung up")]
    assert seen("yield_rate", *longer, *barge_in) == [0]


def test_only_a_turn_that_means_to_break_in_is_a_barge_in() -> None:
    for second in (caller(2, 5000, 6000), caller(2, 8500, 9000, barge_in=True), aside(1, 5000, 5400)):
        assert gap("yield_rate", call(*TURN, *REPLY, *second)) is Gap.NOT_APPLICABLE


@pytest.mark.parametrize("kind", ["back_channel", "cough", "side_talk"])
def test_an_agent_talks_through_an_aside_when_it_is_not_cut_off(kind: str) -> None:
    made = aside(1, 5000, 5400, kind)
    assert seen("talk_through", *TURN, *REPLY, *made) == [1]
    assert seen("talk_through", *TURN, *agent(1, 3800, 5300, cut=True), *made) == [0]
    # Cut off later than 2 s after it: by something else.
    assert seen("talk_through", *TURN, *agent(1, 3800, 7100, cut=True), *made) == [1]


def test_an_agent_that_breaks_off_and_goes_on_has_not_talked_through_and_the_evidence_tells_the_two() -> None:
    made = aside(1, 5000, 5400)
    cut = [*TURN, *agent(1, 3800, 5300, cut=True), *made]
    resumed = [*cut, *agent(1, 6200, 9000, "which card is it", offset_ms=1500)]
    assert seen("talk_through", *cut) == seen("talk_through", *resumed) == [0]
    lines: list[str] = []
    for events in (cut, resumed):
        score = BUNDLED["talk_through"]().score(S, call(*events))
        assert isinstance(score, Scored)
        lines += score.evidence
    assert lines == [
        "back channel at 5000 ms: the agent is cut off 300 ms after it and does not go on",
        "back channel at 5000 ms: the agent is cut off 300 ms after it and goes on 900 ms later",
    ]


def test_an_aside_before_a_barge_in_or_beside_the_agents_speech_shows_nothing() -> None:
    made = aside(1, 5000, 5400)
    cut_by_words = [*TURN, *agent(1, 3800, 6300, cut=True), *made, *caller(2, 6000, 7000, barge_in=True)]
    assert gap("talk_through", call(*cut_by_words)) is Gap.NOT_APPLICABLE
    assert gap("talk_through", call(*TURN, *REPLY, *aside(1, 9000, 9400))) is Gap.NOT_APPLICABLE
    inferred = aside(1, 5000, 5400, audio="")
    assert gap("talk_through", call(*TURN, *REPLY, *inferred)) is Gap.NOT_APPLICABLE


# --- waiting and length ---------------------------------------------------------------------------------


def test_silence_is_every_window_of_more_than_two_seconds() -> None:
    assert seen("silence_ms", *TURN, *agent(1, 5000, 6000), *over(1, 8000)) == [0]
    assert seen("silence_ms", *TURN, *agent(1, 5001, 6000), *over(1, 8000)) == [2001]
    assert seen("silence_ms", *TURN, *agent(1, 3500, 6000), *over(1, 9000)) == [3000]
    late = [*caller(1, 2500, 3000), *agent(1, 3500, 6000), *over(1, 6100)]
    assert seen("silence_ms", *late) == [2500]


def test_asides_and_keys_end_a_silence_and_a_nested_sound_does_not_hide_a_longer_one() -> None:
    quiet = [*TURN, *agent(1, 7000, 8000), *over(1, 8100)]
    assert seen("silence_ms", *quiet) == [4000]
    assert seen("silence_ms", *quiet, *aside(1, 5000, 5300)) == [0]
    assert seen("silence_ms", *quiet, *pressed(2, 5000, "1")) == [0]
    nested = [
        *caller(1, 0, 6000),
        *agent(1, 1000, 2000, cut=True),
        *agent(1, 7500, 8000, "b"),
        *over(1, 8000),
    ]
    assert seen("silence_ms", *nested) == [0]


def test_a_call_lasts_until_somebody_hangs_up() -> None:
    assert seen("call_length_ms", *TURN, *REPLY, *over(1, 12_345)) == [12_345]


def test_a_reply_is_as_long_as_it_is_heard_and_its_rest_belongs_to_it() -> None:
    pieces = [*agent(1, 3800, 5300, cut=True), *agent(1, 6200, 9000, offset_ms=1500)]
    assert seen("reply_length_ms", *agent(0, 0, 700, "hello"), *TURN, *pieces) == [700, 1500 + 2800]


def test_a_prompt_after_nothing_was_heard_counts_against_a_turn_that_was_said() -> None:
    prompt = [*ended(1, 8000, "no speech"), *agent(1, 8500, 10_000, "are you still there")]
    assert seen("reprompts", *TURN, *prompt) == [1]
    assert seen("reprompts", *TURN, *ended(1, 3400), *REPLY) == [0]
    assert seen("reprompts", *pressed(1, 2000, "1"), *prompt) == [1]
    silent = caller(1, 1000, None, "")
    assert gap("reprompts", call(*silent, *prompt)) is Gap.NOT_APPLICABLE
    given_up = [*ended(1, 8000, "no speech"), *over(1, 8000, "agent")]
    assert seen("reprompts", *TURN, *given_up) == [0]


def test_a_handover_counts_where_it_need_not_be() -> None:
    assert seen("transfer_rate", *TURN, *REPLY, *over(1, 9000, "agent", "handed over")) == [1]
    assert seen("transfer_rate", *TURN, *REPLY, *over(1, 9000)) == [0]
    wanted = scenario(
        tools=[{"name": "to_a_person", "description": "", "parameters": {}}],
        tool_paths=[{"calls": [{"name": "to_a_person"}]}],
    )
    handed = call(*TURN, *REPLY, *over(1, 9000, "agent", "handed over"))
    score = TransferRate(tools=["to_a_person"]).score(wanted, handed)
    assert isinstance(score, NotScored)
    assert score.gap is Gap.NOT_APPLICABLE
    assert gap("transfer_rate", call(*TURN, *REPLY)) is Gap.NOT_APPLICABLE


# --- what is suffered in words --------------------------------------------------------------------------

ASKS = "which card is it please"
PARDON = "sorry i did not catch that"


def _told(number: int, wording: str = "text", reply: str = ASKS, script_turn: int = 0) -> list[Event]:
    return said(number, "four one two nine", "x", wording=wording, reply=reply, script_turn=script_turn)


def test_a_second_repeat_of_one_thing_is_a_repeated_correction() -> None:
    once = [*_told(1), *_told(2, "repair")]
    assert seen("repeated_corrections", *once) == [0]
    assert seen("repeated_corrections", *once, *_told(3, "objection", script_turn=1)) == [0]
    assert seen("repeated_corrections", *once, *_told(3, "impatient")) == [1]
    assert seen("repeated_corrections", *once, *_told(3, "objection")) == [1]


def test_impatience_counts_where_the_caller_can_be_impatient() -> None:
    assert seen("already_told_you", *_told(1), *_told(2, "impatient"), of=IMPATIENT) == [1]
    assert seen("already_told_you", *_told(1), *_told(2, "repair"), of=IMPATIENT) == [0]
    assert gap("already_told_you", call(*_told(1), *_told(2, "repair"))) is Gap.NOT_APPLICABLE


def test_a_question_that_was_answered_before_is_asked_twice_and_a_request_to_repeat_is_not() -> None:
    assert seen("asked_twice", *_told(1), *_told(2, "repair")) == [0, 1]
    assert seen("asked_twice", *_told(1, reply=PARDON), *_told(2, "repair")) == [0, 0]
    assert seen("caller_asked_to_repeat", *_told(1), *_told(2, "repair")) == [0, 0]
    assert seen("caller_asked_to_repeat", *_told(1, reply=PARDON), *_told(2, "repair")) == [1, 0]


def test_a_caller_who_repeats_because_no_reply_came_was_not_asked() -> None:
    greeting = agent(0, 0, 500, "hello")
    assert seen("asked_twice", *greeting, *_told(1, reply=""), *_told(2, "repair")) == [0, 0]


def test_a_request_to_repeat_that_was_cut_off_before_it_was_heard_is_none() -> None:
    for heard, asked in (("sorry", 0), ("sorry i did not catch", 1)):
        cut = agent(1, 3800, 4300, PARDON, cut=True, said=heard)
        assert seen("caller_asked_to_repeat", *TURN, *cut) == [asked]


def test_requests_to_repeat_are_known_in_the_scenarios_language() -> None:
    german = scenario(locale="de-DE")
    assert seen("caller_asked_to_repeat", *_told(1, reply="wie bitte"), of=german) == [1]
    assert seen("caller_asked_to_repeat", *_told(1, reply="wie bitte")) == [0]


def test_words_of_a_reply_that_was_given_before_are_repeated_words() -> None:
    score = BUNDLED["agent_repeats_itself"]().score(
        S, call(*_told(1), *_told(2), *_told(3, reply="thank you"))
    )
    assert isinstance(score, Scored)
    assert score.observations == (Ratio(0, 5), Ratio(5, 5), Ratio(0, 2))


def test_short_replies_and_other_numbers_are_no_repeats() -> None:
    assert seen("agent_repeats_itself", *_told(1, reply="one moment"), *_told(2, reply="one moment")) == [
        0,
        0,
    ]
    first = "shall i freeze the card ending in four one two nine for you now"
    other = first.replace("four one two nine", "four one two eight")
    assert seen("agent_repeats_itself", *_told(1, reply=first), *_told(2, reply=other)) == [0, 0]
    reworded = first.replace("for you now", "now for you")
    assert seen("agent_repeats_itself", *_told(1, reply=first), *_told(2, reply=reworded)) == [0, 14]


def test_the_rest_of_a_reply_that_was_cut_off_is_no_repeat() -> None:
    pieces = [
        *agent(1, 3800, 5300, "which card is it please", cut=True, audio="one"),
        *agent(1, 6200, 9000, "which card is it please", offset_ms=1, audio="one"),
    ]
    assert seen("agent_repeats_itself", *TURN, *pieces) == [0]


def test_words_are_counted_by_reply_and_turns_by_call() -> None:
    pieces = [
        *agent(1, 3800, 5300, "it ends in 4129", cut=True, audio="one"),
        *agent(1, 6200, 9000, "in 4129", offset_ms=1, audio="one"),
        *agent(1, 9500, 9900, "right"),
    ]
    assert seen("words_per_reply", *TURN, *pieces) == [7, 1]
    assert seen("turns_per_call", *TURN, *caller(2, 12_000, None, ""), *pressed(3, 15_000, "1")) == [2]


@pytest.mark.parametrize(
    "name", ["asked_twice", "caller_asked_to_repeat", "agent_repeats_itself", "words_per_reply"]
)
def test_a_recording_without_words_says_nothing_about_words(name: str) -> None:
    assert gap(name, call(*caller(1, 1000, 3000, ""), *agent(1, 3800, 5000, ""))) is Gap.NOT_APPLICABLE


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(suffered).failed == 0


# --- what holds for all of them -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEW)
def test_a_crash_never_looks_better_than_the_worst_call(name: str) -> None:
    crashed = replace(call(*TURN, *REPLY, hung_up(1, "agent", "failure")), ending=Ending.AGENT_FAILED)
    metric = BUNDLED[name]()
    for c in (crashed, call(ending=Ending.AGENT_FAILED)):
        score = metric.score(IMPATIENT, c)
        if metric.info.yes_no:
            worst = Ratio(int(metric.info.direction is Direction.LOWER_IS_BETTER), 1)
            assert isinstance(score, Scored)
            assert score.observations == (worst,)
        else:
            assert isinstance(score, NotScored)
            assert score.gap is Gap.AGENT_FAILED


@pytest.mark.parametrize("name", sorted(set(NEW) - {"repeated_corrections", "already_told_you"}))
def test_a_call_in_which_nothing_happened_has_no_score(name: str) -> None:
    assert gap(name, call(), IMPATIENT) is Gap.NOT_APPLICABLE


@pytest.mark.parametrize("name", NEW)
def test_what_depends_on_turn_taking_says_so(name: str) -> None:
    assert {"turn_taking", "endpointing", "latency", "synthesizer"} <= set(BUNDLED[name]().info.depends_on)
