"""How loud a clip is over its length: small enough to stand in a page, computed once for a clip of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voiceeval.audio import FULL_SCALE, AudioClip, Milliseconds, audible_span
from voiceeval.content_files import write_whole

STEP_MS = 20
"""One character of a waveform stands for this long."""
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_HIGHEST = len(ALPHABET) - 1
_LETTERS = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
# The root lifts quiet speech into view: at a tenth of full scale a bar is a third of the height.
_LEVELS = np.rint(_HIGHEST * np.sqrt(np.arange(int(FULL_SCALE) + 1) / FULL_SCALE)).astype(np.uint8)
_WAVEFORM = re.compile(r"[A-Za-z0-9_-]*")


def peaks(clip: AudioClip) -> str:
    """The loudest sample of every `STEP_MS`, as one character of 64: the root of its share of full scale.

    What is left over at the end is a step of its own. Steps begin where `AudioClip.part` cuts.

    >>> peaks(AudioClip(np.array([0] * 20 + [-32768] * 10, dtype=np.int16), 1_000))
    'A_'
    """
    if not len(clip.samples):
        return ""
    count = -(-len(clip.samples) * 1000 // (clip.rate_hz * STEP_MS))
    starts = np.arange(count) * (clip.rate_hz * STEP_MS) // 1000
    # Two may begin at one sample of a rate under 50 Hz, and none may begin behind the last.
    loudest = np.maximum.reduceat(
        np.abs(clip.samples.astype(np.int32)), np.minimum(starts, len(clip.samples) - 1)
    )
    return bytes(_LETTERS[_LEVELS[loudest]]).decode()


def decoded(waveform: str) -> tuple[float, ...]:
    """The loudest sample of every step as a share of full scale, to the nearest of 64 levels.

    >>> decoded("A_")
    (0.0, 1.0)
    """
    return tuple((ALPHABET.index(letter) / _HIGHEST) ** 2 for letter in waveform)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """What a page needs to know of a clip to draw and place it."""

    length_ms: Milliseconds
    audible_from_ms: Milliseconds
    """Its first audible sample; 0 where nothing is audible."""
    peaks: str

    @classmethod
    def of(cls, clip: AudioClip) -> Waveform:
        """Measure a clip."""
        return cls(length_ms=clip.duration_ms, audible_from_ms=audible_span(clip)[0], peaks=peaks(clip))


@dataclass(slots=True)
class KeptWaveforms:
    """The waveforms of a run by name, in one file: a clip that was measured once is not decoded again."""

    path: Path
    _known: dict[str, Waveform] = field(default_factory=dict)
    _new: bool = False

    @classmethod
    def read(cls, path: Path) -> KeptWaveforms:
        """Those kept in a file; none where it is absent, and nothing of it that is not one."""
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError):
            found = {}
        entries = found if isinstance(found, Mapping) else {}
        read = {name: _waveform(entry) for name, entry in entries.items()}
        return cls(path, {name: waveform for name, waveform in read.items() if waveform})

    def of(self, name: str, clip: Callable[[], AudioClip]) -> Waveform:
        """The waveform of the clip that goes by ``name``, which must tell its content; ``clip`` reads it."""
        if name not in self._known:
            self._known[name] = Waveform.of(clip())
            self._new = True
        return self._known[name]

    def keep(self) -> None:
        """Write the file, where there is something new to write."""
        if self._new:
            table = {
                name: [waveform.length_ms, waveform.audible_from_ms, waveform.peaks]
                for name, waveform in sorted(self._known.items())
            }
            write_whole(self.path, (json.dumps(table, separators=(",", ":")) + "\n").encode())
            self._new = False


def _waveform(entry: object) -> Waveform | None:
    """What one entry of the file says; None where it says something else."""
    match entry:
        case [int(length_ms), int(from_ms), str(waveform)] if (
            length_ms >= 0 and from_ms >= 0 and _WAVEFORM.fullmatch(waveform)
        ):
            return Waveform(length_ms=length_ms, audible_from_ms=from_ms, peaks=waveform)
        case _:
            return None
