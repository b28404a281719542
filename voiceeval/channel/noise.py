"""Noise beds: noise of a known spectrum, different for every seed.

    white    equal power per hertz
    pink     −3 dB per octave: a busy room, on average
    car      flat to 80 Hz, then −12 dB per octave, over pink noise 30 dB below: engine, tyres and wind
    street   pink noise above 40 Hz that falls by another 6 dB per octave from 1 kHz, in which vehicles pass:
             one every four seconds on average (Poisson). A passing source at distance d and speed v is heard
             with the intensity 1 / (1 + (v t / d)²) of the inverse-square law; d / v is 0.4 to 1.2 s, and
             vehicles differ by some 6 dB, up to 15 dB over the street without them

Those that are recorded (babble, music, file) are in `recorded_beds`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bed = Literal["white", "pink", "car", "street"]

_LOWEST_HZ = 40.0
_VEHICLE_EVERY_S = 4.0
_VEHICLE_DB = 15.0
"""Of the typical vehicle at its nearest, over the street without vehicles."""
_VEHICLE_SPREAD_DB = 6.0


def noise_bed(kind: Bed, count: int, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``count`` samples of noise at an arbitrary level."""
    white = rng.standard_normal(count)
    if kind == "white":
        return white
    bed = _shaped(white, rate_hz, _SPECTRA[kind])
    return bed * _passing_vehicles(count, rate_hz, rng) if kind == "street" else bed


def _pink(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(_LOWEST_HZ / frequency_hz)


def _car(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    engine = 1 / (1 + (frequency_hz / 80.0) ** 2)
    return engine + 10 ** (-30 / 20) * _pink(frequency_hz)


def _street(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_pink(frequency_hz) / np.sqrt(1 + (frequency_hz / 1000.0) ** 2))


_SPECTRA: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "pink": _pink,
    "car": _car,
    "street": _street,
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


def _passing_vehicles(count: int, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The street's amplitude, sample by sample: 1 without vehicles."""
    duration_s, margin_s = count / rate_hz, 5.0
    vehicles = int(rng.poisson((duration_s + 2 * margin_s) / _VEHICLE_EVERY_S))
    # Ten milliseconds are short against any vehicle.
    grid_s = np.arange(0, duration_s + 0.02, 0.01)
    power = np.ones(len(grid_s))
    for nearest_s, slowness_s, spread in zip(
        rng.uniform(-margin_s, duration_s + margin_s, vehicles),
        rng.uniform(0.4, 1.2, vehicles),
        rng.standard_normal(vehicles),
        strict=True,
    ):
        peak = 10 ** ((_VEHICLE_DB + _VEHICLE_SPREAD_DB * min(float(spread), 0.0)) / 10)
        power += peak / (1 + ((grid_s - nearest_s) / slowness_s) ** 2)
    return np.asarray(np.interp(np.arange(count) / rate_hz, grid_s, np.sqrt(power)))
