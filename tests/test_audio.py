"""Clips: mono, 16 bit, the same sound in any file format; and the models that people write."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from voiceeval.audio import AudioClip, AudioFormat, audible_span
from voiceeval.errors import AudioError
from voiceeval.scenario import Caller, CallerTurn, Entity, Line, Scenario, ToolCall, ToolPath

clips = st.builds(
    lambda values, rate_hz: AudioClip(np.array(values, dtype=np.int16), rate_hz),
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=50),
    st.sampled_from([8_000, 16_000, 22_050]),
)


@given(clips, st.sampled_from(["wav", "flac"]))
def test_a_file_of_either_format_gives_the_same_samples_back(
    clip: AudioClip, audio_format: AudioFormat
) -> None:
    read = AudioClip.decode(clip.encode(audio_format), name="x")
    np.testing.assert_array_equal(read.samples, clip.samples)
    assert read.rate_hz == clip.rate_hz
    assert read.digest() == clip.digest()


def tone(duration_ms: int, rate_hz: int, amplitude: float = 0.3) -> AudioClip:
    seconds = np.arange(duration_ms * rate_hz // 1000) / rate_hz
    return AudioClip.from_float(amplitude * np.sin(2 * np.pi * 440 * seconds), rate_hz)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100])
@pytest.mark.parametrize(("first_ms", "last_ms", "end_ms"), [(120, 420, 500), (9_000, 20_000, 20_000)])
def test_the_audible_span_leaves_out_silence_on_both_sides(
    rate_hz: int, first_ms: int, last_ms: int, end_ms: int
) -> None:
    samples = np.zeros(end_ms * rate_hz // 1000, dtype=np.int16)
    first, last = first_ms * rate_hz // 1000, last_ms * rate_hz // 1000
    samples[first:last] = tone(last_ms - first_ms + 1, rate_hz).samples[: last - first]
    clip = AudioClip(samples, rate_hz)
    assert audible_span(clip) == (first_ms, last_ms)
    assert audible_span(clip.part(first_ms, last_ms)) == (0, last_ms - first_ms)


def test_dither_and_a_clip_shorter_than_a_frame_are_not_audible() -> None:
    noise = np.random.default_rng(1).normal(0, 1e-3, 8_000)
    assert audible_span(AudioClip.from_float(noise, 8_000)) == (0, 0)
    assert audible_span(tone(9, 22_050)) == (0, 0)
    assert audible_span(AudioClip.silence(0, 16_000)) == (0, 0)


@given(clips)
def test_floats_and_samples_are_the_same_sound(clip: AudioClip) -> None:
    np.testing.assert_array_equal(AudioClip.from_float(clip.as_float(), clip.rate_hz).samples, clip.samples)


def test_what_exceeds_full_scale_is_clipped() -> None:
    clip = AudioClip.from_float(np.array([2.0, 1.0, -1.0, -2.0]), 8_000)
    assert clip.samples.tolist() == [32767, 32767, -32768, -32768]


@given(clips, clips)
def test_different_sounds_have_different_digests(one: AudioClip, other: AudioClip) -> None:
    same = one.rate_hz == other.rate_hz and one.samples.tolist() == other.samples.tolist()
    assert (one.digest() == other.digest()) is same


def test_a_clips_samples_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        AudioClip.silence(10, 8_000).samples[0] = 1


@pytest.mark.parametrize("samples", [np.zeros((4, 2), dtype=np.int16), np.zeros(4)])
def test_a_clip_is_mono_and_of_16_bit(samples: NDArray[np.int16]) -> None:
    with pytest.raises(AudioError, match=r"mono int16 samples of shape \(n,\), got"):
        AudioClip(samples, 8_000)


def test_a_rate_is_positive() -> None:
    with pytest.raises(AudioError, match="rate_hz must be above 0, got 0"):
        AudioClip(np.zeros(4, dtype=np.int16), 0)


@given(st.integers(0, 500), st.integers(0, 500))
def test_parts_of_a_clip_join_to_the_clip(first_ms: int, second_ms: int) -> None:
    noise = np.random.default_rng(0).standard_normal(8 * (first_ms + second_ms))
    clip = AudioClip.from_float(noise / 5, 8_000)
    parts = [clip.part(0, first_ms), clip.part(first_ms, first_ms + second_ms)]
    assert [part.duration_ms for part in parts] == [first_ms, second_ms]
    assert AudioClip.join(parts).digest() == clip.digest()


def test_a_part_ends_where_the_clip_ends() -> None:
    clip = AudioClip.silence(100, 8_000)
    assert clip.part(50, 1000).duration_ms == 50
    assert clip.part(-50, 20).duration_ms == 20
    assert clip.part(200, 300).duration_ms == 0
    assert clip.part(60, 40).duration_ms == 0


def test_clips_of_two_rates_do_not_join() -> None:
    with pytest.raises(AudioError, match=r"share one rate, got \[8000, 16000\]"):
        AudioClip.join([AudioClip.silence(10, 16_000), AudioClip.silence(10, 8_000)])
    with pytest.raises(AudioError, match="share one rate, got no clips"):
        AudioClip.join([])


def test_resampling_keeps_a_tone_and_its_length() -> None:
    at = np.arange(16_000) / 16_000
    clip = AudioClip.from_float(0.5 * np.sin(2 * np.pi * 440 * at), 16_000)
    there = clip.resampled(8_000)
    assert there.duration_ms == 1000
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000)
    np.testing.assert_allclose(there.as_float()[400:-400], expected[400:-400], atol=1e-3)
    assert clip.resampled(16_000) is clip


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24"])
def test_a_file_of_other_numbers_is_the_same_sound(subtype: str) -> None:
    import soundfile

    clip, buffer = tone(300, 16_000), io.BytesIO()
    soundfile.write(buffer, clip.as_float(), 16_000, format="WAV", subtype=subtype)
    assert AudioClip.decode(buffer.getvalue(), name="x.wav").digest() == clip.digest()


def test_samples_beyond_full_scale_are_clipped_and_those_that_are_no_numbers_refused() -> None:
    import soundfile

    for samples in ([2.0, -2.0, 0.5], [0.1, float("nan")], [0.1, float("inf")]):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.array(samples), 8_000, format="WAV", subtype="FLOAT")
        if np.isfinite(samples).all():
            read = AudioClip.decode(buffer.getvalue(), name="x.wav")
            assert read.samples.tolist() == [32767, -32768, 16384]
        else:
            with pytest.raises(AudioError, match=r"^x\.wav: holds samples that are no finite numbers"):
                AudioClip.decode(buffer.getvalue(), name="x.wav")


@pytest.mark.parametrize("data", [b"", b"RIFF", b"not audio at all, rather longer than a header" * 4])
def test_what_is_no_audio_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(AudioError, match=r"^x\.wav: not readable as audio .*; allowed: WAV, FLAC, Ogg"):
        AudioClip.decode(data, name="x.wav")


def test_two_channels_and_no_samples_are_refused_by_name() -> None:
    import soundfile

    for samples, message in ((np.zeros((4, 2)), "has 2 channels"), (np.zeros(0), "holds no samples")):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, 8_000, format="WAV")
        with pytest.raises(AudioError, match=f"^x.wav: {message}"):
            AudioClip.decode(buffer.getvalue(), name="x.wav")


def test_a_truncated_file_is_refused() -> None:
    noise = AudioClip.from_float(np.random.default_rng(0).standard_normal(8_000) / 5, 8_000)
    with pytest.raises(AudioError):
        AudioClip.decode(noise.encode("flac")[:4000], name="x.flac")


def test_a_clip_survives_being_sent_to_another_process() -> None:
    clip = AudioClip.silence(10, 8_000)
    assert pickle.loads(pickle.dumps(clip)).digest() == clip.digest()  # noqa: S301 — our own bytes


def scenario() -> Scenario:
    return Scenario(
        id="s",
        goal="g",
        domain="d",
        call_type="c",
        turns=(CallerTurn(text="four one", entities=(Entity(type="digits", text="Four One"),)),),
        tool_paths=(ToolPath(),),
    )


def test_a_written_thing_survives_json() -> None:
    for thing in (scenario(), Line(id="x"), Caller(id="x", accent="a", voice="v")):
        assert type(thing).model_validate_json(thing.model_dump_json()) == thing


def test_a_written_thing_cannot_be_changed_and_refuses_unknown_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        scenario().goal = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Line.model_validate({"id": "x", "bnad": "wide"})


def test_a_scenarios_digest_follows_its_content() -> None:
    assert scenario().digest() == scenario().digest()
    assert scenario().model_copy(update={"patience": 3}).digest() != scenario().digest()


def test_an_entity_must_occur_in_the_turn_and_is_not_repeated_in_the_message() -> None:
    with pytest.raises(ValidationError) as caught:
        CallerTurn(text="hello", entities=(Entity(type="digits", text="4129"),))
    assert "a text of type 'digits' does not occur in the turn's text" in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({}, "needs text, keys, hangs_up, or silence_ms"),
        ({"silence_ms": 5, "audio": "x.wav"}, "audio needs text"),
        ({"text": "a", "expects": ["b"]}, "expects needs objection"),
    ],
)
def test_a_turn_that_cannot_be_played_is_refused(turn: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CallerTurn.model_validate(turn)


def test_a_tool_path_names_a_known_tool() -> None:
    with pytest.raises(ValidationError, match="no tool is named 'pay'"):
        Scenario.model_validate({**dict(scenario()), "tool_paths": [ToolPath(calls=(ToolCall(name="pay"),))]})
