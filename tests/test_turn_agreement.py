"""Who speaks when by a call's events, and by its audio: two tracks and a voice activity detector on each."""

from __future__ import annotations

import pytest
from real_turns import Heard, agreement, place_calls, scores_side_by_side, table

for package in ("pocketsphinx", "espeakng_loader", "faster_whisper"):
    pytest.importorskip(package)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Heard]:
    return place_calls(tmp_path_factory.mktemp("turns"))


def on_line(calls: list[Heard], line: str) -> list[Heard]:
    return [one for one in calls if one.call.key.line == line]


def test_the_calls_have_what_is_to_be_found_in_them(calls: list[Heard]) -> None:
    for one in calls:
        kinds = {event.kind for event in one.call.events}
        assert {"caller_started", "aside_started", "agent_started", "hung_up"} <= kinds
        assert any(getattr(event, "interrupted", False) for event in one.call.events)


def test_on_a_clean_line_two_channels_and_a_detector_tell_what_the_events_say(calls: list[Heard]) -> None:
    from voiceeval.stages.silero import speech_spans

    clean = on_line(calls, "wideband")
    found = [(speech_spans(one.tracks.caller), speech_spans(one.tracks.agent)) for one in clean]
    result = agreement("two channels, clean line", clean, found)
    print(f"\n{result}")  # noqa: T201  (shown with -s, and when it fails)
    assert result.missed == 0
    onset, offset = (sorted(map(abs, errors)) for errors in (result.onsets_ms, result.offsets_ms))
    # Three of the detector's frames of 32 ms, and five for one utterance in ten.
    for errors in (onset, offset):
        assert errors[len(errors) // 2] <= 96
        assert errors[len(errors) * 9 // 10] <= 160
    assert result.talk_over_shared_ms >= 0.75 * result.talk_over_ms
    assert abs(result.talk_over_found_ms - result.talk_over_ms) <= 0.25 * result.talk_over_ms


def test_on_a_noisy_telephone_no_utterance_is_missed_however_soft_it_begins(calls: list[Heard]) -> None:
    from voiceeval.stages.silero import speech_spans

    noisy = on_line(calls, "telephone")
    found = [(speech_spans(one.tracks.caller), speech_spans(one.tracks.agent)) for one in noisy]
    result = agreement("two channels, noisy telephone", noisy, found)
    print(f"\n{result}")  # noqa: T201  (shown with -s, and when it fails)
    assert result.missed == 0
    onset = sorted(map(abs, result.onsets_ms))
    assert onset[len(onset) // 2] <= 128
    assert result.talk_over_shared_ms >= 0.6 * result.talk_over_ms


def test_metrics_of_turns_read_off_two_channels_are_those_of_the_events(calls: list[Heard]) -> None:
    from voiceeval.stages.silero import speech_spans

    clean = on_line(calls, "wideband")
    found = [(speech_spans(one.tracks.caller), speech_spans(one.tracks.agent)) for one in clean]
    values = scores_side_by_side(clean, found)
    print(f"\n{table(values)}")  # noqa: T201  (shown with -s, and when it fails)
    for name, allowed in (
        ("response_rate", 0.0),
        ("yield_rate", 0.0),
        ("time_to_first_audio", 100.0),
        ("time_to_yield", 100.0),
        ("reply_length_ms", 300.0),
        # Per call; in calls of 30 s with half a dozen overlaps.
        ("talk_over_ms", 400.0),
    ):
        own, heard = values[name]
        assert abs(heard - own) <= allowed, name
