"""The noise that a line names: made, or recorded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.channel import recorded_beds
from voiceeval.channel.line_files import NO_FILES, NOISE_FILE, sound_of
from voiceeval.channel.noise import noise_bed
from voiceeval.scenario import Line


def bed_of(
    line: Line, count: int, rate_hz: int, *, seed: int, files: Mapping[str, Path] = NO_FILES
) -> NDArray[np.float64]:
    """``count`` samples of the line's noise at an arbitrary level; white noise where it states none.

    Raises:
        ScenarioError: The line's noise is a file, which is not among the files or cannot be used.
    """
    rng = np.random.default_rng(seed)
    match line.noise:
        case "babble":
            return recorded_beds.babble(count, rate_hz, rng)
        case "music":
            return recorded_beds.music(count, rate_hz, rng)
        case "file":
            return recorded_beds.recorded(ring_of(line, rate_hz, files), count, rng)
        case "none":
            return noise_bed("white", count, rate_hz, rng)
        case made:
            return noise_bed(made, count, rate_hz, rng)


def ring_of(line: Line, rate_hz: int, files: Mapping[str, Path]) -> NDArray[np.float64]:
    """The line's recording of noise, without an end.

    Raises:
        ScenarioError: It is not among the files, or cannot be used.
    """
    return _ring(
        sound_of(line, NOISE_FILE, files), rate_hz, f"line {line.id!r}: {NOISE_FILE}: {line.noise_file!r}"
    )


@lru_cache(maxsize=8)
def _ring(clip: AudioClip, rate_hz: int, name: str) -> NDArray[np.float64]:
    # A clip is equal to itself alone, and files are decoded once: the same file finds its ring again.
    return recorded_beds.ring_of(clip, rate_hz, name=name)
