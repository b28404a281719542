"""Noise beds that exist as sound: a ring which repeats without a click, entered somewhere else by every seed.

babble   two copies of a ring of four voices, each turned by another amount: eight people talk at once
         (the ring is ours, see fixtures/beds/make_babble.py; the callers say other words)
music    hold music of our own: an electric piano over a soft pad, four chords (C, A minor, F, G) of three
         seconds each; tones of the equal temperament with decaying harmonics, nothing random in it
file     the user's recording; its last half second is faded into its first
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.errors import ScenarioError

BABBLE_FILE = Path(__file__).parent / "beds" / "babble.flac"
_COPIES = 2
_CROSSFADE_S = 0.5
_ENTRIES = 8
_FAR_BELOW = 10 ** (-20 / 10)
"""Of the ring's power: an excerpt that is quieter is a gap in the recording, and is not taken for noise."""

_CHORDS = ((60, 64, 67, 72), (57, 60, 64, 69), (53, 57, 60, 65), (55, 59, 62, 67))
"""Keys of a piano by MIDI number; 69 is the A of 440 Hz."""
_CHORD_S, _NOTES = 3.0, 8
_PATTERN = (0, 1, 2, 3, 2, 1, 3, 2)
"""Which note of the chord the piano plays on each of the eight quavers."""


def babble(count: int, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``count`` samples of people talking, at an arbitrary level."""
    ring = _babble_ring(rate_hz)
    total = np.zeros(count)
    for start in rng.integers(0, len(ring), _COPIES):
        total += _turned(ring, int(start), count)
    return total


def music(count: int, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``count`` samples of hold music, at an arbitrary level."""
    ring = _music_ring(rate_hz)
    return _turned(ring, int(rng.integers(0, len(ring))), count)


def recorded(ring: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``count`` samples of a ring, from one of eight drawn places: the first that is no gap in it."""
    enough = _FAR_BELOW * float(np.mean(ring**2))
    excerpts = [_turned(ring, int(start), count) for start in rng.integers(0, len(ring), _ENTRIES)]
    powers = [float(np.mean(excerpt**2)) for excerpt in excerpts]
    loud = next((index for index, power in enumerate(powers) if power >= enough), int(np.argmax(powers)))
    return excerpts[loud]


def ring_of(clip: AudioClip, rate_hz: int, *, name: str) -> NDArray[np.float64]:
    """A recording as a ring at ``rate_hz``: its end is faded into its beginning with equal power.

    Raises:
        ScenarioError: It is shorter than a second, or silent.
    """
    sound = clip.resampled(rate_hz).as_float()
    fade = int(_CROSSFADE_S * rate_hz)
    if len(sound) < 2 * fade:
        raise ScenarioError(
            f"{name} has {clip.duration_ms} ms of noise; allowed: {round(2000 * _CROSSFADE_S)} ms or more"
        )
    if not sound.any():
        raise ScenarioError(f"{name} is silent; allowed: a recording with a sound in it")
    angle = (np.arange(fade) + 0.5) / fade * np.pi / 2
    ring = sound[:-fade].copy()
    ring[:fade] = sound[:fade] * np.sin(angle) + sound[-fade:] * np.cos(angle)
    return ring


def _turned(ring: NDArray[np.float64], start: int, count: int) -> NDArray[np.float64]:
    return np.take(ring, np.arange(start, start + count), mode="wrap")


@cache
def babble_clip() -> AudioClip:
    """The ring of voices, as it was made."""
    return AudioClip.decode(BABBLE_FILE.read_bytes(), name=BABBLE_FILE.name)


@cache
def _babble_ring(rate_hz: int) -> NDArray[np.float64]:
    clip = babble_clip()
    ring = clip.as_float()
    if clip.rate_hz == rate_hz:
        return ring
    from scipy.signal import resample

    # By the Fourier transform, which takes a signal for periodic: the ring stays one.
    return np.asarray(resample(ring, len(ring) * rate_hz // clip.rate_hz))


@cache
def _music_ring(rate_hz: int) -> NDArray[np.float64]:
    count = int(len(_CHORDS) * _CHORD_S * rate_hz)
    ring = np.zeros(count)
    for number, chord in enumerate(_CHORDS):
        start_s = number * _CHORD_S
        for place, note in enumerate(_PATTERN):
            at = int((start_s + place * _CHORD_S / _NOTES) * rate_hz)
            _add(ring, at, _struck(chord[note], rate_hz, seconds=1.6))
        _add(ring, int(start_s * rate_hz), 2.0 * _struck(chord[0] - 12, rate_hz, seconds=_CHORD_S))
        for key in chord[:3]:
            _add(ring, int(start_s * rate_hz), 0.25 * _held(key, rate_hz, seconds=_CHORD_S + 0.3))
    return ring


def _add(ring: NDArray[np.float64], at: int, sound: NDArray[np.float64]) -> None:
    np.add.at(ring, np.arange(at, at + len(sound)) % len(ring), sound)


def _struck(key: int, rate_hz: int, *, seconds: float) -> NDArray[np.float64]:
    """A note that dies away, its higher harmonics sooner, as of an electric piano."""
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    tone_hz = 440 * 2 ** ((key - 69) / 12)
    sound = np.zeros(len(at))
    for harmonic, weight in enumerate((1.0, 0.45, 0.3, 0.12, 0.08, 0.05), start=1):
        if harmonic * tone_hz < 0.45 * rate_hz:
            sound += weight * np.exp(-at * (1.5 + harmonic)) * np.sin(2 * np.pi * harmonic * tone_hz * at)
    rise, fall = np.minimum(at / 0.005, 1), np.minimum((seconds - at) / 0.05, 1)
    return np.asarray(sound * rise * fall)


def _held(key: int, rate_hz: int, *, seconds: float) -> NDArray[np.float64]:
    """A note that swells and stays, of two strings a little apart."""
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    tone_hz = 440 * 2 ** ((key - 69) / 12)
    sound = sum(
        np.sin(2 * np.pi * harmonic * tone_hz * detune * at) / harmonic**2
        for harmonic in (1, 2, 3)
        for detune in (0.998, 1.002)
    )
    swell = np.minimum(np.minimum(at / 0.3, 1), np.minimum((seconds - at) / 0.3, 1))
    return np.asarray(sound * swell)
