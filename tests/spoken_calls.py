"""Calls for metric tests, written as a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    Call,
    CallerStarted,
    CallerStopped,
    CallKey,
    Ending,
    EndOfTurn,
    Event,
    Heard,
    HungUp,
    Replay,
    Replied,
    ToolCalled,
    ToolReturned,
    Transcribed,
    Usage,
)
from voiceeval.scenario import CallerTurn, Scenario

NOTHING_USED = Usage()
KEY = CallKey(scenario="s", caller="c", line="l", trial=0, arm=Arm.CANDIDATE)
TOOLS: list[dict[str, Any]] = [
    {"name": name, "description": "", "parameters": {}}
    for name in ("find_card", "block_card", "refund", "log")
]


def scenario(**changes: Any) -> Scenario:
    """A scenario with one turn and no tool wanted, apart from ``changes``."""
    written: dict[str, Any] = {
        "id": "s",
        "goal": "g",
        "domain": "banking",
        "call_type": "request",
        "turns": [{"text": "please block my card"}],
        "tools": TOOLS,
        "tool_paths": [{}],
    }
    return Scenario.model_validate(written | changes)


def says(turn: CallerTurn | str, **changes: Any) -> dict[str, Any]:
    """A caller turn as people write it."""
    return {"text": turn} | changes


def said(
    number: int,
    text: str,
    heard: str | None = None,
    *,
    script_turn: int | None = None,
    wording: Any = "text",
    reply: str = "",
    waited_ms: int = 800,
) -> list[Event]:
    """The events of one exchange, 20 s long; ``heard=None`` is a turn that was never transcribed."""
    at_ms = number * 20_000
    script_turn = number - 1 if script_turn is None else script_turn
    events: list[Event] = [
        CallerStarted(
            at_ms=at_ms, turn=number, text=text, script_turn=script_turn, wording=wording, audio="a"
        )
    ]
    if text:
        events.append(CallerStopped(at_ms=at_ms + 3000, turn=number))
    if heard is not None:
        events.append(EndOfTurn(at_ms=at_ms + 3300, turn=number, heard_ms=3300, reason="silence"))
        events.append(Transcribed(at_ms=at_ms + 3400, turn=number, text=heard, stage_ms=100))
        events.append(Replied(at_ms=at_ms + 3500, turn=number, text=reply, tool_calls=0, stage_ms=90))
    if reply:
        events.append(
            AgentStarted(at_ms=at_ms + 3000 + waited_ms, turn=number, text=reply, audio="b", stage_ms=70)
        )
        events.append(AgentStopped(at_ms=at_ms + 9000, turn=number))
    return events


def called(name: str, *, turn: int = 1, **arguments: Any) -> list[Event]:
    """A tool call that succeeds in 150 ms."""
    at_ms = turn * 20_000 + 3600
    return [
        ToolCalled(at_ms=at_ms, turn=turn, name=name, arguments=arguments),
        ToolReturned(at_ms=at_ms + 150, turn=turn, name=name, value=None, failed=False, stage_ms=150),
    ]


def hung_up(turn: int, by: Any = "caller", reason: Any = "done") -> Event:
    """The end of the call."""
    return HungUp(at_ms=turn * 20_000 + 10_000, turn=turn, by=by, reason=reason)


def call(
    *events: Event,
    ending: Ending = Ending.COMPLETED,
    final_state: Mapping[str, Any] | None = None,
    usage: Usage = NOTHING_USED,
    cost: float = 0.0,
    heard: tuple[Heard, ...] = (),
    given_right_words: Replay | None = None,
) -> Call:
    """A call with these events."""
    return Call(
        key=KEY,
        seed=1,
        events=events,
        ending=ending,
        failure="" if ending is Ending.COMPLETED else "recognizer: ValueError at asr.py:3",
        final_state=final_state or {},
        usage=usage,
        cost=cost,
        heard=heard,
        given_right_words=given_right_words,
    )
