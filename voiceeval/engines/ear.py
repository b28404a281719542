"""The agent's end of the line: a bed of noise, over which the caller's sounds are laid one after the other.

The line has one sound at any moment. One that begins takes over from the one before it, and when it is over
the bed goes on, as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voiceeval.audio import Milliseconds
from voiceeval.call import Stage
from voiceeval.engines.faults import ask
from voiceeval.engines.medium import Cut, LineSound, Medium
from voiceeval.engines.timeline import Planned, Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laid:
    """A sound on the line from ``from_ms`` until the next one."""

    from_ms: Milliseconds
    sound: LineSound
    offset_ms: Milliseconds
    """Where in the sound it begins."""


class Ear:
    """Tells when speech begins and ends on the line, and what was on it."""

    def __init__(
        self,
        *,
        time: Timeline,
        medium: Medium,
        started: Callable[[], None],
        stopped: Callable[[], None],
    ) -> None:
        self._time, self._started, self._stopped = time, started, stopped
        self._medium = medium
        self._bed: LineSound
        self._bed_from_ms: Milliseconds = 0
        self._laid: list[_Laid] = []
        self._ahead: list[Planned] = []
        self.speech_since_ms: Milliseconds | None = None
        """Since when speech is heard; None while none is."""

    def open(self) -> None:
        """The line is there, and nobody speaks yet."""
        self._bed, self._bed_from_ms = ask(Stage.ENDPOINTING, self._medium.bed)
        self._lay_bed()

    def lay(self, sound: LineSound, from_ms: Milliseconds) -> None:
        """A sound whose audio began at ``from_ms``, which may be a little before now."""
        self._lay(_Laid(from_ms=from_ms, sound=sound, offset_ms=0))

    def cuts(self, from_ms: Milliseconds, to_ms: Milliseconds) -> tuple[Cut, ...]:
        """What was on the line between two moments."""
        found = []
        ends = [laid.from_ms for laid in self._laid[1:]] + [to_ms]
        for laid, end_ms in zip(self._laid, ends, strict=True):
            start, end = max(from_ms, laid.from_ms), min(to_ms, end_ms)
            if start < end:
                shift = laid.offset_ms - laid.from_ms
                found.append(Cut(sound=laid.sound, from_ms=start + shift, to_ms=end + shift))
        return tuple(found)

    def _lay_bed(self) -> None:
        now = self._time.now_ms
        offset_ms = (self._bed_from_ms + now) % self._bed.duration_ms
        self._lay(_Laid(from_ms=now, sound=self._bed, offset_ms=offset_ms))

    def _lay(self, laid: _Laid) -> None:
        for planned in self._ahead:
            planned.cancel()
        self._ahead.clear()
        while self._laid and self._laid[-1].from_ms >= laid.from_ms:
            self._laid.pop()
        self._laid.append(laid)
        starts_ms = laid.from_ms - laid.offset_ms
        now = self._time.now_ms
        going_on = False
        for span in laid.sound.heard:
            start_ms, end_ms = starts_ms + span.start_ms, starts_ms + span.end_ms
            if end_ms <= now:
                continue
            if start_ms > now:
                self._plan(start_ms, self._speech_starts)
            else:
                going_on = True
            self._plan(end_ms, self._speech_stops)
        self._plan(starts_ms + laid.sound.duration_ms, self._lay_bed)
        # The detector hears each sound on its own: what it took for speech before may be over.
        if going_on and self.speech_since_ms is None:
            self._speech_starts()
        elif self.speech_since_ms is not None and not going_on:
            self._speech_stops()

    def _plan(self, moment_ms: Milliseconds, action: Callable[[], None]) -> None:
        self._ahead.append(self._time.at(max(moment_ms, self._time.now_ms), action))

    def _speech_starts(self) -> None:
        self.speech_since_ms = self._time.now_ms
        self._started()

    def _speech_stops(self) -> None:
        self.speech_since_ms = None
        self._stopped()
