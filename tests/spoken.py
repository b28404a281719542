"""Speech for tests: espeak-ng at a usual level, with room before and after, and a little noise."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from voiceeval.audio import AudioClip


def spoken(
    text: str, *, voice: str = "en-us+f3", rate_hz: int = 16_000, lead_ms: int = 300, tail_ms: int = 2_000
) -> AudioClip:
    """``text`` at −26 dBFS with silence around it, and noise at −70 dBFS over all of it."""
    if importlib.util.find_spec("espeakng_loader") is None:
        pytest.skip("the extra espeak is not installed")
    from voiceeval.stages.espeak import Espeak

    words = Espeak(voice=voice).synthesize(text).resampled(rate_hz).as_float()
    words *= 0.05 / np.sqrt(np.mean(words**2))
    clip = AudioClip.join(
        [
            AudioClip.silence(lead_ms, rate_hz),
            AudioClip.from_float(words, rate_hz),
            AudioClip.silence(tail_ms, rate_hz),
        ]
    ).as_float()
    noise = np.random.default_rng(1).standard_normal(len(clip)) * 3e-4
    return AudioClip.from_float(clip + noise, rate_hz)
