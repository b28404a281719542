"""Where two rules of a call meet: what was found, or looked for, by thinking of calls that go wrong."""

from __future__ import annotations

from typing import Any

import pytest
from rooms import DONE, Room, agent, hold, kinds, moments
from spoken_calls import says, scenario

from voiceeval.agents import StageLatency
from voiceeval.call import Ending
from voiceeval.engines.conversation import CALL_LIMIT_MS
from voiceeval.engines.medium import AgentSound
from voiceeval.errors import HarnessError
from voiceeval.protocols import Reply, Span
from voiceeval.scenario import ToolCall
from voiceeval.turn_taking import TurnTaking

LONG = Reply(text=" ".join(["word"] * 30))
ALWAYS = (Span(start_ms=0, end_ms=30_000),)
"""A bed in which the detector hears speech for ever."""


def test_a_barge_in_breaks_off_an_aside_of_the_same_caller() -> None:
    """One mouth: the cough ends where the words begin, and the turn still has its end."""
    story = scenario(
        turns=[says("hello"), says("no stop that please", barge_in_ms=1000)],
        asides=[{"kind": "side_talk", "text": "one two three four five", "at_ms": 800}],
    )
    made, lines = agent(LONG, DONE, rules=TurnTaking(interrupt_after_ms=600))
    record = hold(story, made)
    begun = kinds(record, "agent_started")[0].at_ms
    assert [(at_ms - begun, kind) for at_ms, _, kind in moments(record) if at_ms >= begun][:6] == [
        (0, "agent_started"),
        (800, "aside_started"),
        (1000, "aside_stopped"),
        (1000, "caller_started"),
        (1400, "agent_stopped"),  # of one stretch of speech, 600 ms after it began
        (1400, "caller_stopped"),
    ]
    assert lines.heard()[-1] == "one two no stop that please"
    assert len(kinds(record, "aside_stopped")) == 1


def test_an_agent_that_hangs_up_while_the_caller_speaks_ends_their_words_too() -> None:
    story = scenario(turns=[says("hello"), says("no stop that please i beg you", barge_in_ms=100)])
    made, _ = agent(DONE, rules=TurnTaking(interruptions="finish"))
    record = hold(story, made)
    end = record.events[-1].at_ms
    assert moments(record)[-4:] == [
        (end - 200, 2, "caller_started"),
        (end, 1, "agent_stopped"),
        (end, 2, "caller_stopped"),
        (end, 2, "hung_up"),
    ]


def test_after_an_aside_was_broken_off_the_call_still_knows_that_the_caller_speaks() -> None:
    story = scenario(
        turns=[says("hello"), says("no stop that please i beg you", barge_in_ms=200)],
        asides=[{"kind": "side_talk", "text": "one two", "at_ms": 100}],
    )
    made, _ = agent(Reply(text="a b c d e", ends_call="done"), rules=TurnTaking(interruptions="finish"))
    record = hold(story, made)
    assert len(kinds(record, "caller_started")) == len(kinds(record, "caller_stopped")) == 2
    assert len(kinds(record, "aside_started")) == len(kinds(record, "aside_stopped")) == 1


def test_what_was_decided_but_not_said_is_said_after_waiting_not_its_repair() -> None:
    """The caller is about to answer, the agent speaks, is cut off by a cough, and stays silent."""
    story = scenario(
        turns=[says("hello"), says("my answer", silence_ms=8000, repairs=["i said my answer"])],
        asides=[{"kind": "cough", "at_ms": 200, "cue": ["are you there"]}],
    )
    rules = TurnTaking(interrupt_after_ms=100, no_speech_ms=3000, false_alarm="reply")
    made, _ = agent(Reply(text="right"), Reply(text="are you there my friend"), Reply(), rules=rules)
    record = hold(story, made)
    assert [event.text for event in kinds(record, "caller_started")][:2] == ["hello", "my answer"]


def test_nobody_begins_to_answer_while_the_agent_speaks_again() -> None:
    """A first reply is over while the caller still speaks; the second is on when they have finished."""
    words = " ".join(["word"] * 30)
    story = scenario(turns=[says(words), says("yes")])
    first_two = Room(
        hears=lambda digest, spans: (
            tuple(
                Span(start_ms=spans[0].start_ms + at, end_ms=spans[0].start_ms + at + 100) for at in (0, 1000)
            )
            if digest.startswith("0")
            else spans
        )
    )
    made, _ = agent(Reply(text="one two"), LONG, DONE)
    record = hold(story, made, first_two)
    answered = kinds(record, "caller_started")[1]
    second = kinds(record, "agent_stopped")[1]
    assert answered.at_ms >= second.at_ms + 200


def test_keys_are_taken_although_the_detector_hears_speech_all_the_time() -> None:
    noisy = Room(bed_hears=tuple(Span(start_ms=at, end_ms=at + 90) for at in range(0, 30_000, 100)))
    story = scenario(turns=[says("", keys="4129")])
    made, lines = agent(DONE, rules=TurnTaking(limit_ms=10_000))
    record = hold(story, made, noisy)
    ended = kinds(record, "end_of_turn")[0]
    assert (ended.reason, ended.at_ms) == ("keys", 400 + 3 * 200 + 1500)
    assert lines.heard() == ["4 1 2 9"]


def test_who_still_speaks_when_an_entry_is_complete_is_heard_out() -> None:
    """A key comes in while the caller speaks: words do not end the entry, nor are they forgotten after it."""
    room = Room(
        bed_from_ms=0,
        bed_hears=(Span(start_ms=1000, end_ms=2600),),
    )
    made, lines = agent(DONE, dialogue=StageLatency(base_ms=1000), rules=TurnTaking(keys_pause_ms=1000))
    record = hold(scenario(turns=[says("", keys="1", silence_ms=800)]), made, room)
    assert moments(record)[:5] == [
        (1200, 1, "key_pressed"),
        (2200, 1, "end_of_turn"),
        (2200, 1, "transcribed"),
        (2500, 1, "reply_dropped"),  # 300 ms later there still is speech
        (3100, 1, "end_of_turn"),
    ]
    assert [event.reason for event in kinds(record, "end_of_turn")] == ["keys", "silence"]
    assert kinds(record, "end_of_turn")[1].heard_ms == 3100 - (1000 - 320)
    assert lines.heard() == ["1", "1"]  # noise, and what was keyed is not lost


def test_keys_pressed_while_the_agent_thinks_wait_until_it_has_spoken() -> None:
    story = scenario(turns=[says("", keys="12#", silence_ms=6000)])
    made, lines = agent(Reply(text="the number please"), DONE, dialogue=StageLatency(base_ms=3000))
    record = hold(story, made)
    assert moments(record)[:10] == [
        (5000, 0, "end_of_turn"),  # nobody said anything
        (5000, 0, "transcribed"),
        (6400, 1, "key_pressed"),
        (6600, 1, "key_pressed"),
        (6800, 1, "key_pressed"),
        (8000, 0, "replied"),
        (8050, 0, "agent_started"),
        (8350, 0, "agent_stopped"),
        (8350, 1, "end_of_turn"),  # the entry was complete
        (8350, 1, "transcribed"),
    ]
    assert lines.heard() == ["", "1 2"]


def test_a_reply_without_words_leaves_no_doubt_behind() -> None:
    """Speech begins just before the agent has nothing to say: it listens, and drops nothing."""
    story = scenario(turns=[says("one two", afterthought={"text": "three four five six", "after_ms": 600})])
    made, lines = agent(Reply(), DONE, dialogue=StageLatency(base_ms=200))
    record = hold(story, made)
    # The turn ends at 1100, speech is back at 1200, and the empty reply is there at 1300.
    assert not kinds(record, "reply_dropped")
    assert lines.heard() == ["one two", "three four five six"]
    assert [message.role for message in lines.asked[1]] == ["user", "assistant", "user"]


def test_a_silence_in_which_nobody_had_spoken_is_no_pause() -> None:
    """After the agent's prompt the caller begins: an end-pointer that adapts must not learn 5 s from it."""
    story = scenario(turns=[says("one two three four five six", silence_ms=4900)])
    room = Room()
    made, _ = agent(DONE, dialogue=StageLatency(base_ms=1000))
    record = hold(story, made, room)
    assert kinds(record, "reply_dropped")
    assert room.pauses == [()]


def test_a_bed_that_begins_anew_is_no_pause() -> None:
    room = Room(bed_hears=ALWAYS, bed_from_ms=29_000)
    made, _ = agent(DONE, rules=TurnTaking(limit_ms=20_000))
    hold(scenario(turns=[says("", silence_ms=3000), says("yes")]), made, room)
    assert all(0 not in pauses for pauses in room.pauses)


def test_noise_does_not_keep_the_greeting_from_being_said() -> None:
    """It replies to nobody, so that nobody can go on before it."""
    room = Room(bed_hears=(Span(start_ms=0, end_ms=900),))
    made, _ = agent(DONE, greeting="hello there", synthesizer=StageLatency(base_ms=500))
    record = hold(scenario(turns=[says("yes")]), made, room)
    assert kinds(record, "agent_started")[0].at_ms == 550
    assert not kinds(record, "reply_dropped")


def test_words_that_were_counted_for_one_reply_do_not_cut_off_the_next() -> None:
    """The recognizer is slow: the reply is over, and a prompt plays when the words are counted."""
    story = scenario(
        turns=[says("hello"), says("bye")],
        asides=[{"kind": "side_talk", "text": "please pass the salt", "at_ms": 300, "cue": ["one"]}],
    )
    made, _ = agent(
        Reply(text="one two three four five six seven eight"),
        LONG,
        DONE,
        rules=TurnTaking(interruptions="words", no_speech_ms=100),
        recognizer=StageLatency(base_ms=900),
    )
    record = hold(story, made)
    first, second = kinds(record, "agent_started")[:2]
    counted_ms = first.at_ms + 300 + 300 + 900
    assert second.at_ms < counted_ms
    assert [event.interrupted for event in kinds(record, "agent_stopped")][:2] == [False, False]


def test_a_reply_carries_the_turn_that_it_replies_to() -> None:
    """A tool takes so long that the caller speaks again; the reply is to what came before."""
    story = scenario(turns=[says("hello")])
    made, _ = agent(
        Reply(tool_calls=(ToolCall(name="log"),)), LONG, DONE, dialogue=StageLatency(base_ms=6000)
    )
    record = hold(story, made)
    assert kinds(record, "caller_started")[1].at_ms < kinds(record, "agent_started")[0].at_ms
    turns = {kind: kinds(record, kind)[0].turn for kind in ("end_of_turn", "replied", "agent_started")}
    assert set(turns.values()) == {1}


def test_an_end_pointer_that_fails_on_the_lines_noise_is_the_agents_failure() -> None:
    made, _ = agent(DONE)
    room = Room()

    def fails() -> Any:
        raise ValueError("too quiet for me")

    room.bed = fails  # type: ignore[method-assign]
    record = hold(scenario(), made, room)
    assert record.ending is Ending.AGENT_FAILED
    assert record.failure.startswith("endpointing: ValueError at")


def test_a_line_that_fails_between_the_callers_sounds_is_our_failure() -> None:
    made, _ = agent(DONE)
    room = Room()

    def fails() -> Any:
        raise HarnessError("no line")

    room.bed = fails  # type: ignore[method-assign]
    with pytest.raises(HarnessError, match="no line"):
        hold(scenario(), made, room)


def test_a_synthesizer_that_makes_no_sound_has_still_been_told_what_to_say() -> None:
    """Whoever listens hears nothing: the caller does not answer words that were never audible."""
    room = Room()
    room.agent_says = lambda text: AgentSound(digest="quiet", lead_ms=0, speech_ms=0)  # type: ignore[method-assign]
    made, _ = agent(Reply(text="shall i block it"), DONE)
    record = hold(scenario(turns=[says("please"), says("yes", cue=["block"])]), made, room)
    assert kinds(record, "agent_started")[0].text == "shall i block it"
    assert [event.wording for event in kinds(record, "caller_started")] == ["text", "repair"]


def test_an_agent_that_does_not_hear_while_it_thinks_does_not_hear_it_later_either() -> None:
    story = scenario(turns=[says("one two", afterthought={"text": "three four five six", "after_ms": 600})])
    made, lines = agent(
        Reply(), DONE, rules=TurnTaking(while_thinking="ignore"), dialogue=StageLatency(base_ms=350)
    )
    hold(story, made)
    # It thinks from 1100 to 1450; "three four" is over by 1400, and "five" is on.
    assert lines.heard() == ["one two", "six"]


def test_an_afterthought_during_a_tool_call_is_lost_or_interrupts_but_never_drops_the_reply() -> None:
    for gap_ms, heard in ((600, ["hello"]), (1500, ["hello", "one two three four five six"])):
        more = {"text": "one two three four five six", "after_ms": gap_ms}
        made, lines = agent(
            Reply(tool_calls=(ToolCall(name="log"),)), LONG, DONE, dialogue=StageLatency(base_ms=350)
        )
        record = hold(scenario(turns=[says("hello", afterthought=more)]), made)
        assert not kinds(record, "reply_dropped")
        assert len(kinds(record, "tool_called")) == 1
        assert lines.heard()[: len(heard)] == heard


def test_a_caller_who_begins_just_when_the_reply_ends_is_heard_from_the_first_word() -> None:
    story = scenario(turns=[says("hello"), says("yes please do", barge_in_ms=2999)])
    made, lines = agent(LONG, DONE)
    record = hold(story, made)
    first = kinds(record, "agent_stopped")[0]
    barged = kinds(record, "caller_started")[1]
    assert (first.interrupted, first.at_ms - barged.at_ms, barged.barge_in) == (False, 1, True)
    assert lines.heard()[-1] == "yes please do"


def test_a_reply_cut_before_its_first_word_is_not_in_the_history() -> None:
    story = scenario(turns=[says("hello"), says("stop it now", barge_in_ms=1)])
    made, lines = agent(Reply(text="indubitably so and more"), DONE, rules=TurnTaking(interrupt_after_ms=100))
    record = hold(story, made)
    cut = kinds(record, "agent_stopped")[0]
    assert (cut.interrupted, cut.believed) == (True, "")
    assert [message.role for message in lines.asked[-1]] == ["user", "user"]


@pytest.mark.parametrize("interruptions", ["stop", "words", "finish"])
def test_babble_that_is_heard_as_speech_for_ever_ends_all_the_same(interruptions: Any) -> None:
    story = scenario(turns=[says("hello"), says("yes")])
    made, _ = agent(
        LONG,
        DONE,
        greeting="good morning to you",
        rules=TurnTaking(interruptions=interruptions, limit_ms=3000),
    )
    record = hold(story, made, Room(bed_hears=ALWAYS))
    assert record.events[-1].kind == "hung_up"
    assert record.events[-1].at_ms <= CALL_LIMIT_MS
    assert {event.reason for event in kinds(record, "end_of_turn")} <= {"limit", "silence"}


def test_an_agent_that_ignores_while_it_thinks_still_stops_for_who_speaks_on() -> None:
    """It stops 300 ms after its first word, and hears what was said from there on."""
    more = {"text": "one two three four five six seven eight", "after_ms": 600}
    made, lines = agent(
        LONG,
        DONE,
        rules=TurnTaking(while_thinking="ignore", interruptions="stop"),
        dialogue=StageLatency(base_ms=250),
    )
    record = hold(scenario(turns=[says("hello", afterthought=more)]), made)
    # "hello" is over at 500 and its turn at 1000; the reply plays from 1300, where "three" begins.
    started, stopped = kinds(record, "agent_started")[0], kinds(record, "agent_stopped")[0]
    assert (started.at_ms, stopped.at_ms, stopped.interrupted) == (1300, 1600, True)
    assert lines.heard()[:2] == ["hello", "three four five six seven eight"]


def test_what_was_heard_of_a_reply_that_was_given_up_is_not_answered_after_the_next() -> None:
    """Only the two parts of a reply that goes on are one."""
    story = scenario(
        turns=[says("hello"), says("my number is nine", cue=["number"]), says("yes", cue=["shall"])],
        asides=[{"kind": "cough", "at_ms": 300, "cue": ["number"]}],
    )
    rules = TurnTaking(interrupt_after_ms=200, false_alarm="reply")
    made, _ = agent(
        Reply(text="what is your number please and your name"), Reply(text="shall i go on"), DONE, rules=rules
    )
    record = hold(story, made)
    assert [event.text for event in kinds(record, "caller_started")] == ["hello", "yes"]


def test_an_aside_that_was_broken_off_is_not_what_a_later_noise_was() -> None:
    story = scenario(
        turns=[says("hello"), says("no", barge_in_ms=300)],
        asides=[{"kind": "side_talk", "text": " ".join(["word"] * 20), "at_ms": 100}],
    )
    ghost = Room(
        hears=lambda digest, spans: (
            (*spans, Span(start_ms=spans[-1].end_ms + 300, end_ms=spans[-1].end_ms + 700))
            if digest.startswith("1:")
            else spans
        ),
        waits=lambda _: 50,
    )
    made, _ = agent(LONG, LONG, DONE, rules=TurnTaking(interrupt_after_ms=100))
    record = hold(story, made, ghost)
    assert [event.heard for event in kinds(record, "transcribed")] == ["turn", "turn", "noise"]


def test_who_is_still_pressing_keys_answers_after_the_last_one() -> None:
    story = scenario(turns=[says("", keys="1" * 40), says("yes")])
    made, _ = agent(Reply(text="sorry"), DONE, rules=TurnTaking(keys="ignore"))
    record = hold(story, made)
    last_key = kinds(record, "key_pressed")[-1].at_ms
    assert last_key > kinds(record, "agent_stopped")[0].at_ms
    assert 200 <= kinds(record, "caller_started")[0].at_ms - last_key <= 700
