"""The turns of a call for reading: what was said, heard and done, and how long each stage took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Call,
    CallerStarted,
    CallerStopped,
    EndOfTurn,
    HungUp,
    Replied,
    StageFailed,
    ToolCalled,
    ToolReturned,
    Transcribed,
    Turn,
    turns,
)
from voiceeval.reports.alignment import LONGEST_TEXT, Hearing, hear
from voiceeval.reports.wording import as_json, shortened


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the agent does in a turn."""

    kind: str
    """``says``, ``cut off``, ``calls``, ``returns``, ``fails``, ``failed`` or ``ends``."""
    text: str
    detail: str = ""
    audio: str = ""
    round_trip: tuple[Hearing, ...] = ()
    """What the reference recognizer heard in the agent's audio, where it listened."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a stage took in a turn."""

    stage: str
    duration_ms: int
    start: float
    """Where its bar begins, in per cent of the longest answer of the call."""
    width: float


@dataclass(frozen=True, slots=True)
class Side:
    """One arm's share of a turn."""

    said: str = ""
    wording: str = ""
    audio: str = ""
    transcript: tuple[Hearing, ...] = ()
    end_of_turn: str = ""
    steps: tuple[Step, ...] = ()
    timings: tuple[Timing, ...] = ()
    answered_ms: tuple[int, ...] = ()
    """From the caller's last sound to the agent's first, where both exist."""
    heard_caller: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnReader:
    """Lays out the turns of one arm's call."""

    call: Call
    locale: str
    audio_href: Callable[[str], str]
    longest_ms: int
    """The longest answer on either arm: both draw their bars on this scale."""

    def sides(self) -> dict[int, Side]:
        """This arm's share of every turn, by turn number."""
        spoken = {heard.audio: hear(heard.said, heard.heard, locale=self.locale) for heard in self.call.heard}
        return {turn.number: self._side(turn, spoken) for turn in turns(self.call.events)}

    def _side(self, turn: Turn, spoken: Mapping[str, Hearing]) -> Side:
        started = next((event for event in turn.events if isinstance(event, CallerStarted)), None)
        ended = next((event for event in turn.events if isinstance(event, EndOfTurn)), None)
        said = started.text if started else ""
        return Side(
            said=shortened(said, limit=LONGEST_TEXT),
            wording=started.wording if started else "",
            audio=self._href(started.audio) if started else "",
            transcript=tuple(
                hear(said, event.text, locale=self.locale)
                for event in turn.events
                if isinstance(event, Transcribed)
            ),
            end_of_turn=f"{ended.reason}, {ended.heard_ms} ms heard" if ended else "",
            steps=tuple(self._steps(turn, spoken)),
            timings=_timings(turn, self.longest_ms),
            answered_ms=answered_ms(turn),
            heard_caller=started is not None,
        )

    def _steps(self, turn: Turn, spoken: Mapping[str, Hearing]) -> Iterator[Step]:
        for event in turn.events:
            if isinstance(event, AgentStarted):
                heard = (spoken[event.audio],) if event.audio in spoken else ()
                text = shortened(event.text, limit=LONGEST_TEXT)
                yield Step("says", text, audio=self._href(event.audio), round_trip=heard)
            elif isinstance(event, AgentStopped) and event.interrupted:
                yield Step("cut off", "the agent was interrupted")
            elif isinstance(event, ToolCalled):
                yield Step("calls", event.name, as_json(event.arguments, limit=LONGEST_TEXT))
            elif isinstance(event, ToolReturned):
                kind = "fails" if event.failed else "returns"
                yield Step(kind, event.name, as_json(event.value, limit=LONGEST_TEXT))
            elif isinstance(event, StageFailed):
                yield Step("failed", f"{event.stage} failed", event.error)
            elif isinstance(event, HungUp):
                yield Step("ends", f"{event.by} ends the call: {event.reason}")

    def _href(self, digest: str) -> str:
        return relative_href(self.audio_href(digest)) if digest else ""


def answered_ms(turn: Turn) -> tuple[int, ...]:
    """From the caller's last sound to the agent's first; nothing where one of them is missing."""
    stops = [event.at_ms for event in turn.events if isinstance(event, CallerStopped)]
    starts = [event.at_ms for event in turn.events if isinstance(event, AgentStarted)]
    return (starts[0] - stops[0],) if stops and starts and starts[0] > stops[0] else ()


def relative_href(href: str) -> str:
    """A file of the run folder as seen from a call's page; empty for anything that is not one.

    Only plain relative paths pass: no scheme, no host, no way out of the run folder.
    """
    parts = href.split("/")
    if not href or "\\" in href or ":" in href or any(part in ("", ".", "..") for part in parts):
        return ""
    return "../../" + quote(href, safe="/", errors="replace")


def _timings(turn: Turn, longest: int) -> tuple[Timing, ...]:
    """The stages up to the first sound of the answer, as bars that follow each other."""
    spent: dict[str, int] = {}
    stopped: list[int] = []
    for event in turn.events:
        if isinstance(event, CallerStopped):
            stopped = [event.at_ms]
        elif isinstance(event, EndOfTurn) and stopped:
            spent["endpointing"] = max(0, event.at_ms - stopped[0])
        elif isinstance(event, Transcribed):
            spent["recognizer"] = event.stage_ms
        elif isinstance(event, Replied):
            spent["dialogue"] = spent.get("dialogue", 0) + event.stage_ms
        elif isinstance(event, ToolReturned):
            spent["tools"] = spent.get("tools", 0) + event.stage_ms
        elif isinstance(event, AgentStarted):
            spent["synthesizer"] = event.stage_ms
            break
    scale = 100 / max(longest, sum(spent.values()), 1)
    bars: list[Timing] = []
    at = 0.0
    for stage, duration_ms in spent.items():
        bars.append(Timing(stage, duration_ms, round(at, 2), round(duration_ms * scale, 2)))
        at += duration_ms * scale
    return tuple(bars)
