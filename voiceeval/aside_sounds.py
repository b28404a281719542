"""Sounds that are not meant for the agent: speech turned away from the telephone, and a cough."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.protocols import Synthesizer

TURNED_AWAY_HZ = 1_500
"""Corner of a first-order low-pass that stands for the back of a talker's head: speech is the more
directional the higher the frequency, and hardly so below 1 kHz (Chu & Warnock, NRC IRC-RR-104, 2002; Monson,
Hunter & Story, J. Acoust. Soc. Am. 132, 2012). Corner and slope are a choice: 3 dB are lost at 1.5 kHz, 12 dB
at 6 kHz."""
COUGH_RATE_HZ = 16_000
_VERSION = 1
_BURST_MS, _NOISE_MS, _VOICED_MS = 40, 170, 90
"""The three phases of a voluntary cough (Korpáš, Sadloňová & Vrabec, Pulm. Pharmacol. 9, 1996): an explosive
burst as the glottis opens, a noisy flow, and a short voiced end that most coughs have."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A voice heard from behind: without most of what lies above `TURNED_AWAY_HZ`. Its level is not lowered,
    since a line sets levels.
    """

    voice: Synthesizer

    @property
    def fingerprint(self) -> str:
        """Empty where the voice states none."""
        stated = getattr(self.voice, "fingerprint", "")
        return _digest("turned-away", _VERSION, TURNED_AWAY_HZ, version("scipy"), stated) if stated else ""

    def synthesize(self, text: str) -> AudioClip:
        """The text in this voice, without its highs."""
        from scipy.signal import butter, lfilter

        clip = self.voice.synthesize(text)
        above, below = butter(1, TURNED_AWAY_HZ, fs=clip.rate_hz)
        return AudioClip.from_float(lfilter(above, below, clip.as_float()), clip.rate_hz)


@dataclass(frozen=True, slots=True)
class Cough:
    """One cough of about 300 ms; the same one for the same person, another one for another."""

    person: str

    @property
    def fingerprint(self) -> str:
        """Changes with the person."""
        return _digest("cough", _VERSION, version("numpy"), version("scipy"), self.person)

    def synthesize(self, text: str) -> AudioClip:
        """The cough, at 16 kHz, with a peak of −6 dBFS; ``text`` does not change it.

        Built as source and filter: noise, and at its end glottal pulses, through the resonances of an open
        vocal tract. Levels within the cough follow the envelope in Korpáš et al. (1996).
        """
        del text
        rng = np.random.default_rng(int(_digest("cough", self.person)[:16], 16))
        burst, noisy, voiced = (
            int(ms * COUGH_RATE_HZ / 1000 * rng.uniform(0.85, 1.15))
            for ms in (_BURST_MS, _NOISE_MS, _VOICED_MS)
        )
        count = burst + noisy + voiced
        at = np.arange(count) / COUGH_RATE_HZ
        pitch_hz = rng.uniform(140, 320) * np.linspace(1.1, 0.75, count)
        cycles = np.cumsum(pitch_hz) / COUGH_RATE_HZ
        pulses = 1 - 2 * (cycles % 1.0)
        is_voiced = np.clip((np.arange(count) - burst - 0.6 * noisy) / (0.4 * noisy), 0, 1)
        breath = rng.standard_normal(count)
        source = breath * (1 - 0.7 * is_voiced) + 1.5 * pulses * is_voiced
        seconds = burst / COUGH_RATE_HZ
        rise = np.clip(at / 0.003, 0, 1)
        explosion = np.exp(-at / (0.4 * seconds))
        flow = 0.35 * np.exp(-np.clip(at - seconds, 0, None) / 0.11) * np.clip(at / seconds, 0, 1)
        ending = np.clip((at[-1] - at) / 0.025, 0, 1)
        sound = _open_tract(source, rng.uniform(0.9, 1.15)) * (explosion + flow) * rise * ending
        return AudioClip.from_float(0.5 * sound / np.abs(sound).max(), COUGH_RATE_HZ)


def _open_tract(source: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """The source through wide resonances near those of an open vowel, and some of it past them."""
    from scipy.signal import iirpeak, lfilter

    shaped = 0.15 * source
    for hz, wide_hz, gain in ((600, 300, 1.0), (1_300, 400, 0.8), (2_600, 700, 0.5), (4_200, 1_200, 0.3)):
        above, below = iirpeak(hz / size, hz / wide_hz, fs=COUGH_RATE_HZ)
        shaped = shaped + gain * lfilter(above, below, source)
    return np.asarray(shaped)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
