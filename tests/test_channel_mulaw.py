"""G.711 µ-law, against an independent table and an independent implementation."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from voiceeval.channel import mulaw

ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)
ALL_OCTETS = np.arange(256).astype(np.uint8)


def test_decoded_values_are_those_of_the_recommendations_table() -> None:
    # G.711, table 2a: eight segments of sixteen steps, the first step of the first half as wide.
    levels = [0]
    for segment in range(8):
        first = 33 * (1 << segment) - 33
        levels += [first + 2 * step * (1 << segment) for step in range(16)][(1 if segment == 0 else 0) :]
    positive = [4 * level for level in levels]
    assert mulaw.decode(ALL_OCTETS[255:127:-1]).tolist() == positive
    assert mulaw.decode(ALL_OCTETS[127::-1]).tolist() == [-value for value in positive]
    assert positive[-1] == 32124


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop left the standard library")
def test_every_sample_and_octet_agrees_with_the_standard_librarys_implementation() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    encoded = audioop.lin2ulaw(ALL_SAMPLES.tobytes(), 2)
    assert mulaw.encode(ALL_SAMPLES).tobytes() == encoded
    assert mulaw.decode(ALL_OCTETS).tobytes() == audioop.ulaw2lin(bytes(range(256)), 2)


def test_companding_keeps_what_was_companded_and_the_order_of_samples() -> None:
    once = mulaw.decode(mulaw.encode(ALL_SAMPLES))
    np.testing.assert_array_equal(mulaw.decode(mulaw.encode(once)), once)
    assert (np.diff(once.astype(int)) >= 0).all()


def test_the_error_grows_with_the_sample_and_stays_below_a_step() -> None:
    error = np.abs(mulaw.decode(mulaw.encode(ALL_SAMPLES)).astype(int) - ALL_SAMPLES)
    clipped = np.abs(ALL_SAMPLES.astype(int)) > 32635
    assert (error <= np.abs(ALL_SAMPLES.astype(int)) / 32 + 8)[~clipped].all()
