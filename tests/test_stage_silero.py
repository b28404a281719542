from __future__ import annotations

import sys
from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from spoken import spoken

from voiceeval.audio import AudioClip
from voiceeval.errors import AgentError, RegistryError
from voiceeval.protocols import Span
from voiceeval.stages.silero import (
    FRAME_MS,
    SHORTEST_PAUSE_MS,
    SileroEndpointer,
    _stretches,
    speech_probabilities,
    speech_spans,
)


@pytest.fixture
def _package() -> None:
    pytest.importorskip("faster_whisper")


pytestmark = pytest.mark.usefixtures("_package")


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_speech_is_heard_where_the_words_are(rate_hz: int) -> None:
    clip = spoken("it ends in four one two nine", rate_hz=rate_hz, lead_ms=300, tail_ms=2_500)
    spans = SileroEndpointer().speech(clip)
    assert all(moment % FRAME_MS == 0 for span in spans for moment in (span.start_ms, span.end_ms))
    assert spans[0].start_ms == pytest.approx(300, abs=120)
    assert spans[-1].end_ms == pytest.approx(clip.duration_ms - 2_500, abs=120)


def test_the_wait_changes_nothing_that_is_heard() -> None:
    clip = AudioClip.join([spoken("my card", tail_ms=500), spoken("ends in four one two nine", lead_ms=0)])
    hasty, patient = SileroEndpointer(silence_ms=200), SileroEndpointer(silence_ms=900)
    assert hasty.speech(clip) == patient.speech(clip)
    assert hasty.speech_fingerprint == patient.speech_fingerprint
    assert hasty.fingerprint != patient.fingerprint


def test_a_pause_within_a_turn_is_heard_with_its_length() -> None:
    clip = AudioClip.join(
        [
            spoken("my card", lead_ms=200, tail_ms=500),
            spoken("ends in four one two nine", lead_ms=0, tail_ms=2_000),
        ]
    )
    words = spoken("my card", lead_ms=200, tail_ms=0).duration_ms
    [pause] = [
        (one.end_ms, two.start_ms)
        for one, two in pairwise(SileroEndpointer().speech(clip))
        if two.start_ms - one.end_ms > 300
    ]
    assert list(pause) == pytest.approx([words, words + 500], abs=120)
    assert len(speech_spans(clip)) == 2
    assert len(speech_spans(clip, min_silence_ms=900)) == 1


def test_what_was_heard_does_not_depend_on_what_comes_after_it() -> None:
    clip = spoken("yes that is right", tail_ms=3_000)
    heard = SileroEndpointer().speech(clip)
    known_ms = heard[-1].end_ms + SHORTEST_PAUSE_MS
    later = AudioClip.join([clip.part(0, known_ms), spoken("and another thing")])
    assert SileroEndpointer().speech(later)[: len(heard)] == heard
    short = speech_probabilities(clip.part(0, known_ms))
    # The resampler and the model look backwards only; a 16 kHz clip is not resampled.
    assert np.allclose(short, speech_probabilities(clip)[: len(short)], atol=1e-5)


def test_silence_noise_and_a_tone_are_no_speech() -> None:
    rng = np.random.default_rng(2)
    tone = 0.1 * np.sin(np.arange(16_000 * 8) * 2 * np.pi * 440 / 16_000)
    for samples in (np.zeros(16_000 * 8), rng.standard_normal(16_000 * 8) * 0.05, tone):
        clip = AudioClip.from_float(samples, 16_000)
        assert SileroEndpointer().speech(clip) == ()
        assert speech_spans(clip) == ()


@pytest.mark.parametrize("duration_ms", [0, 10, 500])
def test_nothing_is_heard_in_a_short_silence(duration_ms: int) -> None:
    assert SileroEndpointer().speech(AudioClip.silence(duration_ms, 8_000)) == ()


def test_speech_that_goes_on_at_the_end_of_a_clip_ends_with_it() -> None:
    clip = spoken("what is the balance of my account", tail_ms=0)
    clip = clip.part(0, clip.duration_ms - 100)
    assert SileroEndpointer().speech(clip)[-1].end_ms == clip.duration_ms


def test_a_lasting_probability_between_the_thresholds_keeps_speech_going() -> None:
    speech, unsure, silence = 0.9, 0.4, 0.1
    probabilities = [speech] * 5 + [unsure] * 40 + [silence] * 10
    [stretch] = _stretches(probabilities, 0.5, 160)
    assert stretch == (0, 45 * FRAME_MS)
    assert list(_stretches([silence, unsure] * 20, 0.5, 160)) == []


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([0.9] * 2 + [0.0] * 100, []),
        ([0.0] * 100 + [0.9] * 10 + [0.0] * 100, [(3_200, 3_520)]),
        ([0.9] * 10 + [0.0] * 2 + [0.9] * 10, [(0, 704)]),
        ([0.9] * 10 + [0.0] * 3 + [0.9] * 10, [(0, 320), (416, 736)]),
        ([0.9] * 2 + [0.0] * 20 + [0.9] * 10 + [0.0] * 30, [(704, 1_024)]),
        ([0.0] * 10 + [0.9] * 30, [(320, 1_280)]),
    ],
    ids=["click", "word", "plosive within", "shortest pause", "click, then word", "endless"],
)
def test_speech_follows_the_probabilities(
    frames: list[float], expected: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiceeval.stages.silero.speech_probabilities", lambda _: tuple(frames))
    spans = SileroEndpointer().speech(AudioClip.silence(len(frames) * FRAME_MS, 16_000))
    assert [(span.start_ms, span.end_ms) for span in spans] == expected


@pytest.mark.parametrize("min_speech_ms", [0, 100, 500])
def test_speech_is_noticed_no_earlier_than_it_could_be_in_a_live_call(
    min_speech_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who ignores short sounds pays for it with the time until long ones are noticed."""
    frames = [0.0] * 10 + [0.9] * 40 + [0.0] * 30
    end_pointer = SileroEndpointer(min_speech_ms=min_speech_ms)

    def heard(count: int) -> tuple[Span, ...]:
        monkeypatch.setattr("voiceeval.stages.silero.speech_probabilities", lambda _: tuple(frames[:count]))
        return end_pointer.speech(AudioClip.silence(count * FRAME_MS, 16_000))

    [whole] = heard(len(frames))
    assert whole.end_ms == 50 * FRAME_MS
    known_ms = next(count * FRAME_MS for count in range(len(frames)) if heard(count))
    assert known_ms - whole.start_ms <= 100 + FRAME_MS


def test_an_end_pointer_that_does_not_adapt_waits_as_long_as_stated() -> None:
    for pauses_ms in ([], [100], [900, 2_000]):
        assert SileroEndpointer(silence_ms=700).wait_ms(pauses_ms) == 700


def test_an_adaptive_one_waits_twice_the_usual_pause() -> None:
    one = SileroEndpointer(silence_ms=600, adaptive=True, shortest_ms=400, longest_ms=1_500)
    assert one.wait_ms([]) == 600
    # By hand: (300 + 500) / 2 = 400, and (400 + 700) / 2 = 550.
    assert one.wait_ms([500]) == 800
    assert one.wait_ms([500, 700]) == 1_100
    assert one.wait_ms([500] * 30) == 1_000
    assert one.wait_ms([700, 100]) != one.wait_ms([100, 700])


@pytest.mark.parametrize("pauses_ms", [[], [100], [900], [5_000] * 9, [96] * 9, [300, 800, 150]])
def test_an_adaptive_wait_keeps_its_bounds_and_never_shrinks_with_a_longer_pause(
    pauses_ms: list[int],
) -> None:
    one = SileroEndpointer(adaptive=True, shortest_ms=450, longest_ms=1_200)
    waits = [one.wait_ms([*pauses_ms, last_ms]) for last_ms in range(0, 4_000, 100)]
    assert waits == sorted(waits)
    assert all(450 <= wait_ms <= 1_200 for wait_ms in [one.wait_ms(pauses_ms), *waits])


def test_every_option_is_part_of_the_fingerprint() -> None:
    made = [
        SileroEndpointer(),
        SileroEndpointer(silence_ms=700),
        SileroEndpointer(threshold=0.6),
        SileroEndpointer(adaptive=True),
        SileroEndpointer(shortest_ms=300),
        SileroEndpointer(longest_ms=2_000),
        SileroEndpointer(min_speech_ms=0),
    ]
    assert len({each.fingerprint for each in made}) == len(made) == 1 + len(fields(SileroEndpointer))


def test_hearing_alike_depends_on_what_decides_what_is_speech_and_on_nothing_else() -> None:
    plain = SileroEndpointer().speech_fingerprint
    waits = SileroEndpointer(silence_ms=700, adaptive=True, shortest_ms=300, longest_ms=2_000)
    assert waits.speech_fingerprint == plain
    hears = [SileroEndpointer(threshold=0.6), SileroEndpointer(min_speech_ms=0)]
    assert len({plain, *(each.speech_fingerprint for each in hears)}) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, "threshold: must be above 0 and below 1, got 1"),
        ({"silence_ms": 0}, "silence_ms: must be 96 ms at least, got 0"),
        ({"shortest_ms": 95}, "shortest_ms: must be 96 ms at least, got 95"),
        ({"longest_ms": 32}, "longest_ms: must be 96 ms at least, got 32"),
        (
            {"shortest_ms": 900, "longest_ms": 800},
            "shortest_ms: must not exceed longest_ms, got 900 and 800",
        ),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentError, match=message):
        SileroEndpointer(**options)


def test_without_the_package_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(RegistryError, match=r"pip install 'voiceeval\[whisper\]'"):
        SileroEndpointer()
