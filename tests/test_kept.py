from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from voiceeval.audio import AudioClip, audible_span
from voiceeval.call import Damage
from voiceeval.errors import HarnessError
from voiceeval.kept import KeptStages, NonsenseError, Piece, Sound
from voiceeval.protocols import Delivered, Recognition, Span
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

    def __init__(self) -> None:
        self.carried = 0

    def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
        self.carried += 1
        return Delivered(audio=audio, damage=Damage(duration_ms=audio.duration_ms, packets=seed))


class Loud:
    """Hears speech from the first sound to the last."""

    def __init__(self, fingerprint: str, speech_fingerprint: str = "") -> None:
        self.fingerprint = fingerprint
        if speech_fingerprint:
            self.speech_fingerprint = speech_fingerprint
        self.asked = 0

    def speech(self, audio: AudioClip) -> tuple[Span, ...]:
        self.asked += 1
        first_ms, last_ms = audible_span(audio)
        return (Span(start_ms=first_ms, end_ms=last_ms),)

    def wait_ms(self, pauses_ms: Sequence[int]) -> int:
        return 600


def up_to(sound: Sound, end_ms: int) -> list[Piece]:
    return [Piece(sound=sound, from_ms=0, to_ms=end_ms)]


@pytest.fixture
def kept(tmp_path: Path) -> KeptStages:
    return KeptStages(ResultStore(tmp_path))


def test_the_same_text_is_spoken_once_and_the_same_sound_recognised_once(kept: KeptStages) -> None:
    beeper, recognizer = Beeper(), CountingRecognizer("counting")
    sounds = [kept.speak(beeper, "hello", part="voice") for _ in range(3)]
    texts = {kept.transcribe(recognizer, up_to(sound, 150)).text for sound in sounds}
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
        kept.transcribe(recognizer, up_to(sound, 100))
    assert len(recognizer.heard_ms) == 3


def test_another_fingerprint_or_another_cut_is_another_question(kept: KeptStages) -> None:
    sound = kept.speak(Beeper(), "hello", part="voice")
    one, two = CountingRecognizer("one"), CountingRecognizer("two")
    kept.transcribe(one, up_to(sound, 100))
    kept.transcribe(one, up_to(sound, 120))
    kept.transcribe(two, up_to(sound, 100))
    assert (one.heard_ms, two.heard_ms) == ([100, 120], [100])


def test_the_line_carries_the_lead_and_the_tail_too(kept: KeptStages) -> None:
    clean = kept.speak(Beeper(), "hello", part="voice")
    delivered = kept.carry(Straight(), clean, lead_ms=300, tail_ms=500, seed=1).sound
    assert delivered.duration_ms == clean.duration_ms + 800
    assert delivered.first_ms == clean.first_ms + 300


def test_what_the_line_did_is_kept_with_what_it_delivered(kept: KeptStages) -> None:
    line = Straight()
    clean = kept.speak(Beeper(), "hello", part="voice")
    first, again, other = (kept.carry(line, clean, lead_ms=0, tail_ms=0, seed=seed) for seed in (7, 7, 8))
    assert first.damage == again.damage == Damage(duration_ms=clean.duration_ms, packets=7)
    assert other.damage.packets == 8
    assert line.carried == 2


def test_pieces_are_heard_one_after_the_other(kept: KeptStages) -> None:
    recognizer = CountingRecognizer("counting")
    one, two = (kept.speak(Beeper(), text, part="voice") for text in ("hello", "goodbye"))
    pieces = [Piece(sound=one, from_ms=100, to_ms=150), Piece(sound=two, from_ms=90, to_ms=120)]
    assert kept.transcribe(recognizer, pieces).text == "80"
    assert kept.transcribe(recognizer, pieces[::-1]).text == "80"
    kept.transcribe(recognizer, pieces)
    assert recognizer.heard_ms == [80, 80]


def test_speech_is_shared_by_those_who_hear_alike_and_else_by_no_one(kept: KeptStages) -> None:
    sound = kept.speak(Beeper(), "hello", part="voice")
    hasty, patient = Loud("hasty", "ears"), Loud("patient", "ears")
    assert kept.speech(hasty, sound) == kept.speech(patient, sound) == (Span(start_ms=100, end_ms=150),)
    assert (hasty.asked, patient.asked) == (1, 0)
    apart = [Loud("one"), Loud("two"), Loud(""), Loud("")]
    for _ in range(2):
        for listener in apart:
            kept.speech(listener, sound)
    assert [listener.asked for listener in apart] == [1, 1, 2, 2]


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
    class Late(Loud):
        def speech(self, audio: AudioClip) -> tuple[Span, ...]:
            return (Span(start_ms=0, end_ms=audio.duration_ms + 1),)

    sound = kept.speak(Beeper(), "hello", part="voice")
    for _ in range(2):
        with pytest.raises(NonsenseError, match="spans in order and within the clip"):
            kept.speech(Late("late"), sound)


@pytest.mark.parametrize(
    "heard",
    [
        (Span(start_ms=50, end_ms=20),),
        (Span(start_ms=50, end_ms=80), Span(start_ms=10, end_ms=20)),
        (Span(start_ms=-10, end_ms=20),),
    ],
    ids=["backwards", "out of order", "before the clip"],
)
def test_speech_out_of_order_is_nonsense(kept: KeptStages, heard: tuple[Span, ...]) -> None:
    class Confused(Loud):
        def speech(self, audio: AudioClip) -> tuple[Span, ...]:
            return heard

    sound = kept.speak(Beeper(), "hello", part="voice")
    with pytest.raises(NonsenseError, match="spans in order and within the clip"):
        kept.speech(Confused("confused"), sound)


@pytest.mark.parametrize("end_ms", [32.5, np.int64(32)])
def test_speech_that_is_no_whole_milliseconds_is_nonsense(kept: KeptStages, end_ms: int) -> None:
    class Framed(Loud):
        def speech(self, audio: AudioClip) -> tuple[Span, ...]:
            return (Span(start_ms=0, end_ms=end_ms),)

    sound = kept.speak(Beeper(), "hello", part="voice")
    with pytest.raises(NonsenseError, match="spans of whole milliseconds"):
        kept.speech(Framed(""), sound)


def test_a_lead_below_nothing_leaves_out_the_beginning(kept: KeptStages) -> None:
    """A recording with more silence in front than fits on the line: the words come no later for it."""
    clean = kept.speak(Beeper(), "hello", part="voice")
    whole, late = (kept.carry(Straight(), clean, lead_ms=lead_ms, tail_ms=0, seed=1) for lead_ms in (0, -70))
    assert late.sound.first_ms == clean.first_ms - 70
    assert late.sound.read().digest() == whole.sound.read().part(70, whole.sound.duration_ms).digest()
