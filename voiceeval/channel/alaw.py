"""A-law companding of ITU-T G.711: 16-bit samples to the 256 levels of a telephone line, and back."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_EVEN_BITS = 0x55
"""Inverted on the line."""


def encode(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """The octets on the line, even bits inverted as G.711 transmits them."""
    return np.asarray(_encoding()[samples.astype(np.int32) + 32768])


def decode(octets: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The samples that the octets stand for."""
    return np.asarray(_decoding()[octets])


@cache
def _encoding() -> NDArray[np.uint8]:
    """An octet for each sample from −32768 up. G.711 works on 13 bits; the last three are cut off first."""
    value = np.arange(-32768, 32768, dtype=np.int32) >> 3
    # Decision levels are not mirrored at 0 but at −1/2: the code of −1 is that of 0 with another sign.
    magnitude = np.where(value < 0, ~value, value)
    # 0…31 lie in the first two segments, which are linear; from there each is twice as wide.
    segment = np.maximum(np.frexp(magnitude.astype(np.float64))[1] - 5, 0)
    step = (magnitude >> np.maximum(segment, 1)) & 0x0F
    octet = (segment << 4) | step
    return np.asarray(np.where(value < 0, octet, octet | 0x80) ^ _EVEN_BITS, dtype=np.uint8)


@cache
def _decoding() -> NDArray[np.int16]:
    octet = np.arange(256, dtype=np.int32) ^ _EVEN_BITS
    segment, step = (octet >> 4) & 0x07, octet & 0x0F
    # The middle of each step, on 16 bits.
    linear = (step << 4) + 8
    magnitude = np.where(segment == 0, linear, (linear + 0x100) << np.maximum(segment - 1, 0))
    return np.where(octet & 0x80, magnitude, -magnitude).astype(np.int16)
