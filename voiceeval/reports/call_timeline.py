"""A call at a glance: who sounds when, on one lane each, as places of marks that a template draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from voiceeval.audio import Milliseconds
from voiceeval.call import Arm, AsideStarted, Call, KeyPressed, ReplyDropped
from voiceeval.metrics.floor import AgentSpeech, Floor, Stretch, TurnTaken, floor_of
from voiceeval.reports.call_turns import ASIDES, ends_too_early
from voiceeval.reports.wording import clock, counted, one_line

_STEPS_MS = (1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000)
_MOST_TICKS = 14
_LABEL_SHARE = 2.2
"""Per cent of the width that a turn's number takes; closer ones are left out."""
_TITLE = 120


@dataclass(frozen=True, slots=True)
class Mark:
    """Something on a lane, from ``start`` for ``width`` per cent of the picture."""

    kind: str
    """``caller``, ``aside``, ``agent``, ``agent rest``, ``both``, ``cut``, ``key``, ``early`` or ``drop``;
    the last four mark moments."""
    start: float
    width: float
    title: str
    """What it is, for a pointer that rests on it."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place in per cent of the width."""

    at: float
    text: str
    turn: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One arm's call."""

    marks: tuple[Mark, ...]
    turns: tuple[Label, ...]
    ticks: tuple[Label, ...]
    ends: float
    """Where the call ends."""
    told: str
    """The same in a sentence, for those who do not see it."""


def timelines(calls: Mapping[Arm, Call], known: Mapping[Arm, Floor] | None = None) -> Mapping[Arm, Timeline]:
    """Both arms' calls on one scale; ``known`` saves reading again who speaks when."""
    known = known or {}
    floors = {arm: known.get(arm) or floor_of(call.events) for arm, call in calls.items() if call.events}
    whole_ms = max((floor.ends_ms for floor in floors.values()), default=0)
    return {arm: _timeline(calls[arm], floor, max(whole_ms, 1)) for arm, floor in floors.items()}


def _timeline(call: Call, floor: Floor, whole_ms: Milliseconds) -> Timeline:
    marks = tuple(_marks(call, floor, whole_ms))
    return Timeline(
        marks=marks,
        turns=tuple(_turn_labels(floor, whole_ms)),
        ticks=tuple(_ticks(whole_ms)),
        ends=_share(floor.ends_ms, whole_ms),
        told=_told(floor, marks),
    )


def _marks(call: Call, floor: Floor, whole_ms: Milliseconds) -> Iterator[Mark]:
    """What lies below comes first."""
    for kind, stretch, title in _stretches(call, floor):
        # A live agent that does not tell everything may seem to stop before it began.
        width = _share(max(0, stretch.end_ms - stretch.start_ms), whole_ms)
        when = f"{clock(stretch.start_ms)} to {clock(stretch.end_ms)}"
        yield Mark(kind, _share(stretch.start_ms, whole_ms), width, f"{title}, {when}")
    for kind, at_ms, title in _moments(call, floor):
        yield Mark(kind, _share(at_ms, whole_ms), 0, f"{title}, {clock(at_ms)}")


def _stretches(call: Call, floor: Floor) -> Iterator[tuple[str, Stretch, str]]:
    for both in both_speak(floor):
        yield "both", both, "both speak"
    for taken in floor.turns:
        for stretch in taken.stretches:
            yield "caller", stretch, f"caller, {_turn(taken.number)}: {_quoted(taken.text)}"
    asides = [event for event in call.events if isinstance(event, AsideStarted)]
    for event, made in zip(asides, floor.asides, strict=True):
        said = f": {_quoted(event.text)}" if event.text else ""
        yield "aside", made.stretch, f"{ASIDES[event.aside]}{said}"
    for speech in floor.agent:
        kind = "agent rest" if speech.goes_on else "agent"
        yield kind, speech.stretch, f"agent, {_turn(speech.turn)}: {_quoted(speech.text)}"


def _moments(call: Call, floor: Floor) -> Iterator[tuple[str, Milliseconds, str]]:
    for speech in floor.agent:
        if speech.cut:
            yield "cut", speech.stretch.end_ms, "the reply is cut off"
    for event in call.events:
        if isinstance(event, KeyPressed):
            yield "key", event.at_ms, f"key {one_line(event.key, limit=_TITLE)}"
        elif isinstance(event, ReplyDropped):
            yield "drop", event.at_ms, "a reply is given up before it begins"
        elif ends_too_early(event, floor):
            yield "early", event.at_ms, "the agent takes the turn for over too early"


def both_speak(floor: Floor) -> Iterator[Stretch]:
    """Where the caller's words and the agent's lie over each other; asides are no speech at the agent."""
    for taken in floor.turns:
        for one in taken.stretches:
            for speech in floor.agent:
                if one.overlap_ms(speech.stretch):
                    other = speech.stretch
                    yield Stretch(max(one.start_ms, other.start_ms), min(one.end_ms, other.end_ms))


def _turn_labels(floor: Floor, whole_ms: Milliseconds) -> Iterator[Label]:
    after = -_LABEL_SHARE
    for taken in floor.turns:
        at = _share(taken.begins_ms, whole_ms)
        if at >= after + _LABEL_SHARE:
            yield Label(at, str(taken.number), turn=taken.number)
            after = at


def _ticks(whole_ms: Milliseconds) -> Iterator[Label]:
    step = next((step for step in _STEPS_MS if whole_ms // step < _MOST_TICKS), whole_ms)
    for at_ms in range(0, whole_ms + 1, step):
        if _share(at_ms, whole_ms) <= 100 - _LABEL_SHARE:
            yield Label(_share(at_ms, whole_ms), clock(at_ms)[:-2])


def _told(floor: Floor, marks: tuple[Mark, ...]) -> str:
    kinds = [mark.kind for mark in marks]
    keyed = [taken for taken in floor.turns if taken.kind == "keyed"]
    parts = [
        f"{floor.ends_ms / 1000:.1f} s long",
        counted(sum(map(_is_spoken, floor.turns)), "spoken turn"),
        counted(sum(not speech.goes_on for speech in floor.agent), "reply", "replies"),
    ]
    others = (
        (len(keyed), "turn of keys", "turns of keys"),
        (len(floor.asides), "sound not meant for the agent", "sounds not meant for the agent"),
        (sum(_breaks_in(taken, floor.agent) for taken in floor.turns), "interruption by the caller", ""),
        (kinds.count("cut"), "reply cut off", "replies cut off"),
        (kinds.count("drop"), "reply given up", "replies given up"),
        (kinds.count("early"), "turn taken for over too early", "turns taken for over too early"),
    )
    parts += [counted(count, one, many or one.replace(" by", "s by")) for count, one, many in others if count]
    return ", ".join(parts)


def _is_spoken(taken: TurnTaken) -> bool:
    return taken.kind == "spoken"


def _breaks_in(taken: TurnTaken, agent: tuple[AgentSpeech, ...]) -> bool:
    return _is_spoken(taken) and any(
        speech.stretch.start_ms < taken.begins_ms < speech.stretch.end_ms for speech in agent
    )


def _turn(number: int) -> str:
    return f"turn {number}" if number else "greeting"


def _quoted(text: str) -> str:
    return f"“{one_line(text, limit=_TITLE)}”"


def _share(ms: Milliseconds, whole_ms: Milliseconds) -> float:
    return round(100 * ms / whole_ms, 3)
