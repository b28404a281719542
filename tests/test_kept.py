from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voiceeval.audio import AudioClip
from voiceeval.errors import HarnessError
from voiceeval.kept import KeptStages, NonsenseError, audible_span
from voiceeval.protocols import Endpoint, Recognition
from voiceeval.result_store import ResultStore

RATE_HZ = 8000


def tone(duration_ms: int, amplitude: float = 0.3) -> AudioClip:
    seconds = np.arange(duration_ms * RATE_HZ // 1000) / RATE_HZ
    return AudioClip.from_float(amplitude * np.sin(2 * np.pi * 440 * seconds), RATE_HZ)


class Beeper:
    fingerprint = "beeper"

    def __init__(self) -> None:
        self.asked = 0

    def synthesize(self, text: str) -> AudioClip:
        self.asked += 1
        return AudioClip.join(
            [AudioClip.silence(100, RATE_HZ), tone(10 * len(text)), AudioClip.silence(50, RATE_HZ)]
        )


class CountingRecognizer:
    def __init__(self, fingerprint: str = "") -> None:
        if fingerprint:
            self.fingerprint = fingerprint
        self.heard_ms: list[int] = []

    def transcribe(self, audio: AudioClip) -> Recognition:
        self.heard_ms.append(audio.duration_ms)
        return Recognition(text=f"{audio.duration_ms}")


class Straight:
    fingerprint = "straight"

    def carry(self, audio: AudioClip, *, seed: int) -> AudioClip:
        return audio


@pytest.fixture
def kept(tmp_path: Path) -> KeptStages:
    return KeptStages(ResultStore(tmp_path))


def test_the_audible_span_leaves_out_silence_on_both_sides() -> None:
    clip = AudioClip.join([AudioClip.silence(120, RATE_HZ), tone(300), AudioClip.silence(80, RATE_HZ)])
    assert audible_span(clip) == (120, 420)


def test_dither_is_not_audible() -> None:
    noise = np.random.default_rng(1).normal(0, 1e-3, RATE_HZ)
    assert audible_span(AudioClip.from_float(noise, RATE_HZ)) == (0, 0)


def test_the_same_text_is_spoken_once_and_the_same_sound_recognised_once(kept: KeptStages) -> None:
    beeper, recognizer = Beeper(), CountingRecognizer("counting")
    sounds = [kept.speak(beeper, "hello", part="voice") for _ in range(3)]
    texts = {kept.transcribe(recognizer, sound, heard_ms=150).text for sound in sounds}
    assert beeper.asked == 1
    assert texts == {"150"}
    assert recognizer.heard_ms == [150]


def test_a_second_process_finds_what_the_first_one_kept(tmp_path: Path) -> None:
    first = ResultStore(tmp_path)
    spoken = KeptStages(first).speak(Beeper(), "hello", part="voice")
    first.close()
    again = Beeper()
    sound = KeptStages(ResultStore(tmp_path)).speak(again, "hello", part="voice")
    assert (sound.digest, sound.first_ms, sound.last_ms) == (spoken.digest, 100, 150)
    assert again.asked == 0


def test_a_stage_without_a_fingerprint_is_asked_every_time(kept: KeptStages) -> None:
    recognizer = CountingRecognizer()
    sound = kept.speak(Beeper(), "hello", part="voice")
    for _ in range(3):
        kept.transcribe(recognizer, sound, heard_ms=100)
    assert len(recognizer.heard_ms) == 3


def test_another_fingerprint_or_another_cut_is_another_question(kept: KeptStages) -> None:
    sound = kept.speak(Beeper(), "hello", part="voice")
    one, two = CountingRecognizer("one"), CountingRecognizer("two")
    kept.transcribe(one, sound, heard_ms=100)
    kept.transcribe(one, sound, heard_ms=120)
    kept.transcribe(two, sound, heard_ms=100)
    assert (one.heard_ms, two.heard_ms) == ([100, 120], [100])


def test_the_line_carries_the_lead_and_the_tail_too(kept: KeptStages) -> None:
    clean = kept.speak(Beeper(), "hello", part="voice")
    delivered = kept.carry(Straight(), clean, lead_ms=300, tail_ms=500, seed=1)
    assert delivered.duration_ms == clean.duration_ms + 800
    assert delivered.first_ms == clean.first_ms + 300


def test_a_clip_that_was_lost_is_made_again(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    kept = KeptStages(store)
    beeper = Beeper()
    sound = kept.speak(beeper, "hello", part="voice")
    store.audio.path(sound.digest).unlink()
    again = kept.speak(beeper, "hello", part="voice")
    assert again.read().digest() == sound.digest


def test_a_stage_that_breaks_its_promise_is_reported(tmp_path: Path) -> None:
    class Drifting(Beeper):
        def synthesize(self, text: str) -> AudioClip:
            self.asked += 1
            return tone(100 + self.asked)

    store = ResultStore(tmp_path)
    kept = KeptStages(store)
    sound = kept.speak(Drifting(), "hello", part="voice")
    store.audio.path(sound.digest).unlink()
    with pytest.raises(HarnessError, match="states a fingerprint made different audio"):
        sound.read()


def test_nonsense_is_an_error_and_is_not_kept(kept: KeptStages) -> None:
    class Late:
        fingerprint = "late"

        def endpoint(self, audio: AudioClip) -> Endpoint:
            return Endpoint(at_ms=audio.duration_ms + 1, reason="silence")

    sound = kept.speak(Beeper(), "hello", part="voice")
    for _ in range(2):
        with pytest.raises(NonsenseError, match="a moment within the clip"):
            kept.endpoint(Late(), sound)
