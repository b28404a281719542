"""How far the bundled model is from the truth: the figures of its card, with bounds, on fewer calls."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from figures import HEADER, Figures, digit_calls, figures, row, seen_calls, unseen_calls

from voiceeval.audio import AudioClip
from voiceeval.diarization import who_spoke_when
from voiceeval.protocols import Span

CALLS = 10


def told(name: str, result: Figures) -> Figures:
    print(f"\n{HEADER}\n{row(name, result)}")
    return result


def test_it_keeps_its_bounds_between_voices_heard_in_training(model: str) -> None:
    result = told("voices heard in training", figures(seen_calls(CALLS), model))
    assert result.detection_error < 0.05
    assert result.overlap_f1 > 0.7
    assert result.diarization_error < 0.3
    assert result.onset_error_ms[0] < 60


def test_it_keeps_its_bounds_between_voices_not_heard_in_training(model: str) -> None:
    result = told("other voices", figures(unseen_calls(CALLS), model))
    assert result.detection_error < 0.06
    assert result.overlap_f1 > 0.6
    assert result.diarization_error < 0.35
    assert result.onset_error_ms[0] < 60


def test_it_finds_most_of_the_speech_of_people_whom_no_synthesizer_made(
    model: str, real_speech: Path
) -> None:
    result = told("people saying digits", figures(digit_calls(real_speech, CALLS), model))
    assert result.detection_error < 0.12


def test_on_a_speech_of_1961_it_agrees_with_a_detector_trained_on_people(
    model: str, real_speech: Path
) -> None:
    pytest.importorskip("faster_whisper")
    from voiceeval.stages.silero import speech_spans

    samples, rate_hz = soundfile.read(real_speech / "jfk.flac", always_2d=True)
    speech = AudioClip.from_float(samples.mean(axis=1), rate_hz)
    found = who_spoke_when(speech, model=model)
    ours = covered(found.speech, speech.duration_ms)
    theirs = covered(speech_spans(speech), speech.duration_ms)
    agree = sum(one == other for one, other in zip(ours, theirs, strict=True)) / len(ours)
    shares = sorted(
        (sum(covered(spans, speech.duration_ms)) for spans in found.speakers.values()), reverse=True
    )
    print(
        f"\njfk.flac: agrees with Silero in {agree:.1%} of the time; the speaker most heard has "
        f"{shares[0] / sum(shares):.1%} of the speech"
    )
    assert agree > 0.85


def covered(spans: tuple[Span, ...], duration_ms: int) -> list[bool]:
    """Every 10 ms of a clip."""
    grid = [False] * (duration_ms // 10 + 1)
    for span in spans:
        for index in range(span.start_ms // 10, span.end_ms // 10):
            grid[index] = True
    return grid
