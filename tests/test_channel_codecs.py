"""What codecs leave: G.711 bit by bit, GSM and Opus by their marks; as long as before, at the same time."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.channel import SimulatedLine, alaw, codecs, mulaw, probes
from voiceeval.channel.measurements import delay_ms, likeness_db
from voiceeval.errors import RegistryError
from voiceeval.scenario import Line

ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)
ALL_OCTETS = np.arange(256).astype(np.uint8)
G711 = (("mulaw", mulaw), ("alaw", alaw))


def test_decoded_alaw_values_are_those_of_the_recommendations_table() -> None:
    # G.711, table 1a: two segments of the same step, then six of which each doubles it; mid-step, on 13 bits.
    levels = []
    for segment in range(8):
        step = 2 if segment < 2 else 2 << (segment - 1)
        first = 0 if segment == 0 else 32 << (segment - 1)
        levels += [first + step * index + step / 2 for index in range(16)]
    positive = [int(8 * level) for level in levels]
    octets = (np.arange(128, 256) ^ 0x55).astype(np.uint8)
    assert alaw.decode(octets).tolist() == positive
    assert alaw.decode((np.arange(128) ^ 0x55).astype(np.uint8)).tolist() == [-value for value in positive]
    assert positive[-1] == 32256


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop left the standard library")
def test_every_sample_and_octet_agrees_with_the_standard_librarys_alaw() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    assert alaw.encode(ALL_SAMPLES).tobytes() == audioop.lin2alaw(ALL_SAMPLES.tobytes(), 2)
    assert alaw.decode(ALL_OCTETS).tobytes() == audioop.alaw2lin(bytes(range(256)), 2)


def by_ffmpeg(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """All samples encoded, and all octets decoded, by FFmpeg's codec."""
    av = pytest.importorskip("av")
    encoder = av.CodecContext.create(f"pcm_{name}", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    encoder.open()
    frame = av.AudioFrame.from_ndarray(ALL_SAMPLES[None], format="s16", layout="mono")
    frame.sample_rate = 8000
    octets = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    decoder = av.CodecContext.create(f"pcm_{name}", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    frames = decoder.decode(av.Packet(bytes(range(256))))
    decoded = np.concatenate([each.to_ndarray().reshape(-1) for each in frames])
    return np.frombuffer(octets, np.uint8), decoded


@pytest.mark.parametrize(("name", "ours"), G711)
def test_every_octet_is_decoded_as_ffmpeg_does(name: str, ours: ModuleType) -> None:
    np.testing.assert_array_equal(ours.decode(ALL_OCTETS), by_ffmpeg(name)[1])


@pytest.mark.parametrize(("name", "ours"), G711)
def test_codes_change_at_the_recommendations_decision_values(name: str, ours: ModuleType) -> None:
    # G.711, tables 1a and 2a, brought to 16 bits. A-law: 13 bits, µ-law: 14 bits.
    if name == "alaw":
        decisions = [16 * step for step in range(1, 32)]
        decisions += [(512 << segment) + step * (32 << segment) for segment in range(6) for step in range(16)]
        decisions = sorted({value for value in decisions if value > 0} | {512})
    else:
        decisions = [
            4 * ((32 << segment) + step * (2 << segment) - 33) for segment in range(8) for step in range(16)
        ][1:]
    codes = ours.encode(np.arange(32768).astype(np.int16)).astype(int)
    assert (np.flatnonzero(np.diff(codes)) + 1).tolist() == decisions
    assert len(decisions) == 127


@pytest.mark.parametrize(("name", "ours"), G711)
def test_samples_are_encoded_as_ffmpeg_does_except_beside_decision_values(
    name: str, ours: ModuleType
) -> None:
    theirs, levels = by_ffmpeg(name)[0], ours.decode(ALL_OCTETS).astype(int)
    octets = ours.encode(ALL_SAMPLES)
    differs = octets != theirs
    # FFmpeg's table takes the nearest level of 16 bits, where G.711 has decision values of 14 (µ) or 13 (A)
    # bits that are not half-way between levels where the step changes: those samples come out next door.
    assert 0 < differs.sum() <= 65536 * 0.015
    one, other = levels[octets[differs]], levels[theirs[differs]]
    between = (np.minimum(one, other)[:, None] < levels) & (levels < np.maximum(one, other)[:, None])
    assert not between.any()


@pytest.mark.parametrize(("name", "ours"), G711)
def test_a_coded_signal_stays_what_it_is_when_coded_again(name: str, ours: ModuleType) -> None:
    once = ours.decode(ours.encode(ALL_SAMPLES))
    np.testing.assert_array_equal(ours.decode(ours.encode(once)), once, err_msg=name)
    assert (np.diff(once.astype(int)) >= 0).all()


CODED = [
    Line(id="x", band="telephone", codec="mulaw"),
    Line(id="x", band="telephone", codec="alaw"),
    Line(id="x", band="telephone", codec="gsm"),
    Line(id="x", band="telephone", codec="opus", opus_kbps=8),
    Line(id="x", codec="opus", opus_kbps=12),
    Line(id="x", codec="opus", opus_kbps=32),
]


def through(line: Line, audio: AudioClip) -> tuple[AudioClip, AudioClip]:
    """What arrives with the codec, and without."""
    if line.codec == "opus":
        pytest.importorskip("av")
    plain = line.model_copy(update={"codec": "none"})
    return (SimulatedLine(each).carry(audio, seed=1).audio for each in (line, plain))  # type: ignore[return-value]


@pytest.mark.parametrize("line", CODED, ids=lambda line: f"{line.codec}-{line.band}-{line.opus_kbps:g}")
def test_a_codec_changes_the_sound_and_neither_its_length_nor_its_time(line: Line) -> None:
    coded, plain = through(line, probes.talk(4.0))
    assert len(coded.samples) == len(plain.samples)
    assert coded.rate_hz == plain.rate_hz
    assert 0 < likeness_db(plain, coded) < 40
    assert abs(delay_ms(plain, coded)) <= 2


@pytest.mark.parametrize("line", CODED, ids=lambda line: f"{line.codec}-{line.band}-{line.opus_kbps:g}")
@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161, 320, 4001])
def test_every_length_survives_a_codec(line: Line, samples: int) -> None:
    rate_hz = 8000 if line.band == "telephone" else 16000
    audio = AudioClip(probes.talk(1.0).resampled(rate_hz).samples[:samples], rate_hz)
    coded, _ = through(line, audio)
    assert len(coded.samples) == samples


def test_gsm_has_the_thirteen_bits_of_its_decoder() -> None:
    coded, plain = through(CODED[2], probes.talk(2.0))
    assert not (coded.samples % 8).any()
    assert (plain.samples % 8).any()


def test_opus_sends_the_stated_bits_and_more_of_them_are_better() -> None:
    pytest.importorskip("av")
    speech = SimulatedLine(Line(id="x")).carry(probes.talk(4.0), seed=1).audio
    likeness: dict[float, float] = {}
    for kbps in (8.0, 16.0, 64.0):
        made = codecs.opus(speech, kbps)
        assert made.octets * 8 / made.sent_ms == pytest.approx(kbps, rel=0.05)
        likeness[kbps] = likeness_db(speech, made.clip)
    assert likeness[8.0] < likeness[16.0] < likeness[64.0]


def test_opus_is_the_same_every_time() -> None:
    pytest.importorskip("av")
    speech = probes.talk(2.0)
    assert codecs.opus(speech, 12).clip.digest() == codecs.opus(speech, 12).clip.digest()


@pytest.mark.parametrize(
    ("package", "line", "extra"),
    [
        ("av", {"codec": "opus"}, "codecs"),
        ("pyroomacoustics", {"room": {"rt60_ms": 400}}, "rooms"),
    ],
)
def test_a_missing_extra_is_named_when_the_line_is_made(
    package: Literal["av", "pyroomacoustics"],
    line: dict[str, object],
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(RegistryError, match=rf"line 'x': .*pip install 'voiceeval\[{extra}\]'"):
        SimulatedLine(Line.model_validate({"id": "x", **line}))
