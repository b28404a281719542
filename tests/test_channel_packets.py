"""Packets: the chain against its parameters, delays against the buffer, and what fills the gaps."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from spoken import spoken

from voiceeval.audio import AudioClip
from voiceeval.channel import SimulatedLine, probes
from voiceeval.channel.concealment import concealed
from voiceeval.channel.packets import LossChain, bursts_in
from voiceeval.scenario import Line, Packets

LONG = 400_000
SETTINGS = [
    Packets(loss_rate=0.02),
    Packets(loss_rate=0.05, burst_packets=2),
    Packets(loss_rate=0.1, burst_packets=1 / 0.9),
    Packets(loss_rate=0.2, burst_packets=8),
    Packets(loss_rate=0.6, burst_packets=3),
    Packets(jitter_ms=20, buffer_ms=40),
    Packets(loss_rate=0.05, burst_packets=3, jitter_ms=15, buffer_ms=40),
    Packets(loss_rate=0.3, burst_packets=1, jitter_ms=30, buffer_ms=30),
]


def named(packets: Packets) -> str:
    return f"{packets.loss_rate:g}/{packets.burst_packets:.3g}/{packets.jitter_ms:g}:{packets.buffer_ms}"


@pytest.mark.parametrize("packets", SETTINGS, ids=named)
def test_a_long_run_has_the_stated_losses_and_bursts(packets: Packets) -> None:
    chain = LossChain(packets)
    lost = chain.lost(LONG, np.random.default_rng(7))
    share, bursts = float(lost.mean()), bursts_in(lost)
    assert abs(share - chain.loss_rate) < 4 * chain.loss_rate_error(LONG)
    assert abs(lost.sum() / bursts - chain.burst_packets) < 4 * chain.burst_error(bursts) + 1e-9
    # The tolerance is narrow enough to tell the setting from its neighbours.
    assert 4 * chain.loss_rate_error(LONG) < 0.1 * chain.loss_rate


@pytest.mark.parametrize("packets", SETTINGS, ids=named)
def test_the_stated_errors_are_those_of_many_runs(packets: Packets) -> None:
    chain = LossChain(packets)
    runs = [chain.lost(2_000, np.random.default_rng(seed)) for seed in range(200)]
    shares = [float(run.mean()) for run in runs]
    assert np.std(shares) == pytest.approx(chain.loss_rate_error(2_000), rel=0.2)
    lengths = np.concatenate([burst_lengths(run) for run in runs])
    assert lengths.std() == pytest.approx(chain.burst_error(1), rel=0.1, abs=1e-9)


def burst_lengths(lost: NDArray[np.bool_]) -> NDArray[np.int64]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(int)))
    return np.asarray(edges[1::2] - edges[::2])


def test_without_jitter_the_figures_are_those_that_were_stated() -> None:
    chain = LossChain(Packets(loss_rate=0.05, burst_packets=2.5))
    assert chain.loss_rate == pytest.approx(0.05)
    assert chain.burst_packets == pytest.approx(2.5)
    # Of a geometric distribution.
    assert chain.burst_error(1) == pytest.approx(math.sqrt(2.5 * 1.5))
    assert chain.to_bad / (chain.to_bad + chain.to_good) == pytest.approx(0.05)


def test_losses_by_chance_alone_have_the_bursts_of_chance() -> None:
    chain = LossChain(Packets(jitter_ms=20, buffer_ms=40))
    late = math.exp(-2)
    assert chain.loss_rate == pytest.approx(late)
    assert chain.burst_packets == pytest.approx(1 / (1 - late))
    assert chain.loss_rate_error(100) == pytest.approx(math.sqrt(late * (1 - late) / 100))


def test_bursts_are_counted_by_their_beginnings() -> None:
    assert bursts_in(np.array([], dtype=bool)) == 0
    assert bursts_in(np.array([True, True, False, True, False, False, True])) == 3


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (
            {"loss_rate": 0.75, "burst_packets": 2},
            r"burst_packets: 0.75 .* in bursts of 2; allowed: 3 or more",
        ),
        ({"jitter_ms": 20, "buffer_ms": 0}, "buffer_ms: allowed: above 0 with jitter_ms"),
        ({"loss_rate": 1.0}, "loss_rate"),
    ],
)
def test_losses_that_cannot_be_are_refused(stated: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Packets.model_validate(stated)


def played(how: str, lost: NDArray[np.bool_], clip: AudioClip) -> NDArray[np.float64]:
    size = clip.rate_hz // 50
    return concealed(clip.samples, lost, size, clip.rate_hz, how=how).astype(float)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_a_steady_tone_goes_on_through_a_gap(rate_hz: int) -> None:
    at = np.arange(rate_hz) / rate_hz
    tone = AudioClip.from_float(
        0.3 * np.sin(2 * np.pi * 127 * at) + 0.2 * np.sin(2 * np.pi * 508 * at), rate_hz
    )
    lost = np.zeros(50, dtype=bool)
    lost[20] = True
    size = rate_hz // 50
    gap = slice(20 * size, 20 * size + size // 2)
    error = played("repeat", lost, tone)[gap] - tone.samples[gap]
    # Periods are whole samples long, the tone's are not.
    assert 10 * np.log10(np.mean(tone.samples[gap].astype(float) ** 2) / np.mean(error**2)) > 20
    # No jump anywhere that the tone itself does not have.
    assert (
        np.abs(np.diff(played("repeat", lost, tone))).max()
        < 1.3 * np.abs(np.diff(tone.samples.astype(float))).max()
    )


def test_a_long_gap_fades_to_silence_after_sixty_milliseconds() -> None:
    clip = probes.tones((200.0, 400.0), seconds=1.0)
    lost = np.zeros(50, dtype=bool)
    lost[10:20] = True
    heard = played("repeat", lost, clip)[10 * 320 : 20 * 320]
    levels = [float(np.sqrt(np.mean(part**2))) for part in heard.reshape(20, 160)]
    assert levels[0] > 0.8 * levels[1] > 0
    assert all(later <= earlier * 1.05 for earlier, later in pairwise(levels[1:]))
    assert levels[3] == pytest.approx(levels[0] * 0.5, rel=0.25)
    assert not any(levels[6:])


def test_what_is_not_lost_is_played_as_it_came_except_for_ten_milliseconds_after_a_gap() -> None:
    clip = probes.talk(4.0)
    lost = np.random.default_rng(1).random(200) < 0.1
    size = 320
    for how in ("repeat", "silence"):
        heard = played(how, lost, clip)
        same = (heard == clip.samples).reshape(200, size)
        after_gap = np.concatenate([[False], lost[:-1]]) & ~lost
        assert same[~lost & ~after_gap].all()
        assert same[after_gap][:, size // 2 :].all()
    silent = played("silence", lost, clip).reshape(200, size)
    assert not silent[lost].any()


def spectral_distance_db(heard: NDArray[np.float64], clip: AudioClip, lost: NDArray[np.bool_]) -> float:
    """Mean log-spectral distance of the lost packets, with a floor: what a recognizer looks at."""
    size = clip.rate_hz // 50
    window = np.hanning(size)

    def spectrum(samples: NDArray[np.float64]) -> NDArray[np.float64]:
        frames = samples[: len(lost) * size].reshape(-1, size)[lost] / 32768
        return np.asarray(10 * np.log10(np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 + 1e-4))

    return float(
        np.mean(np.sqrt(np.mean((spectrum(heard) - spectrum(clip.samples.astype(float))) ** 2, axis=1)))
    )


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_repetition_is_nearer_to_lost_speech_than_silence_is(rate_hz: int) -> None:
    words = spoken("i would like to move my appointment to the eleventh of march please", rate_hz=rate_hz)
    count = len(words.samples) // (rate_hz // 50)
    lost = LossChain(Packets(loss_rate=0.1, burst_packets=1.5)).lost(count, np.random.default_rng(3))
    repeated = spectral_distance_db(played("repeat", lost, words), words, lost)
    silent = spectral_distance_db(played("silence", lost, words), words, lost)
    assert repeated < 0.75 * silent


def test_lost_packets_do_not_change_the_noise_and_are_recorded() -> None:
    line = Line(id="x", noise="pink", snr_db=10, packets=Packets(loss_rate=0.2, burst_packets=2))
    audio = probes.talk(6.0)
    lossy = SimulatedLine(line).carry(audio, seed=5)
    whole = SimulatedLine(line.model_copy(update={"packets": None})).carry(audio, seed=5)
    differs = (lossy.audio.samples != whole.audio.samples).reshape(-1, 320)[:, 160:].any(axis=1)
    assert (lossy.damage.packets, lossy.damage.lost) == (300, int(differs.sum()))
    assert lossy.damage.bursts == bursts_in(differs)
    assert whole.damage.packets == whole.damage.lost == whole.damage.bursts == 0


def test_a_clip_that_begins_or_ends_in_a_gap_is_as_long_as_before() -> None:
    clip = AudioClip(probes.talk(1.0).samples[: 16_000 - 57], 16_000)
    lost = np.zeros(50, dtype=bool)
    lost[[0, 1, 49]] = True
    assert len(played("repeat", lost, clip)) == len(clip.samples)
    assert not played("repeat", lost, clip)[:640].any(), "there is nothing to go on with"
