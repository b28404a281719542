"""What can be measured of a line from outside: on the audio that it delivers, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.channel import probes
from voiceeval.protocols import Channel

Samples = NDArray[np.float64]
_SEED = 1
_LONGEST_LAG_S = 0.1
_LEAD_S = 0.01


def noise_alone(channel: Channel, probe: AudioClip, seed: int) -> Samples:
    """What arrives when nobody speaks for as long as the probe lasts."""
    return channel.carry(probes.silence_like(probe), seed=seed).audio.as_float()


def speech_alone(channel: Channel, probe: AudioClip, seed: int) -> tuple[Samples, int]:
    """What arrives of the probe without the noise, which is the same under it; and its rate."""
    arrived = channel.carry(probe, seed=seed).audio
    return arrived.as_float() - noise_alone(channel, probe, seed), arrived.rate_hz


def rms_db(samples: Samples) -> float:
    """Root mean square in dB over a full-scale square wave; minus infinity for zeros."""
    power = float(np.mean(samples**2)) if len(samples) else 0.0
    return 10 * math.log10(power) if power > 0 else -math.inf


def thirds_db(samples: Samples, rate_hz: int, centres_hz: Sequence[float]) -> Samples:
    """The power of thirds of an octave around these frequencies, each against all of them together."""
    power, hz = np.abs(np.fft.rfft(samples)) ** 2, np.fft.rfftfreq(len(samples), 1 / rate_hz)
    edge = 2 ** (1 / 6)
    heard = [float(power[(hz >= centre / edge) & (hz < centre * edge)].sum()) for centre in centres_hz]
    return np.asarray(10 * np.log10(np.maximum(heard, 1e-20) / max(sum(heard), 1e-20)))


def tone_gains_db(channel: Channel, frequencies_hz: Sequence[float]) -> list[float]:
    """How each tone arrives, against the one of 1 kHz among them; all below half of the line's rate."""
    arrived, rate_hz = speech_alone(channel, probes.tones(frequencies_hz), _SEED)
    power, hz = _spectrum(arrived, rate_hz)
    heard = [float(power[np.abs(hz - tone) <= 10].sum()) for tone in frequencies_hz]
    reference = max(heard[list(frequencies_hz).index(probes.REFERENCE_HZ)], 1e-20)
    return [10 * math.log10(max(each, 1e-20) / reference) for each in heard]


def stopped_db(channel: Channel, hz: float) -> float:
    """What is left of a tone, wherever in the spectrum, against one of 1 kHz that is sent along."""
    arrived, rate_hz = speech_alone(channel, probes.tones((hz, probes.REFERENCE_HZ)), _SEED)
    power, at_hz = _spectrum(arrived, rate_hz)
    near = np.abs(at_hz - probes.REFERENCE_HZ) <= 20
    return 10 * math.log10(max(float(power[~near].sum()), 1e-20) / max(float(power[near].sum()), 1e-20))


def _spectrum(samples: Samples, rate_hz: int) -> tuple[Samples, Samples]:
    """Power by frequency of the middle half, where nothing begins or ends."""
    middle = samples[len(samples) // 4 : -(len(samples) // 4)]
    # Blackman's side lobes are lower than what a filter has to stop.
    power = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) ** 2
    return np.asarray(power), np.asarray(np.fft.rfftfreq(len(middle), 1 / rate_hz), dtype=np.float64)


def response_between(
    dry: Samples, echoing: Samples, rate_hz: int, *, band_hz: tuple[float, float]
) -> Samples:
    """The impulse response that makes one of the other, from 10 ms before its zero.

    Of the band alone, with edges half an octave wide at its lower end and as wide at its upper one: steeper
    ones would ring, and outside of it the quotient is noise.
    """
    size = 2 * len(dry)
    source, result = np.fft.rfft(dry, size), np.fft.rfft(echoing, size)
    power = np.abs(source) ** 2
    hz = np.fft.rfftfreq(size, 1 / rate_hz)
    low, high = band_hz
    rising, falling = (hz - low) / (0.5 * low), (high - hz) / (0.15 * high)
    weight = np.sin(np.pi / 2 * np.clip(np.minimum(rising, falling), 0, 1)) ** 2
    whole = np.fft.irfft(weight * result * source.conj() / (power + 1e-6 * float(power.mean())), size)
    lead = int(_LEAD_S * rate_hz)
    return np.concatenate([whole[-lead:], whole[: len(dry)]])


def likeness_db(sent: AudioClip, arrived: AudioClip) -> float:
    """Power of what was sent over that of the difference; infinity where there is none."""
    one, other = sent.as_float(), arrived.as_float()
    difference = float(np.sum((one - other) ** 2))
    return 10 * math.log10(float(np.sum(one**2)) / difference) if difference else math.inf


def delay_ms(sent: AudioClip, arrived: AudioClip) -> float:
    """By how much the other clip is late: where the two agree best, up to 100 ms either way."""
    one, other = sent.as_float(), arrived.as_float()
    size = 2 * len(one)
    agreement = np.fft.irfft(np.fft.rfft(one, size).conj() * np.fft.rfft(other, size), size)
    most = int(_LONGEST_LAG_S * sent.rate_hz)
    near = np.concatenate([agreement[-most:], agreement[: most + 1]])
    return float((np.argmax(near) - most) * 1000 / sent.rate_hz)


def lost_packets(
    lossy: Channel, whole: Channel, probe: AudioClip, seed: int, packet_ms: int
) -> NDArray[np.bool_]:
    """For each whole packet of the probe whether something else was played than without losses.

    Judged by its second half: the first may still fade over from a gap before it.
    """
    got, sent = (each.carry(probe, seed=seed).audio for each in (lossy, whole))
    size = sent.rate_hz * packet_ms // 1000
    count = len(sent.samples) // size
    differs = (got.samples != sent.samples)[: count * size].reshape(count, size)
    return np.asarray(differs[:, size // 2 :].any(axis=1))
