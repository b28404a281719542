"""Who speaks when by a call's events, and by the sum of its two sides: what a mono recording still tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from real_turns import Heard, agreement, common_ms, place_calls, scores_side_by_side, table

from voiceeval.audio import AudioClip
from voiceeval.cli import main
from voiceeval.diarization import Diarization, who_spoke_when
from voiceeval.protocols import Span


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Heard]:
    return place_calls(tmp_path_factory.mktemp("turns"))


def mono(one: Heard) -> AudioClip:
    """Both sides in one channel, with the floor of noise that every recording has, 60 dB below full scale."""
    both = one.tracks.caller.as_float() + one.tracks.agent.as_float()
    floor = np.random.default_rng(1).standard_normal(len(both)) * 1e-3
    return AudioClip.from_float(both + floor, one.tracks.caller.rate_hz)


def by_party(answer: Diarization, one: Heard) -> tuple[Sequence[Span], Sequence[Span]]:
    """The speaker that goes best with the caller, and the one that goes best with the agent."""
    first, second = (*answer.speakers.values(), (), ())[:2]
    straight = common_ms(first, one.caller) + common_ms(second, one.agent)
    crossed = common_ms(first, one.agent) + common_ms(second, one.caller)
    return (first, second) if straight >= crossed else (second, first)


def test_a_mono_recording_tells_speech_and_most_of_who_and_when(calls: list[Heard], model: str) -> None:
    answers = [who_spoke_when(mono(one), model=model) for one in calls]
    found = [by_party(answer, one) for answer, one in zip(answers, calls, strict=True)]
    result = agreement("mono, diarised", calls, found)
    print(f"\n{result}")
    print(table(scores_side_by_side(calls, found)))
    for answer, one in zip(answers, calls, strict=True):
        anybody = (*one.caller, *one.agent)
        assert common_ms(answer.speech, anybody) > 0.85 * common_ms(answer.speech, answer.speech)
    utterances = len(result.onsets_ms) + result.missed
    assert result.missed <= 0.2 * utterances
    onset = sorted(map(abs, result.onsets_ms))
    assert onset[len(onset) // 2] <= 150


def test_the_command_reads_the_turns_of_a_mono_file(
    calls: list[Heard], model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "call.wav"
    file.write_bytes(mono(calls[0]).encode("wav"))
    assert main(["turns", str(file), "--diarize", model, "--json"]) == 0
    kinds = {event["kind"] for event in json.loads(capsys.readouterr().out)["events"]}
    assert {"caller_started", "caller_stopped", "agent_started", "agent_stopped", "hung_up"} <= kinds
