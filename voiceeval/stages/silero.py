"""The Silero voice activity detector as an end-pointer, and as a finder of speech.

The model comes with faster-whisper's wheel. It gives a probability of speech for each frame of 32 ms and
looks only backwards; so do the decisions made here, as those of an end-pointer in a live call.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from voiceeval.audio import AudioClip, Milliseconds
from voiceeval.errors import AgentError
from voiceeval.protocols import Endpoint, Span
from voiceeval.stages.extras import require
from voiceeval.stages.fingerprints import fingerprint

RATE_HZ = 16_000
FRAME_SAMPLES = 512
FRAME_MS = 32
HYSTERESIS = 0.15
"""Speech that has begun goes on until its probability is this much below the threshold."""
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SileroEndpointer:
    """An end-pointer: the caller has finished when speech was heard and then ``silence_ms`` without any.

    Decisions fall at the end of a frame, so that times are rounded up to multiples of 32 ms. Audio at
    another rate than 16 kHz is resampled. Where the clip ends before a decision, its end is the limit.

    Raises:
        AgentError: an option is out of range.
        RegistryError: the package is not installed.
    """

    silence_ms: Annotated[int, Field(ge=32, le=10_000)] = 600
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability from which a frame is speech."""
    limit_ms: Annotated[int, Field(ge=100, le=600_000)] = 15_000
    """The turn ends here whatever is heard."""
    no_speech_ms: Annotated[int, Field(ge=100, le=600_000)] = 5_000
    """The turn ends here when nothing was said."""
    min_speech_ms: Annotated[int, Field(ge=0, le=2_000)] = 100
    """Shorter sounds are no speech: a click, a cough."""

    def __post_init__(self) -> None:
        require("faster_whisper", extra="whisper", needed_by="the endpointer 'silero'")
        if not 0 < self.threshold < 1:
            raise AgentError(f"threshold: must be above 0 and below 1, got {self.threshold}")
        for name in ("silence_ms", "limit_ms", "no_speech_ms"):
            if getattr(self, name) < FRAME_MS:
                raise AgentError(f"{name}: must be {FRAME_MS} ms at least, got {getattr(self, name)}")

    @functools.cached_property
    def fingerprint(self) -> str:
        """Equal for two end-pointers that decide alike on all audio."""
        return fingerprint(
            "silero",
            version=_VERSION,
            options=asdict(self),
            distributions=("faster-whisper", "onnxruntime", "soxr"),
        )

    def endpoint(self, audio: AudioClip) -> Endpoint:
        """Where the turn ends."""
        point = self._decide(_stretches(speech_probabilities(audio), self.threshold, self.silence_ms))
        if point is not None and point.at_ms <= audio.duration_ms:
            return point
        silent = point is not None and point.reason == "no speech"
        return Endpoint(at_ms=audio.duration_ms, reason="no speech" if silent else "limit")

    def _decide(self, stretches: Iterator[_Stretch]) -> Endpoint | None:
        quiet_until = _frame_end(self.no_speech_ms)
        limit = Endpoint(at_ms=_frame_end(self.limit_ms), reason="limit")
        for stretch in stretches:
            nothing = Endpoint(at_ms=quiet_until, reason="no speech")
            if stretch.start_ms >= quiet_until:
                return nothing if nothing.at_ms < limit.at_ms else limit
            if stretch.decided_ms >= limit.at_ms:
                return limit
            if stretch.end_ms - stretch.start_ms >= self.min_speech_ms:
                return Endpoint(at_ms=stretch.decided_ms, reason="silence") if stretch.is_over else None
            quiet_until = max(quiet_until, stretch.decided_ms)
        return Endpoint(at_ms=quiet_until, reason="no speech") if quiet_until < limit.at_ms else limit


def speech_spans(
    audio: AudioClip,
    *,
    threshold: float = 0.5,
    min_silence_ms: Milliseconds = 300,
    min_speech_ms: Milliseconds = 100,
) -> tuple[Span, ...]:
    """The stretches of a clip in which somebody speaks, to within a frame of 32 ms.

    Args:
        audio: At any rate.
        threshold: Probability from which a frame is speech.
        min_silence_ms: Shorter pauses do not end a stretch.
        min_speech_ms: Shorter stretches are left out.
    """
    return tuple(
        Span(start_ms=stretch.start_ms, end_ms=min(stretch.end_ms, audio.duration_ms))
        for stretch in _stretches(speech_probabilities(audio), threshold, min_silence_ms)
        if stretch.end_ms - stretch.start_ms >= min_speech_ms
    )


def speech_probabilities(audio: AudioClip) -> tuple[float, ...]:
    """Probability of speech of every frame of 32 ms; the last frame may reach beyond the clip."""
    samples = audio.resampled(RATE_HZ).as_float().astype(np.float32)
    frames = -(-len(samples) // FRAME_SAMPLES)
    if not frames:
        return ()
    # The model's wrapper overwrites the end of its last frame: that one is ours, and dropped.
    padded = np.zeros((frames + 1) * FRAME_SAMPLES, dtype=np.float32)
    padded[: len(samples)] = samples
    from faster_whisper.vad import get_vad_model

    return tuple(float(value) for value in np.ravel(get_vad_model()(padded))[:frames])


class _Stretch(NamedTuple):
    """Speech, and when it was known to be over."""

    start_ms: Milliseconds
    end_ms: Milliseconds
    decided_ms: Milliseconds
    is_over: bool
    """False when the clip ended first."""


def _stretches(
    probabilities: Sequence[float], threshold: float, silence_ms: Milliseconds
) -> Iterator[_Stretch]:
    silence = max(threshold - HYSTERESIS, 0.01)
    start = end = -1
    for frame, probability in enumerate(probabilities):
        if probability >= threshold:
            start = frame if start < 0 else start
            end = -1
        elif start >= 0 and end < 0 and probability < silence:
            end = frame
        if end >= 0 and (frame + 1 - end) * FRAME_MS >= silence_ms:
            yield _Stretch(start * FRAME_MS, end * FRAME_MS, (frame + 1) * FRAME_MS, is_over=True)
            start = end = -1
    if start >= 0:
        last = len(probabilities)
        yield _Stretch(
            start * FRAME_MS, (end if end >= 0 else last) * FRAME_MS, last * FRAME_MS, is_over=False
        )


def _frame_end(at_ms: Milliseconds) -> Milliseconds:
    """The first end of a frame at or after a moment: when a decision about it can be made."""
    return -(-at_ms // FRAME_MS) * FRAME_MS
