from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voiceeval.assembly import _peculiarities
from voiceeval.audio import AudioClip, audible_span
from voiceeval.errors import AudioError, HarnessError
from voiceeval.kept import KeptStages
from voiceeval.result_store import ResultStore
from voiceeval.scenario import Caller, Hesitation
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


def test_a_hesitation_comes_after_its_words_and_instead_of_the_usual_pause(tmp_path: Path) -> None:
    cast = voices(tmp_path, {("anna", "phone"): 300})
    pause = Hesitation(after_words=1, ms=450)
    for line in ("quiet", "phone"):
        sound = cast.speak(
            "one two three four five six",
            scenario="s",
            caller="anna",
            line=line,
            recorded_turn=0,
            hesitation=pause,
        )
        assert sound.last_ms - sound.first_ms == 600 + 450
        silent = sound.read().part(sound.first_ms + 100, sound.first_ms + 550)
        assert audible_span(silent) == (0, 0)


def test_a_hesitation_is_heard_in_a_turn_too_short_for_the_usual_pause(tmp_path: Path) -> None:
    sound = voices(tmp_path).speak(
        "four one",
        scenario="s",
        caller="anna",
        line="l",
        recorded_turn=0,
        hesitation=Hesitation(after_words=1, ms=90),
    )
    assert sound.last_ms - sound.first_ms == 290


def test_a_recording_is_played_without_a_hesitation(tmp_path: Path) -> None:
    recording = tmp_path / "turn.wav"
    recording.write_bytes(tone(770).encode("wav"))
    cast = voices(tmp_path, recordings={("s", "anna", 0): recording})
    pause = Hesitation(after_words=1, ms=450)
    sound = cast.speak("a b", scenario="s", caller="anna", line="l", recorded_turn=0, hesitation=pause)
    assert sound.read().digest() == tone(770).digest()


class Hisser(Hummer):
    """White noise, 100 ms a word."""

    fingerprint = "hisser"

    def synthesize(self, text: str) -> AudioClip:
        noise = np.random.default_rng(0).standard_normal(len(text.split()) * 16_000)
        return AudioClip.from_float(0.1 * noise, 16_000)


def power_db(clip: AudioClip, low_hz: int, high_hz: int) -> float:
    power = np.abs(np.fft.rfft(clip.as_float())) ** 2
    hz = np.fft.rfftfreq(len(clip.samples), 1 / clip.rate_hz)
    return 10 * float(np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum()))


def test_side_talk_is_the_callers_own_voice_without_its_highs(tmp_path: Path) -> None:
    cast = CallerVoices(
        synthesizers={"anna": Hisser()}, pauses_ms={}, recordings={}, kept=KeptStages(ResultStore(tmp_path))
    )
    near, away = (
        cast.aside(kind, "in a moment", caller="anna", line="l", scenario="s").read()
        for kind in ("back_channel", "side_talk")
    )
    assert near.digest() == Hisser().synthesize("in a moment").digest()
    assert away.duration_ms == near.duration_ms
    lost_db = [
        power_db(near, *band) - power_db(away, *band) for band in ((100, 500), (1_400, 1_600), (3_800, 4_200))
    ]
    # A first-order low-pass: 10 log10(1 + (f / 1500)²), a little more near half the sampling rate.
    assert lost_db[0] < 0.6
    assert lost_db[1] == pytest.approx(3.0, abs=0.3)
    assert 9 < lost_db[2] < 12


def test_a_cough_begins_with_a_burst_dies_away_and_is_everybodys_own(tmp_path: Path) -> None:
    cast = voices(tmp_path)
    made = {
        name: cast.aside("cough", "", caller=name, line="l", scenario="s").read()
        for name in ("anna", "bert", "carl")
    }
    assert len({clip.digest() for clip in made.values()}) == 3
    again = voices(tmp_path / "elsewhere").aside("cough", "", caller="anna", line="other", scenario="t")
    assert again.digest == made["anna"].digest()
    for clip in made.values():
        assert clip.rate_hz == 16_000
        assert 230 <= clip.duration_ms <= 360
        loudness = [float(np.mean(clip.part(at, at + 40).as_float() ** 2)) for at in (0, 80, 160)]
        assert loudness[0] > 2 * loudness[1] > 4 * loudness[2] > 0
        # Broad: neither a tone nor rumble, and mostly within the telephone band.
        assert power_db(clip, 300, 3_400) > power_db(clip, 0, 300) + 3
        assert power_db(clip, 2_000, 5_000) > power_db(clip, 0, 8_000) - 15


def test_somebody_without_a_voice_can_cough_and_not_speak_aside(tmp_path: Path) -> None:
    cast = voices(tmp_path)
    assert cast.aside("cough", "", caller="bert", line="l", scenario="s").duration_ms > 200
    with pytest.raises(
        HarnessError, match="caller 'bert' has no voice, and no recordings of asides"
    ) as caught:
        cast.aside("back_channel", "uh huh", caller="bert", line="l", scenario="s")
    assert "uh huh" not in str(caught.value)


def test_a_second_run_computes_no_aside_again(tmp_path: Path) -> None:
    heard: list[str] = []

    class Counted(Hummer):
        fingerprint = "counted"

        def synthesize(self, text: str) -> AudioClip:
            heard.append(text)
            return super().synthesize(text)

    store = ResultStore(tmp_path)
    cast = CallerVoices(synthesizers={"anna": Counted()}, pauses_ms={}, recordings={}, kept=KeptStages(store))
    for _ in range(3):
        cast.aside("side_talk", "one moment", caller="anna", line="l", scenario="s")
    assert heard == ["one moment"]


def test_a_synthesizer_hears_of_accent_and_tract_only_if_the_caller_has_them() -> None:
    """Synthesizers of other people need not have these options."""

    def options(**more: object) -> dict[str, object]:
        return _peculiarities(Caller.model_validate({"id": "a", "accent": "x", "voice": "v", **more}))

    assert options() == {}
    assert options(first_language="es") == {}
    assert options(tract=1.1) == {"tract": 1.1}
    accent = {"first_language": "es", "accent_strength": 0.5}
    assert options(**accent) == accent
    assert options(**accent, tract=0.9) == accent | {"tract": 0.9}
