"""The Silero voice activity detector as an end-pointer, and as a finder of speech.

The model comes with faster-whisper's wheel. It gives a probability of speech for each frame of 32 ms and
looks only backwards. A stretch of speech is dated from its first frame to its last: that it was long enough
(``min_speech_ms``), and that its end was no dip, is known about 100 ms later, and nothing looks farther ahead
than that: an end-pointer that waits longer to call it speech notices it so much later.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from voiceeval.audio import AudioClip, Milliseconds
from voiceeval.errors import AgentError
from voiceeval.extras import require
from voiceeval.protocols import Span
from voiceeval.stages.fingerprints import fingerprint

RATE_HZ = 16_000
FRAME_SAMPLES = 512
FRAME_MS = 32
SHORTEST_PAUSE_MS = 3 * FRAME_MS
"""Shorter dips of the probability are no pauses: plosives have them."""
DATED_BACK_MS = 100
"""Speech is noticed no more than this before it is known that it is speech."""
HYSTERESIS = 0.15
"""Speech that has begun goes on until its probability is this much below the threshold."""
_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class SileroEndpointer:
    """An end-pointer: the caller has finished when speech was heard and then ``silence_ms`` without any.

    Speech begins and ends at the borders of frames of 32 ms. Audio at another rate than 16 kHz is resampled.

    Raises:
        AgentError: an option is out of range.
        RegistryError: the package is not installed.
    """

    silence_ms: Annotated[int, Field(ge=96, le=10_000)] = 600
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability from which a frame is speech."""
    adaptive: bool = False
    """Wait for twice the caller's usual pause instead, within ``shortest_ms`` and ``longest_ms``."""
    shortest_ms: Annotated[int, Field(ge=96, le=10_000)] = 400
    longest_ms: Annotated[int, Field(ge=96, le=10_000)] = 1_500
    min_speech_ms: Annotated[int, Field(ge=0, le=2_000)] = 100
    """Shorter sounds are no speech: a click, a cough. Above 100, speech is noticed so much later."""

    def __post_init__(self) -> None:
        require("faster_whisper", extra="whisper", needed_by="the endpointer 'silero'")
        if not 0 < self.threshold < 1:
            raise AgentError(f"threshold: must be above 0 and below 1, got {self.threshold}")
        for name in ("silence_ms", "shortest_ms", "longest_ms"):
            if getattr(self, name) < SHORTEST_PAUSE_MS:
                raise AgentError(
                    f"{name}: must be {SHORTEST_PAUSE_MS} ms at least, got {getattr(self, name)}"
                )
        if self.shortest_ms > self.longest_ms:
            raise AgentError(
                f"shortest_ms: must not exceed longest_ms, got {self.shortest_ms} and {self.longest_ms}"
            )

    @functools.cached_property
    def fingerprint(self) -> str:
        """Equal for two end-pointers that decide alike on all audio."""
        return fingerprint(
            "silero",
            version=_VERSION,
            options=asdict(self),
            distributions=("faster-whisper", "onnxruntime", "soxr"),
        )

    @functools.cached_property
    def speech_fingerprint(self) -> str:
        """Equal for two that hear the same speech, however long they wait after it."""
        return fingerprint(
            "silero speech",
            version=_VERSION,
            options={"threshold": self.threshold, "min_speech_ms": self.min_speech_ms},
            distributions=("faster-whisper", "onnxruntime", "soxr"),
        )

    def speech(self, audio: AudioClip) -> tuple[Span, ...]:
        """The stretches with speech, to within a frame; pauses under `SHORTEST_PAUSE_MS` do not part them.

        Each begins where it is noticed, as in a live call: not before it is known to be long enough, less
        `DATED_BACK_MS`.
        """
        heard = speech_spans(
            audio,
            threshold=self.threshold,
            min_silence_ms=SHORTEST_PAUSE_MS,
            min_speech_ms=self.min_speech_ms,
        )
        late_ms = max(0, self.min_speech_ms - DATED_BACK_MS)
        return tuple(
            Span(start_ms=min(one.start_ms + late_ms, one.end_ms), end_ms=one.end_ms) for one in heard
        )

    def wait_ms(self, pauses_ms: Sequence[Milliseconds]) -> Milliseconds:
        """``silence_ms``, or, when adaptive, twice the mean of the pauses, recent ones weighing more.

        The mean is an exponential one with weight one half for each new pause; it begins at half of
        ``silence_ms``, so that a caller who never paused is waited for as long as without adapting.
        """
        if not self.adaptive:
            return self.silence_ms
        usual_ms = self.silence_ms / 2
        for pause_ms in pauses_ms:
            usual_ms += (pause_ms - usual_ms) / 2
        return round(min(max(2 * usual_ms, self.shortest_ms), self.longest_ms))


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
        Span(start_ms=start_ms, end_ms=min(end_ms, audio.duration_ms))
        for start_ms, end_ms in _stretches(speech_probabilities(audio), threshold, min_silence_ms)
        if end_ms - start_ms >= min_speech_ms
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


def _stretches(
    probabilities: Sequence[float], threshold: float, silence_ms: Milliseconds
) -> Iterator[tuple[Milliseconds, Milliseconds]]:
    """Start and end of each stretch of speech."""
    silence = max(threshold - HYSTERESIS, 0.01)
    start = end = -1
    for frame, probability in enumerate(probabilities):
        if probability >= threshold:
            start = frame if start < 0 else start
            end = -1
        elif start >= 0 and end < 0 and probability < silence:
            end = frame
        if end >= 0 and (frame + 1 - end) * FRAME_MS >= silence_ms:
            yield start * FRAME_MS, end * FRAME_MS
            start = end = -1
    if start >= 0:
        yield start * FRAME_MS, (end if end >= 0 else len(probabilities)) * FRAME_MS
