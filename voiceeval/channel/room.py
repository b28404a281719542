"""The echo of a room: the response from a speaker's mouth to the telephone, simulated or recorded.

A simulated room is a box whose walls absorb alike. Up to four times its mixing time, which is the square
root of its volume in cubic metres taken as milliseconds (Polack 1993, Applied Acoustics 38, 235: from there
on echoes overlap), its response is made of image sources (Allen & Berkley 1979, J. Acoust. Soc. Am. 65,
943), computed by pyroomacoustics from Sabine's absorption. After that it is Polack's exponentially decaying
Gaussian noise, with the power that the image sources had just before. Image sources alone would need
millions of images for a long echo, and boxes decay more slowly than Sabine says: so the whole response is
weighted by an exponential until its reverberation time, by Schroeder's backward integration (1965, J.
Acoust. Soc. Am. 37, 409), is the stated one. Nothing is drawn but that noise, once per room and from a
fixed seed.

The direct sound stays where it is: speech is not late for being in a room.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.errors import ScenarioError
from voiceeval.extras import require
from voiceeval.scenario import Room

VERSION = "2"
"""Raised when the same simulated room would sound different."""
DIRECT_MS = 5
"""The direct sound and what cannot be told from it; echo is what comes later."""
_LEAD_MS = 2.5
"""Kept before the direct sound, for the filters that place sounds between samples."""
_SPEED_M_S = 343.0
_SPAN_DB = (-5.0, -25.0)
_MOST_REFLECTIONS = 40


def with_echo(
    speech: NDArray[np.float64], response: NDArray[np.float64], rate_hz: int
) -> NDArray[np.float64]:
    """Speech as it sounds in the room; as long as it was."""
    from scipy.signal import oaconvolve

    lead = _lead(rate_hz)
    return np.asarray(oaconvolve(speech, response)[lead : lead + len(speech)])


def simulated(room: Room, rate_hz: int, *, name: str) -> NDArray[np.float64]:
    """The response of a described room; its direct sound is `_LEAD_MS` after its beginning.

    Raises:
        RegistryError: pyroomacoustics is not installed.
    """
    require("pyroomacoustics", extra="rooms", needed_by=f"line {name!r}: room")
    return _simulated(room, rate_hz)


def recorded(clip: AudioClip, rate_hz: int, *, name: str) -> NDArray[np.float64]:
    """A measured response, from `_LEAD_MS` before its highest peak, which is taken for the direct sound.

    Raises:
        ScenarioError: It is silent, or longer than ten seconds.
    """
    response = clip.resampled(rate_hz).as_float()
    if not response.any():
        raise ScenarioError(f"{name} is silent; allowed: an impulse response")
    if clip.duration_ms > 10_000:
        raise ScenarioError(
            f"{name} has {clip.duration_ms} ms; allowed: an impulse response of up to 10000 ms"
        )
    direct, lead = int(np.argmax(np.abs(response))), _lead(rate_hz)
    return np.asarray(np.pad(response, (lead, 0))[direct:] / abs(response[direct]))


def reverberation_ms(response: NDArray[np.float64], rate_hz: int) -> float:
    """RT60 of a response, from the slope between −5 and −25 dB of Schroeder's curve (T20 of ISO 3382-1).

    The curve begins `DIRECT_MS` after the direct sound, which would otherwise be a first step of its own.
    Infinity where it does not fall that far.
    """
    direct = int(np.argmax(np.abs(response)))
    energy = response[direct + DIRECT_MS * rate_hz // 1000 :] ** 2
    left = np.cumsum(energy[::-1])[::-1]
    if not len(left) or left[0] <= 0:
        return math.inf
    decay_db = 10 * np.log10(np.maximum(left / left[0], 1e-12))
    inside = np.flatnonzero((decay_db <= _SPAN_DB[0]) & (decay_db >= _SPAN_DB[1]))
    if len(inside) < 3 or decay_db[-1] > _SPAN_DB[1]:
        return math.inf
    slope = float(np.polyfit(inside / rate_hz, decay_db[inside], 1)[0])
    return -60_000 / slope


@cache
def _simulated(room: Room, rate_hz: int) -> NDArray[np.float64]:
    decay_s = room.rt60_ms / 1000
    furthest_s = (_MOST_REFLECTIONS - 1) * min(room.size_m) / _SPEED_M_S
    mixing = int(min(4 * math.sqrt(math.prod(room.size_m)) / 1000, furthest_s) * rate_hz)
    early = _images(room, rate_hz, mixing)
    lead = _lead(rate_hz)
    at_s = (np.arange(lead + max(mixing, int(1.3 * decay_s * rate_hz))) - lead) / rate_hz
    fading = np.exp(-math.log(1000) * at_s / decay_s)
    # The level of the tail is that of the images in the second half of their time.
    half = slice(lead + mixing // 2, lead + mixing)
    level = math.sqrt(float(np.sum(early[half] ** 2)) / max(float(np.sum(fading[half] ** 2)), 1e-12))
    tail = level * fading * np.random.default_rng(room.rt60_ms).standard_normal(len(at_s))
    response = np.concatenate([early[: lead + mixing], tail[lead + mixing :]])
    return _tuned(response, at_s, room.rt60_ms, rate_hz)


def _images(room: Room, rate_hz: int, mixing: int) -> NDArray[np.float64]:
    """The first echoes, from `_LEAD_MS` before the direct sound to the mixing time after it."""
    import pyroomacoustics

    size = np.array(room.size_m)
    volume = math.prod(room.size_m)
    surface = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    absorption = 0.161 * volume / (surface * room.rt60_ms / 1000)
    reach_m = room.distance_m + _SPEED_M_S * mixing / rate_hz
    box = pyroomacoustics.ShoeBox(
        size,
        fs=rate_hz,
        materials=pyroomacoustics.Material(min(float(absorption), 0.999)),
        max_order=min(_MOST_REFLECTIONS, math.ceil(reach_m / float(size.min())) + 1),
        air_absorption=False,
    )
    # Mouth and microphone along the longest side, off every middle, where echoes would coincide.
    longest = int(np.argmax(size))
    away = np.eye(3)[longest] * room.distance_m
    mouth = size * (0.47, 0.43, 0.53)
    mouth[longest] = (size[longest] - room.distance_m) * 0.47
    box.add_source(mouth)
    box.add_microphone(mouth + away)
    with _one_thread(pyroomacoustics.constants):
        box.compute_rir()
    filter_delay = pyroomacoustics.constants.get("frac_delay_length") // 2
    direct = filter_delay + round(room.distance_m / _SPEED_M_S * rate_hz)
    lead = _lead(rate_hz)
    whole = np.pad(np.asarray(box.rir[0][0], dtype=np.float64), (lead, lead + mixing))
    return whole[direct : direct + lead + mixing]


@contextlib.contextmanager
def _one_thread(constants: Any) -> Iterator[None]:
    """Each thread adds up images of its own: the sum would depend on how many cores there are."""
    before = constants.get("num_threads")
    constants.set("num_threads", 1)
    try:
        yield
    finally:
        constants.set("num_threads", before)


def _tuned(
    response: NDArray[np.float64], at_s: NDArray[np.float64], rt60_ms: int, rate_hz: int
) -> NDArray[np.float64]:
    """The response under an exponential that makes its reverberation time the stated one."""
    slowest, fastest = -0.5 * math.log(1000) / (rt60_ms / 1000), 4 * math.log(1000) / (rt60_ms / 1000)
    echo_s = np.maximum(at_s, 0.0)
    for _ in range(24):
        middle = (slowest + fastest) / 2
        if reverberation_ms(response * np.exp(-middle * echo_s), rate_hz) > rt60_ms:
            slowest = middle
        else:
            fastest = middle
    return response * np.exp(-fastest * echo_s)


def _lead(rate_hz: int) -> int:
    return int(_LEAD_MS * rate_hz / 1000)
