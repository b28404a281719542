"""What the caller said turn by turn, and what the agent's recognizer made of it."""

from __future__ import annotations

from typing import NamedTuple

from voiceeval.call import Call, CallerStarted, Ending, EndOfTurn, Transcribed
from voiceeval.scenario import CallerTurn, Scenario


class SpokenTurn(NamedTuple):
    """One turn of the caller."""

    number: int
    said: CallerStarted
    heard: str
    """All that was transcribed in the turn; empty where nothing was."""
    transcribed: bool
    """False where the agent never got as far as a transcript."""


def spoken_turns(call: Call) -> tuple[SpokenTurn, ...]:
    """The caller's turns in order, silent ones included, joined with their transcripts by turn number."""
    said: dict[int, CallerStarted] = {}
    heard: dict[int, list[str]] = {}
    for event in call.events:
        if isinstance(event, CallerStarted):
            said.setdefault(event.turn, event)
        elif isinstance(event, Transcribed):
            heard.setdefault(event.turn, []).append(event.text)
    return tuple(
        SpokenTurn(number, said[number], " ".join(heard.get(number, ())), number in heard)
        for number in sorted(said)
    )


def never_reached(scenario: Scenario, call: Call) -> tuple[tuple[int, CallerTurn], ...]:
    """Scripted turns, with their index, that a failing agent did not let the caller say.

    None in a call that ran its course, however short. Turns that wait for a cue are among them, although a
    better agent might never have given it: a crash counts against the agent and must not shorten what it is
    measured on.
    """
    if call.ending is not Ending.AGENT_FAILED:
        return ()
    said = {event.script_turn for event in call.events if isinstance(event, CallerStarted)}
    return tuple(
        (index, turn) for index, turn in enumerate(scenario.turns) if turn.text and index not in said
    )


def reports_transcripts(call: Call) -> bool:
    """Whether whoever placed the call says what the agent heard; some live agents do not tell."""
    return call.ending is not Ending.COMPLETED or any(
        isinstance(event, Transcribed | EndOfTurn) for event in call.events
    )
