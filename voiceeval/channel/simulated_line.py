"""A line made of known parts: level, noise, band and codec, in this order.

    caller ──> telephone band ──> level ──┐
                                          (+) ──> 16 bit ──> codec ──> agent
     noise ──> telephone band ──> level ──┘

The noise is acoustic: it enters with the speech, before the band filter. Both levels are set on what the
filter leaves, so that they are facts about the audio the agent gets:

    speech   ``level_dbfs`` is its active speech level (see `speech_level`)
    noise    its root mean square over the whole clip, pauses included, lies ``snr_db`` below ``level_dbfs``

A line without noise is not digitally silent, which no line is and some recognizers cannot stand: it has a
floor of white noise at −66 dBFS. In silence there is no speech to set, and the noise is as loud as under
speech.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.call import Damage
from voiceeval.channel import mulaw
from voiceeval.channel.noise import noise_bed
from voiceeval.channel.speech_level import active_level_dbfs
from voiceeval.channel.telephone_band import RATE_HZ as TELEPHONE_RATE_HZ
from voiceeval.channel.telephone_band import telephone_band
from voiceeval.protocols import Delivered
from voiceeval.scenario import Line, content_digest

VERSION = "1"
"""Raised when the same line would sound different."""
FLOOR_DBFS = -66.0
WIDE_RATE_HZ = 16_000

Filter = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Codec = Callable[[AudioClip], AudioClip]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What adds up on a line, before the codec; full scale is ±1."""

    speech: NDArray[np.float64]
    noise: NDArray[np.float64]
    rate_hz: int

    @property
    def snr_db(self) -> float:
        """Active speech level over the noise's root mean square; minus infinity without speech."""
        return active_level_dbfs(self.speech, self.rate_hz) - _rms_db(self.noise)


class SimulatedLine:
    """Carries a caller's audio to the agent under the conditions a line's file states.

    Deterministic: the same audio and seed give the same bytes.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        is_telephone = line.band == "telephone"
        self.rate_hz = TELEPHONE_RATE_HZ if is_telephone else WIDE_RATE_HZ
        self._filters: tuple[Filter, ...] = (telephone_band,) if is_telephone else ()
        self._codecs: tuple[Codec, ...] = (_companded,) if line.codec == "mulaw" else ()

    @property
    def fingerprint(self) -> str:
        """Changes with the conditions, with how they are simulated, and with the libraries used."""
        return content_digest(
            {
                "class": f"{type(self).__module__}.{type(self).__qualname__}",
                "version": VERSION,
                "conditions": self.line.model_dump(mode="json", exclude={"id", "tags"}),
                "packages": {name: version(name) for name in ("numpy", "scipy", "soxr")},
            }
        )

    def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
        """What arrives at the agent: at 16 kHz, or 8 kHz over a telephone; as many milliseconds as went in.

        Args:
            audio: What the caller says, pauses included, at any rate.
            seed: Chooses the noise.
        """
        parts = self.parts(audio, seed=seed)
        carried = AudioClip.from_float(parts.speech + parts.noise, self.rate_hz)
        for codec in self._codecs:
            carried = codec(carried)
        return Delivered(audio=carried, damage=Damage())

    def parts(self, audio: AudioClip, *, seed: int) -> Parts:
        """Speech and noise as `carry` adds them, for measuring a line."""
        speech = _resampled(audio, self.rate_hz)
        if not len(speech):
            return Parts(speech=speech, noise=speech, rate_hz=self.rate_hz)
        noise = self._noise(len(speech), np.random.default_rng(seed))
        for pass_through in self._filters:
            speech, noise = pass_through(speech), pass_through(noise)
        level_dbfs = active_level_dbfs(speech, self.rate_hz)
        gain = 10 ** ((self.line.level_dbfs - level_dbfs) / 20) if np.isfinite(level_dbfs) else 1.0
        is_quiet = self.line.noise == "none"
        noise_dbfs = FLOOR_DBFS if is_quiet else self.line.level_dbfs - self.line.snr_db
        return Parts(
            speech=speech * gain,
            noise=noise * 10 ** ((noise_dbfs - _rms_db(noise)) / 20),
            rate_hz=self.rate_hz,
        )

    def _noise(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        kind = self.line.noise
        return noise_bed("white" if kind == "none" else kind, count, self.rate_hz, rng)


def _companded(clip: AudioClip) -> AudioClip:
    return AudioClip(mulaw.decode(mulaw.encode(clip.samples)), clip.rate_hz)


def _resampled(audio: AudioClip, rate_hz: int) -> NDArray[np.float64]:
    """In floating point, and exactly as long: the resampler may round the other way."""
    import soxr

    samples = audio.as_float()
    if audio.rate_hz != rate_hz:
        samples = np.asarray(soxr.resample(samples, audio.rate_hz, rate_hz, quality="HQ"), dtype=np.float64)
    count = len(audio.samples) * rate_hz // audio.rate_hz
    return np.pad(samples, (0, max(0, count - len(samples))))[:count]


def _rms_db(samples: NDArray[np.float64]) -> float:
    return 10 * float(np.log10(max(float(np.mean(samples**2)), 1e-12)))
