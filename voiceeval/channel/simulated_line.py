"""A line made of known parts, in this order:

    caller ──> room ──> band ──> level ──┐
                                        (+) ──> gain ──> clipping ──> 16 bit ──> codec ──> packets ──> agent
     noise ───────────> band ──> level ──┘

The noise is acoustic: it enters with the speech, before the band filter. Both levels are set on what the
filter leaves, so that they are facts about the audio the agent gets:

    speech   ``level_dbfs`` is its active speech level, echo included (see `speech_level`)
    noise    its root mean square over the whole clip, pauses included, lies ``snr_db`` below ``level_dbfs``

A line without noise is not digitally silent, which no line is and some recognizers cannot stand: it has a
floor of white noise at −66 dBFS. In silence there is no speech to set, and the noise is as loud as under
speech.

Packets carry what the codec decoded, 20 ms each: a codec that remembers loses no more than the packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.call import Damage
from voiceeval.channel import room
from voiceeval.channel.beds_by_name import bed_of, ring_of
from voiceeval.channel.codecs import codec_of, packages_of
from voiceeval.channel.concealment import concealed
from voiceeval.channel.line_files import NO_FILES, NOISE_FILE, ROOM_FILE, sound_of
from voiceeval.channel.packets import LossChain, bursts_in
from voiceeval.channel.recorded_beds import babble_clip
from voiceeval.channel.speech_level import active_level_dbfs, active_speech
from voiceeval.channel.telephone_band import RATE_HZ as TELEPHONE_RATE_HZ
from voiceeval.channel.telephone_band import telephone_band
from voiceeval.extras import installed_version
from voiceeval.protocols import Delivered
from voiceeval.scenario import Line, content_digest

VERSION = "2"
"""Raised when the same line would sound different."""
FLOOR_DBFS = -66.0
WIDE_RATE_HZ = 16_000

Samples = NDArray[np.float64]
Filter = Callable[[Samples], Samples]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What adds up on a line, before gain and codec; full scale is ±1."""

    speech: Samples
    noise: Samples
    rate_hz: int
    active_ms: float = field(default=0.0)
    """How long the speech is active by ITU-T P.56."""

    @property
    def snr_db(self) -> float:
        """Active speech level over the noise's root mean square; minus infinity without speech."""
        return active_level_dbfs(self.speech, self.rate_hz) - _rms_db(self.noise)


class SimulatedLine:
    """Carries a caller's audio to the agent under the conditions a line's file states.

    Deterministic: the same audio and seed give the same bytes.

    Args:
        line: The conditions.
        files: Where the recordings lie that the line names, by key: ``noise_file``, ``room.file``.

    Raises:
        RegistryError: A codec or a room needs a package that is not installed.
        ScenarioError: A recording that the line names is not among the files, or cannot be used.
    """

    def __init__(self, line: Line, *, files: Mapping[str, Path] = NO_FILES) -> None:
        self.line = line
        self.files = files
        is_telephone = line.band == "telephone"
        self.rate_hz = TELEPHONE_RATE_HZ if is_telephone else WIDE_RATE_HZ
        self._filters: tuple[Filter, ...] = (telephone_band,) if is_telephone else ()
        self._codec = codec_of(line)
        self._chain = LossChain(line.packets) if line.packets else None
        if NOISE_FILE in self._recordings():
            ring_of(line, self.rate_hz, files)  # refused now rather than in the first call
        self._response = self._room_response()

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the conditions, with how they are simulated, and with the libraries used."""
        # Asked for with every clip, and the versions of packages are read from files.
        names = ("numpy", "scipy", "soxr")
        sounds = {key: sound_of(self.line, key, self.files).digest() for key in self._recordings()}
        if self.line.noise == "babble":
            sounds["babble"] = babble_clip().digest()
        simulated_room = self.line.room is not None and not self.line.room.file
        return content_digest(
            {
                "class": f"{type(self).__module__}.{type(self).__qualname__}",
                "version": VERSION,
                "conditions": self.line.model_dump(
                    mode="json", exclude={"id": True, "tags": True, "noise_file": True, "room": {"file"}}
                ),
                "sounds": sounds,
                "packages": {name: version(name) for name in names}
                | packages_of(self.line)
                | ({"pyroomacoustics": installed_version("pyroomacoustics")} if simulated_room else {}),
            }
            | ({"room": room.VERSION} if simulated_room else {})
        )

    def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
        """What arrives at the agent: at 16 kHz, or 8 kHz over a telephone; as many milliseconds as went in.

        Args:
            audio: What the caller says, pauses included, at any rate.
            seed: Chooses the noise, and the packets that are lost.
        """
        parts = self.parts(audio, seed=seed)
        mixed = self._amplified(parts.speech + parts.noise)
        limit = 10 ** (self.line.clip_dbfs / 20)
        limited = np.clip(mixed, -limit, limit) if limit < 1 else mixed
        carried = AudioClip.from_float(limited, self.rate_hz)
        if self._codec is not None:
            carried = self._codec(carried)
        carried, lost = self._over_the_network(carried, seed)
        power, per_ms = 10 ** (self.line.gain_db / 10), 1000 / self.rate_hz
        damage = Damage(
            speech_energy=power * _energy(parts.speech) * per_ms if parts.active_ms else 0.0,
            active_ms=parts.active_ms,
            noise_energy=power * _energy(parts.noise) * per_ms,
            duration_ms=len(mixed) * per_ms,
            samples=len(mixed),
            clipped=int(np.count_nonzero(np.abs(mixed) > limit)),
            packets=len(lost),
            lost=int(np.count_nonzero(lost)),
            bursts=bursts_in(lost),
        )
        return Delivered(audio=carried, damage=damage)

    def parts(self, audio: AudioClip, *, seed: int) -> Parts:
        """Speech and noise as `carry` adds them, for measuring a line."""
        speech = _resampled(audio, self.rate_hz)
        if not len(speech):
            return Parts(speech=speech, noise=speech, rate_hz=self.rate_hz)
        if self._response is not None:
            speech = room.with_echo(speech, self._response, self.rate_hz)
        noise = bed_of(self.line, len(speech), self.rate_hz, seed=seed, files=self.files)
        for pass_through in self._filters:
            speech, noise = pass_through(speech), pass_through(noise)
        spoken = active_speech(speech, self.rate_hz)
        gain = 10 ** ((self.line.level_dbfs - spoken.level_dbfs) / 20) if spoken.active_ms else 1.0
        is_quiet = self.line.noise == "none"
        noise_dbfs = FLOOR_DBFS if is_quiet else self.line.level_dbfs - self.line.snr_db
        return Parts(
            speech=speech * gain,
            noise=noise * 10 ** ((noise_dbfs - _rms_db(noise)) / 20),
            rate_hz=self.rate_hz,
            active_ms=spoken.active_ms,
        )

    def _amplified(self, mixed: Samples) -> Samples:
        return mixed * 10 ** (self.line.gain_db / 20) if self.line.gain_db else mixed

    def _over_the_network(self, clip: AudioClip, seed: int) -> tuple[AudioClip, NDArray[np.bool_]]:
        """What is played at the other end, and which packets were missing; none without packets."""
        if self._chain is None or self.line.packets is None:
            return clip, np.zeros(0, dtype=np.bool_)
        size = self.rate_hz * self.line.packets.packet_ms // 1000
        # A stream of its own: lost packets do not change the noise.
        lost = self._chain.lost(-(-len(clip.samples) // size), np.random.default_rng((seed, 1)))
        played = concealed(clip.samples, lost, size, self.rate_hz, how=self.line.packets.concealment)
        return AudioClip(played, self.rate_hz), lost

    def _recordings(self) -> tuple[str, ...]:
        """The keys under which the line names files."""
        has_room = self.line.room is not None and bool(self.line.room.file)
        return (NOISE_FILE,) * (self.line.noise == "file") + (ROOM_FILE,) * has_room

    def _room_response(self) -> Samples | None:
        if self.line.room is None:
            return None
        if not self.line.room.file:
            return room.simulated(self.line.room, self.rate_hz, name=self.line.id)
        clip = sound_of(self.line, ROOM_FILE, self.files)
        return room.recorded(
            clip, self.rate_hz, name=f"line {self.line.id!r}: {ROOM_FILE}: {self.line.room.file!r}"
        )


def _resampled(audio: AudioClip, rate_hz: int) -> Samples:
    """In floating point, and exactly as long: the resampler may round the other way."""
    import soxr

    samples = audio.as_float()
    if audio.rate_hz != rate_hz:
        samples = np.asarray(soxr.resample(samples, audio.rate_hz, rate_hz, quality="HQ"), dtype=np.float64)
    count = len(audio.samples) * rate_hz // audio.rate_hz
    return np.pad(samples, (0, max(0, count - len(samples))))[:count]


def _energy(samples: Samples) -> float:
    # Not np.dot: its order of adding depends on how many threads there are.
    return float(np.sum(samples**2))


def _rms_db(samples: Samples) -> float:
    return 10 * float(np.log10(max(float(np.mean(samples**2)), 1e-12)))
