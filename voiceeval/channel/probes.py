"""Signals of known content, to be sent over a line: the same on every machine, with nothing installed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip

RATE_HZ = 16_000
REFERENCE_HZ = 1000.0
"""Well inside every band."""


def talk(seconds: float) -> AudioClip:
    """Like speech: a gliding voice with four formants, three syllables a second, breath and pauses."""
    at = _seconds(seconds)
    phase = 2 * np.pi * 130 * at + 3 * np.sin(2 * np.pi * 0.7 * at)
    voice = np.zeros(len(at))
    for harmonic in range(1, 45):
        hz = 130.0 * harmonic
        weight = sum(
            strength / (1 + ((hz - centre) / width) ** 2)
            for centre, width, strength in (
                (500, 90, 1.0),
                (1500, 120, 0.5),
                (2500, 160, 0.25),
                (3500, 250, 0.1),
            )
        )
        voice += weight * np.sin(harmonic * phase)
    breath = np.random.default_rng(1).standard_normal(len(at))
    syllables = np.clip(np.sin(2 * np.pi * 3 * at), 0, None)
    says_something = np.sin(2 * np.pi * 0.4 * at + 0.5) > -0.6
    return _clip((voice + 0.05 * breath) * syllables * says_something)


def silence_like(clip: AudioClip) -> AudioClip:
    """As long as another clip."""
    return AudioClip(np.zeros_like(clip.samples), clip.rate_hz)


def tones(frequencies_hz: Sequence[float], *, seconds: float = 2.0) -> AudioClip:
    """Equally strong tones.

    Their phases do not pile up (Schroeder 1970, IEEE Transactions on Information Theory 16, 85).
    """
    at, count = _seconds(seconds), len(frequencies_hz)
    total = np.zeros(len(at))
    for number, hz in enumerate(frequencies_hz):
        total += np.sin(2 * np.pi * hz * at + np.pi * number**2 / count)
    return _clip(total)


def burst(seconds: float, silence_s: float) -> AudioClip:
    """White noise, and then nothing, into which a room can echo."""
    noise = np.random.default_rng(2).standard_normal(int(seconds * RATE_HZ))
    return _clip(np.concatenate([noise, np.zeros(int(silence_s * RATE_HZ))]))


def _seconds(duration_s: float) -> NDArray[np.float64]:
    return np.arange(int(duration_s * RATE_HZ)) / RATE_HZ


def _clip(samples: NDArray[np.float64]) -> AudioClip:
    return AudioClip.from_float(0.5 * samples / np.abs(samples).max(), RATE_HZ)
