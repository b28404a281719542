"""The simulated line, measured: level, noise, band, codec, length, bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.channel import SimulatedLine
from voiceeval.channel.noise import Bed, noise_bed
from voiceeval.channel.recorded_beds import babble
from voiceeval.channel.simulated_line import FLOOR_DBFS
from voiceeval.channel.speech_level import active_level_dbfs
from voiceeval.protocols import Channel
from voiceeval.scenario import Line

Kind = Literal["white", "pink", "babble", "car", "street", "music"]
KINDS: tuple[Kind, ...] = ("white", "pink", "babble", "car", "street", "music")


def speech_like(seconds: float = 4.0, rate_hz: int = 22_050, amplitude: float = 0.2) -> AudioClip:
    """Harmonics of a gliding voice in syllables, with a pause in the middle."""
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * 140 * at + 2 * np.sin(5 * at)
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 3 * at), 0, 1) * (np.abs(at - seconds / 2) > 0.4)
    breath = 0.02 * np.random.default_rng(5).standard_normal(len(at))
    return AudioClip.from_float(amplitude * syllables * (voice / 3 + breath), rate_hz)


def on_a_call(clip: AudioClip) -> AudioClip:
    """As the engine hands it over: silence before and after."""
    return AudioClip.join([AudioClip.silence(300, clip.rate_hz), clip, AudioClip.silence(2500, clip.rate_hz)])


def rms_db(samples: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def power_between(samples: NDArray[np.float64], rate_hz: int, low_hz: float, high_hz: float) -> float:
    """In dB, over the whole clip."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return float(10 * np.log10(spectrum[(frequency_hz >= low_hz) & (frequency_hz < high_hz)].sum()))


@pytest.mark.parametrize("noise", KINDS)
@pytest.mark.parametrize("band", ["wide", "telephone"])
@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 5.0, 10.0, 20.0, 30.0])
def test_the_measured_snr_is_the_nominal_one(
    noise: Kind, band: Literal["wide", "telephone"], snr_db: float
) -> None:
    line = SimulatedLine(Line(id="x", band=band, noise=noise, snr_db=snr_db))
    audio = on_a_call(speech_like())
    parts = line.parts(audio, seed=3)
    assert parts.snr_db == pytest.approx(snr_db, abs=0.05)
    assert rms_db(parts.noise) == pytest.approx(-26 - snr_db, abs=0.001)
    delivered = line.carry(audio, seed=3)
    recorded = delivered.damage
    measured = 10 * np.log10(
        recorded.speech_energy / recorded.active_ms / (recorded.noise_energy / recorded.duration_ms)
    )
    assert measured == pytest.approx(snr_db, abs=0.05)
    # Once more, from what the agent hears alone.
    alone = line.carry(AudioClip.silence(audio.duration_ms, audio.rate_hz), seed=3).audio.as_float()
    words = delivered.audio.as_float()[: len(alone)] - alone[: len(delivered.audio.samples)]
    heard = active_level_dbfs(words, line.rate_hz) - rms_db(alone)
    assert heard == pytest.approx(snr_db, abs=0.2)


@pytest.mark.parametrize("level_dbfs", [-36.0, -26.0])
@pytest.mark.parametrize("amplitude", [0.005, 0.05, 0.5])
@pytest.mark.parametrize("band", ["wide", "telephone"])
def test_speech_arrives_at_the_lines_level_however_loud_the_caller(
    level_dbfs: float, amplitude: float, band: Literal["wide", "telephone"]
) -> None:
    line = SimulatedLine(Line(id="x", band=band, level_dbfs=level_dbfs))
    carried = line.carry(on_a_call(speech_like(amplitude=amplitude)), seed=1).audio
    assert active_level_dbfs(carried.as_float(), carried.rate_hz) == pytest.approx(level_dbfs, abs=0.3)


@pytest.mark.parametrize("noise", ["none", "white", "pink", "babble", "car"])
@pytest.mark.parametrize("codec", ["none", "mulaw"])
def test_what_is_carried_is_speech_plus_noise(
    noise: Literal["none", "pink"], codec: Literal["none", "mulaw"]
) -> None:
    line = SimulatedLine(Line(id="x", band="telephone", noise=noise, codec=codec, snr_db=20))
    audio = speech_like()
    parts, carried = line.parts(audio, seed=9), line.carry(audio, seed=9).audio.as_float()
    error = carried - np.clip(parts.speech + parts.noise, -1, 1)
    # Rounding to 16 bits; and G.711's quantising noise, about 38 dB below the signal.
    assert rms_db(error) < (-95 if codec == "none" else rms_db(carried) - 35)


def test_pauses_do_not_change_the_level_of_speech() -> None:
    line = SimulatedLine(Line(id="x"))
    short, long = speech_like(), on_a_call(speech_like())
    spoken = line.parts(short, seed=1).speech
    padded = line.parts(long, seed=1).speech[300 * 16 :][: len(spoken)]
    # The 200 ms of hangover after the last word are all that counts of the silence.
    assert rms_db(padded) == pytest.approx(rms_db(spoken), abs=0.2)


def test_the_active_level_of_steady_sound_is_its_root_mean_square() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000)
    assert active_level_dbfs(tone, 16_000) == pytest.approx(rms_db(tone), abs=0.2)
    half = np.concatenate([tone, np.zeros(160_000)])
    assert active_level_dbfs(half, 16_000) == pytest.approx(rms_db(tone), abs=0.6), (
        "hangover counts as active"
    )


def test_the_active_level_agrees_with_p56_computed_sample_by_sample() -> None:
    samples, rate_hz = on_a_call(speech_like()).as_float(), 22_000
    assert active_level_dbfs(samples, rate_hz) == pytest.approx(p56_dbfs(samples, rate_hz), abs=0.1)


def p56_dbfs(samples: NDArray[np.float64], rate_hz: int) -> float:
    """ITU-T P.56 method B as written: every sample, thresholds 2^-15 … 2^-1, interpolation by bisection."""
    keep = np.exp(-1 / (rate_hz * 0.03))
    envelope, first, second = np.empty(len(samples)), 0.0, 0.0
    for index, value in enumerate(np.abs(samples)):
        first = keep * first + (1 - keep) * value
        second = keep * second + (1 - keep) * first
        envelope[index] = second
    energy, hangover = np.sum(samples**2), int(0.2 * rate_hz)

    def level(threshold: float) -> float:
        since, active = hangover + 1, 0
        for is_above in envelope >= threshold:
            since = 0 if is_above else since + 1
            active += since <= hangover
        return float(10 * np.log10(energy / active))

    low, high = -90.0, float(20 * np.log10(envelope.max()))
    for _ in range(8):
        middle = (low + high) / 2
        if level(10 ** (middle / 20)) - middle > 15.9:
            low = middle
        else:
            high = middle
    return level(10 ** (low / 20))


@pytest.mark.parametrize("noise", ["none", *KINDS])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_noise(
    noise: Literal["none", "pink"],
) -> None:
    conditions = Line(id="x", band="telephone", noise=noise, codec="mulaw", snr_db=10)
    audio = speech_like()
    first = SimulatedLine(conditions).carry(audio, seed=2**63 + 1).audio
    assert SimulatedLine(conditions).carry(audio, seed=2**63 + 1).audio.digest() == first.digest()
    assert SimulatedLine(conditions).carry(audio, seed=2).audio.digest() != first.digest()
    one, other = (SimulatedLine(conditions).parts(audio, seed=seed).noise for seed in (1, 2))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


@pytest.mark.parametrize("noise", ["none", *KINDS])
def test_noise_does_not_depend_on_what_is_said(noise: Literal["none", "pink"]) -> None:
    line = SimulatedLine(Line(id="x", band="telephone", noise=noise, snr_db=10))
    silence = AudioClip.silence(speech_like().duration_ms, 22_050)
    with_words, without = line.parts(speech_like(), seed=4), line.parts(silence, seed=4)
    np.testing.assert_allclose(with_words.noise, without.noise)
    assert not without.speech.any()
    assert abs(np.corrcoef(with_words.speech, with_words.noise)[0, 1]) < 0.05


def test_a_line_without_noise_is_near_silent_and_never_digitally_silent() -> None:
    carried = SimulatedLine(Line(id="x")).carry(AudioClip.silence(1000, 16_000), seed=1).audio.as_float()
    assert rms_db(carried) == pytest.approx(FLOOR_DBFS, abs=0.1)
    assert np.count_nonzero(carried) > 0.9 * len(carried)


def test_the_noise_of_a_recorder_is_not_taken_for_speech() -> None:
    hiss = AudioClip.from_float(10 ** (-80 / 20) * np.random.default_rng(0).standard_normal(16_000), 16_000)
    assert rms_db(SimulatedLine(Line(id="x")).carry(hiss, seed=1).audio.as_float()) < -60


def through(line: SimulatedLine, hz: float, rate_hz: int = 16_000) -> float:
    """Gain of a quiet tone against one of 1 kHz carried with it, in dB, wherever its power ends up."""
    at = np.arange(2 * rate_hz) / rate_hz
    reference, tone = 0.1 * np.sin(2 * np.pi * 1000 * at), 0.1 * np.sin(2 * np.pi * hz * at)
    parts = line.parts(AudioClip.from_float(reference + tone, rate_hz), seed=1)
    middle = parts.speech[len(parts.speech) // 4 : -len(parts.speech) // 4] * np.hanning(
        len(parts.speech) // 2
    )
    kept = power_between(middle, parts.rate_hz, 990, 1010)
    everything = 10 ** (power_between(middle, parts.rate_hz, 0, 1e6) / 10)
    return float(10 * np.log10(max(everything - 10 ** (kept / 10), 1e-12)) - kept)


@pytest.mark.parametrize("hz", [320, 350, 500, 2000, 3000, 3300, 3350])
def test_the_telephone_band_passes_what_lies_within(hz: float) -> None:
    assert through(SimulatedLine(Line(id="x", band="telephone")), hz) == pytest.approx(0, abs=0.6)


@pytest.mark.parametrize("hz", [50, 100, 150, 200, 3700, 4500, 6000, 7500])
def test_the_telephone_band_stops_what_lies_outside_and_folds_nothing_back(hz: float) -> None:
    assert through(SimulatedLine(Line(id="x", band="telephone")), hz) < -45


@pytest.mark.parametrize("hz", [50, 150, 4500, 6000, 7500])
def test_the_wide_band_passes_up_to_eight_kilohertz(hz: float) -> None:
    assert through(SimulatedLine(Line(id="x")), hz, rate_hz=48_000) == pytest.approx(0, abs=1)
    assert through(SimulatedLine(Line(id="x")), 9000, rate_hz=48_000) < -60


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(0, 3000),
    rate_hz=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]),
    band=st.sampled_from(["wide", "telephone"]),
    noise=st.sampled_from(["none", "pink", "babble"]),
)
def test_what_arrives_is_as_many_milliseconds_long_as_what_was_said(
    samples: int, rate_hz: int, band: Literal["wide", "telephone"], noise: Literal["none", "pink", "babble"]
) -> None:
    audio = AudioClip.from_float(0.1 * np.random.default_rng(1).standard_normal(samples), rate_hz)
    carried = SimulatedLine(Line(id="x", band=band, noise=noise, snr_db=10)).carry(audio, seed=0).audio
    assert carried.duration_ms == audio.duration_ms
    assert carried.rate_hz == (16_000 if band == "wide" else 8_000)


def test_loud_noise_is_clipped_and_does_not_wrap_around() -> None:
    line = SimulatedLine(Line(id="x", noise="white", snr_db=-10, level_dbfs=-10))
    parts = line.parts(speech_like(), seed=1)
    carried = line.carry(speech_like(), seed=1).audio.as_float()
    assert (
        np.sign(carried[np.abs(parts.speech + parts.noise) > 1])
        == np.sign((parts.speech + parts.noise)[np.abs(parts.speech + parts.noise) > 1])
    ).all()


def test_the_fingerprint_is_of_the_conditions_and_not_of_their_name() -> None:
    fingerprint = SimulatedLine(Line(id="x", noise="pink", snr_db=10)).fingerprint
    renamed = Line(id="y", noise="pink", snr_db=10, tags={"noise": "noisy"})
    assert SimulatedLine(renamed).fingerprint == fingerprint
    others = [
        Line(id="x", noise="pink", snr_db=11),
        Line(id="x", noise="car", snr_db=10),
        Line(id="x", noise="pink", snr_db=10, band="telephone"),
        Line(id="x", noise="pink", snr_db=10, band="telephone", codec="mulaw"),
        Line(id="x", noise="pink", snr_db=10, level_dbfs=-20),
    ]
    assert len({fingerprint, *(SimulatedLine(line).fingerprint for line in others)}) == 6


_DIGEST = """
from voiceeval.audio import AudioClip
from voiceeval.channel import SimulatedLine, probes
from voiceeval.scenario import Line, Packets
packets = Packets(loss_rate=0.1, burst_packets=2, jitter_ms=10)
for noise in ("none", "white", "pink", "car", "street", "babble", "music"):
    line = Line(id="x", band="telephone", codec="gsm", noise=noise, snr_db=5, packets=packets, clip_dbfs=-9)
    delivered = SimulatedLine(line).carry(probes.talk(3.0), seed=11)
    print(delivered.audio.digest(), delivered.damage)
"""


def test_another_process_delivers_the_same_bytes_and_records_the_same_sums() -> None:
    outputs = set()
    for number in ("1", "2"):
        # Hashes are salted differently in each process, and numeric libraries have other threads.
        changed = {"PYTHONHASHSEED": number, "OMP_NUM_THREADS": number, "OPENBLAS_NUM_THREADS": number}
        outputs.add(
            subprocess.run(
                [sys.executable, "-c", _DIGEST],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **changed},
            ).stdout
        )
    assert len(outputs) == 1
    assert len(set(outputs.pop().splitlines())) == 7


def test_a_line_is_a_channel() -> None:
    assert isinstance(SimulatedLine(Line(id="x")), Channel)


def bed_of(kind: Bed | Literal["babble"], count: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return babble(count, 16_000, rng) if kind == "babble" else noise_bed(kind, count, 16_000, rng)


def slope_db(kind: Bed | Literal["babble"], low_hz: float) -> float:
    """How much less power one octave holds than the one below it."""
    bed = bed_of(kind, 1 << 18, seed=1)
    octave = power_between(bed, 16_000, low_hz, 2 * low_hz)
    return power_between(bed, 16_000, 2 * low_hz, 4 * low_hz) - octave


def test_each_noise_has_the_spectrum_of_its_name() -> None:
    # An octave is twice as wide as the one below, so equal power per hertz rises by 3 dB.
    assert slope_db("white", 500) == pytest.approx(3, abs=0.3)
    assert slope_db("pink", 500) == pytest.approx(0, abs=0.3)
    # Long-term speech falls by about 9 dB per octave of equal bandwidth from 500 Hz on (Byrne et al. 1994,
    # J. Acoust. Soc. Am. 96, 2108), which is 6 per octave; a synthesizer's fricatives are strong.
    assert slope_db("babble", 500) < -3
    assert slope_db("babble", 1000) < -1
    assert slope_db("street", 2000) == pytest.approx(-6, abs=1)
    car = noise_bed("car", 1 << 17, 16_000, np.random.default_rng(1))
    assert power_between(car, 16_000, 0, 200) > power_between(car, 16_000, 200, 8000) + 10


def test_babble_rises_and_falls_like_syllables_and_other_noise_does_not() -> None:
    def modulation_db(kind: Bed | Literal["babble"]) -> float:
        bed = bed_of(kind, 16_000 * 20, seed=2)
        frames = 10 * np.log10(np.mean(bed.reshape(-1, 800) ** 2, axis=1))
        return float(np.std(frames))

    assert modulation_db("babble") > 1.9
    assert modulation_db("white") < 0.5


def test_carrying_takes_a_small_part_of_the_time_the_audio_plays() -> None:
    line = SimulatedLine(Line(id="x", band="telephone", codec="mulaw", noise="babble", snr_db=10))
    audio = on_a_call(speech_like())
    line.carry(audio, seed=0)  # imports and tables
    fastest = min(timed(line, audio, seed) for seed in range(5))
    # Over 1000 times faster than real time on one idle core; the bound allows for a busy one.
    assert audio.duration_ms / 1000 / fastest > 100


def timed(line: SimulatedLine, audio: AudioClip, seed: int) -> float:
    start = time.process_time()
    line.carry(audio, seed=seed)
    return time.process_time() - start
