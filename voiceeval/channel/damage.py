"""What a line did to a caller's audio, as figures: of one clip, or of a whole call's sums.

>>> from voiceeval.call import Damage
>>> round(snr_db(Damage(speech_energy=8.0, active_ms=2.0, noise_energy=0.2, duration_ms=5.0)), 6)
20.0
>>> loss_rate(Damage())
NotMeasured(reason='the line has no packets')
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from voiceeval.call import Damage


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A figure that there is not, and why."""

    reason: str


def speech_dbfs(damage: Damage) -> float | NotMeasured:
    """Active speech level (ITU-T P.56) in dB over a full-scale square wave, before clipping and codec."""
    if damage.active_ms <= 0 or damage.speech_energy <= 0:
        return NotMeasured("nobody spoke")
    return 10 * math.log10(damage.speech_energy / damage.active_ms)


def noise_dbfs(damage: Damage) -> float | NotMeasured:
    """Root mean square of the noise in dB, pauses included; a quiet line's floor is noise, too."""
    if damage.duration_ms <= 0:
        return NotMeasured("nothing was carried")
    if damage.noise_energy <= 0:
        return NotMeasured("the line has no noise")
    return 10 * math.log10(damage.noise_energy / damage.duration_ms)


def snr_db(damage: Damage) -> float | NotMeasured:
    """Active speech level over the noise's level.

    ``10 lg((Σ speech energy / Σ active time) / (Σ noise energy / Σ duration))``: energies are added before
    levels are taken, so that a call's figure weighs its parts by how long they are.
    """
    speech, noise = speech_dbfs(damage), noise_dbfs(damage)
    if isinstance(speech, NotMeasured):
        return speech
    if isinstance(noise, NotMeasured):
        return noise
    return speech - noise


def clipped_share(damage: Damage) -> float | NotMeasured:
    """Samples cut off at the clipping level, of all."""
    return damage.clipped / damage.samples if damage.samples else NotMeasured("nothing was carried")


def loss_rate(damage: Damage) -> float | NotMeasured:
    """Packets lost on the way or too late, of all."""
    return damage.lost / damage.packets if damage.packets else NotMeasured("the line has no packets")


def mean_burst_packets(damage: Damage) -> float | NotMeasured:
    """Packets lost in a row, on average over the runs of lost ones."""
    if not damage.packets:
        return NotMeasured("the line has no packets")
    return damage.lost / damage.bursts if damage.bursts else NotMeasured("no packet was lost")
