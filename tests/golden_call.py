"""One call with every kind of event that a call without failures can have."""

from __future__ import annotations

from rooms import Lines, Room, agent, hold
from spoken_calls import says, scenario

from voiceeval.agents import Agent, StageLatency
from voiceeval.engines.conversation import Record
from voiceeval.protocols import Reply
from voiceeval.scenario import ToolCall
from voiceeval.turn_taking import TurnTaking

SEED = 1
STORY = scenario(
    turns=[
        says("i want to block my card please", hesitation={"after_words": 3, "ms": 700}),
        says(
            "four one two nine",
            cue=["number"],
            afterthought={"text": "no it is four one two eight", "after_ms": 650},
        ),
        says("no the other card", cue=["blocked"], barge_in_ms=600),
        says("", silence_ms=8000, cue=["day"]),
        says("", keys="12#", cue=["keypad"]),
        says("maria", cue=["name"]),
        says("no goodbye", cue=["anything"], hangs_up=True),
    ],
    asides=[
        {"kind": "back_channel", "text": "yeah", "at_ms": 400, "cue": ["good morning"]},
        {"kind": "cough", "at_ms": 300, "cue": ["moment"]},
        {"kind": "side_talk", "text": "sh", "at_ms": 100, "cue": ["your name"]},
    ],
    impatience={"after": 1},
)


def golden_agent() -> tuple[Agent, Lines]:
    """The agent, and its dialogue model."""
    return agent(
        Reply(text="given up"),
        Reply(text="one moment", tool_calls=(ToolCall(name="find_card"),)),
        Reply(text="which number is it"),
        Reply(text="given up again"),
        Reply(text="your card is blocked and a new one is on the way to you"),
        Reply(text="on which day"),
        Reply(text="please use the keypad"),
        Reply(text="what is your name"),
        Reply(text="pardon"),
        Reply(text="pardon"),
        Reply(text="thanks anything else"),
        greeting="good morning this is the bank",
        rules=TurnTaking(interrupt_after_ms=200, no_speech_ms=3000),
        recognizer=StageLatency(base_ms=100),
        dialogue=StageLatency(base_ms=350),
        synthesizer=StageLatency(base_ms=50),
    )


def golden_call(room: Room | None = None) -> Record:
    """The call."""
    made, _ = golden_agent()
    return hold(STORY, made, room or Room(), seed=SEED)
