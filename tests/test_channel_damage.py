"""What a line did to a call, as sums: of parts as of the whole; what was not measured has a reason."""

from __future__ import annotations

import math

import numpy as np
import pytest

from voiceeval.audio import AudioClip
from voiceeval.call import Damage
from voiceeval.channel import SimulatedLine, probes
from voiceeval.channel.damage import (
    NotMeasured,
    clipped_share,
    loss_rate,
    mean_burst_packets,
    noise_dbfs,
    snr_db,
    speech_dbfs,
)
from voiceeval.channel.speech_level import active_speech
from voiceeval.scenario import Line, Packets

NOISY = Line(
    id="x", noise="pink", snr_db=12, gain_db=9, clip_dbfs=-9, packets=Packets(loss_rate=0.2, burst_packets=2)
)


def test_the_record_is_what_the_line_states() -> None:
    damage = SimulatedLine(NOISY).carry(probes.talk(6.0), seed=1).damage
    assert speech_dbfs(damage) == pytest.approx(-26 + 9, abs=0.05)
    assert noise_dbfs(damage) == pytest.approx(-26 - 12 + 9, abs=1e-6)
    assert snr_db(damage) == pytest.approx(12, abs=0.05)
    assert damage.duration_ms == 6000
    assert damage.samples == 96_000
    share = clipped_share(damage)
    assert isinstance(share, float)
    assert 0 < share < 0.2
    rate, burst = loss_rate(damage), mean_burst_packets(damage)
    assert (rate, burst) == (damage.lost / 300, damage.lost / damage.bursts)


def test_damage_of_parts_adds_up_to_the_damage_of_the_call() -> None:
    talk = probes.talk(6.0)
    line = SimulatedLine(NOISY)
    parts = [line.carry(talk.part(start, start + 2000), seed=start).damage for start in (0, 2000, 4000)]
    whole = parts[0] + parts[1] + parts[2]
    for name in (
        "duration_ms",
        "active_ms",
        "speech_energy",
        "noise_energy",
        "samples",
        "clipped",
        "lost",
        "bursts",
    ):
        assert getattr(whole, name) == pytest.approx(sum(getattr(part, name) for part in parts))
    # Each part has the stated ratio, and so has their sum.
    assert snr_db(whole) == pytest.approx(12, abs=0.05)
    assert sum(parts, Damage()) == whole
    assert parts[0] + Damage() == parts[0]


def test_a_silent_part_adds_noise_and_no_speech() -> None:
    line = SimulatedLine(Line(id="x", noise="car", snr_db=6))
    spoken = line.carry(probes.talk(4.0), seed=1).damage
    quiet = line.carry(AudioClip.silence(8000, 16_000), seed=2).damage
    assert (quiet.speech_energy, quiet.active_ms) == (0, 0)
    # The noise is as loud in pauses as under speech: its level stays, and so does the ratio.
    assert snr_db(spoken + quiet) == pytest.approx(6, abs=0.05)
    assert (spoken + quiet).duration_ms == 12_000


def test_energies_are_weighed_and_levels_are_not_averaged() -> None:
    loud = Damage(speech_energy=10.0, active_ms=10.0, noise_energy=1.0, duration_ms=10.0)
    soft = Damage(speech_energy=0.3, active_ms=30.0, noise_energy=9.0, duration_ms=90.0)
    expected = 10 * math.log10((10.3 / 40) / (10 / 100))
    assert snr_db(loud + soft) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("figure", "damage", "reason"),
    [
        (snr_db, Damage(noise_energy=1.0, duration_ms=5.0), "nobody spoke"),
        (snr_db, Damage(speech_energy=1.0, active_ms=5.0), "nothing was carried"),
        (snr_db, Damage(speech_energy=1.0, active_ms=5.0, duration_ms=5.0), "the line has no noise"),
        (speech_dbfs, Damage(), "nobody spoke"),
        (noise_dbfs, Damage(), "nothing was carried"),
        (clipped_share, Damage(), "nothing was carried"),
        (loss_rate, Damage(samples=10), "the line has no packets"),
        (mean_burst_packets, Damage(), "the line has no packets"),
        (mean_burst_packets, Damage(packets=10), "no packet was lost"),
    ],
)
def test_what_was_not_measured_has_a_reason(figure: object, damage: Damage, reason: str) -> None:
    assert callable(figure)
    assert figure(damage) == NotMeasured(reason)


def test_nothing_carried_is_no_damage() -> None:
    nothing = AudioClip(np.zeros(0, dtype=np.int16), 16_000)
    assert SimulatedLine(NOISY).carry(nothing, seed=1).damage == Damage()


def test_active_time_and_energy_make_the_level() -> None:
    speech = probes.talk(6.0).as_float()
    found = active_speech(speech, 16_000)
    assert found.energy == pytest.approx(float(np.sum(speech**2)) / 16)
    assert 10 * math.log10(found.energy / found.active_ms) == pytest.approx(found.level_dbfs)
    assert 2000 < found.active_ms < 6000
    assert active_speech(np.zeros(16_000), 16_000) == (-math.inf, 0, 0)
