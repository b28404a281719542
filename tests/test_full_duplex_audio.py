"""Calls with real samples: what the record says is what was on the line, and what was played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_calls import some_agent, some_scenario
from rooms import kinds

from voiceeval.audio import AudioClip, audible_span
from voiceeval.call import Arm, Call, CallKey, Damage, Ending
from voiceeval.call_audio import RATE_HZ, playings, two_tracks
from voiceeval.engines.cascade import Cascade
from voiceeval.engines.medium import TAIL_MS
from voiceeval.kept import KeptStages
from voiceeval.protocols import Delivered, Recognition, Span
from voiceeval.result_store import ResultStore
from voiceeval.scenario import Scenario
from voiceeval.voices import CallerVoices

KEY = CallKey(scenario="s", caller="c", line="l", trial=0, arm=Arm.CANDIDATE)
CALLS = 24


@dataclass
class Tones:
    """Says a word as 100 ms of a tone of its own, after some silence."""

    first_hz: int
    lead_ms: int
    fingerprint: str = ""

    def __post_init__(self) -> None:
        self.fingerprint = f"tones {self.first_hz} {self.lead_ms}"

    def synthesize(self, text: str) -> AudioClip:
        at = np.arange(RATE_HZ // 10) / RATE_HZ
        hz = [self.first_hz + 20 * (len(word) + ord(word[0]) % 7) for word in text.split()]
        tones = [AudioClip.from_float(0.3 * np.sin(2 * np.pi * each * at), RATE_HZ) for each in hz]
        return AudioClip.join(
            [AudioClip.silence(self.lead_ms, RATE_HZ), *tones, AudioClip.silence(80, RATE_HZ)]
        )


class QuietLine:
    """Delivers what was spoken over a noise that is too quiet to be audible."""

    fingerprint = "quiet line"

    def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
        noise = np.random.default_rng(seed).integers(-9, 10, size=len(audio.samples))
        mixed = np.clip(audio.samples.astype(np.int32) + noise, -32768, 32767).astype(np.int16)
        return Delivered(audio=AudioClip(mixed, audio.rate_hz), damage=Damage(samples=len(mixed)))


class Threshold:
    """Hears speech where 10 ms are audible, and goes on hearing it for 40 ms more."""

    fingerprint = "threshold"

    def speech(self, audio: AudioClip) -> tuple[Span, ...]:
        whole = audio.samples[: len(audio.samples) // 160 * 160].astype(float).reshape(-1, 160)
        found: list[Span] = []
        for number in np.flatnonzero(np.sqrt((whole**2).mean(axis=1)) > 300).tolist():
            start, end = 10 * number, min(10 * number + 50, audio.duration_ms)
            if found and found[-1].end_ms >= start:
                found[-1] = replace(found[-1], end_ms=end)
            else:
                found.append(Span(start_ms=start, end_ms=end))
        return tuple(found)

    def wait_ms(self, pauses_ms: Sequence[int]) -> int:
        return 400


@dataclass
class Measure:
    """Writes down how long it was on; a recognizer without a fingerprint is asked each time."""

    heard: list[AudioClip] = field(default_factory=list)

    def transcribe(self, audio: AudioClip) -> Recognition:
        self.heard.append(audio)
        return Recognition(text="yes" if audible_span(audio) != (0, 0) else "")


@dataclass(frozen=True)
class Placed:
    story: Scenario
    call: Call
    measure: Measure
    kept: KeptStages


def place(
    seed: int,
    folder: Path,
    *,
    caller_lead_ms: int = 60,
    endpointer: Any = Threshold(),  # noqa: B008
    line: Any = QuietLine(),  # noqa: B008
) -> Placed:
    rng = np.random.default_rng([23, seed])
    story = some_scenario(rng)
    made, _ = some_agent(rng)
    measure = Measure()
    made = replace(made, recognizer=measure, endpointer=endpointer, synthesizer=Tones(900, 130))
    kept = KeptStages(ResultStore(folder))
    voices = CallerVoices(
        synthesizers={"c": Tones(300, caller_lead_ms)}, pauses_ms={}, recordings={}, kept=kept
    )
    engine = Cascade(voices=voices, lines={"l": line}, far_lines={"l": line}, kept=kept)
    return Placed(story, engine.place(story, made, key=KEY, seed=seed), measure, kept)


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> list[Placed]:
    folder = tmp_path_factory.mktemp("kept")
    return [place(seed, folder) for seed in range(CALLS)]


def loud(clip: AudioClip) -> Any:
    """For every millisecond, whether anything at all is in it."""
    whole = clip.samples[: len(clip.samples) // 16 * 16].reshape(-1, 16)
    return np.abs(whole).max(axis=1) > 0


def test_the_agents_track_has_what_was_played_and_nothing_after_a_cut(placed: list[Placed]) -> None:
    cuts = 0
    for one in placed:
        track = loud(two_tracks(one.call, one.kept.results.audio).agent)
        expected = np.zeros(len(track), dtype=bool)
        for playing in playings(one.call):
            expected[playing.started.at_ms : playing.end_ms] = True
            cuts += playing.cut
        assert not track[~expected].any()
        # A tone passes through nought now and then, and the very start of one may be quiet.
        assert track[expected].sum() >= 0.95 * expected.sum()
    assert cuts >= 5


def test_the_callers_track_is_audible_from_start_to_stop(placed: list[Placed]) -> None:
    for one in placed:
        track = two_tracks(one.call, one.kept.results.audio).caller
        starts = [event for event in kinds(one.call, "caller_started", "aside_started") if event.audio]
        stops = kinds(one.call, "caller_stopped", "aside_stopped")
        for started, stopped in zip(starts, stops, strict=True):
            part = track.part(started.at_ms, stopped.at_ms)
            first_ms, last_ms = audible_span(part)
            assert (first_ms, part.duration_ms - last_ms <= 10) == (0, True)
            assert audible_span(track.part(started.audio_from_ms, started.at_ms)) == (0, 0)


def test_the_recognizer_gets_as_much_audio_as_the_record_says(placed: list[Placed]) -> None:
    for one in placed:
        got = [clip.duration_ms for clip in one.measure.heard]
        stated = [event.heard_ms for event in kinds(one.call, "end_of_turn") if event.heard_ms]
        assert sum(got) == one.call.usage.audio_in_ms
        left = iter(got)  # what was looked at to count words comes in between
        assert all(heard in left for heard in stated)


def test_the_damage_of_a_call_is_that_of_its_sounds(placed: list[Placed]) -> None:
    for one in placed:
        sounds = [event.audio for event in kinds(one.call, "caller_started", "aside_started") if event.audio]
        lengths = [len(one.kept.results.audio.get(digest).samples) for digest in sounds]
        assert one.call.damage.samples == sum(lengths)


def test_a_second_run_gives_the_same_calls(placed: list[Placed], tmp_path: Path) -> None:
    for seed in range(0, CALLS, 6):
        assert place(seed, tmp_path).call == placed[seed].call


@pytest.mark.parametrize("answer", [-1, 400.0, None])
def test_an_end_pointer_that_waits_for_no_whole_milliseconds_has_failed(answer: Any, tmp_path: Path) -> None:
    class Odd(Threshold):
        def wait_ms(self, pauses_ms: Sequence[int]) -> int:
            return answer  # type: ignore[no-any-return]

    call = place(2, tmp_path, endpointer=Odd()).call
    assert call.ending is Ending.AGENT_FAILED
    assert call.failure == "endpointing: wait_ms did not return whole milliseconds"


def test_an_end_pointer_that_fails_on_noise_alone_has_failed_and_a_line_that_does_is_ours(
    tmp_path: Path,
) -> None:
    class Shy(Threshold):
        fingerprint = ""

        def speech(self, audio: AudioClip) -> tuple[Span, ...]:
            raise ValueError("4129")

    class Broken(QuietLine):
        fingerprint = ""

        def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
            raise ValueError("4129")

    call = place(0, tmp_path, endpointer=Shy()).call
    assert (call.ending, "endpointing: ValueError at" in call.failure) == (Ending.AGENT_FAILED, True)
    call = place(0, tmp_path, line=Broken()).call
    assert (call.ending, "4129" in call.failure) == (Ending.HARNESS_FAILED, False)


def test_a_recording_with_a_long_silence_in_front_is_said_when_it_is_due(tmp_path: Path) -> None:
    """The silence is no part of the caller's time to answer, and covers nothing that was said before."""
    for seed in range(4):
        late, soon = place(seed, tmp_path / "a", caller_lead_ms=3000), place(seed, tmp_path / "b")
        times = [
            [(event.at_ms, event.kind) for event in one.call.events if event.kind.startswith("caller")]
            for one in (late, soon)
        ]
        assert times[0] == times[1]
        for started in kinds(late.call, "caller_started"):
            assert not started.audio or 0 <= started.at_ms - started.audio_from_ms <= 300
            clip = late.kept.results.audio.get(started.audio) if started.audio else None
            assert clip is None or clip.duration_ms >= TAIL_MS
