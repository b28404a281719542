"""Both sides of a call as they sounded: every sample is where the events say."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceeval.audio import AudioClip, audible_span
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    AsideStarted,
    Call,
    CallerStarted,
    CallKey,
    Ending,
    Event,
    HungUp,
    KeyPressed,
    Usage,
)
from voiceeval.call_audio import RATE_HZ, duration_ms, played, playings, two_tracks
from voiceeval.errors import RunFolderError


@dataclass
class Shelf:
    """Clips by digest, in memory."""

    clips: dict[str, AudioClip] = field(default_factory=dict)

    def put(self, clip: AudioClip) -> str:
        self.clips[clip.digest()] = clip
        return clip.digest()

    def get(self, digest: str) -> AudioClip:
        if digest not in self.clips:
            raise RunFolderError("no such clip")
        return self.clips[digest]


def ramp(duration_ms: int, *, lead_ms: int = 0, rate_hz: int = RATE_HZ, first: int = 3_000) -> AudioClip:
    """Loud samples of which every one differs from its neighbours, after a silence."""
    loud = first + np.arange(duration_ms * rate_hz // 1000) % 20_000
    silence = np.zeros(lead_ms * rate_hz // 1000)
    return AudioClip(np.concatenate([silence, loud]).astype(np.int16), rate_hz)


def call(*events: Event, end_ms: int | None = None) -> Call:
    end = () if end_ms is None else (HungUp(at_ms=end_ms, turn=9, by="caller", reason="done"),)
    return Call(
        key=CallKey(scenario="s", caller="c", line="l", trial=0, arm=Arm.BASELINE),
        seed=1,
        events=(*events, *end),
        ending=Ending.COMPLETED,
        final_state={},
        usage=Usage(),
        cost=0.0,
    )


def says(audio: str, from_ms: int, *, at_ms: int | None = None, turn: int = 1) -> CallerStarted:
    return CallerStarted(
        at_ms=from_ms + 300 if at_ms is None else at_ms,
        turn=turn,
        text="words",
        script_turn=0,
        wording="text",
        audio=audio,
        audio_from_ms=from_ms,
    )


def coughs(audio: str, from_ms: int) -> AsideStarted:
    return AsideStarted(
        at_ms=from_ms + 300, turn=1, aside="cough", text="", audio=audio, audio_from_ms=from_ms
    )


def replies(audio: str, at_ms: int, *, offset_ms: int = 0) -> AgentStarted:
    return AgentStarted(at_ms=at_ms, turn=1, text="words", audio=audio, stage_ms=0, offset_ms=offset_ms)


def stops(at_ms: int, *, cut: bool = False) -> AgentStopped:
    return AgentStopped(at_ms=at_ms, turn=1, interrupted=cut)


def expected(length_ms: int, *parts: tuple[int, AudioClip]) -> list[int]:
    """Independent of the code: one millisecond after the other, the last clip that covers it."""
    track = [0] * (length_ms * 16)
    for from_ms, clip in parts:
        for number, sample in enumerate(clip.samples.tolist()):
            if 0 <= from_ms * 16 + number < len(track):
                track[from_ms * 16 + number] = sample
    return track


def test_a_clip_lies_where_the_line_delivered_it_and_elsewhere_is_silence() -> None:
    shelf, words = Shelf(), ramp(200, lead_ms=300)
    tracks = two_tracks(call(says(shelf.put(words), 150), end_ms=1_000), shelf)
    assert tracks.caller.samples.tolist() == expected(1_000, (150, words))
    assert not tracks.agent.samples.any()
    assert (tracks.caller.rate_hz, tracks.agent.rate_hz) == (RATE_HZ, RATE_HZ)


def test_a_reply_is_cut_where_it_was_cut() -> None:
    shelf, reply = Shelf(), ramp(900, lead_ms=120)
    digest = shelf.put(reply)
    tracks = two_tracks(call(replies(digest, 500), stops(777, cut=True), end_ms=2_000), shelf)
    assert tracks.agent.samples.tolist() == expected(2_000, (500, reply.part(120, 120 + 277)))
    assert tracks.agent.samples[777 * 16 - 1] != 0
    assert not tracks.agent.samples[777 * 16 :].any()


def test_a_reply_that_goes_on_goes_on_where_it_stopped() -> None:
    shelf, reply = Shelf(), ramp(900, lead_ms=120)
    digest = shelf.put(reply)
    stopped_and_went_on = call(
        replies(digest, 500),
        stops(777, cut=True),
        replies(digest, 1_500, offset_ms=277),
        stops(1_500 + 900 - 277),
        end_ms=4_000,
    )
    agent = two_tracks(stopped_and_went_on, shelf).agent.samples
    first, rest = agent[500 * 16 : 777 * 16], agent[1_500 * 16 : (1_500 + 623) * 16]
    np.testing.assert_array_equal(np.concatenate([first, rest]), reply.part(120, 1_020).samples)
    assert np.count_nonzero(agent) == 900 * 16
    assert [(playing.cut, playing.whole) for playing in playings(stopped_and_went_on)] == [
        (True, False),
        (False, False),
    ]


def test_a_later_clip_takes_over_from_its_first_sample() -> None:
    shelf = Shelf()
    long, short = ramp(500), ramp(100, first=9_000)
    events = (says(shelf.put(long), 100), coughs(shelf.put(short), 250))
    for order in (events, events[::-1]):
        caller = two_tracks(call(*order, end_ms=1_000), shelf).caller.samples.tolist()
        assert caller == expected(1_000, (100, long.part(0, 150)), (250, short))


def test_nothing_sounds_after_the_call_and_nothing_before_it() -> None:
    shelf, words = Shelf(), ramp(400)
    digest = shelf.put(words)
    tracks = two_tracks(
        call(says(digest, -100, at_ms=0), says(digest, 800), replies(digest, 900), end_ms=1_000), shelf
    )
    assert tracks.caller.samples.tolist() == expected(1_000, (-100, words), (800, words))
    assert tracks.agent.samples.tolist() == expected(1_000, (900, words))


def test_a_silent_turn_and_keys_have_no_sound() -> None:
    silent = says("", 0)
    tracks = two_tracks(call(silent, KeyPressed(at_ms=20, turn=2, key="1"), end_ms=40), Shelf())
    assert not tracks.caller.samples.any()
    assert len(tracks.caller.samples) == 40 * 16


def test_a_call_that_nobody_ended_lasts_until_its_last_event() -> None:
    shelf = Shelf()
    open_ended = call(replies(shelf.put(ramp(900)), 100), KeyPressed(at_ms=700, turn=1, key="1"))
    assert duration_ms(open_ended) == 700
    assert [(playing.end_ms, playing.cut) for playing in playings(open_ended)] == [(700, True)]
    assert np.count_nonzero(two_tracks(open_ended, shelf).agent.samples) == 600 * 16
    assert len(two_tracks(call(), shelf).caller.samples) == 0


@pytest.mark.parametrize("rate_hz", [8_000, 22_050])
def test_other_rates_are_brought_to_the_tracks_rate_in_place(rate_hz: int) -> None:
    shelf = Shelf()
    seconds = np.arange(rate_hz) / rate_hz
    tone = AudioClip.from_float(0.3 * np.sin(2 * np.pi * 440 * seconds), rate_hz)
    reply = AudioClip.join([AudioClip.silence(200, rate_hz), tone])
    digest = shelf.put(reply)
    made = call(says(digest, 400), replies(digest, 3_000), stops(3_600, cut=True), end_ms=5_000)
    tracks = two_tracks(made, shelf)
    assert audible_span(tracks.caller) == (600, 1_600)
    assert audible_span(tracks.agent) == (3_000, 3_600)
    for end_ms in range(3_600, 3_620):
        cut = call(replies(digest, 3_000), stops(end_ms, cut=True), end_ms=5_000)
        assert not two_tracks(cut, shelf).agent.samples[end_ms * 16 :].any()
    times = np.arange(16_000) / 16_000
    wanted = 0.3 * np.sin(2 * np.pi * 440 * times)
    heard = tracks.caller.as_float()[600 * 16 : 1_600 * 16]
    # Away from the ends, where the tone begins and stops, only the rounding to 16 bit differs.
    assert np.abs(heard - wanted)[400:-400].max() < 1e-3


@pytest.mark.parametrize("rate_hz", [8_000, 22_050])
@pytest.mark.parametrize("cut_ms", [333, 401, 577])
def test_a_cut_between_two_samples_of_a_clip_loses_and_repeats_nothing(rate_hz: int, cut_ms: int) -> None:
    shelf, reply = Shelf(), ramp(900, lead_ms=120, rate_hz=rate_hz)
    digest = shelf.put(reply)
    made = call(
        replies(digest, 500),
        stops(500 + cut_ms, cut=True),
        replies(digest, 2_000, offset_ms=cut_ms),
        stops(2_000 + 900 - cut_ms),
        end_ms=4_000,
    )
    agent = two_tracks(made, shelf).agent
    parts = [agent.part(500, 500 + cut_ms), agent.part(2_000, 2_000 + 900 - cut_ms)]
    whole = reply.resampled(RATE_HZ).part(120, 1_020)
    np.testing.assert_array_equal(AudioClip.join(parts).samples, whole.samples)


def test_a_clip_that_was_not_kept_is_said() -> None:
    with pytest.raises(RunFolderError):
        two_tracks(call(says("ab" * 32, 0), end_ms=10), Shelf())


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300), st.booleans()), max_size=6))
def test_what_was_played_lies_between_start_and_stop_and_nowhere_else(
    plan: list[tuple[int, int, bool]],
) -> None:
    shelf, reply = Shelf(), ramp(300, lead_ms=50)
    digest = shelf.put(reply)
    events: list[Event] = []
    now_ms, sounding = 0, np.zeros(16 * 4_000, dtype=bool)
    for pause_ms, play_ms, cut in plan:
        now_ms += pause_ms
        events += [replies(digest, now_ms), stops(now_ms + play_ms, cut=cut)]
        sounding[now_ms * 16 : (now_ms + play_ms) * 16] = True
        now_ms += play_ms
    agent = two_tracks(call(*events, end_ms=4_000), shelf).agent.samples
    np.testing.assert_array_equal(agent != 0, sounding)


def test_what_was_played_of_a_reply_is_the_same_alone_and_on_the_track() -> None:
    shelf, reply = Shelf(), ramp(900, lead_ms=120)
    made = call(replies(shelf.put(reply), 500, offset_ms=40), stops(777, cut=True), end_ms=2_000)
    [playing] = playings(made)
    alone = played(reply, playing)
    assert alone.duration_ms == 277
    on_track = two_tracks(made, shelf).agent.part(500, 777)
    np.testing.assert_array_equal(alone.samples, on_track.samples)
    assert alone.samples[0] == reply.samples[160 * 16]
