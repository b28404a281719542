"""Both arms of a planned call on one clock, for the player: sounds at their places, and what happens when."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from voiceeval.audio import AudioClip, Milliseconds
from voiceeval.call import Arm, AsideStarted, Call, CallerStarted
from voiceeval.call_audio import Playing, duration_ms, played, playings
from voiceeval.cohort import PlannedCall
from voiceeval.errors import RunFolderError
from voiceeval.metrics.floor import Floor, Stretch, floor_of
from voiceeval.protocols import AudioStore
from voiceeval.reports.call_list import slug
from voiceeval.reports.call_marks import TurnData, marks, stage_spans, turn_spans
from voiceeval.reports.call_turns import relative_href
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import one_line
from voiceeval.waveform import STEP_MS, KeptWaveforms, Waveform

if TYPE_CHECKING:
    from markupsafe import Markup


class ClipData(TypedDict):
    """A piece of sound on a track; as `ClipData` of the pages' scripts."""

    track: str
    kind: str
    turn: int
    at_ms: Milliseconds
    length_ms: Milliseconds
    src: str
    peaks: str


class ArmData(TypedDict):
    """One arm's call."""

    label: str
    duration_ms: Milliseconds
    clips: list[ClipData]
    turns: list[TurnData]
    marks: list[dict[str, Any]]
    stages: list[dict[str, Any]]


class CallData(TypedDict):
    """What the element ``#call-data`` of a call's page holds."""

    slug: str
    duration_ms: Milliseconds
    arms: dict[str, ArmData]


def call_data(
    report: ReportInput,
    planned: PlannedCall,
    *,
    labels: Mapping[Arm, str],
    played_href: Callable[[Playing], str],
    waveforms: KeptWaveforms,
) -> CallData:
    """Lay out both arms of a planned call.

    Args:
        report: the run.
        planned: one of its calls.
        labels: what the arms are called.
        played_href: from a part of a reply to a file that holds just that, as seen from the page; or nothing.
        waveforms: those known already; the ones that had to be measured are added.
    """
    arms: dict[str, ArmData] = {}
    for arm in Arm:
        call = report.calls.get(arm_call_id(planned, arm))
        if call is not None:
            tracks = Tracks(call, report.audio_href, played_href, report.audio, waveforms)
            floor = floor_of(call.events)
            arms[str(arm)] = ArmData(
                label=one_line(labels[arm]),
                duration_ms=duration_ms(call),
                clips=list(tracks.clips()),
                turns=list(turn_spans(call, floor)),
                marks=[mark.as_json() for mark in marks(call, floor)],
                stages=list(stage_spans(call, floor)),
            )
    longest = max((arm["duration_ms"] for arm in arms.values()), default=0)
    return CallData(slug=slug(planned.id), duration_ms=longest, arms=arms)


def in_page(data: CallData) -> Markup:
    """The data as JSON that may stand in a script element: nothing in it can end that element."""
    from markupsafe import Markup

    # ASCII, so that half of a surrogate pair and the line separators of Unicode survive in a file too.
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


@dataclass(frozen=True, slots=True)
class Tracks:
    """Where the clips of one call lie, as `voiceeval.call_audio.two_tracks` would lay their samples."""

    call: Call
    audio_href: Callable[[str], str]
    played_href: Callable[[Playing], str]
    audio: AudioStore | None
    waveforms: KeptWaveforms
    _floor: Floor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_floor", floor_of(self.call.events))

    def clips(self) -> Iterator[ClipData]:
        """The caller's sounds in order, then the agent's."""
        placed = sorted(self._caller_clips(), key=lambda clip: clip["at_ms"])
        nexts = [clip["at_ms"] for clip in placed if clip["src"]]
        for clip in placed:
            # A later clip takes over from its first sample; one of the same moment, the last of them.
            after = [at_ms for at_ms in nexts if at_ms > clip["at_ms"]]
            yield self._ending_by(clip, min(after, default=duration_ms(self.call)))
        for playing in playings(self.call):
            yield self._ending_by(self._agent_clip(playing), duration_ms(self.call))

    def _caller_clips(self) -> Iterator[ClipData]:
        said: dict[int, int] = {}
        spoken = {taken.number: taken.stretches for taken in self._floor.turns}
        asides = iter(self._floor.asides)
        for event in self.call.events:
            if isinstance(event, AsideStarted):
                yield self._delivered(event, "aside", next(asides).stretch)
            elif isinstance(event, CallerStarted):
                place = said.get(event.turn, 0)
                said[event.turn] = place + 1
                if place < len(spoken.get(event.turn, ())):
                    yield self._delivered(event, "caller", spoken[event.turn][place])

    def _delivered(self, event: CallerStarted | AsideStarted, kind: str, words: Stretch) -> ClipData:
        found = self._whole(event.audio)
        if found is None:
            at_ms, length_ms, src, peaks = words.start_ms, words.end_ms - words.start_ms, "", ""
        else:
            src, waveform = found
            at_ms, length_ms, peaks = event.audio_from_ms, waveform.length_ms, waveform.peaks
        return ClipData(
            track="caller",
            kind=kind,
            turn=event.turn,
            at_ms=at_ms,
            length_ms=length_ms,
            src=src,
            peaks=peaks,
        )

    def _agent_clip(self, playing: Playing) -> ClipData:
        started = playing.started
        at_ms, length_ms, src, peaks = started.at_ms, playing.end_ms - started.at_ms, "", ""
        if playing.whole:
            found = self._whole(started.audio)
            if found is not None:
                src, waveform = found
                # The reply begins with its first audible sample; the file has silence before it.
                at_ms -= waveform.audible_from_ms
                length_ms, peaks = length_ms + waveform.audible_from_ms, waveform.peaks
                length_ms = min(length_ms, waveform.length_ms) if waveform.length_ms else length_ms
        else:
            src = self.played_href(playing)
            part = self._part(playing) if src else None
            src, peaks = (src, part.peaks) if part else ("", "")
        return ClipData(
            track="agent",
            kind="agent",
            turn=started.turn,
            at_ms=at_ms,
            length_ms=max(0, length_ms),
            src=src,
            peaks=peaks,
        )

    def _whole(self, digest: str) -> tuple[str, Waveform] | None:
        """Where the clip lies as seen from the page, and its waveform; None where it was not kept."""
        src = relative_href(self.audio_href(digest)) if digest else ""
        audio = self.audio
        if not src or audio is None:
            return None
        waveform = self._measured(digest, lambda: audio.get(digest))
        return None if waveform is None else (src, waveform)

    def _part(self, playing: Playing) -> Waveform | None:
        digest, audio = playing.started.audio, self.audio
        if audio is None:
            return None
        from_ms = playing.started.offset_ms
        name = f"{digest}.{from_ms}-{from_ms + playing.end_ms - playing.started.at_ms}"
        return self._measured(name, lambda: played(audio.get(digest), playing))

    def _measured(self, name: str, clip: Callable[[], AudioClip]) -> Waveform | None:
        try:
            return self.waveforms.of(name, clip)
        except RunFolderError:
            return None

    @staticmethod
    def _ending_by(clip: ClipData, end_ms: Milliseconds) -> ClipData:
        length_ms = max(0, min(clip["length_ms"], end_ms - clip["at_ms"]))
        return {**clip, "length_ms": length_ms, "peaks": clip["peaks"][: -(-length_ms // STEP_MS)]}
