from __future__ import annotations

import sys

import numpy as np
import pytest
from spoken import spoken

from voiceeval.audio import AudioClip
from voiceeval.errors import AgentError, RegistryError
from voiceeval.stages.silero import FRAME_MS, SileroEndpointer, _stretches, speech_probabilities, speech_spans


@pytest.fixture
def _package() -> None:
    pytest.importorskip("faster_whisper")


pytestmark = pytest.mark.usefixtures("_package")


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize("silence_ms", [300, 600, 1_200])
def test_a_turn_ends_the_stated_silence_after_its_last_word(rate_hz: int, silence_ms: int) -> None:
    clip = spoken("it ends in four one two nine", rate_hz=rate_hz, tail_ms=2_500)
    words_end_ms = clip.duration_ms - 2_500
    point = SileroEndpointer(silence_ms=silence_ms).endpoint(clip)
    assert point.reason == "silence"
    assert point.at_ms % FRAME_MS == 0
    assert point.at_ms == pytest.approx(words_end_ms + silence_ms, abs=120)


def test_a_pause_within_a_turn_ends_it_only_for_an_impatient_one() -> None:
    clip = AudioClip.join(
        [
            spoken("my card", lead_ms=200, tail_ms=500),
            spoken("ends in four one two nine", lead_ms=0, tail_ms=2_000),
        ]
    )
    patient = SileroEndpointer(silence_ms=900).endpoint(clip)
    hasty = SileroEndpointer(silence_ms=200).endpoint(clip)
    assert hasty.at_ms < 1_500 < patient.at_ms
    assert len(speech_spans(clip)) == 2
    assert len(speech_spans(clip, min_silence_ms=900)) == 1


def test_a_decision_does_not_depend_on_what_comes_after_it() -> None:
    clip = spoken("yes that is right", tail_ms=3_000)
    decided = SileroEndpointer().endpoint(clip)
    later = AudioClip.join([clip.part(0, decided.at_ms + 100), spoken("and another thing")])
    assert SileroEndpointer().endpoint(later) == decided
    short = speech_probabilities(clip.part(0, decided.at_ms))
    # The resampler and the model look backwards only; a 16 kHz clip is not resampled.
    assert np.allclose(short, speech_probabilities(clip)[: len(short)], atol=1e-5)


def test_silence_noise_and_a_tone_are_no_speech() -> None:
    rng = np.random.default_rng(2)
    tone = 0.1 * np.sin(np.arange(16_000 * 8) * 2 * np.pi * 440 / 16_000)
    for samples in (np.zeros(16_000 * 8), rng.standard_normal(16_000 * 8) * 0.05, tone):
        clip = AudioClip.from_float(samples, 16_000)
        point = SileroEndpointer(no_speech_ms=3_000).endpoint(clip)
        assert (point.reason, point.at_ms) == ("no speech", 3_008)
        assert speech_spans(clip) == ()


def test_a_turn_without_end_stops_at_the_limit() -> None:
    clip = spoken("what is the balance of my account please tell me now", tail_ms=1_000)
    point = SileroEndpointer(limit_ms=1_500).endpoint(clip)
    assert (point.reason, point.at_ms) == ("limit", 1_504)


def test_a_clip_that_ends_before_a_decision_ends_the_turn() -> None:
    clip = spoken("what is the balance of my account", tail_ms=0)
    assert SileroEndpointer().endpoint(clip).at_ms == clip.duration_ms
    assert SileroEndpointer().endpoint(clip).reason == "limit"
    for duration_ms in (0, 10, 500):
        point = SileroEndpointer().endpoint(AudioClip.silence(duration_ms, 8_000))
        assert (point.reason, point.at_ms) == ("no speech", duration_ms)


def test_a_lasting_probability_between_the_thresholds_keeps_speech_going() -> None:
    speech, unsure, silence = 0.9, 0.4, 0.1
    probabilities = [speech] * 5 + [unsure] * 40 + [silence] * 10
    [stretch] = _stretches(probabilities, 0.5, 160)
    assert stretch == (0, 45 * FRAME_MS, 50 * FRAME_MS, True)
    assert list(_stretches([silence, unsure] * 20, 0.5, 160)) == []


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([0.9] * 2 + [0.0] * 400, ("no speech", 5_024)),
        ([0.0] * 100 + [0.9] * 10 + [0.0] * 100, ("silence", 4_128)),
        ([0.0] * 150 + [0.9] * 30 + [0.0] * 100, ("silence", 6_368)),
        ([0.0] * 160 + [0.9] * 30 + [0.0] * 100, ("no speech", 5_024)),
        ([0.0] * 10 + [0.9] * 600, ("limit", 15_008)),
        ([0.9] * 2 + [0.0] * 20 + [0.9] * 10 + [0.0] * 30, ("silence", 1_632)),
    ],
    ids=["click", "word", "word across the wait", "word after the wait", "endless", "click, then word"],
)
def test_decisions_follow_the_probabilities(frames: list[float], expected: tuple[str, int]) -> None:
    point = SileroEndpointer()._decide(_stretches(frames, 0.5, 600))
    assert point is not None
    assert (point.reason, point.at_ms) == expected


def test_every_option_is_part_of_the_fingerprint() -> None:
    made = [
        SileroEndpointer(),
        SileroEndpointer(silence_ms=700),
        SileroEndpointer(threshold=0.6),
        SileroEndpointer(limit_ms=9_000),
        SileroEndpointer(no_speech_ms=4_000),
        SileroEndpointer(min_speech_ms=0),
    ]
    assert len({each.fingerprint for each in made}) == len(made)


def test_an_option_out_of_range_is_refused() -> None:
    with pytest.raises(AgentError, match="threshold: must be above 0 and below 1, got 1"):
        SileroEndpointer(threshold=1.0)
    with pytest.raises(AgentError, match="silence_ms: must be 32 ms at least, got 0"):
        SileroEndpointer(silence_ms=0)


def test_without_the_package_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(RegistryError, match=r"pip install 'voiceeval\[whisper\]'"):
        SileroEndpointer()
