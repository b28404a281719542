"""Turns read off audio: the rules one by one, against calls whose turns are known, and on real speech."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from spoken import spoken
from spoken_calls import agent, aside, call, caller, over, scenario

from voiceeval.audio import AudioClip
from voiceeval.audio_turns import FROM_AUDIO, NOT_FROM_AUDIO, turns_of_channels, turns_of_spans
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    AsideStarted,
    AsideStopped,
    CallerStarted,
    CallerStopped,
    Event,
    HungUp,
)
from voiceeval.cli import main
from voiceeval.metrics import BUNDLED
from voiceeval.protocols import Span
from voiceeval.score import NotScored, Ratio, Scored

RATE_HZ = 16_000


def spans(*times_ms: tuple[int, int]) -> tuple[Span, ...]:
    return tuple(Span(start_ms=start, end_ms=end) for start, end in times_ms)


def heard(callers: Sequence[tuple[int, int]], agents: Sequence[tuple[int, int]], ends_ms: int) -> list[str]:
    """The events in a line each, so that a whole call can be read at once."""
    return [line(event) for event in turns_of_spans(spans(*callers), spans(*agents), ends_ms=ends_ms)]


def line(event: Event) -> str:
    words = [str(event.at_ms), str(event.turn), event.kind]
    if isinstance(event, CallerStarted):
        words += ["barge-in"] * event.barge_in + [event.wording] * (event.wording != "text")
    elif isinstance(event, AgentStopped):
        words += ["cut"] * event.interrupted
    elif isinstance(event, HungUp):
        words.append(event.reason)
    return " ".join(words)


def values(events: Sequence[Event], name: str) -> tuple[Ratio, ...] | str:
    score = BUNDLED[name]().score(scenario(), call(*events))
    return score.observations if isinstance(score, Scored) else score.gap


# --- the rules ------------------------------------------------------------------------------------------


def test_speakers_who_alternate_take_turns() -> None:
    assert heard([(2000, 3500), (7000, 8000)], [(0, 1500), (4000, 6500), (8600, 9000)], 10_000) == [
        "0 0 agent_started",
        "1500 0 agent_stopped",
        "2000 1 caller_started",
        "3500 1 caller_stopped",
        "4000 1 agent_started",
        "6500 1 agent_stopped",
        "7000 2 caller_started",
        "8000 2 caller_stopped",
        "8600 2 agent_started",
        "9000 2 agent_stopped",
        "10000 2 hung_up done",
    ]


def test_pauses_of_up_to_a_second_part_nothing_and_longer_ones_begin_another_utterance_of_the_turn() -> None:
    assert heard([(1000, 2000), (3000, 4000)], [(4500, 6000)], 6000)[:2] == [
        "1000 1 caller_started",
        "4000 1 caller_stopped",
    ]
    assert heard([(1000, 2000), (3001, 4000)], [(4500, 6000)], 6000)[:4] == [
        "1000 1 caller_started",
        "2000 1 caller_stopped",
        "3001 1 caller_started afterthought",
        "4000 1 caller_stopped",
    ]


def test_a_caller_who_speaks_again_after_three_seconds_of_nothing_was_not_answered() -> None:
    events = turns_of_spans(spans((1000, 2000), (5001, 6000)), spans((6500, 8000)), ends_ms=8000)
    assert values(events, "response_rate") == (Ratio(0, 1), Ratio(1, 1))
    events = turns_of_spans(spans((1000, 2000), (5000, 6000)), spans((6500, 8000)), ends_ms=8000)
    assert values(events, "response_rate") == (Ratio(1, 1),)


def test_an_agent_that_speaks_into_a_pause_interrupts_one_turn() -> None:
    events = turns_of_spans(
        spans((1000, 2000), (2900, 4000)), spans((2300, 3200), (4600, 6000)), ends_ms=6000
    )
    assert values(events, "agent_interrupts_caller") == (Ratio(1, 1),)
    assert values(events, "time_to_first_audio") == (Ratio(600, 1),)


def test_an_answer_that_fits_between_two_utterances_parts_them() -> None:
    events = turns_of_spans(
        spans((1000, 2000), (2900, 4000)), spans((2200, 2700), (4600, 6000)), ends_ms=6000
    )
    assert values(events, "agent_interrupts_caller") == (Ratio(0, 1), Ratio(0, 1))


def test_a_short_sound_that_the_agent_speaks_on_through_is_a_back_channel() -> None:
    assert heard([(1000, 2000), (4000, 5000)], [(2600, 6000)], 6000)[3:5] == [
        "4000 1 aside_started",
        "5000 1 aside_stopped",
    ]


@pytest.mark.parametrize(
    ("sound", "agent_stops"),
    [((4000, 5001), 9000), ((4000, 5000), 5999), ((4000, 4400), 4300)],
    ids=["too long", "the agent does not go on for a second", "the agent stops first"],
)
def test_any_other_sound_during_the_agents_speech_is_a_barge_in(
    sound: tuple[int, int], agent_stops: int
) -> None:
    events = heard([(1000, 2000), sound], [(2600, agent_stops)], 9000)
    assert "4000 2 caller_started barge-in" in events


def test_a_back_channel_in_the_agents_pause_does_not_part_its_speech_and_a_short_answer_does() -> None:
    over_the_edge = heard([(1000, 2000), (4900, 5300)], [(2600, 5000), (5700, 8000)], 8000)
    assert "4900 1 aside_started" in over_the_edge
    in_the_clear = heard([(1000, 2000), (5100, 5400)], [(2600, 5000), (5700, 8000)], 8000)
    assert "5100 2 caller_started" in in_the_clear


def test_thousands_of_short_sounds_in_a_row_are_back_channels() -> None:
    count = 3_000
    short = spans(*((1_000 * index, 1_000 * index + 500) for index in range(1, count + 1)))
    events = turns_of_spans(short, spans((0, 1_000 * (count + 3))))
    assert sum(isinstance(event, AsideStarted) for event in events) == count
    assert not any(isinstance(event, CallerStarted) for event in events)


def test_an_agent_that_stops_within_two_seconds_of_a_barge_in_was_cut_off() -> None:
    for stops_ms, cut, yields in ((7000, True, 1), (7001, False, 0)):
        events = turns_of_spans(spans((1000, 2000), (5000, 9000)), spans((2600, stops_ms)), ends_ms=9500)
        stopped = next(event for event in events if isinstance(event, AgentStopped))
        assert stopped.interrupted is cut
        assert values(events, "yield_rate") == (Ratio(yields, 1),)


def test_an_overlap_shorter_than_a_reaction_is_nobodys_interruption() -> None:
    events = turns_of_spans(spans((1000, 2000), (5000, 6000)), spans((2600, 5199)), ends_ms=6500)
    assert values(events, "yield_rate") == "not applicable"
    assert not any(event.interrupted for event in events if isinstance(event, AgentStopped))


def test_a_recording_that_ends_soon_after_the_caller_ends_with_a_goodbye() -> None:
    exchange = spans((1000, 2000), (5000, 6000))
    for ends_ms, answered in ((8000, (Ratio(1, 1),)), (8001, (Ratio(1, 1), Ratio(0, 1)))):
        events = turns_of_spans(exchange, spans((2600, 4500)), ends_ms=ends_ms)
        assert values(events, "response_rate") == answered


def test_nobody_speaks_in_an_empty_recording() -> None:
    assert turns_of_spans((), ()) == ()
    assert [event.kind for event in turns_of_spans((), (), ends_ms=500)] == ["hung_up"]
    assert [event.kind for event in turns_of_spans(spans((100, 100)), (), ends_ms=500)] == ["hung_up"]


# --- against calls whose turns are known -----------------------------------------------------------------


def silhouette(events: Sequence[Event]) -> tuple[tuple[Span, ...], tuple[Span, ...], int]:
    """What a perfect detector hears of a call."""
    callers, agents = [], []
    since: dict[str, int] = {}
    for event in call(*events).events:
        if isinstance(event, CallerStarted | AsideStarted | AgentStarted):
            since[event.kind] = event.at_ms
        elif isinstance(event, CallerStopped | AsideStopped):
            started = event.kind.replace("stopped", "started")
            callers.append(Span(start_ms=since[started], end_ms=event.at_ms))
        elif isinstance(event, AgentStopped):
            agents.append(Span(start_ms=since["agent_started"], end_ms=event.at_ms))
    return tuple(callers), tuple(agents), max(event.at_ms for event in events)


CALLS = {
    "orderly": [*caller(1, 1000, 3000), *agent(1, 3700, 6000), *over(1, 7000)],
    "unanswered": [
        *caller(1, 1000, 3000),
        *caller(2, 13_400, 14_000),
        *agent(2, 14_900, 18_000),
        *over(2, 19_000),
    ],
    "broken into": [
        *caller(1, 1000, 3000),
        *agent(1, 3700, 6400, cut=True),
        *caller(2, 6000, 8000, barge_in=True),
        *agent(2, 8900, 12_000, "b"),
        *over(2, 12_500),
    ],
    "talked over": [
        *caller(1, 1000, 3000),
        *agent(1, 3700, 12_000),
        *caller(2, 6000, 8000, barge_in=True),
        *over(2, 30_000, reason="out of patience"),
    ],
    "listened to": [*caller(1, 1000, 3000), *agent(1, 3700, 9000), *aside(1, 6000, 6500), *over(1, 9500)],
    "left": [*caller(1, 1000, 3000), *agent(1, 3700, 6000), *caller(2, 6600, 7000), *over(2, 8000)],
}


@pytest.mark.parametrize("name", FROM_AUDIO)
@pytest.mark.parametrize("known", CALLS)
def test_a_silhouette_scores_as_the_call_that_throws_it(known: str, name: str) -> None:
    callers, agents, ends_ms = silhouette(CALLS[known])
    assert values(turns_of_spans(callers, agents, ends_ms=ends_ms), name) == values(CALLS[known], name)


@pytest.mark.parametrize("name", ["premature_endpoints", "reprompts", "talk_through", "asked_twice"])
def test_what_cannot_be_heard_is_not_scored(name: str) -> None:
    callers, agents, ends_ms = silhouette(CALLS["listened to"])
    score = BUNDLED[name]().score(scenario(), call(*turns_of_spans(callers, agents, ends_ms=ends_ms)))
    assert isinstance(score, NotScored)


def test_every_metric_of_turn_taking_is_read_off_audio_or_said_not_to_be() -> None:
    assert not set(FROM_AUDIO) & set(NOT_FROM_AUDIO)
    assert set(FROM_AUDIO) | set(NOT_FROM_AUDIO) <= set(BUNDLED)


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 3000)), max_size=8),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 3000)), max_size=8),
)
def test_whatever_is_heard_becomes_a_well_formed_call(
    callers: list[tuple[int, int]], agents: list[tuple[int, int]]
) -> None:
    said, answered = (
        spans(*((start, start + length) for start, length in side)) for side in (callers, agents)
    )
    events = turns_of_spans(said, answered)
    assert list(events) == sorted(events, key=lambda event: event.at_ms)
    kinds = [event.kind for event in events]
    for side in ("caller", "agent", "aside"):
        starts = [event.at_ms for event in events if event.kind == f"{side}_started"]
        stops = [event.at_ms for event in events if event.kind == f"{side}_stopped"]
        assert len(starts) == len(stops)
        assert all(start < stop for start, stop in zip(starts, stops, strict=True))
        assert all(stop <= start for stop, start in zip(stops, starts[1:], strict=False))
    assert kinds.count("hung_up") == bool(events)
    heard_ms = {at for span in said for at in (span.start_ms, span.end_ms)}
    assert all(event.at_ms in heard_ms for event in events if isinstance(event, CallerStarted | AsideStarted))
    assert turns_of_spans(said[::-1], answered[::-1]) == events


# --- real speech ----------------------------------------------------------------------------------------


def _channel(
    lines: Sequence[tuple[int, str, str]], duration_ms: int
) -> tuple[AudioClip, list[tuple[int, int]]]:
    """Lines of speech at their moments, with a little noise; and where each begins and ends."""
    sound = np.random.default_rng(3).standard_normal(duration_ms * RATE_HZ // 1000) * 3e-4
    truth = []
    for at_ms, text, voice in lines:
        words = spoken(text, voice=voice, lead_ms=0, tail_ms=0).as_float()
        loud = np.flatnonzero(np.abs(words) > 0.01)
        first = at_ms * RATE_HZ // 1000
        sound[first : first + len(words)] += words
        truth.append((at_ms + int(loud[0]) // 16, at_ms + int(loud[-1]) // 16))
    return AudioClip.from_float(sound, RATE_HZ), truth


@pytest.fixture(scope="module")
def two_channels(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[tuple[int, int]], list[tuple[int, int]]]:
    """A call with a back-channel, a barge-in that the agent yields to, and a goodbye."""
    pytest.importorskip("faster_whisper")
    asks = "please tell me the last four digits of the card that you would like to freeze, "
    asks += "and your date of birth"
    agent_said, answers = _channel(
        [
            (300, "welcome to the bank, how may i help you", "en-us"),
            (7000, asks, "en-us"),
            (19_000, "thank you, your card is frozen", "en-us"),
        ],
        24_000,
    )
    stop_ms = 12_500
    cut = agent_said.as_float().copy()
    cut[stop_ms * 16 : 18_000 * 16] = 0
    answers[1] = (answers[1][0], stop_ms)
    caller_said, said = _channel(
        [
            (3600, "i lost my card please freeze it", "en-gb"),
            (9000, "uh huh", "en-gb"),
            (12_000, "no wait, it is the card that ends in four one two nine", "en-gb"),
            (21_600, "thank you goodbye", "en-gb"),
        ],
        24_000,
    )
    path = tmp_path_factory.mktemp("recording") / "call.wav"
    channels = np.stack([caller_said.samples, AudioClip.from_float(cut, RATE_HZ).samples], axis=1)
    soundfile.write(path, channels, RATE_HZ)
    return path, said, answers


def test_turns_are_heard_in_real_speech_where_they_are(
    two_channels: tuple[Path, list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    from voiceeval.stages.silero import speech_spans

    path, said, answers = two_channels
    samples, _ = soundfile.read(path, dtype="int16")
    callers, agents = (AudioClip(np.ascontiguousarray(samples[:, i]), RATE_HZ) for i in (0, 1))
    events = turns_of_channels(callers, agents, hears=speech_spans)
    told = [(event.kind, event.turn) for event in events]
    assert told == [
        *[("agent_started", 0), ("agent_stopped", 0), ("caller_started", 1), ("caller_stopped", 1)],
        *[("agent_started", 1), ("aside_started", 1), ("aside_stopped", 1), ("caller_started", 2)],
        *[("agent_stopped", 1), ("caller_stopped", 2), ("agent_started", 2), ("agent_stopped", 2)],
        *[("caller_started", 3), ("caller_stopped", 3), ("hung_up", 3)],
    ]
    heard_ms = sorted(event.at_ms for event in events if event.kind != "hung_up")
    true_ms = sorted(ms for times in (*said, *answers) for ms in times)
    assert max(abs(a - b) for a, b in zip(heard_ms, true_ms, strict=True)) <= 160
    assert values(events, "yield_rate") == (Ratio(1, 1),)
    assert values(events, "response_rate") == (Ratio(1, 1), Ratio(1, 1))


def test_the_command_prints_a_table_and_the_same_as_json(
    two_channels: tuple[Path, list[tuple[int, int]], list[tuple[int, int]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, said, answers = two_channels
    assert main(["turns", str(path)]) == 0
    table = capsys.readouterr().out
    assert "24.0 s, 3 utterances of the caller, 1 back-channel" in table
    assert "Yields when interrupted  100.0 %" in table
    assert main(["turns", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["metrics"]) == set(FROM_AUDIO)
    assert told["metrics"]["time_to_yield"]["value"] == pytest.approx(answers[1][1] - said[2][0], abs=160)
    assert set(told["not_from_audio"]) == set(NOT_FROM_AUDIO)
    assert len(told["events"]) == 15


def test_the_channels_can_be_the_other_way_round(
    two_channels: tuple[Path, list[tuple[int, int]], list[tuple[int, int]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, _, _ = two_channels
    assert main(["turns", str(path), "--caller-channel", "1", "--json"]) == 0
    kinds = [event["kind"] for event in json.loads(capsys.readouterr().out)["events"]]
    assert kinds[0] == "caller_started"


# --- the command's doors --------------------------------------------------------------------------------


def _write(path: Path, channels: int, *, ms: int = 500) -> str:
    soundfile.write(path, np.zeros((ms * 16, channels), dtype=np.int16), RATE_HZ)
    return str(path)


@pytest.mark.parametrize(
    ("channels", "options", "message"),
    [
        (
            1,
            [],
            "call.wav: has one channel; allowed: two, one for the caller and one for the agent, or one with",
        ),
        (2, ["--diarize", "m"], "--diarize: .*call.wav: has two channels, which tell who speaks"),
        (2, ["--agent-speaks-second"], "--agent-speaks-second: allowed only with --diarize"),
        (3, [], "call.wav: has 3 channels; allowed: two, or one with --diarize MODEL"),
        (2, [], "call.wav: channel 0: no speech of the caller is heard in it"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_what_would(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    channels: int,
    options: list[str],
    message: str,
) -> None:
    pytest.importorskip("faster_whisper")
    assert main(["turns", _write(tmp_path / "call.wav", channels), *options]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_what_is_no_audio_or_no_file_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["turns", str(tmp_path / "none.wav")]) == 2
    assert "none.wav: no such file; allowed: WAV, FLAC or Ogg" in capsys.readouterr().err
    text = tmp_path / "notes.wav"
    text.write_text("not audio")
    assert main(["turns", str(text)]) == 2
    assert "notes.wav: not readable as audio" in capsys.readouterr().err
    assert main(["turns", _write(tmp_path / "empty.wav", 2, ms=0)]) == 2
    assert "empty.wav: holds no samples" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "first"), [([], "agent_started"), (["--agent-speaks-second"], "caller_started")]
)
def test_of_one_channel_the_agent_is_who_speaks_first_unless_told_otherwise(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    first: str,
) -> None:
    speakers = {"b": spans((3000, 4500)), "a": spans((100, 2000), (5200, 7000))}
    _stand_in(monkeypatch, speakers)
    file = _write(tmp_path / "mono.wav", 1, ms=8000)
    assert main(["turns", file, "--diarize", "model", "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)["events"][0]["kind"] == first


def test_one_voice_is_no_conversation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch, {"a": spans((100, 2000)), "b": ()})
    assert main(["turns", _write(tmp_path / "mono.wav", 1), "--diarize", "model"]) == 2
    assert "mono.wav: the model hears 1 speakers; allowed: two" in capsys.readouterr().err


def _stand_in(monkeypatch: pytest.MonkeyPatch, speakers: dict[str, tuple[Span, ...]]) -> None:
    """A diarisation that hears these speakers in anything."""
    module = types.ModuleType("voiceeval.diarization")
    found = types.SimpleNamespace(speakers=speakers, overlaps=())
    module.who_spoke_when = lambda audio, *, model: found  # type: ignore[attr-defined] # a module made here
    monkeypatch.setitem(sys.modules, "voiceeval.diarization", module)
