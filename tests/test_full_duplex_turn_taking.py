"""Each rule of an agent's turn-taking, and what changes with it, to the millisecond."""

from __future__ import annotations

from typing import Any

import pytest
from rooms import DONE, Room, agent, hold, kinds, moments
from spoken_calls import says, scenario

from voiceeval.agents import StageLatency
from voiceeval.protocols import Reply
from voiceeval.scenario import ToolCall
from voiceeval.turn_taking import TurnTaking

TEN = "one two three four five six seven eight nine ten"
"""48 characters in 1000 ms."""
BARGES = says("no stop that please", barge_in_ms=200)
TWICE = scenario(turns=[says("hello"), BARGES])


def after_the_reply_began(record: Any) -> list[tuple[int, str]]:
    begun = kinds(record, "agent_started")[0].at_ms
    return [(at_ms - begun, kind) for at_ms, _, kind in moments(record) if at_ms >= begun]


def coughing(at_ms: int = 200, **turns: Any) -> Any:
    return scenario(
        turns=[says("hello"), says("yes please")], asides=[{"kind": "cough", "at_ms": at_ms}], **turns
    )


@pytest.mark.parametrize("after_ms", [100, 300, 350])
def test_stop_yields_after_so_much_speech(after_ms: int) -> None:
    made, lines = agent(Reply(text=TEN), DONE, rules=TurnTaking(interrupt_after_ms=after_ms))
    record = hold(TWICE, made)
    assert after_the_reply_began(record)[:4] == [
        (0, "agent_started"),
        (200, "caller_started"),
        (200 + after_ms, "agent_stopped"),
        (600, "caller_stopped"),
    ]
    assert lines.heard()[-1] == "no stop that please"


def test_speech_that_is_over_before_it_counts_does_not_stop_the_agent() -> None:
    made, _ = agent(Reply(text=TEN), DONE, rules=TurnTaking(interrupt_after_ms=300))
    record = hold(coughing(), made)  # a cough of 300 ms
    assert [event.interrupted for event in kinds(record, "agent_stopped")] == [False, False]


def test_words_yields_once_enough_of_them_were_made_out() -> None:
    rules = TurnTaking(interruptions="words", interrupt_words=3, interrupt_after_ms=300)
    made, lines = agent(Reply(text=TEN), DONE, rules=rules, recognizer=StageLatency(base_ms=40))
    record = hold(TWICE, made)
    # 300 ms in, "no stop that" is heard, and 40 ms later it is known.
    assert after_the_reply_began(record)[2] == (540, "agent_stopped")
    assert lines.heard()[-1] == "no stop that please"
    # What was looked at to decide is paid for, too. The barge-in comes 290 ms after the first end of turn,
    # and nothing from before that is heard twice.
    assert record.usage.audio_in_ms == (320 + 100 + 500) + (290 + 300) + (290 + 400 + 500)


def test_words_looks_again_while_speech_lasts() -> None:
    """Two words at first, and four at the second look."""
    rules = TurnTaking(interruptions="words", interrupt_words=3, interrupt_after_ms=200)
    story = scenario(turns=[says("hello"), says("no stop that please at once", barge_in_ms=200)])
    made, _ = agent(Reply(text=TEN), DONE, rules=rules)
    assert after_the_reply_began(hold(story, made))[2] == (600, "agent_stopped")


def test_words_looks_at_speech_that_is_over_before_it_lasted() -> None:
    rules = TurnTaking(interruptions="words", interrupt_after_ms=1000)
    made, _ = agent(Reply(text=TEN), DONE, rules=rules)
    assert after_the_reply_began(hold(TWICE, made))[2:5] == [
        (600, "caller_stopped"),
        (600, "agent_stopped"),
        (1100, "end_of_turn"),
    ]


@pytest.mark.parametrize(
    ("said", "stops"), [("uh huh", False), ("yeah okay i see", False), ("no wait", True)]
)
def test_words_talks_through_back_channels(said: str, stops: bool) -> None:
    aside = {"kind": "back_channel", "text": said, "at_ms": 100}
    story = scenario(turns=[says("hello"), says("yes")], asides=[aside])
    made, _ = agent(Reply(text=TEN), DONE, rules=TurnTaking(interruptions="words"))
    assert kinds(hold(story, made), "agent_stopped")[0].interrupted is stops


def test_finish_says_all_and_hears_what_is_said_after() -> None:
    story = scenario(turns=[says("hello"), says("a b c d e f g h", barge_in_ms=600)])
    made, lines = agent(Reply(text=TEN), DONE, rules=TurnTaking(interruptions="finish"))
    record = hold(story, made)
    assert not kinds(record, "agent_stopped")[0].interrupted
    assert lines.heard()[-1] == "e f g h"  # "a" to "d" were said from 600 to 1000


def test_while_thinking_listens_or_ignores() -> None:
    more = {"text": "and my account too", "after_ms": 600}
    story = scenario(turns=[says("my card", afterthought=more)])
    slow = StageLatency(base_ms=1500)
    made, lines = agent(DONE, dialogue=slow)
    record = hold(story, made)
    assert [event.at_ms for event in kinds(record, "reply_dropped")] == [400 + 200 + 600 + 300]
    assert lines.heard()[-1] == "my card and my account too"
    made, lines = agent(DONE, dialogue=slow, rules=TurnTaking(while_thinking="ignore"))
    record = hold(story, made)
    assert not kinds(record, "reply_dropped")
    assert lines.heard() == ["my card"]


def test_a_reply_is_dropped_in_recognition_too_and_the_whole_turn_is_recognised_at_once() -> None:
    more = {"text": "and my account too", "after_ms": 600}
    made, lines = agent(DONE, recognizer=StageLatency(base_ms=600))
    record = hold(scenario(turns=[says("my card", afterthought=more)]), made)
    assert [event.text for event in kinds(record, "transcribed")] == ["my card and my account too"]
    assert [event.heard_ms for event in kinds(record, "end_of_turn")] == [
        320 + 200 + 500,
        320 + 200 + 600 + 400 + 500,
    ]
    assert len(lines.asked) == 1


@pytest.mark.parametrize(("believes", "words"), [("played", "one two three"), ("all", TEN)])
def test_what_the_agent_takes_to_have_been_heard(believes: Any, words: str) -> None:
    made, lines = agent(Reply(text=TEN), DONE, rules=TurnTaking(believes=believes, interrupt_after_ms=100))
    record = hold(TWICE, made)
    # 300 of 1000 ms, 14 of 48 characters: "one two three" are 13.
    assert kinds(record, "agent_stopped")[0].believed == words
    assert [message.content for message in lines.asked[-1]] == ["hello", words, "no stop that please"]


def test_after_a_false_alarm_it_goes_on_and_knows_that_it_said_all() -> None:
    made, lines = agent(Reply(text=TEN), DONE, rules=TurnTaking(interrupt_after_ms=200))
    record = hold(coughing(), made)
    # The cough from 200 to 500 stops it at 400: 19 of 48 characters. 500 ms of silence, and on it goes.
    assert after_the_reply_began(record)[:8] == [
        (0, "agent_started"),
        (200, "aside_started"),
        (400, "agent_stopped"),
        (500, "aside_stopped"),
        (1000, "end_of_turn"),
        (1000, "transcribed"),
        (1000, "agent_started"),
        (1600, "agent_stopped"),
    ]
    first, second = kinds(record, "agent_stopped")[:2]
    assert (first.believed, second.interrupted) == ("one two three four", False)
    again = kinds(record, "agent_started")[1]
    assert (again.offset_ms, again.text, again.stage_ms) == (400, "five six seven eight nine ten", 0)
    assert kinds(record, "transcribed")[1].heard == "aside"
    assert [message.content for message in lines.asked[-1]] == ["hello", TEN, "yes please"]


def test_after_a_false_alarm_it_may_reply_to_nothing_instead() -> None:
    rules = TurnTaking(interrupt_after_ms=200, false_alarm="reply")
    made, lines = agent(Reply(text=TEN), Reply(text="sorry i stopped"), DONE, rules=rules)
    record = hold(coughing(), made)
    assert all(event.offset_ms == 0 for event in kinds(record, "agent_started"))
    assert [message.content for message in lines.asked[1]] == ["hello", "one two three four", ""]


def test_a_back_channel_that_stopped_the_agent_asks_for_no_reply() -> None:
    aside = {"kind": "back_channel", "text": "mm hmm i see", "at_ms": 200}
    story = scenario(turns=[says("hello"), says("yes please")], asides=[aside])
    made, lines = agent(Reply(text=TEN), DONE, rules=TurnTaking(interrupt_after_ms=100))
    record = hold(story, made)
    assert kinds(record, "transcribed")[1].text == "mm hmm i see"
    assert kinds(record, "agent_started")[1].offset_ms == 300
    assert lines.heard() == ["hello", "yes please"]


def test_side_talk_that_stopped_the_agent_is_replied_to() -> None:
    """It cannot know that the words were not meant for it; the record does."""
    aside = {"kind": "side_talk", "text": "the dog is out", "at_ms": 200}
    story = scenario(turns=[says("hello"), says("yes please")], asides=[aside])
    made, lines = agent(Reply(text=TEN), Reply(text="which dog"), DONE)
    record = hold(story, made)
    assert kinds(record, "transcribed")[1].heard == "aside"
    assert lines.heard()[1] == "the dog is out"


def test_cut_off_after_words_with_a_tool_call_it_believes_all_of_the_exchange_once() -> None:
    one = Reply(text="one two three four five", tool_calls=(ToolCall(name="log"),))
    made, lines = agent(one, Reply(text="six seven eight nine ten"), DONE)
    hold(TWICE, made)
    # Cut at 500 of 1000 ms, 24 of 48 characters.
    assert [(message.role, message.content) for message in lines.asked[-1]] == [
        ("user", "hello"),
        ("assistant", ""),
        ("tool", '{"ok": true}'),
        ("assistant", "one two three four five"),
        ("user", "no stop that please"),
    ]


def test_it_prompts_when_nothing_was_said_for_so_long() -> None:
    story = scenario(turns=[says("hello", silence_ms=60_000)])
    made, _ = agent(DONE, greeting="good morning", rules=TurnTaking(no_speech_ms=700))
    record = hold(story, made)
    spoken = kinds(record, "agent_stopped")[0].at_ms
    ended = kinds(record, "end_of_turn")[0]
    assert (ended.at_ms - spoken, ended.reason, ended.heard_ms) == (700, "no speech", 0)


def test_a_turn_ends_at_its_limit_and_the_rest_is_dealt_with_later() -> None:
    made, lines = agent(Reply(text="right"), DONE, rules=TurnTaking(limit_ms=520, interruptions="finish"))
    record = hold(scenario(turns=[says(TEN)]), made)
    ended = kinds(record, "end_of_turn")[0]
    assert (ended.at_ms, ended.reason, ended.heard_ms) == (400 - 320 + 520, "limit", 520)
    # "one two"; "right" plays from 650 to 750, and what is said meanwhile is not heard.
    # The second stretch is listened to from 750 on, and as long as the first.
    assert lines.heard() == ["one two", "five six seven eight"]


@pytest.mark.parametrize(
    ("keys", "rules", "ends_ms", "heard"),
    [
        ("12", TurnTaking(), 400 + 200 + 1500, "1 2"),
        ("12", TurnTaking(keys_pause_ms=300), 400 + 200 + 300, "1 2"),
        ("12#", TurnTaking(), 400 + 400, "1 2"),
        ("1", TurnTaking(keys="ignore"), 5000, ""),
    ],
    ids=["a pause ends it", "a shorter pause", "the last key ends it", "not taken"],
)
def test_keys(keys: str, rules: TurnTaking, ends_ms: int, heard: str) -> None:
    made, lines = agent(DONE, rules=rules)
    record = hold(scenario(turns=[says("", keys=keys)]), made)
    assert kinds(record, "end_of_turn")[0].at_ms == ends_ms
    assert kinds(record, "transcribed")[0].heard == ("keys" if heard else "turn")
    assert lines.heard()[0] == heard


def test_who_presses_a_key_has_not_said_nothing() -> None:
    made, _ = agent(DONE)
    record = hold(scenario(turns=[says("", keys="1", silence_ms=4500)]), made)
    ended = kinds(record, "end_of_turn")[0]
    assert (ended.reason, ended.at_ms) == ("keys", 400 + 4500 + 1500)  # and no prompt at 5000


def test_a_key_stops_the_agent_that_can_be_interrupted() -> None:
    """The caller presses while a prompt begins to play: the second key falls into it."""
    story = scenario(turns=[says("", keys="12#", silence_ms=4600)])
    for interruptions, cut in (("stop", True), ("words", True), ("finish", False)):
        made, lines = agent(Reply(text=TEN), DONE, rules=TurnTaking(interruptions=interruptions))
        record = hold(story, made)
        # No speech up to 5000; the prompt plays from 5050; the keys come at 5000, 5200 and 5400.
        assert kinds(record, "agent_stopped")[0].interrupted is cut
        assert lines.heard()[-1] == "1 2"


def test_an_end_pointer_that_adapts_is_told_of_every_pause_so_far() -> None:
    story = scenario(
        turns=[
            says("one two three four five six", hesitation={"after_words": 2, "ms": 650}),
            says("yes", cue=["so"]),
        ]
    )
    room = Room(waits=lambda pauses: max([500, *(pause + 100 for pause in pauses)]))
    made, lines = agent(Reply(text="so"), Reply(text="so"), DONE, dialogue=StageLatency(base_ms=700))
    record = hold(story, made, room)
    assert room.pauses == [(), (650,), (650,)]
    # The first turn seems over 500 ms after "two"; its end is then waited for 750 ms.
    spoken = kinds(record, "caller_stopped")
    ended = [event.at_ms for event in kinds(record, "end_of_turn")]
    assert ended == [400 + 200 + 500, spoken[0].at_ms + 750, spoken[1].at_ms + 750]
    assert lines.heard()[1] == "one two three four five six"


def test_a_pause_that_is_waited_for_does_not_end_the_turn() -> None:
    story = scenario(turns=[says("one two three four", hesitation={"after_words": 2, "ms": 450})])
    made, lines = agent(DONE)
    record = hold(story, made)
    assert len(kinds(record, "end_of_turn")) == 1
    assert lines.heard() == ["one two three four"]


def test_who_begins_just_before_the_prompt_is_not_prompted() -> None:
    made, lines = agent(DONE)
    record = hold(scenario(turns=[says("please block my card", silence_ms=4500)]), made)
    ended = kinds(record, "end_of_turn")[0]
    assert (ended.reason, ended.at_ms) == ("silence", 400 + 4500 + 400 + 500)
    assert lines.heard() == ["please block my card"]
