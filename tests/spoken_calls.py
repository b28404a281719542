"""Calls for metric tests, written as a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    AsideStarted,
    AsideStopped,
    Call,
    CallerStarted,
    CallerStopped,
    CallKey,
    Ending,
    EndOfTurn,
    Event,
    Heard,
    HungUp,
    KeyPressed,
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


def caller(
    turn: int, start_ms: int, stop_ms: int | None, text: str = "please block my card", **changes: Any
) -> list[Event]:
    """An utterance of the caller; ``stop_ms=None``: the call is over before they finish."""
    written: dict[str, Any] = {"script_turn": turn - 1, "wording": "text", "audio": "a"} | changes
    started = CallerStarted(at_ms=start_ms, turn=turn, text=text, **written)
    return [started] if stop_ms is None else [started, CallerStopped(at_ms=stop_ms, turn=turn)]


def agent(
    turn: int,
    start_ms: int,
    stop_ms: int,
    text: str = "which card is it",
    *,
    cut: bool = False,
    **changes: Any,
) -> list[Event]:
    """An utterance of the agent, or a part of one."""
    written: dict[str, Any] = {"audio": text, "stage_ms": 70} | changes
    words = written.pop("said", "")
    return [
        AgentStarted(at_ms=start_ms, turn=turn, text=text, **written),
        AgentStopped(at_ms=stop_ms, turn=turn, interrupted=cut, said=words, believed=words),
    ]


def aside(turn: int, start_ms: int, stop_ms: int, kind: Any = "back_channel", **changes: Any) -> list[Event]:
    """A sound that is not meant for the agent."""
    words = "" if kind == "cough" else "uh huh"
    written: dict[str, Any] = {"audio": "c", "audio_from_ms": start_ms, "text": words} | changes
    return [
        AsideStarted(at_ms=start_ms, turn=turn, aside=kind, **written),
        AsideStopped(at_ms=stop_ms, turn=turn),
    ]


def ended(turn: int, at_ms: int, reason: Any = "silence") -> list[Event]:
    """The agent takes the turn to be over."""
    return [EndOfTurn(at_ms=at_ms, turn=turn, heard_ms=0, reason=reason)]


def heard(turn: int, at_ms: int, text: str, of: Any = "turn") -> list[Event]:
    """A transcript."""
    return [Transcribed(at_ms=at_ms, turn=turn, text=text, stage_ms=100, heard=of)]


def pressed(turn: int, at_ms: int, keys: str) -> list[Event]:
    """Keys, one every 200 ms."""
    return [KeyPressed(at_ms=at_ms + 200 * index, turn=turn, key=key) for index, key in enumerate(keys)]


def over(turn: int, at_ms: int, by: Any = "caller", reason: Any = "done") -> list[Event]:
    """The end of the call."""
    return [HungUp(at_ms=at_ms, turn=turn, by=by, reason=reason)]


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
    """A call with these events, put into the order of time."""
    return Call(
        key=KEY,
        seed=1,
        events=tuple(sorted(events, key=lambda event: event.at_ms)),
        ending=ending,
        failure="" if ending is Ending.COMPLETED else "recognizer: ValueError at asr.py:3",
        final_state=final_state or {},
        usage=usage,
        cost=cost,
        heard=heard,
        given_right_words=given_right_words,
    )
