"""µ-law companding of ITU-T G.711: 16-bit samples to the 256 levels of a telephone line, and back."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_BIAS = 33
_CLIP = 8159


def encode(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """The octets on the line, bits inverted as G.711 transmits them."""
    return np.asarray(_encoding()[samples.astype(np.int32) + 32768])


def decode(octets: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The samples that the octets stand for."""
    return np.asarray(_decoding()[octets])


@cache
def _encoding() -> NDArray[np.uint8]:
    """An octet for each sample from −32768 up. G.711 works on 14 bits; the last two are cut off first."""
    value = np.arange(-32768, 32768, dtype=np.int32) >> 2
    magnitude = np.minimum(np.abs(value), _CLIP) + _BIAS
    # A biased magnitude of 33…8192 has its highest bit at 5…13 and so lies in segment 0…7.
    segment = np.minimum(np.frexp(magnitude.astype(np.float64))[1] - 6, 7)
    step = (magnitude >> (segment + 1)) & 0x0F
    octet = np.where(magnitude > 0x1FFF, 0x7F, (segment << 4) | step)
    return np.where(value < 0, octet ^ 0x7F, octet ^ 0xFF).astype(np.uint8)


@cache
def _decoding() -> NDArray[np.int16]:
    octet = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((octet & 0x0F) << 1) + _BIAS) << ((octet >> 4) & 0x07)) - _BIAS
    return np.where(octet & 0x80, -magnitude * 4, magnitude * 4).astype(np.int16)
