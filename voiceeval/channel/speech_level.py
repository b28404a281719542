"""How loud speech is while somebody speaks: the active speech level.

After ITU-T P.56 (12/2011), method B. An envelope of the rectified signal (two smoothings with a time constant
of 30 ms) counts as active while it is above a threshold, and for 200 ms after. The level is that of the
active part at the one threshold that lies 15.9 dB below it. Pauses therefore do not make a caller look quiet.

Unlike the recommendation, the envelope is taken over means of 1 ms, and thresholds stand 1.5 dB apart instead
of 6, with a straight line between two of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TIME_CONSTANT_S = 0.03
HANGOVER_MS = 200
MARGIN_DB = 15.9
_STEP_DB = 1.5
_LOWEST_DBFS = -96.0
SILENT_DBFS = -70.0
"""Below this it is not speech but the noise of a recorder."""


class ActiveSpeech(NamedTuple):
    """Speech in a clip, as sums that add up over clips."""

    level_dbfs: float
    """In dB over a full-scale square wave (ITU-T's dBov); minus infinity for silence."""
    energy: float
    """Sum of squares in samples² · milliseconds; 0 for silence."""
    active_ms: float
    """How long it is active: what makes ``energy`` over it the level. 0 for silence."""


def active_speech(samples: NDArray[np.float64], rate_hz: int) -> ActiveSpeech:
    """Level, energy and duration of the active part.

    Args:
        samples: Speech, full scale ±1, with or without pauses.
        rate_hz: Samples per second, a multiple of 1000.
    """
    if not len(samples):
        return ActiveSpeech(-np.inf, 0.0, 0.0)
    envelope_db = _decibel(_envelope(samples, rate_hz))
    if envelope_db.max() <= _LOWEST_DBFS:
        return ActiveSpeech(-np.inf, 0.0, 0.0)
    energy = float(np.sum(samples**2)) * 1000 / rate_hz
    level = _level_above_margin(envelope_db, energy)
    if level <= SILENT_DBFS:
        return ActiveSpeech(-np.inf, 0.0, 0.0)
    return ActiveSpeech(level, energy, float(energy / 10 ** (level / 10)))


def active_level_dbfs(samples: NDArray[np.float64], rate_hz: int) -> float:
    """The active speech level alone; minus infinity for silence."""
    return active_speech(samples, rate_hz).level_dbfs


def _level_above_margin(envelope_db: NDArray[np.float64], energy_ms: float) -> float:
    """The level of the part above the threshold that lies `MARGIN_DB` below that level."""
    # Method B looks for the threshold from far below the signal upwards: the margin shrinks all the way.
    previous_level, previous_margin = -np.inf, np.inf
    for threshold in np.arange(_LOWEST_DBFS, float(envelope_db.max()), _STEP_DB):
        level = 10 * float(np.log10(energy_ms / max(1, _active_ms(envelope_db, threshold))))
        margin = level - float(threshold)
        if margin <= MARGIN_DB:
            if previous_margin == np.inf:
                return level
            share = (previous_margin - MARGIN_DB) / (previous_margin - margin)
            return previous_level + share * (level - previous_level)
        previous_level, previous_margin = level, margin
    return previous_level


def _active_ms(envelope_db: NDArray[np.float64], threshold: float) -> int:
    """Milliseconds above the threshold, and for the hangover after them."""
    above = np.flatnonzero(envelope_db >= threshold)
    if not len(above):
        return 0
    # Every one counts itself and what follows it, up to the next one or the end of its hangover.
    until_next = np.diff(above, append=len(envelope_db))
    return int(np.minimum(until_next, HANGOVER_MS + 1).sum())


def _envelope(samples: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """One value per millisecond."""
    from scipy.signal import lfilter

    frame = rate_hz // 1000
    whole = np.abs(samples)
    padded = np.pad(whole, (0, -len(whole) % frame))
    rectified = padded.reshape(-1, frame).mean(axis=1)
    keep = np.exp(-1 / (1000 * TIME_CONSTANT_S))
    smoothing = ([1 - keep], [1, -keep])
    return np.asarray(lfilter(*smoothing, lfilter(*smoothing, rectified)))


def _decibel(amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
    return 20 * np.log10(np.maximum(amplitude, 1e-6))
