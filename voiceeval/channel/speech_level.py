"""How loud speech is while somebody speaks: the active speech level.

After ITU-T P.56 (12/2011), method B. An envelope of the rectified signal (two smoothings with a time constant
of 30 ms) counts as active while it is above a threshold, and for 200 ms after. The level is that of the
active part at the one threshold that lies 15.9 dB below it. Pauses therefore do not make a caller look quiet.

Unlike the recommendation, the envelope is taken over means of 1 ms, and thresholds stand 1.5 dB apart instead
of 6, with a straight line between two of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TIME_CONSTANT_S = 0.03
HANGOVER_MS = 200
MARGIN_DB = 15.9
_STEP_DB = 1.5
_LOWEST_DBFS = -96.0
SILENT_DBFS = -70.0
"""Below this it is not speech but the noise of a recorder."""


def active_level_dbfs(samples: NDArray[np.float64], rate_hz: int) -> float:
    """The active speech level in dB over a full-scale square wave (ITU-T's dBov); minus infinity for silence.

    Args:
        samples: Speech, full scale ±1, with or without pauses.
        rate_hz: Samples per second, a multiple of 1000.
    """
    if not len(samples):
        return -np.inf
    envelope_db = _decibel(_envelope(samples, rate_hz))
    if envelope_db.max() <= _LOWEST_DBFS:
        return -np.inf
    level = _level_above_margin(envelope_db, float(np.sum(samples**2)) * 1000 / rate_hz)
    return level if level > SILENT_DBFS else -np.inf


def _level_above_margin(envelope_db: NDArray[np.float64], energy_ms: float) -> float:
    """The level of the part above the threshold that lies `MARGIN_DB` below that level."""
    # Method B looks for the threshold from far below the signal upwards: the margin shrinks all the way.
    thresholds = np.arange(_LOWEST_DBFS, float(envelope_db.max()), _STEP_DB)
    milliseconds = np.arange(len(envelope_db))
    levels = np.empty(len(thresholds))
    for index, threshold in enumerate(thresholds):
        last_above = np.maximum.accumulate(np.where(envelope_db >= threshold, milliseconds, -HANGOVER_MS - 1))
        active_ms = int(np.count_nonzero(milliseconds - last_above <= HANGOVER_MS))
        levels[index] = 10 * np.log10(energy_ms / max(1, active_ms))
    margins = levels - thresholds
    below = np.flatnonzero(margins <= MARGIN_DB)
    if not len(below):
        return float(levels[-1])
    upper = int(below[0])
    if upper == 0:
        return float(levels[0])
    lower = upper - 1
    share = (margins[lower] - MARGIN_DB) / (margins[lower] - margins[upper])
    return float(levels[lower] + share * (levels[upper] - levels[lower]))


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
