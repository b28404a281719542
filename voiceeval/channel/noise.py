"""Noise beds: stationary or syllabic noise of a known spectrum, different for every seed.

    white    equal power per hertz
    pink     −3 dB per octave: a busy room, on average
    car      flat to 80 Hz, then −12 dB per octave, over pink noise 30 dB below: engine, tyres and wind
    babble   six talkers at once: noise with the long-term spectrum of speech, whose power rises and falls
             with six independent syllable rhythms of about 4 Hz, the rate at which speech is modulated most

Babble is unintelligible by construction. Six independent noises, each with its own rhythm, are distributed
like one noise whose power is the sum of the six, which is how it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bed = Literal["white", "pink", "babble", "car"]

_LOWEST_HZ = 40.0
_TALKERS = 6
_SYLLABLE_S = 0.125
"""Half a period of 4 Hz: each talker draws a new loudness this often."""
_SYLLABLE_SPREAD = 1.0
"""Standard deviation of a syllable's log-amplitude: between vowels and pauses lie some 20 dB."""


def noise_bed(kind: Bed, count: int, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``count`` samples of noise at an arbitrary level."""
    white = rng.standard_normal(count)
    if kind == "white":
        return white
    if kind == "babble":
        white = white * _babble_rhythm(count, rate_hz, rng)
    return _shaped(white, rate_hz, _SPECTRA[kind])


def _pink(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(_LOWEST_HZ / frequency_hz)


def _car(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    engine = 1 / (1 + (frequency_hz / 80.0) ** 2)
    return engine + 10 ** (-30 / 20) * _pink(frequency_hz)


def _speech(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    # Byrne et al. (1994), J. Acoust. Soc. Am. 96, 2108: flat up to 500 Hz, then about 9 dB per octave down.
    return 1 / np.sqrt(1 + (100.0 / frequency_hz) ** 8) / (1 + (frequency_hz / 500.0) ** 1.5)


_SPECTRA: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "pink": _pink,
    "car": _car,
    "babble": _speech,
}
"""Amplitude by frequency, for frequencies from `_LOWEST_HZ` up."""


def _shaped(
    white: NDArray[np.float64], rate_hz: int, amplitude: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The noise with another spectrum and nothing below `_LOWEST_HZ`."""
    from scipy import fft

    size = fft.next_fast_len(len(white), real=True)
    spectrum = np.asarray(fft.rfft(white, size))
    frequency_hz = np.asarray(fft.rfftfreq(size, 1 / rate_hz))
    audible = frequency_hz >= _LOWEST_HZ
    spectrum[~audible] = 0
    spectrum[audible] *= amplitude(frequency_hz[audible])
    return np.asarray(fft.irfft(spectrum, size))[: len(white)]


def _babble_rhythm(count: int, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The amplitude of six talkers together, sample by sample."""
    syllables = int(count / (rate_hz * _SYLLABLE_S)) + 3
    loudness = np.exp(2 * _SYLLABLE_SPREAD * rng.standard_normal((_TALKERS, syllables)))
    # Talkers do not start their syllables together.
    starts = rng.uniform(0, 1, _TALKERS)
    grid = np.arange(0, syllables - 1, 0.05)
    power = np.zeros(len(grid))
    for start, talker in zip(starts, loudness, strict=True):
        power += np.interp(grid + start, np.arange(syllables), talker)
    at = np.arange(count) / (rate_hz * _SYLLABLE_S)
    return np.sqrt(np.interp(at, grid, power))
