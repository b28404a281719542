"""What the agent knows of the conversation when replies are dropped, cut off and go on."""

from __future__ import annotations

from rooms import DONE, Room, agent, hold, kinds
from spoken_calls import says, scenario

from voiceeval.agents import StageLatency
from voiceeval.protocols import Reply, Span
from voiceeval.scenario import ToolCall
from voiceeval.turn_taking import TurnTaking

TEN = "one two three four five six seven eight nine ten"


def known(lines: object, number: int = -1) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in lines.asked[number]]  # type: ignore[attr-defined]


def test_however_often_a_reply_is_dropped_all_that_was_heard_is_replied_to_at_once() -> None:
    """Two pauses that the agent takes for ends, each of 700 ms where it waits for 500."""

    def twice_chopped(_: str, spans: tuple[Span, ...]) -> tuple[Span, ...]:
        begins = spans[0].start_ms
        stretches = ((0, 400), (1100, 1600), (2300, 2800))
        return tuple(Span(start_ms=begins + start, end_ms=begins + end) for start, end in stretches)

    words = "a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb"
    made, lines = agent(DONE, dialogue=StageLatency(base_ms=900))
    record = hold(scenario(turns=[says(words)]), made, Room(hears=twice_chopped))
    assert len(kinds(record, "reply_dropped")) == 2
    assert len(kinds(record, "replied")) == 1
    assert known(lines) == [("user", words)]
    assert len(lines.asked) == 3


def test_a_reply_that_was_dropped_leaves_nothing_behind() -> None:
    """Nor do the words that it would have said with a tool call that was never made."""
    more = {"text": "and my account too", "after_ms": 600}
    made, lines = agent(
        Reply(text="dropped", tool_calls=(ToolCall(name="log"),)),
        Reply(text="said"),
        DONE,
        dialogue=StageLatency(base_ms=900),
    )
    record = hold(scenario(turns=[says("my card", afterthought=more), says("yes")]), made)
    assert not kinds(record, "tool_called")
    assert [event.text for event in kinds(record, "agent_started")] == ["said", "all done goodbye"]
    assert known(lines) == [("user", "my card and my account too"), ("assistant", "said"), ("user", "yes")]


def test_a_reply_dropped_while_it_is_synthesized_is_forgotten_too() -> None:
    more = {"text": "and my account too", "after_ms": 600}
    made, lines = agent(Reply(text="first"), DONE, synthesizer=StageLatency(base_ms=900))
    record = hold(scenario(turns=[says("my card", afterthought=more)]), made)
    assert [event.text for event in kinds(record, "replied")] == ["first", "all done goodbye"]
    assert known(lines) == [("user", "my card and my account too")]
    # It was synthesized all the same, and is paid for.
    assert record.usage.spoken_characters == len("first") + len("all done goodbye")


def test_a_reply_that_is_cut_off_twice_and_goes_on_twice_was_said_once() -> None:
    story = scenario(turns=[says("hello"), says("yes")], asides=[{"kind": "cough", "at_ms": 200}])
    echoing = Room(
        hears=lambda digest, spans: (
            (*spans, Span(start_ms=spans[-1].end_ms + 600, end_ms=spans[-1].end_ms + 900))
            if digest.startswith("aside")
            else spans
        )
    )
    made, lines = agent(Reply(text=TEN), DONE, rules=TurnTaking(interrupt_after_ms=200))
    record = hold(story, made, echoing)
    # The cough of 200 to 500 cuts it at 400; it goes on at 1000, and is cut 200 ms after 1100, at 700 of it.
    assert [event.offset_ms for event in kinds(record, "agent_started")[:3]] == [0, 400, 700]
    assert [event.believed for event in kinds(record, "agent_stopped")[:3]] == [
        "one two three four",
        "one two three four five six seven",
        "",
    ]
    assert known(lines) == [("user", "hello"), ("assistant", TEN), ("user", "yes")]


def test_words_that_come_before_a_false_alarm_is_over_make_it_a_true_one() -> None:
    story = scenario(
        turns=[says("hello"), says("no stop it please", barge_in_ms=700)],
        asides=[{"kind": "cough", "at_ms": 100}],
    )
    made, lines = agent(Reply(text=TEN), DONE, rules=TurnTaking(interrupt_after_ms=200))
    record = hold(story, made)
    assert kinds(record, "transcribed")[1].heard == "turn"
    assert known(lines) == [("user", "hello"), ("assistant", "one two three"), ("user", "no stop it please")]


def test_the_same_stage_asked_again_in_a_turn_takes_another_time() -> None:
    """A dropped reply and the one after it are two draws, equal in both arms."""
    more = {"text": "and my account too", "after_ms": 600}

    def took(seed: int) -> list[int]:
        made, _ = agent(DONE, dialogue=StageLatency(base_ms=2000, spread=0.3))
        record = hold(scenario(turns=[says("my card", afterthought=more)]), made, seed=seed)
        assert len(kinds(record, "reply_dropped")) == 1
        return [event.stage_ms for event in kinds(record, "replied")]

    alone, _ = agent(DONE, dialogue=StageLatency(base_ms=2000, spread=0.3))
    first = kinds(hold(scenario(turns=[says("my card")]), alone, seed=5), "replied")[0].stage_ms
    assert took(5) == took(5)
    assert took(5) != [first]
