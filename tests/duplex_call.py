"""A hand-made call in full duplex for the tests of its page: everything that can happen, once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from test_report_sample import planned_calls, report_input

from voiceeval.audio import AudioClip
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    AsideStarted,
    AsideStopped,
    Call,
    CallerStarted,
    CallerStopped,
    Damage,
    EndOfTurn,
    Event,
    Heard,
    HungUp,
    KeyPressed,
    Replied,
    ReplyDropped,
    ToolCalled,
    ToolReturned,
    Transcribed,
)
from voiceeval.errors import RunFolderError
from voiceeval.reports.report_input import ReportInput, arm_call_id

GREETING = "Front desk, this call may be recorded, how can I help you today?"
OFFER = "I can block that card for you right away, and order a new one that arrives within five days"
ASKED = "Please key in the last four digits, then press hash"
RATE_HZ = 16_000
LEAD_MS = 120
"""Silence before the words in every clip of the agent."""


@dataclass
class Shelf:
    """Clips by a name of letters and digits, in memory."""

    clips: dict[str, AudioClip] = field(default_factory=dict)

    def put(self, clip: AudioClip) -> str:
        self.clips[clip.digest()] = clip
        return clip.digest()

    def get(self, digest: str) -> AudioClip:
        if digest not in self.clips:
            raise RunFolderError("no such clip")
        return self.clips[digest]


def rising(duration_ms: int) -> AudioClip:
    """Loud samples of which every one tells its place, after a lead of silence."""
    loud = 3_000 + np.arange(duration_ms * RATE_HZ // 1000) % 20_000
    lead = np.zeros(LEAD_MS * RATE_HZ // 1000)
    return AudioClip(np.concatenate([lead, loud]).astype(np.int16), RATE_HZ)


SHELF = Shelf()
CLIPS = {
    name: SHELF.put(rising(length_ms))
    for name, length_ms in {"greeting": 4_000, "offer": 6_000, "asked": 3_300, "bye": 1_500}.items()
}
CALLER, ASIDE = (SHELF.put(AudioClip.silence(length_ms, RATE_HZ)) for length_ms in (2_000, 900))


def _caller(at_ms: int, to_ms: int, turn: int, text: str, **more: object) -> list[Event]:
    started = CallerStarted(
        at_ms=at_ms, turn=turn, text=text, script_turn=turn - 1, wording="text", audio=CALLER,
        audio_from_ms=at_ms - 300,
    )  # fmt: skip
    return [replace(started, **more), CallerStopped(at_ms=to_ms, turn=turn)]  # type: ignore[arg-type]


def _cut(at_ms: int, turn: int, words: str) -> Event:
    return AgentStopped(at_ms=at_ms, turn=turn, interrupted=True, said=words, believed=words)


def _aside(at_ms: int, to_ms: int, turn: int, aside: str, text: str = "") -> list[Event]:
    started = AsideStarted(
        at_ms=at_ms, turn=turn, aside=aside, text=text, audio=ASIDE, audio_from_ms=at_ms - 300  # type: ignore[arg-type]
    )  # fmt: skip
    return [started, AsideStopped(at_ms=to_ms, turn=turn)]


def _over(at_ms: int, turn: int, text: str, heard: str = "turn", reason: str = "silence") -> list[Event]:
    return [
        EndOfTurn(at_ms=at_ms, turn=turn, heard_ms=2_000, reason=reason),  # type: ignore[arg-type]
        Transcribed(at_ms=at_ms + 200, turn=turn, text=text, stage_ms=200, heard=heard),  # type: ignore[arg-type]
    ]


def _says(at_ms: int, turn: int, text: str, clip: str, offset_ms: int = 0) -> list[Event]:
    return [
        Replied(at_ms=at_ms - 150, turn=turn, text=text, tool_calls=0, stage_ms=400),
        AgentStarted(at_ms=at_ms, turn=turn, text=text, audio=CLIPS[clip], stage_ms=150, offset_ms=offset_ms),
    ]


def events() -> tuple[Event, ...]:
    """A greeting that is coughed into and goes on; a turn ended too early; an interruption; keys."""
    found: list[Event] = [
        AgentStarted(at_ms=300, turn=0, text=GREETING, audio=CLIPS["greeting"], stage_ms=180),
        *_aside(1_500, 1_800, 0, "cough"),
        _cut(1_900, 0, "Front desk, this call"),
        *_over(2_700, 0, "", heard="aside"),
        AgentStarted(
            at_ms=3_000, turn=0, text="may be recorded, how can I help you today?", audio=CLIPS["greeting"],
            stage_ms=0, offset_ms=1_600,
        ),
        AgentStopped(at_ms=5_400, turn=0),
        # The agent takes a pause for the end, and drops what it was about to say.
        *_caller(6_000, 12_000, 1, "hi i lost my card it ends in four one two nine"),
        *_over(8_500, 1, "hi i lost my cart"),
        ReplyDropped(at_ms=9_000, turn=1),
        *_over(12_700, 1, "it ends in four one two nine"),
        *_says(13_600, 1, OFFER, "offer"),
        *_aside(14_700, 15_100, 1, "back_channel", "uh huh"),
        *_caller(16_000, 18_000, 2, "just block it please", barge_in=True),
        _cut(16_450, 1, "I can block that card for you right"),
        *_caller(18_600, 20_000, 2, "and no new card", wording="afterthought"),
        *_over(20_700, 2, "just block it please and no new card"),
        *_says(21_500, 2, ASKED, "asked"),
        *_aside(22_500, 23_600, 2, "side_talk", "one moment darling"),
        AgentStopped(at_ms=24_800, turn=2),
        *(KeyPressed(at_ms=26_000 + 350 * place, turn=3, key=key) for place, key in enumerate("4129#")),
        *_over(27_450, 3, "4 1 2 9", heard="keys", reason="keys"),
        ToolCalled(at_ms=28_000, turn=3, name="block_card", arguments={"card": "4129"}),
        ToolReturned(at_ms=28_150, turn=3, name="block_card", value={"ok": True}, failed=False, stage_ms=150),
        *_says(28_600, 3, "It is blocked. Goodbye.", "bye"),
        AgentStopped(at_ms=30_100, turn=3),
        HungUp(at_ms=30_100, turn=3, by="agent", reason="done"),
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda event: event.at_ms))


DAMAGE = Damage(
    speech_energy=8.0, active_ms=2.0, noise_energy=0.2, duration_ms=5.0, samples=10_000, clipped=25,
    packets=1_500, lost=36, bursts=9,
)  # fmt: skip


def duplex_report(**changed: object) -> ReportInput:
    """One planned call: the baseline in full duplex, the candidate as an ordinary exchange of turns."""
    planned = planned_calls()[72]
    report = report_input(planned=(planned,))
    id_ = arm_call_id(planned, Arm.BASELINE)
    plain = report.calls[id_]
    heard = tuple(
        Heard(audio=CLIPS[name], said=text, heard=text.lower(), floor_heard=text)
        for name, text in (("greeting", GREETING), ("asked", ASKED))
    )
    call: Call = replace(plain, events=events(), damage=DAMAGE, heard=heard, **changed)  # type: ignore[arg-type]
    return replace(report, calls={**report.calls, id_: call}, audio=SHELF)
