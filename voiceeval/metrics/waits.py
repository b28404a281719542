"""How long each turn of the caller waits for its reply: what every metric of waiting rests on."""

from __future__ import annotations

from typing import NamedTuple

from voiceeval.audio import Milliseconds
from voiceeval.call import Event
from voiceeval.metrics.floor import CUT_MS, AgentSpeech, Floor, TurnTaken, floor_of

WAIT_LIMIT_MS: Milliseconds = 10_000
"""Where waiting is censored; a caller who hears nothing for this long speaks again."""


class Wait(NamedTuple):
    """One turn that a reply was due to."""

    turn: TurnTaken
    ms: Milliseconds | None
    """From the turn's end to the reply; 0 where the agent was speaking by then. None where no reply came."""

    @property
    def censored_ms(self) -> Milliseconds:
        """The wait, at most the limit; a missing reply waited for as long."""
        return WAIT_LIMIT_MS if self.ms is None else min(self.ms, WAIT_LIMIT_MS)

    @property
    def answered(self) -> bool:
        """Whether a reply came within the limit."""
        return self.ms is not None and self.ms <= WAIT_LIMIT_MS

    @property
    def words(self) -> str:
        """The wait for people to read."""
        note = "" if self.answered else " (no reply)" if self.ms is None else " (later than the limit)"
        return f"turn {self.turn.number}: {self.censored_ms} ms{note}"


def waits(events: tuple[Event, ...]) -> tuple[Wait, ...]:
    """The turns that a reply is due to, with how long it took.

    A reply is due to every turn in which the caller speaks or presses keys, except one that the caller ends
    the call with, done or for good. The reply is the first speech of the agent that

    - belongs to a reply begun since the turn began: what the caller broke into answers something else, and
      so does the rest of it;
    - is audible at the turn's last audible sample or later, and begins before the caller's next turn;
    - was not cut off by the turn itself: what the agent began before the caller had finished, and gave up
      within 2 s after they had, is no reply.
    """
    floor = floor_of(events)
    found = []
    for turn in floor.turns:
        if turn.kind == "silent":
            continue
        reply = None if turn.ends_ms is None else reply_to(turn, floor)
        if reply is None or turn.ends_ms is None:
            if not _caller_was_done(turn, floor):
                found.append(Wait(turn, None))
        else:
            found.append(Wait(turn, max(0, reply.stretch.start_ms - turn.ends_ms)))
    return tuple(found)


def reply_to(turn: TurnTaken, floor: Floor) -> AgentSpeech | None:
    """The speech that answers a turn which the caller got to the end of; None where there is none."""
    ends_ms, next_ms = turn.ends_ms, floor.next_begins_ms(turn)
    if ends_ms is None:
        return None
    for speech in floor.agent:
        start_ms, end_ms = speech.stretch
        if next_ms is not None and start_ms >= next_ms:
            return None
        early = start_ms < ends_ms
        if speech.begun_ms < turn.begins_ms or speech.turn < turn.number or (early and end_ms <= ends_ms):
            continue
        if early and speech.cut and end_ms <= ends_ms + CUT_MS and (next_ms is None or end_ms < next_ms):
            continue
        return speech
    return None


def _caller_was_done(turn: TurnTaken, floor: Floor) -> bool:
    """Whether the caller ended the call with this turn, and waited for nothing."""
    ended = floor.hung_up
    return (
        ended is not None
        and ended.by == "caller"
        and ended.reason in ("done", "hung up")
        and floor.next_begins_ms(turn) is None
    )
