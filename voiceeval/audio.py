"""Audio as the calls carry it: mono, 16 bit, at a stated rate."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from voiceeval.errors import AudioError

Milliseconds = int
"""Whole milliseconds. Every time in voiceeval is one, and its name ends in ``_ms``."""

AudioFormat = Literal["wav", "flac"]
FULL_SCALE = 32768.0
AUDIBLE_DBFS = -50.0
"""A 10 ms frame above this level is audible; synthetic silence and dither lie far below."""
_FRAME_MS = 10


@dataclass(frozen=True, slots=True, eq=False)
class AudioClip:
    """Mono audio: int16 samples of shape ``(n,)``, read-only, at ``rate_hz``."""

    samples: NDArray[np.int16]
    rate_hz: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.int16:
            raise AudioError(
                f"audio must be mono int16 samples of shape (n,), "
                f"got {self.samples.dtype} of shape {self.samples.shape}"
            )
        if self.rate_hz <= 0:
            raise AudioError(f"rate_hz must be above 0, got {self.rate_hz}")
        frozen = self.samples.view()
        frozen.flags.writeable = False
        object.__setattr__(self, "samples", frozen)

    @classmethod
    def silence(cls, duration_ms: Milliseconds, rate_hz: int) -> AudioClip:
        """Digital silence."""
        return cls(np.zeros(duration_ms * rate_hz // 1000, dtype=np.int16), rate_hz)

    @classmethod
    def from_float(cls, samples: NDArray[np.floating], rate_hz: int) -> AudioClip:
        """From floats where full scale is ±1; what lies beyond is clipped, as a converter would."""
        return cls(_on_16_bits(samples), rate_hz)

    @classmethod
    def join(cls, clips: Sequence[AudioClip]) -> AudioClip:
        """One after the other. All must share a rate, and there must be one at least."""
        rates = {clip.rate_hz for clip in clips}
        if len(rates) != 1:
            raise AudioError(f"clips to join must share one rate, got {sorted(rates) or 'no clips'}")
        return cls(np.concatenate([clip.samples for clip in clips]), rates.pop())

    @classmethod
    def decode(cls, data: bytes, *, name: str) -> AudioClip:
        """Read WAV, FLAC or Ogg bytes; several channels or an unreadable file raise AudioError.

        ``name`` is what the message calls the file.
        """
        samples, rate_hz = read_channels(io.BytesIO(data), name=name)
        if samples.shape[1] != 1:
            raise AudioError(f"{name}: has {samples.shape[1]} channels; allowed: one")
        if samples.shape[0] == 0:
            raise AudioError(f"{name}: holds no samples")
        return cls(np.ascontiguousarray(samples[:, 0]), rate_hz)

    def encode(self, audio_format: AudioFormat) -> bytes:
        """Lossless bytes of a WAV or FLAC file."""
        import soundfile

        buffer = io.BytesIO()
        soundfile.write(buffer, self.samples, self.rate_hz, format=audio_format.upper(), subtype="PCM_16")
        return buffer.getvalue()

    @property
    def duration_ms(self) -> Milliseconds:
        """How long it plays, rounded down."""
        return len(self.samples) * 1000 // self.rate_hz

    def digest(self) -> str:
        """Hex SHA-256 of rate and samples: the same sound has the same digest in any file format."""
        content = hashlib.sha256(f"{self.rate_hz}:".encode())
        content.update(np.ascontiguousarray(self.samples).tobytes())
        return content.hexdigest()

    def as_float(self) -> NDArray[np.float64]:
        """Samples with full scale at ±1."""
        return self.samples.astype(np.float64) / FULL_SCALE

    def part(self, start_ms: Milliseconds, end_ms: Milliseconds) -> AudioClip:
        """From ``start_ms`` up to ``end_ms``, cut at the clip's own ends."""
        first = max(0, start_ms * self.rate_hz // 1000)
        last = max(first, end_ms * self.rate_hz // 1000)
        return AudioClip(self.samples[first:last], self.rate_hz)

    def resampled(self, rate_hz: int) -> AudioClip:
        """The same sound at another rate (soxr, high quality)."""
        if rate_hz == self.rate_hz:
            return self
        import soxr

        return AudioClip(soxr.resample(self.samples, self.rate_hz, rate_hz, quality="HQ"), rate_hz)


def read_channels(source: Path | BinaryIO, *, name: str) -> tuple[NDArray[np.int16], int]:
    """Samples of shape ``(n, channels)`` of a WAV, FLAC or Ogg file, and its rate.

    Raises:
        AudioError: it cannot be read, or holds samples that are no finite numbers; ``name`` is what the
            message calls it.
    """
    import soundfile

    try:
        with soundfile.SoundFile(source) as file:
            if file.subtype not in ("FLOAT", "DOUBLE"):
                return file.read(dtype="int16", always_2d=True), int(file.samplerate)
            # libsndfile rounds such samples to whole numbers as they are, full scale ±1 to silence.
            floats, rate_hz = file.read(dtype="float64", always_2d=True), int(file.samplerate)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{name}: not readable as audio ({error.error_string.rstrip('.')}); allowed: WAV, FLAC, Ogg"
        ) from None
    if not np.isfinite(floats).all():
        raise AudioError(f"{name}: holds samples that are no finite numbers")
    return _on_16_bits(floats), rate_hz


def _on_16_bits(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    scaled = np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    return np.asarray(scaled.astype(np.int16))


def audible_span(clip: AudioClip) -> tuple[Milliseconds, Milliseconds]:
    """Start of the first and end of the last 10 ms frame whose RMS exceeds `AUDIBLE_DBFS`; (0, 0) if none.

    Frames begin where `AudioClip.part` cuts, so that times do not drift at 22,050 Hz, of which 10 ms are no
    whole number of samples. What is left over at the end makes no frame.
    """
    count = len(clip.samples) * 1000 // (clip.rate_hz * _FRAME_MS)
    if not count:
        return 0, 0
    borders = np.arange(count + 1) * (clip.rate_hz * _FRAME_MS) // 1000
    sums = np.add.reduceat(clip.samples[: borders[-1]].astype(np.float64) ** 2, borders[:-1])
    loud = np.flatnonzero(sums / np.diff(borders) > (FULL_SCALE * 10 ** (AUDIBLE_DBFS / 20)) ** 2)
    if not len(loud):
        return 0, 0
    return int(loud[0]) * _FRAME_MS, (int(loud[-1]) + 1) * _FRAME_MS
