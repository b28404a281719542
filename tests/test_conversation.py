"""A call on simulated time: who speaks when, what each step costs, and how calls end."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rooms import DONE, Room, Till, agent, hold, kinds, moments, told
from spoken_calls import says, scenario

from voiceeval.agents import StageLatency
from voiceeval.call import Ending
from voiceeval.engines.caller_side import FIRST_WORDS_MS, REPLY_LIMIT_MS
from voiceeval.engines.conversation import CALL_LIMIT_MS
from voiceeval.engines.medium import GivenWords
from voiceeval.engines.replying import MAX_ROUNDS
from voiceeval.errors import AgentError, HarnessError
from voiceeval.protocols import Reply, Span, ToolResult
from voiceeval.scenario import ToolCall
from voiceeval.turn_taking import TurnTaking

STORY = scenario(turns=[says("please block my card")])


def test_every_stage_adds_its_time_exactly_once() -> None:
    made, _ = agent(
        Reply(tool_calls=(ToolCall(name="block_card"),), output_tokens=10),
        replace(DONE, output_tokens=4),
        recognizer=StageLatency(base_ms=100, per_unit_ms=50),
        dialogue=StageLatency(base_ms=200, per_unit_ms=10),
        synthesizer=StageLatency(base_ms=80, per_unit_ms=1),
    )
    record = hold(STORY, made)
    assert moments(record) == [
        (400, 1, "caller_started"),  # nobody greets
        (800, 1, "caller_stopped"),
        (1300, 1, "end_of_turn"),  # 500 ms of silence
        (1461, 1, "transcribed"),  # 100 + 50 × 1.22 s of audio, from 320 ms before the speech
        (1761, 1, "replied"),  # 200 + 10 × 10 tokens
        (1761, 1, "tool_called"),
        (1961, 1, "tool_returned"),
        (2201, 1, "replied"),  # 200 + 10 × 4 tokens
        (2347, 1, "agent_started"),  # 80 + 1 × 16 characters + 50 of silence in the audio
        (2647, 1, "agent_stopped"),
        (2647, 1, "hung_up"),
    ]
    assert record.ending is Ending.COMPLETED
    assert record.final_state == {"calls": ["block_card"]}
    assert kinds(record, "end_of_turn")[0].heard_ms == record.usage.audio_in_ms == 1220
    assert (record.usage.output_tokens, record.usage.spoken_characters) == (14, 16)


def test_the_greeting_is_turn_nought_and_part_of_the_history() -> None:
    made, lines = agent(DONE, greeting="hello there")
    record = hold(STORY, made)
    assert moments(record)[:2] == [(50, 0, "agent_started"), (250, 0, "agent_stopped")]
    assert kinds(record, "caller_started")[0].turn == 1
    assert [message.role for message in lines.asked[0]] == ["assistant", "user"]


def test_the_caller_answers_within_the_time_people_take() -> None:
    story = scenario(turns=[says("please block my card"), says("yes")])
    for seed in range(20):
        made, _ = agent(Reply(text="shall i block it"), DONE)
        record = hold(story, made, seed=seed)
        stopped = kinds(record, "agent_stopped")[0].at_ms
        assert 200 <= kinds(record, "caller_started")[1].at_ms - stopped <= 700


def test_the_same_seed_gives_the_same_call_and_another_seed_another_one() -> None:
    story = scenario(turns=[says("please block my card"), says("yes")])

    def placed(seed: int) -> Any:
        made, _ = agent(Reply(text="and then"), DONE, dialogue=StageLatency(base_ms=200, spread=0.3))
        return hold(story, made, seed=seed)

    assert placed(5) == placed(5)
    assert moments(placed(5)) != moments(placed(6))


def test_a_caller_whom_nobody_greets_speaks_first() -> None:
    made, _ = agent(DONE)
    assert moments(hold(STORY, made))[0] == (FIRST_WORDS_MS, 1, "caller_started")


def test_what_is_recognised_begins_before_speech_was_noticed_and_never_before_the_call() -> None:
    room = Room()
    made, _ = agent(DONE)
    record = hold(STORY, made, room)
    (cuts,) = room.recognized
    assert [(cut.sound.digest, cut.from_ms, cut.to_ms) for cut in cuts] == [
        ("bed", 80, 100),  # the caller's sound has 300 ms of the line before its words, from 100 on
        ("0:text:0", 0, 1200),
    ]
    assert kinds(record, "transcribed")[0].text == "please block my card"


def test_an_agent_that_stops_listening_too_early_hears_the_rest_as_more_of_the_turn() -> None:
    """The detector misses a stretch of 600 ms: the turn seems over, and then it is not."""
    words = says("one two three four five six seven eight nine ten")
    chopped = Room(
        hears=lambda _, spans: (
            Span(start_ms=spans[0].start_ms, end_ms=spans[0].start_ms + 200),
            Span(start_ms=spans[0].start_ms + 800, end_ms=spans[0].end_ms),
        )
    )
    made, lines = agent(DONE, dialogue=StageLatency(base_ms=1000))
    record = hold(scenario(turns=[words]), made, chopped)
    assert moments(record) == [
        (400, 1, "caller_started"),
        (1100, 1, "end_of_turn"),  # 500 ms after 600; recognition takes no time here
        (1100, 1, "transcribed"),
        (1400, 1, "caller_stopped"),
        # Speech is back at 1200, and would have to last until 1500 to be taken for more.
        (2100, 1, "replied"),
        (2150, 1, "agent_started"),
        (2450, 1, "agent_stopped"),
        (2450, 1, "hung_up"),
    ]
    assert lines.heard() == ["one two three four five six seven"]


def test_words_after_an_early_end_of_turn_are_heard_out_and_joined_to_what_was_heard() -> None:
    turns = [says("one two three four five six seven eight nine ten eleven twelve")]
    missed = Room(
        hears=lambda _, spans: (
            Span(start_ms=spans[0].start_ms, end_ms=spans[0].start_ms + 200),
            Span(start_ms=spans[0].start_ms + 800, end_ms=spans[0].end_ms),
        )
    )
    made, lines = agent(DONE, dialogue=StageLatency(base_ms=1000))
    record = hold(scenario(turns=turns), made, missed)
    assert moments(record)[:8] == [
        (400, 1, "caller_started"),
        (1100, 1, "end_of_turn"),
        (1100, 1, "transcribed"),
        (1500, 1, "reply_dropped"),  # speech was back at 1200 and lasted for 300 ms
        (1600, 1, "caller_stopped"),
        (2100, 1, "end_of_turn"),
        (2100, 1, "transcribed"),
        (3100, 1, "replied"),
    ]
    first, second = kinds(record, "transcribed")
    assert (first.text, second.text) == ("one two three four five six seven", "eight nine ten eleven twelve")
    assert lines.heard()[-1] == turns[0]["text"]
    assert [len(history) for history in lines.asked] == [1, 1]
    assert missed.pauses[-1] == (600,)


def test_a_caller_who_is_spoken_over_finishes_before_answering() -> None:
    story = scenario(turns=[says("one two three four five six seven eight nine ten"), says("yes")])
    blind = Room(hears=lambda _, spans: (Span(start_ms=spans[0].start_ms, end_ms=spans[0].start_ms + 50),))
    made, _ = agent(Reply(text="right"), DONE)
    record = hold(story, made, blind)
    first_stop = kinds(record, "caller_stopped")[0].at_ms
    assert kinds(record, "agent_stopped")[0].at_ms < first_stop
    assert kinds(record, "caller_started")[1].at_ms >= first_stop + 200


def test_a_caller_who_was_asked_before_speaking_says_the_words_afterwards() -> None:
    story = scenario(turns=[says("please block my card", silence_ms=8000)])
    made, lines = agent(Reply(text="hello"), DONE)
    record = hold(story, made)
    # Nothing was said for 5000 ms; no turn of the caller has begun.
    assert moments(record)[:5] == [
        (5000, 0, "end_of_turn"),
        (5000, 0, "transcribed"),
        (5000, 0, "replied"),
        (5050, 0, "agent_started"),
        (5150, 0, "agent_stopped"),
    ]
    assert kinds(record, "end_of_turn")[0].reason == "no speech"
    (said,) = kinds(record, "caller_started")
    assert (said.text, said.turn) == ("please block my card", 1)
    assert 200 <= said.at_ms - 5150 <= 700
    assert lines.heard() == ["", "please block my card"]


def test_a_caller_who_stays_silent_begins_a_turn_and_the_agent_asks() -> None:
    story = scenario(turns=[says("", silence_ms=9000), says("yes", cue=["still"])])
    made, _ = agent(Reply(text="are you still there"), DONE)
    record = hold(story, made)
    assert moments(record)[:6] == [
        (400, 1, "caller_started"),
        (5000, 1, "end_of_turn"),
        (5000, 1, "transcribed"),
        (5000, 1, "replied"),
        (5050, 1, "agent_started"),
        (5450, 1, "agent_stopped"),
    ]
    assert [event.text for event in kinds(record, "caller_started")] == ["", "yes"]


def test_when_the_silence_has_lasted_and_nobody_asked_the_script_goes_on() -> None:
    story = scenario(turns=[says("", silence_ms=2000), says("yes")])
    made, _ = agent(DONE)
    assert moments(hold(story, made))[:2] == [(400, 1, "caller_started"), (2400, 2, "caller_started")]


def test_an_agent_without_words_is_waited_for_and_then_told_again() -> None:
    made, _ = agent(Reply(), DONE)
    record = hold(STORY, made, Room(waits=lambda pauses: 500))
    # The agent, too, prompts after 5 s without speech: its second reply ends the call before that.
    assert [event.at_ms for event in kinds(record, "end_of_turn")] == [1300, 6300]
    patient, _ = agent(Reply(), DONE, rules=TurnTaking(no_speech_ms=60_000))
    again = hold(STORY, patient)
    first, second = kinds(again, "caller_started")
    assert second.at_ms - kinds(again, "caller_stopped")[0].at_ms == REPLY_LIMIT_MS
    assert (first.wording, second.wording) == ("text", "repair")


def test_words_that_come_with_tool_calls_are_spoken_before_the_reply_that_follows() -> None:
    made, _ = agent(Reply(text="one moment", tool_calls=(ToolCall(name="log"),)), DONE)
    record = hold(STORY, made)
    assert [event.text for event in kinds(record, "agent_started")] == ["one moment all done goodbye"]


def test_a_dialogue_model_that_never_stops_calling_tools_has_failed() -> None:
    till = Till()
    made, _ = agent(Reply(tool_calls=(ToolCall(name="log"),)))
    record = hold(STORY, made, tools=till)
    assert record.ending is Ending.AGENT_FAILED
    assert record.failure == f"dialogue: asked for tools {MAX_ROUNDS} times in one turn"
    assert len(till.calls) == MAX_ROUNDS - 1
    assert [event.kind for event in record.events[-2:]] == ["stage_failed", "hung_up"]


def test_the_same_words_said_again_are_counted_so_that_each_time_gets_its_own_noise() -> None:
    story = scenario(turns=[says("please block my card")], patience=2)
    made, _ = agent(Reply(text="could you repeat that"), Reply(text="could you repeat that"), DONE)
    room = Room()
    hold(story, made, room)
    assert [(words.wording, times) for words, times in room.said] == [
        ("text", 0),
        ("repair", 0),
        ("repair", 1),
    ]


def test_the_call_ends_when_it_goes_on_for_too_long() -> None:
    story = scenario(turns=[says("please block my card")], patience=10, max_exchanges=3)
    made, _ = agent(Reply(text="could you repeat that"))
    record = hold(story, made)
    last = record.events[-1]
    assert (last.kind, last.by, last.reason) == ("hung_up", "limit", "too many exchanges")  # type: ignore[union-attr]
    assert len(kinds(record, "caller_started")) == 3


def test_a_call_that_does_not_come_to_an_end_is_cut_off() -> None:
    made, _ = agent(DONE, greeting=" ".join(["hello"] * 10_000))
    record = hold(STORY, made)
    assert moments(record)[-2:] == [(CALL_LIMIT_MS, 0, "agent_stopped"), (CALL_LIMIT_MS, 0, "hung_up")]
    last = record.events[-1]
    assert (last.by, last.reason) == ("limit", "too long")  # type: ignore[union-attr]


@pytest.mark.parametrize("stage", ["recognizer", "dialogue", "tools", "synthesizer", "endpointing"])
def test_whatever_a_stage_raises_is_the_agents_failure_and_its_text_stays_private(stage: str) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ValueError("the caller's card is 4129")

    room, till = Room(), Till()
    made, _ = agent(Reply(tool_calls=(ToolCall(name="log"),)), DONE)
    broken = {
        "recognizer": (room, "recognize"),
        "dialogue": (made.dialogue, "reply"),
        "tools": (till, "call"),
        "synthesizer": (room, "agent_says"),
        "endpointing": (room, "wait_ms"),
    }[stage]
    setattr(*broken, fails)
    record = hold(STORY, made, room, till)
    assert record.ending is Ending.AGENT_FAILED
    assert kinds(record, "stage_failed")[0].stage == stage
    assert "4129" not in str(record)
    assert "ValueError at test_conversation.py" in record.failure
    assert [told(event).split()[2] for event in record.events].count("hung_up") == 1


@pytest.mark.parametrize(
    ("nonsense", "told_of"),
    [
        ("hello", "reply returned str, not a Reply"),
        (Reply(text=b"hello"), "reply returned Reply, not a Reply"),  # type: ignore[arg-type]
        (Reply(tool_calls=({"name": "log"},)), "something that is not a ToolCall"),  # type: ignore[arg-type]
    ],
)
def test_nonsense_from_the_dialogue_model_is_the_agents_failure(nonsense: Any, told_of: str) -> None:
    made, _ = agent(nonsense)
    record = hold(STORY, made)
    assert record.ending is Ending.AGENT_FAILED
    assert told_of in record.failure


@pytest.mark.parametrize(
    ("nonsense", "told_of"),
    [
        ({"ok": True}, "a tool call returned dict, not a ToolResult"),
        (ToolResult(value=None, failed=False, duration_ms=-1), "duration_ms is not whole milliseconds"),
        (ToolResult(value=None, failed=False, duration_ms=1.5), "duration_ms is not whole milliseconds"),  # type: ignore[arg-type]
        (ToolResult(value={1, 2}, failed=False, duration_ms=1), "a value that JSON does not have"),  # type: ignore[arg-type]
    ],
    ids=["no result", "before it began", "in parts", "no JSON"],
)
def test_nonsense_from_a_tool_is_the_agents_failure(nonsense: Any, told_of: str) -> None:
    class Broken(Till):
        def call(self, call: ToolCall) -> ToolResult:
            return nonsense  # type: ignore[no-any-return]

    made, _ = agent(Reply(tool_calls=(ToolCall(name="log"),)))
    record = hold(STORY, made, tools=Broken())
    assert record.ending is Ending.AGENT_FAILED
    assert told_of in record.failure


@pytest.mark.parametrize("trouble", [HarnessError("no network"), AgentError("no such model")])
def test_trouble_of_ours_is_never_the_agents(trouble: Exception) -> None:
    made, _ = agent(trouble)
    with pytest.raises(HarnessError, match=str(trouble)):
        hold(STORY, made)


def test_given_the_reference_words_the_dialogue_hears_exactly_them() -> None:
    story = scenario(turns=[says("please block my card"), says("yes")])
    made, lines = agent(Reply(text="shall i block it"), DONE)
    record = hold(story, made, GivenWords())
    assert lines.heard() == ["please block my card", "yes"]
    assert record.ending is Ending.COMPLETED


def test_given_the_reference_words_an_afterthought_belongs_to_them_and_nobody_interrupts() -> None:
    story = scenario(
        turns=[
            says("please block my card", afterthought={"text": "no wait my account", "after_ms": 700}),
            says("yes", barge_in_ms=100),
        ],
        asides=[{"kind": "cough", "at_ms": 100}],
    )
    for rules in (TurnTaking(), TurnTaking(while_thinking="ignore")):
        made, lines = agent(Reply(text="shall i block it now then"), DONE, rules=rules)
        record = hold(story, made, GivenWords())
        assert lines.heard() == ["please block my card no wait my account", "yes"]
        assert not kinds(record, "reply_dropped", "aside_started")
        assert not any(event.interrupted for event in kinds(record, "agent_stopped"))


def test_no_two_utterances_of_the_agent_overlap_in_a_hundred_random_calls() -> None:
    rng = np.random.default_rng(3)
    for seed in range(100):
        turns = [says(" ".join(["word"] * int(rng.integers(1, 12)))) for _ in range(int(rng.integers(1, 5)))]
        replies = [Reply(text=" ".join(["so"] * int(rng.integers(1, 9)))) for _ in turns]
        made, _ = agent(*replies, dialogue=StageLatency(base_ms=300, spread=0.5))
        wait_ms = int(rng.integers(1, 600))
        record = hold(scenario(turns=turns), made, Room(waits=lambda _, wait_ms=wait_ms: wait_ms), seed=seed)  # type: ignore[misc]
        times = [event.at_ms for event in record.events]
        assert times == sorted(times)
        spans = list(zip(kinds(record, "agent_started"), kinds(record, "agent_stopped"), strict=True))
        assert all(before[1].at_ms <= after[0].at_ms for before, after in itertools.pairwise(spans))
