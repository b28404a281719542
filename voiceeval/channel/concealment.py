"""What a receiver plays for a packet that is missing.

``silence`` plays nothing. ``repeat`` goes on with the pitch of what was heard last, in the manner of ITU-T
G.711 Appendix I (09/1999), in our own code:

- the pitch period, 5 to 15 ms, is the lag at which the last 20 ms agree best with what was before them;
- the last period is repeated; from 10 ms on the last two, from 20 ms on the last three, lest it buzz;
- it fades by 20 % per 10 ms after the first 10 ms, and is silent after 60 ms;
- a quarter of a period is faded over where repetitions join, and up to 10 ms where real speech comes back.

Unlike the appendix, which delays everything by 3.75 ms to fade into a gap, the end of the repeated piece is
changed instead of what was played already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHORTEST_S, _LONGEST_S = 0.005, 0.015
_MATCHED_S = 0.02
_STEP_S, _STEP_FADES = 0.01, 0.2
_MOST_PERIODS = 3


def concealed(
    samples: NDArray[np.int16], lost: NDArray[np.bool_], size: int, rate_hz: int, *, how: str
) -> NDArray[np.int16]:
    """The samples with something else in place of the lost packets of ``size`` samples.

    Args:
        samples: As sent, shape ``(n,)``; the last packet may be shorter.
        lost: One for each packet.
        size: Samples of a packet.
        rate_hz: Samples per second.
        how: ``repeat`` or ``silence``.
    """
    played = samples.astype(np.float64)
    for first, last in _runs(lost):
        start, end = first * size, min(last * size, len(played))
        if how == "silence":
            played[start:end] = 0
        else:
            _fill(played, start, end, rate_hz)
    return np.clip(np.rint(played), -32768, 32767).astype(np.int16)


def _runs(lost: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and one past the last packet of every run of lost ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _fill(played: NDArray[np.float64], start: int, end: int, rate_hz: int) -> None:
    """Replace ``start`` to ``end`` by what was before, and fade over into what comes after."""
    longest = int(_LONGEST_S * rate_hz)
    history = played[max(0, start - _MOST_PERIODS * longest - longest) : start]
    if len(history) < 2 * longest + int(_MATCHED_S * rate_hz) // 2:
        played[start:end] = 0  # a clip that begins with a gap has nothing to go on with
        return
    period = _pitch_period(history, rate_hz)
    step = int(_STEP_S * rate_hz)
    over = min(len(played) - end, step, period // 4 + (end - start) * 4 // 10)
    filled = _repeated(history, period, end - start + over, step)
    later = np.arange(len(filled)) - step
    filled *= np.clip(1 - _STEP_FADES * np.maximum(later, 0) / step, 0, 1)
    played[start:end] = filled[: end - start]
    if over > 0:
        share = (np.arange(over) + 1) / (over + 1)
        played[end : end + over] = share * played[end : end + over] + (1 - share) * filled[end - start :]


def _pitch_period(history: NDArray[np.float64], rate_hz: int) -> int:
    shortest, longest = int(_SHORTEST_S * rate_hz), int(_LONGEST_S * rate_hz)
    count = min(int(_MATCHED_S * rate_hz), len(history) - longest)
    latest = history[-count:]
    best, period = -np.inf, longest
    for lag in range(shortest, longest + 1):
        earlier = history[len(history) - count - lag : len(history) - lag]
        power = float(np.sum(earlier**2))
        likeness = float(np.sum(latest * earlier)) / np.sqrt(power) if power else 0.0
        if likeness > best:
            best, period = likeness, lag
    return period


def _repeated(history: NDArray[np.float64], period: int, count: int, step: int) -> NDArray[np.float64]:
    """``count`` samples of one, then two, then three periods over and over."""
    filled = np.empty(count)
    at, quarter = 0, period // 4
    while at < count:
        periods = min(1 + at // step, _MOST_PERIODS, (len(history) - quarter) // period)
        length = max(1, periods) * period
        loop = history[-length:].copy()
        # Its end leads into its beginning: what was before the loop is faded in there.
        before = history[len(history) - length - quarter : len(history) - length]
        share = (np.arange(quarter) + 1) / (quarter + 1)
        loop[length - quarter :] = (1 - share) * loop[length - quarter :] + share * before
        part = min(length, count - at)
        filled[at : at + part] = loop[:part]
        at += part
    return filled
