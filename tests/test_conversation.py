from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from spoken_calls import says, scenario

from voiceeval.agents import Agent, StageLatency
from voiceeval.audio import AudioClip
from voiceeval.call import Ending, Event, Stage
from voiceeval.engines.caller import Utterance
from voiceeval.engines.conversation import MAX_ROUNDS, REPLY_LIMIT_MS, Conversation, Record
from voiceeval.engines.medium import AgentSound, CallerSound, GivenWords
from voiceeval.errors import AgentError, HarnessError
from voiceeval.protocols import Endpoint, Message, Recognition, Reply, ToolResult
from voiceeval.scenario import Scenario, Tool, ToolCall

RATE_HZ = 8000


class Deaf:
    def transcribe(self, audio: AudioClip) -> Recognition:
        return Recognition(text="")

    def endpoint(self, audio: AudioClip) -> Endpoint:
        return Endpoint(at_ms=audio.duration_ms, reason="limit")

    def synthesize(self, text: str) -> AudioClip:
        return AudioClip.silence(10, RATE_HZ)


@dataclass
class Lines:
    """A dialogue model that reads its lines from a script."""

    replies: list[Any]
    asked: list[tuple[Message, ...]] = field(default_factory=list)

    def reply(self, history: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        self.asked.append(tuple(history))
        answer = self.replies[min(len(self.asked), len(self.replies)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


class Till:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def call(self, call: ToolCall) -> ToolResult:
        self.calls.append(call.name)
        return ToolResult(value={"ok": True}, failed=False, duration_ms=200)

    def state(self) -> dict[str, Any]:
        return {"calls": list(self.calls)}


@dataclass
class Room:
    """A medium with round numbers: a word takes 100 ms, and the agent notices the end after 500 ms."""

    heard_ms: int | None = None
    recognized: Exception | None = None
    said: list[tuple[Utterance, int]] = field(default_factory=list)

    def caller_says(self, utterance: Utterance, *, times_said: int) -> CallerSound:
        self.said.append((utterance, times_said))
        start = 300 + utterance.silence_ms
        stop = start + 100 * len(utterance.text.split())
        at_ms = stop + 500 if self.heard_ms is None else self.heard_ms
        reason: Any = "silence" if utterance.text and at_ms > start else "no speech"
        return CallerSound(
            digest=f"caller {utterance.text}",
            speech_from_ms=start,
            speech_to_ms=stop,
            endpoint=Endpoint(at_ms=at_ms, reason=reason),
        )

    def recognize(self, sound: CallerSound, utterance: Utterance) -> str:
        if self.recognized:
            raise self.recognized
        return utterance.text

    def agent_says(self, text: str) -> AgentSound:
        return AgentSound(digest=f"agent {text}", lead_ms=50, speech_ms=100 * len(text.split()))


def agent(*replies: Any, greeting: str = "", **latency: StageLatency) -> tuple[Agent, Lines]:
    lines, deaf = Lines(list(replies)), Deaf()
    made = Agent(
        name="scripted",
        model_version="1",
        release_date="2026-01-01",
        greeting=greeting,
        recognizer=deaf,
        dialogue=lines,
        synthesizer=deaf,
        endpointer=deaf,
        tool_backend=lambda _: Till(),
        latency={Stage(stage): profile for stage, profile in latency.items()},
    )
    return made, lines


def hold(story: Scenario, made: Agent, room: Any = None, tools: Any = None, seed: int = 1) -> Record:
    return Conversation(
        scenario=story, agent=made, medium=room or Room(), tools=tools or Till(), seed=seed
    ).run()


def moments(record: Record) -> list[tuple[int, int, str]]:
    return [(event.at_ms, event.turn, event.kind) for event in record.events]


def kinds(record: Record, kind: str) -> list[Event]:
    return [event for event in record.events if event.kind == kind]


DONE = Reply(text="all done goodbye", ends_call="done")
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
        (0, 1, "caller_started"),
        (700, 1, "caller_stopped"),
        (1200, 1, "end_of_turn"),
        (1360, 1, "transcribed"),  # 100 + 50 × 1.2 s of audio
        (1660, 1, "replied"),  # 200 + 10 × 10 tokens
        (1660, 1, "tool_called"),
        (1860, 1, "tool_returned"),
        (2100, 1, "replied"),  # 200 + 10 × 4 tokens
        (2246, 1, "agent_started"),  # 80 + 1 × 16 characters + 50 of silence in the audio
        (2546, 1, "agent_stopped"),
        (2546, 1, "hung_up"),
    ]
    assert record.ending is Ending.COMPLETED
    assert record.final_state == {"calls": ["block_card"]}
    assert record.usage.audio_in_ms == 1200
    assert (record.usage.output_tokens, record.usage.spoken_characters) == (14, 16)


def test_the_greeting_is_turn_nought_and_part_of_the_history() -> None:
    made, lines = agent(DONE, greeting="hello there")
    record = hold(STORY, made)
    assert moments(record)[:3] == [
        (50, 0, "agent_started"),
        (250, 0, "agent_stopped"),
        (250, 1, "caller_started"),
    ]
    assert [message.role for message in lines.asked[0]] == ["assistant", "user"]


def test_the_caller_answers_within_the_time_people_take() -> None:
    story = scenario(turns=[says("please block my card"), says("yes")])
    for seed in range(20):
        made, _ = agent(Reply(text="shall i block it"), DONE)
        record = hold(story, made, seed=seed)
        stopped = kinds(record, "agent_stopped")[0].at_ms
        assert 200 <= kinds(record, "caller_started")[1].at_ms - stopped <= 700


def test_the_same_seed_gives_the_same_call_and_another_seed_another_one() -> None:
    made, _ = agent(Reply(text="and then"), DONE, dialogue=StageLatency(base_ms=200, spread=0.3))
    story = scenario(turns=[says("please block my card"), says("yes")])
    again, _ = agent(Reply(text="and then"), DONE, dialogue=StageLatency(base_ms=200, spread=0.3))
    other, _ = agent(Reply(text="and then"), DONE, dialogue=StageLatency(base_ms=200, spread=0.3))
    first = hold(story, made, seed=5)
    assert first == hold(story, again, seed=5)
    assert moments(first) != moments(hold(story, other, seed=6))


def test_words_spoken_after_the_end_of_turn_are_not_heard_and_the_reply_may_overlap_them() -> None:
    made, _ = agent(DONE)
    record = hold(STORY, made, Room(heard_ms=450))
    stopped, ended = kinds(record, "caller_stopped")[0], kinds(record, "end_of_turn")[0]
    assert (ended.at_ms, stopped.at_ms) == (450, 700)
    assert kinds(record, "agent_started")[0].at_ms == 500
    assert [event.at_ms for event in record.events] == sorted(event.at_ms for event in record.events)


def test_an_interrupted_caller_finishes_before_answering() -> None:
    story = scenario(turns=[says("one two three four five six seven eight nine ten"), says("yes")])
    made, _ = agent(Reply(text="right"), DONE)
    record = hold(story, made, Room(heard_ms=450))
    first_stop = kinds(record, "caller_stopped")[0].at_ms
    assert kinds(record, "agent_stopped")[0].at_ms < first_stop
    assert kinds(record, "caller_started")[1].at_ms >= first_stop + 200


def test_a_caller_who_was_asked_before_speaking_says_the_words_afterwards() -> None:
    story = scenario(turns=[says("please block my card", silence_ms=8000)])
    made, lines = agent(Reply(text="hello"), DONE)
    room = Room(heard_ms=5000)

    def patient(utterance: Utterance, *, times_said: int) -> CallerSound:
        room.heard_ms = 5000 if utterance.silence_ms else None
        return Room.caller_says(room, utterance, times_said=times_said)

    room.caller_says = patient  # type: ignore[method-assign]
    record = hold(story, made, room)
    assert [event.text for event in kinds(record, "caller_started")] == ["", "please block my card"]  # type: ignore[union-attr]
    assert [history[-1].content for history in lines.asked] == ["", "please block my card"]
    assert [utterance.silence_ms for utterance, _ in room.said] == [8000, 0]


def test_an_agent_without_words_is_waited_for_and_then_told_again() -> None:
    made, _ = agent(Reply(), DONE)
    record = hold(STORY, made)
    started = [event.at_ms for event in kinds(record, "caller_started")]
    assert len(started) == 2
    assert started[1] - kinds(record, "replied")[0].at_ms == REPLY_LIMIT_MS


def test_words_that_come_with_tool_calls_are_spoken_before_the_reply_that_follows() -> None:
    made, _ = agent(Reply(text="one moment", tool_calls=(ToolCall(name="log"),)), DONE)
    record = hold(STORY, made)
    assert [event.text for event in kinds(record, "agent_started")] == ["one moment all done goodbye"]  # type: ignore[union-attr]


def test_a_dialogue_model_that_never_stops_calling_tools_has_failed() -> None:
    till = Till()
    made, _ = agent(Reply(tool_calls=(ToolCall(name="log"),)))
    record = hold(STORY, made, tools=till)
    assert record.ending is Ending.AGENT_FAILED
    assert record.failure == f"dialogue: asked for tools {MAX_ROUNDS} times in one turn"
    assert len(till.calls) == MAX_ROUNDS - 1


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
    last = hold(story, made).events[-1]
    assert (last.kind, last.by, last.reason) == ("hung_up", "limit", "too many exchanges")  # type: ignore[union-attr]


@pytest.mark.parametrize("stage", ["recognizer", "dialogue", "tools"])
def test_whatever_a_stage_raises_is_the_agents_failure_and_its_text_stays_private(stage: str) -> None:
    secret = ValueError("the caller's card is 4129")
    room = Room(recognized=secret if stage == "recognizer" else None)

    class Broken(Till):
        def call(self, call: ToolCall) -> ToolResult:
            raise secret

    made, _ = agent(secret if stage == "dialogue" else Reply(tool_calls=(ToolCall(name="log"),)))
    record = hold(STORY, made, room, Broken() if stage == "tools" else None)
    assert record.ending is Ending.AGENT_FAILED
    failed = kinds(record, "stage_failed")[0]
    assert failed.stage == stage  # type: ignore[union-attr]
    assert "4129" not in str(record)
    assert "ValueError at test_conversation.py" in record.failure


@pytest.mark.parametrize(
    ("nonsense", "told"),
    [
        ("hello", "reply returned str, not a Reply"),
        (Reply(text=b"hello"), "reply returned Reply, not a Reply"),  # type: ignore[arg-type]
        (Reply(tool_calls=({"name": "log"},)), "something that is not a ToolCall"),  # type: ignore[arg-type]
    ],
)
def test_nonsense_from_the_dialogue_model_is_the_agents_failure(nonsense: Any, told: str) -> None:
    made, _ = agent(nonsense)
    record = hold(STORY, made)
    assert record.ending is Ending.AGENT_FAILED
    assert told in record.failure


@pytest.mark.parametrize("trouble", [HarnessError("no network"), AgentError("no such model")])
def test_trouble_of_ours_is_never_the_agents(trouble: Exception) -> None:
    made, _ = agent(trouble)
    with pytest.raises(HarnessError, match=str(trouble)):
        hold(STORY, made)


def test_given_the_reference_words_the_dialogue_hears_exactly_them() -> None:
    story = scenario(turns=[says("please block my card"), says("yes")])
    made, lines = agent(Reply(text="shall i block it"), DONE)
    record = hold(story, made, GivenWords())
    assert [message.content for message in lines.asked[-1] if message.role == "user"] == [
        "please block my card",
        "yes",
    ]
    assert record.ending is Ending.COMPLETED


def test_no_two_utterances_of_the_agent_overlap_in_a_hundred_random_calls() -> None:
    rng = np.random.default_rng(3)
    for seed in range(100):
        turns = [says(" ".join(["word"] * int(rng.integers(1, 12)))) for _ in range(int(rng.integers(1, 5)))]
        replies = [Reply(text=" ".join(["so"] * int(rng.integers(1, 9)))) for _ in turns]
        made, _ = agent(*replies, dialogue=StageLatency(base_ms=300, spread=0.5))
        room = Room(heard_ms=int(rng.integers(301, 900))) if rng.random() < 0.5 else Room()
        record = hold(scenario(turns=turns), made, room, seed=seed)
        times = [event.at_ms for event in record.events]
        assert times == sorted(times)
        spans = list(zip(kinds(record, "agent_started"), kinds(record, "agent_stopped"), strict=True))
        assert all(before[1].at_ms <= after[0].at_ms for before, after in itertools.pairwise(spans))
