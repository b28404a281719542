"""Proof that what a line states reaches the audio: probes are sent over it, and what arrives is measured.

Everything is measured from outside, on the audio that `carry` delivers. Noise alone is what a line delivers
of silence; since it does not depend on what is said, speech alone is the difference between speech and
silence carried with the same seed. Where one condition would hide another (a codec blurs levels, a room has a
spectrum of its own), the condition is measured on the same line with the other ones taken out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voiceeval.audio import AudioClip
from voiceeval.call import Damage
from voiceeval.channel import alaw, codecs, mulaw, probes, room
from voiceeval.channel.beds_by_name import bed_of
from voiceeval.channel.damage import NotMeasured, snr_db
from voiceeval.channel.line_files import NO_FILES, ROOM_FILE, sound_of
from voiceeval.channel.measurements import (
    delay_ms,
    likeness_db,
    lost_packets,
    noise_alone,
    response_between,
    rms_db,
    speech_alone,
    stopped_db,
    thirds_db,
    tone_gains_db,
)
from voiceeval.channel.packets import LossChain
from voiceeval.channel.simulated_line import FLOOR_DBFS
from voiceeval.channel.speech_level import active_level_dbfs
from voiceeval.protocols import Channel
from voiceeval.scenario import Line, Packets

Build = Callable[[Line], Channel]

SEEDS = (1, 2, 3)
SNR_DB, LEVEL_DB, SPECTRUM_DB, FLAT_DB, STOPPED_DB = 0.2, 0.3, 1.0, 1.0, 40.0
ECHO_SHARE, BIT_RATE_SHARE = 0.1, 0.1
DELAY_MS = 5.0
THIRDS_HZ = tuple(1000 * 2 ** (step / 3) for step in range(-9, 9))
"""Thirds of an octave from 125 Hz to 6.3 kHz."""
PACKET_SEEDS, PACKET_SECONDS = 30, 20.0
SIGMAS = 3.29
"""Two-sided 99.9 %: a sound line with other seeds fails one such row in a thousand. These seeds are fixed."""
FEWEST_BURSTS = 30
_DISTORTED_DB = 40.0
_PACKETS_OUT: Mapping[str, Any] = {"packets": None}
_AFTER_MIXING_OUT: Mapping[str, Any] = {"codec": "none", "packets": None, "clip_dbfs": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One condition of a line: what its file states, and what was measured."""

    line: str
    condition: str
    stated: str
    measured: str
    tolerance: str
    reached: bool


def prove(line: Line, build: Build, *, files: Mapping[str, Path] = NO_FILES) -> Iterator[Proof]:
    """Measure every condition that the line states.

    Args:
        line: The conditions.
        build: Makes the line that is measured, and variants of it that lack some of the conditions.
        files: The recordings that the line names.
    """
    measuring = _Measuring(line, build, files)
    yield from measuring.levels()
    yield from measuring.band()
    if line.room is not None:
        yield measuring.echo()
    if line.clip_dbfs < 0:
        yield measuring.clipping()
    yield from measuring.codec()
    if line.packets is not None:
        yield from measuring.packets(line.packets)
    yield measuring.repetition()


class _Measuring:
    def __init__(self, line: Line, build: Build, files: Mapping[str, Path]) -> None:
        self.line, self._build, self._files = line, build, files

    def levels(self) -> Iterator[Proof]:
        """Speech, noise and what lies between them."""
        calm = self._without({**_AFTER_MIXING_OUT, "gain_db": 0.0})
        talk = probes.talk(8.0)
        speech, ratios, noises = [], [], []
        for seed in SEEDS:
            heard, rate_hz = speech_alone(calm, talk, seed)
            speech.append(active_level_dbfs(heard, rate_hz))
            noises.append(rms_db(noise_alone(calm, talk, seed)))
            ratios.append(speech[-1] - noises[-1])
        yield self._near("speech level", self.line.level_dbfs, speech, LEVEL_DB, "dBFS")
        if self.line.gain_db:
            yield self._near("gain", self.line.gain_db, self._gains_db(calm, talk), LEVEL_DB, "dB")
        if self.line.noise == "none":
            yield self._near("noise floor", FLOOR_DBFS, noises, LEVEL_DB, "dBFS")
            return
        name = f"SNR ({self.line.noise})"
        yield self._near(name, self.line.snr_db, ratios, SNR_DB, "dB")
        yield self._spectrum(calm, talk)
        damages = [self._build(self.line).carry(talk, seed=seed).damage for seed in SEEDS]
        recorded = snr_db(sum(damages, Damage()))
        if isinstance(recorded, NotMeasured):
            yield self._row(
                "SNR in the record", f"{self.line.snr_db:g} dB", recorded.reason, "", reached=False
            )
        else:
            yield self._near("SNR in the record", self.line.snr_db, [recorded], SNR_DB, "dB")

    def _gains_db(self, calm: Channel, talk: AudioClip) -> list[float]:
        """What the amplifier adds: to the noise, which clips later than speech, or takes from the speech."""
        amplified, gains = self._without(_AFTER_MIXING_OUT), []
        for seed in SEEDS:
            if self.line.gain_db > 0:
                before, after = (rms_db(noise_alone(each, talk, seed)) for each in (calm, amplified))
            else:
                before, after = (
                    active_level_dbfs(*speech_alone(each, talk, seed)) for each in (calm, amplified)
                )
            gains.append(after - before)
        return gains

    def _spectrum(self, calm: Channel, talk: AudioClip) -> Proof:
        """The noise by thirds of an octave, against the bed of its name."""
        alone = [noise_alone(calm, talk, seed) for seed in SEEDS]
        rate_hz = calm.carry(talk, seed=SEEDS[0]).audio.rate_hz
        beds = [bed_of(self.line, len(alone[0]), rate_hz, seed=seed, files=self._files) for seed in SEEDS]
        # Bands that the line passes whole.
        bands_hz = [hz for hz in THIRDS_HZ if self.line.band == "wide" or 390 < hz < 2600]
        found, named = (thirds_db(np.concatenate(each), rate_hz, bands_hz) for each in (alone, beds))
        apart_db = float(np.mean(np.abs(found - named)))
        return self._row(
            "noise spectrum",
            self.line.noise,
            f"{apart_db:.2f} dB apart",
            f"{SPECTRUM_DB:g} dB",
            reached=apart_db <= SPECTRUM_DB,
        )

    def band(self) -> Iterator[Proof]:
        """What passes and what does not, against a tone of 1 kHz that is sent along."""
        channel = self._without({**_AFTER_MIXING_OUT, "gain_db": 0.0, "room": None, "noise": "none"})
        telephone = self.line.band == "telephone"
        inside = (350.0, 600.0, 1000.0, 1500.0, 2000.0, 2500.0, 3000.0, 3300.0)
        if not telephone:
            inside = (100.0, 300.0, 1000.0, 2000.0, 3500.0, 5000.0, 6000.0, 7000.0)
        gains = tone_gains_db(channel, inside)
        worst = max(gains, key=abs)
        yield self._row(
            f"passes {inside[0]:g}–{inside[-1]:g} Hz",
            "flat",
            f"{worst:+.2f} dB",
            f"±{FLAT_DB:g} dB",
            reached=abs(worst) <= FLAT_DB,
        )
        if telephone:
            for hz in (100.0, 6000.0):
                down_db = -stopped_db(channel, hz)
                yield self._row(
                    f"stops {hz:g} Hz",
                    f"{STOPPED_DB:g} dB",
                    f"{down_db:.1f} dB",
                    "or more",
                    reached=down_db >= STOPPED_DB,
                )

    def echo(self) -> Proof:
        """The reverberation time, from the response between the line with and without its room."""
        assert self.line.room is not None  # noqa: S101 - asked only where there is one
        plain: Mapping[str, Any] = {**_AFTER_MIXING_OUT, "gain_db": 0.0, "noise": "none"}
        probe = probes.burst(3.0, 4.0)
        with_room, rate_hz = speech_alone(self._without(plain), probe, SEEDS[0])
        dry, _ = speech_alone(self._without({**plain, "room": None}), probe, SEEDS[0])
        stated = float(self.line.room.rt60_ms)
        if self.line.room.file:
            clip = sound_of(self.line, ROOM_FILE, self._files)
            recorded = room.recorded(clip, rate_hz, name=ROOM_FILE)
            stated = room.reverberation_ms(recorded, rate_hz)
        band_hz = (300.0, 3400.0) if self.line.band == "telephone" else (50.0, 8000.0)
        response = response_between(dry, with_room, rate_hz, band_hz=band_hz)
        # What comes long after the echo is the rounding to 16 bits, not the room.
        until = response[: int((0.1 + 1.5 * min(stated, 2500) / 1000) * rate_hz)]
        measured = room.reverberation_ms(until, rate_hz)
        return self._row(
            "reverberation (RT60)",
            f"{stated:.0f} ms",
            f"{measured:.0f} ms" if math.isfinite(measured) else "none",
            f"±{ECHO_SHARE:.0%}",
            reached=abs(measured - stated) <= ECHO_SHARE * stated,
        )

    def clipping(self) -> Proof:
        """Samples at the clipping level, and none beyond it."""
        channel = self._without({"codec": "none", "packets": None})
        limit = round(10 ** (self.line.clip_dbfs / 20) * 32768)
        samples = np.concatenate(
            [channel.carry(probes.talk(8.0), seed=seed).audio.samples.astype(np.int64) for seed in SEEDS]
        )
        share = float(np.mean(np.abs(samples) >= limit - 1))
        beyond = int(np.count_nonzero(np.abs(samples) > limit))
        return self._row(
            "clipping",
            f"{self.line.clip_dbfs:g} dBFS",
            f"{share:.2%} clipped" + (f", {beyond} samples beyond" if beyond else ""),
            "above 0 %",
            reached=share > 0 and not beyond,
        )

    def codec(self) -> Iterator[Proof]:
        """The marks that a codec leaves."""
        name = self.line.codec
        if name == "none":
            return
        talk = probes.talk(8.0)
        # Speech alone: what a codec makes of noise is no measure of it, least of all below its band.
        calm: Mapping[str, Any] = {**_PACKETS_OUT, "noise": "none", "room": None}
        uncoded = self._without({**calm, "codec": "none"}).carry(talk, seed=SEEDS[0]).audio
        coded = self._without(calm).carry(talk, seed=SEEDS[0]).audio
        if name in ("mulaw", "alaw"):
            levels = (mulaw if name == "mulaw" else alaw).decode(np.arange(256).astype(np.uint8))
            share = float(np.mean(np.isin(coded.samples, levels)))
            yield self._row(f"{name} levels", "100 %", f"{share:.1%}", "all samples", reached=share == 1)
            return
        distortion_db = -likeness_db(uncoded, coded)
        yield self._row(
            f"{name} distortion",
            "some",
            f"{distortion_db:.1f} dB" if math.isfinite(distortion_db) else "none",
            f"−{_DISTORTED_DB:g} to 0 dB",
            reached=-_DISTORTED_DB <= distortion_db <= 0,
        )
        late_ms = delay_ms(uncoded, coded)
        yield self._row(
            f"{name} delay",
            "0 ms",
            f"{late_ms:.1f} ms",
            f"±{DELAY_MS:g} ms",
            reached=abs(late_ms) <= DELAY_MS,
        )
        if name == "opus":
            made = codecs.opus(uncoded, self.line.opus_kbps)
            kbps = made.octets * 8 / made.sent_ms
            same = np.array_equal(made.clip.samples, coded.samples)
            yield self._row(
                "opus bit rate",
                f"{self.line.opus_kbps:g} kbit/s",
                f"{kbps:.1f} kbit/s" if same else "another one",
                f"±{BIT_RATE_SHARE:.0%}",
                reached=same and abs(kbps - self.line.opus_kbps) <= BIT_RATE_SHARE * self.line.opus_kbps,
            )

    def packets(self, stated: Packets) -> Iterator[Proof]:
        """Lost packets, found as those that differ from a network without losses."""
        chain = LossChain(stated)
        plain: Mapping[str, Any] = {"codec": "none", "room": None, "noise": "none"}
        lossy, whole = self._without(plain), self._without({**plain, **_PACKETS_OUT})
        # Without a pause: on a quiet line a packet of silence is the same lost or not.
        probe = probes.burst(PACKET_SECONDS, 0.0)
        runs = [lost_packets(lossy, whole, probe, seed, stated.packet_ms) for seed in range(PACKET_SEEDS)]
        count, lost = sum(len(run) for run in runs), sum(int(run.sum()) for run in runs)
        bursts = sum(int(np.count_nonzero(np.diff(run, prepend=False) & run)) for run in runs)
        margin = SIGMAS * chain.loss_rate_error(count)
        yield self._row(
            "packets lost or late",
            f"{chain.loss_rate:.2%}",
            f"{lost / count:.2%} of {count}",
            f"±{margin:.2%} (99.9 %)",
            reached=abs(lost / count - chain.loss_rate) <= margin,
        )
        if chain.loss_rate * count / max(chain.burst_packets, 1) >= FEWEST_BURSTS:
            mean = lost / bursts if bursts else 0.0
            margin = SIGMAS * chain.burst_error(bursts)
            yield self._row(
                "packets lost in a row",
                f"{chain.burst_packets:.2f}",
                f"{mean:.2f} in {bursts} bursts",
                f"±{margin:.2f} (99.9 %)",
                reached=bursts > 0 and abs(mean - chain.burst_packets) <= margin,
            )
        yield self._counted(probe, stated.packet_ms)

    def _counted(self, probe: AudioClip, packet_ms: int) -> Proof:
        """Whether the whole line's record of lost packets is what the audio shows."""
        as_stated, whole = self._build(self.line), self._without(_PACKETS_OUT)
        found = lost_packets(as_stated, whole, probe, SEEDS[0], packet_ms)
        damage = as_stated.carry(probe, seed=SEEDS[0]).damage
        return self._row(
            "losses in the record",
            f"{int(found.sum())} of {len(found)}",
            f"{damage.lost} of {damage.packets}",
            "the same",
            reached=(damage.lost, damage.packets) == (int(found.sum()), len(found)),
        )

    def repetition(self) -> Proof:
        """Whether the same audio and seed give the same bytes from a line made anew."""
        talk = probes.talk(4.0)
        first, again = (self._build(self.line).carry(talk, seed=SEEDS[0]).audio.digest() for _ in range(2))
        other = self._build(self.line).carry(talk, seed=SEEDS[1]).audio.digest()
        said = "same bytes" if first == again else "other bytes"
        said += "" if other != first else ", whatever the seed"
        return self._row("repeated", "same bytes", said, "exact", reached=first == again and other != first)

    def _without(self, changes: Mapping[str, Any]) -> Channel:
        update = dict(changes)
        if update.get("noise") == "none":
            update["noise_file"] = ""
        return self._build(self.line.model_copy(update=update))

    def _near(self, condition: str, stated: float, measured: list[float], within: float, unit: str) -> Proof:
        worst = max(measured, key=lambda each: abs(each - stated) if math.isfinite(each) else math.inf)
        return self._row(
            condition,
            f"{stated:.1f} {unit}",
            f"{worst:.2f} {unit}" if math.isfinite(worst) else "nothing",
            f"±{within:g} dB",
            reached=abs(worst - stated) <= within,
        )

    def _row(self, condition: str, stated: str, measured: str, tolerance: str, *, reached: bool) -> Proof:
        return Proof(
            line=self.line.id,
            condition=condition,
            stated=stated,
            measured=measured,
            tolerance=tolerance,
            reached=bool(reached),
        )
