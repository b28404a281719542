"""Who speaks when: the caller's turns, the sounds beside them, and the agent's speech, as stretches of time.

Read from a call's events alone, so that calls of ours and calls that were recorded are measured alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from voiceeval.audio import Milliseconds
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    AsideStarted,
    AsideStopped,
    CallerStarted,
    CallerStopped,
    Event,
    HungUp,
    KeyPressed,
)

CUT_MS = 2_000
"""How soon somebody who is interrupted has to stop: the limit of τ-voice (tau2-bench) for yielding."""


class Stretch(NamedTuple):
    """From the first audible sample to the last."""

    start_ms: Milliseconds
    end_ms: Milliseconds

    def overlap_ms(self, other: Stretch) -> Milliseconds:
        """How long both last at once."""
        return max(0, min(self.end_ms, other.end_ms) - max(self.start_ms, other.start_ms))

    def holds(self, at_ms: Milliseconds) -> bool:
        """Whether a moment lies strictly inside."""
        return self.start_ms < at_ms < self.end_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTaken:
    """One turn of the caller."""

    number: int
    kind: Literal["spoken", "silent", "keyed"]
    begins_ms: Milliseconds
    ends_ms: Milliseconds | None
    """The last audible sample, afterthoughts included, or the last key; None where the call was over before,
    and for a silent turn."""
    stretches: tuple[Stretch, ...]
    """What the caller says, each utterance with the pauses inside it; one more for an afterthought."""
    text: str
    """All that was said, in order; empty where the words are not known."""
    script_turn: int
    wording: str
    barge_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideMade:
    """A sound that was not meant for the agent."""

    stretch: Stretch
    kind: str
    known: bool
    """False where it was only inferred from how the agent took it, as in a recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeech:
    """One stretch of a reply: all of it, or a part of one that was cut off."""

    stretch: Stretch
    turn: int
    text: str
    """What is said from here on, were it not cut off."""
    played: str
    """The same, of a reply that was cut off only what the agent takes to have been heard."""
    goes_on: bool
    """Whether it goes on with a reply that was cut off before."""
    begun_ms: Milliseconds
    """When the reply began that this is a part of."""
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A call as who speaks when."""

    turns: tuple[TurnTaken, ...]
    asides: tuple[AsideMade, ...]
    agent: tuple[AgentSpeech, ...]
    ends_ms: Milliseconds
    hung_up: HungUp | None

    def next_begins_ms(self, turn: TurnTaken) -> Milliseconds | None:
        """When the caller begins their next turn, or None after the last."""
        return next((other.begins_ms for other in self.turns if other.number > turn.number), None)


_latest: tuple[tuple[Event, ...], Floor] | None = None
"""The events read last, and what was read: all metrics are asked about one call before the next."""


def floor_of(events: tuple[Event, ...]) -> Floor:
    """Who speaks when. What was not over when the call ended lasts until then."""
    global _latest  # noqa: PLW0603 - events are frozen: the same tuple has the same floor
    latest = _latest
    if latest is None or latest[0] is not events:
        _latest = latest = (events, _read(events))
    return latest[1]


def _read(events: tuple[Event, ...]) -> Floor:
    ends_ms = max((event.at_ms for event in events), default=0)
    return Floor(
        turns=tuple(_turns(events, ends_ms)),
        asides=tuple(_asides(events, ends_ms)),
        agent=tuple(agent_speech(events)),
        ends_ms=ends_ms,
        hung_up=next((event for event in events if isinstance(event, HungUp)), None),
    )


def agent_speech(events: Iterable[Event]) -> Iterator[AgentSpeech]:
    """The agent's speech in order; it says one thing at a time."""
    open_: AgentSpeech | None = None
    begun: dict[str, Milliseconds] = {}
    last_ms = 0
    for event in events:
        last_ms = max(last_ms, event.at_ms)
        if isinstance(event, AgentStarted):
            if open_ is not None:
                yield replace(open_, stretch=Stretch(open_.stretch.start_ms, event.at_ms))
            goes_on = event.offset_ms > 0
            if not goes_on or event.audio not in begun:
                begun[event.audio] = event.at_ms
            open_ = AgentSpeech(
                stretch=Stretch(event.at_ms, event.at_ms),
                turn=event.turn,
                text=event.text,
                played=event.text,
                goes_on=goes_on,
                begun_ms=begun[event.audio],
                cut=False,
            )
        elif isinstance(event, AgentStopped) and open_ is not None:
            yield replace(
                open_,
                stretch=Stretch(open_.stretch.start_ms, event.at_ms),
                cut=event.interrupted,
                played=event.said if event.interrupted else open_.text,
            )
            open_ = None
    if open_ is not None:
        yield replace(open_, stretch=Stretch(open_.stretch.start_ms, last_ms))


def replies_played(events: Iterable[Event]) -> tuple[str, ...]:
    """The agent's replies as the caller heard them; one that goes on after a cut is one reply."""
    replies: list[str] = []
    for speech in agent_speech(events):
        if speech.goes_on and replies:
            replies[-1] = f"{replies[-1]} {speech.played}".strip()
        else:
            replies.append(speech.played)
    return tuple(replies)


def _turns(events: Sequence[Event], ends_ms: Milliseconds) -> Iterator[TurnTaken]:
    said: dict[int, list[CallerStarted]] = {}
    stopped: dict[int, list[Milliseconds]] = {}
    keyed: dict[int, list[Milliseconds]] = {}
    for event in events:
        if isinstance(event, CallerStarted):
            said.setdefault(event.turn, []).append(event)
        elif isinstance(event, CallerStopped):
            stopped.setdefault(event.turn, []).append(event.at_ms)
        elif isinstance(event, KeyPressed):
            keyed.setdefault(event.turn, []).append(event.at_ms)
    for number in sorted(said.keys() | keyed.keys()):
        if number in said:
            yield _spoken(number, said[number], stopped.get(number, []), ends_ms)
        else:
            yield _keyed(number, keyed[number])


def _spoken(
    number: int, said: Sequence[CallerStarted], stopped: Sequence[Milliseconds], ends_ms: Milliseconds
) -> TurnTaken:
    first = said[0]
    silent = not first.text and not stopped
    starts = [event.at_ms for event in said]
    ends = [*stopped, *[ends_ms] * (len(starts) - len(stopped))]
    return TurnTaken(
        number=number,
        kind="silent" if silent else "spoken",
        begins_ms=first.at_ms,
        ends_ms=max(stopped) if len(stopped) >= len(said) else None,
        stretches=() if silent else tuple(map(Stretch, starts, ends)),
        text=" ".join(event.text for event in said if event.text),
        script_turn=first.script_turn,
        wording=first.wording,
        barge_in=first.barge_in,
    )


def _keyed(number: int, pressed: Sequence[Milliseconds]) -> TurnTaken:
    return TurnTaken(
        number=number,
        kind="keyed",
        begins_ms=pressed[0],
        ends_ms=pressed[-1],
        stretches=(),
        text="",
        script_turn=-1,
        wording="text",
        barge_in=False,
    )


def _asides(events: Sequence[Event], ends_ms: Milliseconds) -> Iterator[AsideMade]:
    """Asides do not overlap each other: each ends at the next end."""
    waiting: list[AsideStarted] = []
    for event in events:
        if isinstance(event, AsideStarted):
            waiting.append(event)
        elif isinstance(event, AsideStopped) and waiting:
            yield _aside(waiting.pop(0), event.at_ms)
    yield from (_aside(event, ends_ms) for event in waiting)


def _aside(started: AsideStarted, end_ms: Milliseconds) -> AsideMade:
    return AsideMade(stretch=Stretch(started.at_ms, end_ms), kind=started.aside, known=bool(started.audio))
