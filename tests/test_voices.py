from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voiceeval.audio import AudioClip
from voiceeval.errors import AudioError, HarnessError
from voiceeval.kept import KeptStages, audible_span
from voiceeval.result_store import ResultStore
from voiceeval.voices import CallerVoices

RATE_HZ = 8000


def tone(duration_ms: int) -> AudioClip:
    seconds = np.arange(duration_ms * RATE_HZ // 1000) / RATE_HZ
    return AudioClip.from_float(0.3 * np.sin(2 * np.pi * 440 * seconds), RATE_HZ)


class Hummer:
    """100 ms a word, between 40 ms of silence on both sides."""

    fingerprint = "hummer"

    def synthesize(self, text: str) -> AudioClip:
        quiet = AudioClip.silence(40, RATE_HZ)
        return AudioClip.join([quiet, tone(100 * len(text.split())), quiet])


def voices(
    folder: Path,
    pauses: dict[tuple[str, str], int] | None = None,
    recordings: dict[tuple[str, str, int], Path] | None = None,
) -> CallerVoices:
    return CallerVoices(
        synthesizers={"anna": Hummer()},
        pauses_ms=pauses or {},
        recordings=recordings or {},
        kept=KeptStages(ResultStore(folder)),
    )


def test_a_pause_in_the_middle_lengthens_a_turn_by_itself(tmp_path: Path) -> None:
    cast = voices(tmp_path, {("anna", "phone"): 300})
    plain = cast.speak("one two three four five", scenario="s", caller="anna", line="quiet", recorded_turn=0)
    paused = cast.speak("one two three four five", scenario="s", caller="anna", line="phone", recorded_turn=0)
    assert plain.last_ms - plain.first_ms == 500
    assert paused.last_ms - paused.first_ms == 800
    middle = paused.read().part(paused.first_ms + 200, paused.first_ms + 500)
    assert audible_span(middle) == (0, 0)


def test_nobody_pauses_in_a_short_answer(tmp_path: Path) -> None:
    cast = voices(tmp_path, {("anna", "phone"): 300})
    sound = cast.speak("yes please do", scenario="s", caller="anna", line="phone", recorded_turn=0)
    assert sound.last_ms - sound.first_ms == 300


def test_a_recording_of_the_turn_comes_before_the_voice_and_a_repair_is_spoken(tmp_path: Path) -> None:
    recording = tmp_path / "turn.wav"
    recording.write_bytes(tone(770).encode("wav"))
    cast = voices(tmp_path, recordings={("s", "anna", 0): recording})
    assert cast.speak("a b", scenario="s", caller="anna", line="l", recorded_turn=0).duration_ms == 770
    assert cast.speak("a b", scenario="s", caller="anna", line="l", recorded_turn=None).duration_ms == 280


def test_a_recording_for_anyone_serves_a_caller_without_one_of_their_own(tmp_path: Path) -> None:
    recording = tmp_path / "turn.wav"
    recording.write_bytes(tone(330).encode("wav"))
    cast = voices(tmp_path, recordings={("s", "", 1): recording})
    assert cast.speak("a b", scenario="s", caller="bert", line="l", recorded_turn=1).duration_ms == 330


def test_a_caller_without_voice_or_recording_is_trouble_of_ours(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="caller 'bert' has no voice, and no recording of this turn"):
        voices(tmp_path).speak("private words", scenario="s", caller="bert", line="l", recorded_turn=0)


def test_a_recording_that_was_damaged_since_is_named(tmp_path: Path) -> None:
    recording = tmp_path / "turn.wav"
    recording.write_bytes(b"RIFF????")
    cast = voices(tmp_path, recordings={("s", "anna", 0): recording})
    with pytest.raises(AudioError, match=r"turn\.wav: not readable as audio"):
        cast.speak("a b", scenario="s", caller="anna", line="l", recorded_turn=0)
