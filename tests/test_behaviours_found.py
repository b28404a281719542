"""What placing every behaviour with every policy brought to light."""

from __future__ import annotations

from rooms import DONE, agent, hold, kinds
from spoken_calls import says, scenario

from voiceeval.agents import StageLatency
from voiceeval.engines.caller_side import REPLY_LIMIT_MS
from voiceeval.protocols import Reply
from voiceeval.turn_taking import TurnTaking

LONG = Reply(text=" ".join(["word"] * 30))


def test_who_answered_by_interrupting_waits_for_a_reply_and_not_for_the_rest_of_the_question() -> None:
    """The agent takes a bare "yes" for a sign of listening, goes on, and then hears nothing more."""
    story = scenario(turns=[says("hello"), says("yes yes yes", barge_in_ms=1000)])
    made, _ = agent(LONG, Reply(), DONE, rules=TurnTaking(interrupt_after_ms=100, no_speech_ms=60_000))
    record = hold(story, made)
    assert [event.offset_ms > 0 for event in kinds(record, "agent_started")] == [False, True, False]
    went_on = kinds(record, "agent_stopped")[1]
    again = kinds(record, "caller_started")[2]
    assert (again.at_ms - went_on.at_ms, again.wording) == (REPLY_LIMIT_MS, "repair")


def test_an_aside_leaves_the_reply_to_be_answered_when_it_is_over() -> None:
    story = scenario(turns=[says("hello"), says("yes")], asides=[{"kind": "cough", "at_ms": 1000}])
    made, _ = agent(LONG, DONE, rules=TurnTaking(interrupt_after_ms=100))
    record = hold(story, made)
    went_on, answer = kinds(record, "agent_stopped")[1], kinds(record, "caller_started")[1]
    assert 200 <= answer.at_ms - went_on.at_ms <= 700


def test_an_interruption_that_ends_while_its_words_are_counted_is_counted_as_a_whole() -> None:
    """Three words are there after 300 ms, and four when they have been recognised 150 ms later."""
    story = scenario(turns=[says("hello"), says("no stop that please", barge_in_ms=1000)])
    rules = TurnTaking(interruptions="words", interrupt_words=4)
    made, lines = agent(LONG, DONE, rules=rules, recognizer=StageLatency(base_ms=150))
    record = hold(story, made)
    began, stopped = kinds(record, "caller_started")[1], kinds(record, "agent_stopped")[0]
    assert (stopped.interrupted, stopped.at_ms - began.at_ms) == (True, 300 + 150 + 150)
    assert lines.heard()[-1] == "no stop that please"
