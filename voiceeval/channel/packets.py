"""Packets that a network loses in bursts, and that come too late for the receiver's buffer.

Loss is Gilbert's two-state chain (1960, Bell System Technical Journal 39, 1253): every packet is lost in the
bad state, none in the good one. From a stated mean share of lost packets and a mean number lost in a row:

    r = 1 / burst                        from bad to good; runs of bad are geometric
    p = loss · r / (1 − loss)            from good to bad; so that p / (p + r) = loss

Delay is exponential with the stated mean, independent from packet to packet; a packet whose delay exceeds the
buffer, exp(−buffer / mean) of them, is lost as well. A clip begins wherever the chain happens to be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from voiceeval.scenario import Packets


@dataclass(frozen=True)
class LossChain:
    """A line's packets as a stochastic process, with what can be expected of it in closed form."""

    packets: Packets

    @property
    def to_good(self) -> float:
        """The chance that a lost packet is the last one in a row (r)."""
        return 1 / self.packets.burst_packets

    @property
    def to_bad(self) -> float:
        """The chance that a packet is lost after one that was not (p)."""
        return self.packets.loss_rate * self.to_good / (1 - self.packets.loss_rate)

    @property
    def late(self) -> float:
        """The chance that a packet comes too late."""
        return math.exp(-self.packets.buffer_ms / self.packets.jitter_ms) if self.packets.jitter_ms else 0.0

    def lost(self, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """For each of ``count`` packets of 20 ms whether it is missing when it is due."""
        draws, delays = rng.random(count + 1), rng.standard_exponential(count)
        lost = np.empty(count, dtype=np.bool_)
        bad = bool(draws[count] < self.packets.loss_rate)
        to_bad, stays_bad = self.to_bad, 1 - self.to_good
        for index in range(count):
            lost[index] = bad
            bad = bool(draws[index] < (stays_bad if bad else to_bad))
        return lost | (delays * self.packets.jitter_ms > self.packets.buffer_ms)

    @property
    def loss_rate(self) -> float:
        """The share of packets that are lost or late."""
        return 1 - (1 - self.packets.loss_rate) * (1 - self.late)

    def loss_rate_error(self, count: int) -> float:
        """Standard error of the share among ``count`` packets in a row.

        Neighbours have the covariance of the chain, which shrinks by λ = 1 − p − r per packet: the variance
        of a mean over n is (v₀ + 2 Σ c λᵏ) / n, k from 1, with c = loss (1 − loss) (1 − late)².
        """
        loss, shrink = self.packets.loss_rate, 1 - self.to_bad - self.to_good
        shared = loss * (1 - loss) * (1 - self.late) ** 2
        variance = self.loss_rate * (1 - self.loss_rate) + 2 * shared * shrink / (1 - shrink)
        return math.sqrt(max(variance, 0.0) / count)

    @property
    def burst_packets(self) -> float:
        """The mean number of packets lost or late in a row."""
        return self._burst_moments[0]

    def burst_error(self, bursts: int) -> float:
        """Standard error of the mean over that many bursts, which are independent of each other."""
        return math.sqrt(self._burst_moments[1] / max(bursts, 1))

    @cached_property
    def _burst_moments(self) -> tuple[float, float]:
        """Mean and variance of a burst's length, a discrete phase-type distribution.

        While it lasts, the chain moves between bad, and good but late, by the matrix T; it began by α.
        The mean is α (I − T)⁻¹ 1, the second factorial moment 2 α T (I − T)⁻² 1 (Neuts 1981, Matrix-Geometric
        Solutions in Stochastic Models).
        """
        p, r, late = self.to_bad, self.to_good, self.late
        begins = np.array([p, (1 - p) * late])
        if begins.sum() == 0:
            return 0.0, 0.0
        begins /= begins.sum()
        stays = np.array([[1 - r, r * late], [p, (1 - p) * late]])
        ones, inverse = np.ones(2), np.linalg.inv(np.eye(2) - stays)
        mean = float(begins @ inverse @ ones)
        factorial = 2 * float(begins @ stays @ inverse @ inverse @ ones)
        return mean, factorial + mean - mean**2


def bursts_in(lost: NDArray[np.bool_]) -> int:
    """How many runs of lost packets there are."""
    return int(np.count_nonzero(lost[1:] & ~lost[:-1])) + int(len(lost) > 0 and lost[0])
