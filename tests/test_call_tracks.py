"""What the player is given: every sound where the call had it, and every event at its moment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heard_run import LEAD_MS, heard_run, tone
from test_report_sample import report_input

from voiceeval.audio import AudioClip
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    AsideStarted,
    AsideStopped,
    Call,
    CallerStarted,
    CallerStopped,
    EndOfTurn,
    Event,
    HungUp,
    KeyPressed,
    Replied,
    ReplyDropped,
    Stage,
    StageFailed,
    ToolCalled,
    ToolReturned,
    Transcribed,
)
from voiceeval.call_audio import two_tracks
from voiceeval.content_files import FlacStore
from voiceeval.metrics.floor import floor_of
from voiceeval.reports.call_clips import PlayedClips
from voiceeval.reports.call_marks import TrackMark, marks, stage_spans, turn_spans
from voiceeval.reports.call_tracks import CallData, ClipData, call_data, in_page
from voiceeval.reports.manifest_view import arm_view
from voiceeval.reports.report_files import render_all
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.waveform import ALPHABET, STEP_MS, KeptWaveforms, peaks

LABELS = {arm: arm_view(report_input().comparison.manifest, arm).label for arm in Arm}


def laid_out(report: ReportInput, run: Path) -> CallData:
    return call_data(
        report,
        report.planned[0],
        labels=LABELS,
        played_href=PlayedClips(run / "report", report.audio).href,
        waveforms=KeptWaveforms.read(run / "audio" / "waveforms.json"),
    )


def baseline_with(report: ReportInput, *events: Event) -> ReportInput:
    """The report with its first call on the baseline made of other events."""
    id_ = arm_call_id(report.planned[0], Arm.BASELINE)
    calls = {**report.calls, id_: replace(report.calls[id_], events=events)}
    return replace(report, calls=calls, planned=report.planned[:1])


def baseline_call(report: ReportInput) -> Call:
    return report.calls[arm_call_id(report.planned[0], Arm.BASELINE)]


def says(audio: str, at_ms: int, turn: int, text: str = "words") -> CallerStarted:
    return CallerStarted(
        at_ms=at_ms,
        turn=turn,
        text=text,
        script_turn=0,
        wording="text",
        audio=audio,
        audio_from_ms=at_ms - LEAD_MS,
    )


def replies(audio: str, at_ms: int, turn: int, *, offset_ms: int = 0) -> AgentStarted:
    return AgentStarted(at_ms=at_ms, turn=turn, text="words", audio=audio, stage_ms=90, offset_ms=offset_ms)


def difficult(store: FlacStore) -> tuple[Event, ...]:
    """A clip from before the call on, one that takes over from another, a cut reply that goes on."""
    one, two, cough = (store.put(tone(name, 1_700)) for name in ("one", "two", "cough"))
    reply = store.put(tone("reply", 3_000))
    return (
        says(one, 130, 1),
        CallerStopped(at_ms=1_830, turn=1),
        replies(reply, 2_011, 1),
        says(two, 2_900, 2),
        AgentStopped(at_ms=3_333, turn=1, interrupted=True, said="w", believed="w"),
        AsideStarted(at_ms=4_100, turn=2, aside="cough", text="", audio=cough, audio_from_ms=3_800),
        CallerStopped(at_ms=4_600, turn=2),
        AsideStopped(at_ms=5_800, turn=2),
        replies(reply, 6_007, 2, offset_ms=1_322),
        HungUp(at_ms=7_001, turn=2, by="caller", reason="hung up"),
    )


def composed(clips: Iterable[ClipData], length_ms: int) -> list[int]:
    """Levels of a track, as the page puts it together."""
    levels = [0] * (-(-length_ms // STEP_MS))
    for clip in clips:
        first = round(clip["at_ms"] / STEP_MS)
        for place, letter in enumerate(clip["peaks"]):
            if 0 <= first + place < len(levels):
                levels[first + place] = ALPHABET.index(letter)
    return levels


def assert_alike(drawn: list[int], heard: AudioClip) -> None:
    """Of the same height, but for one step to the side: a clip begins between two steps of the track."""
    real = [ALPHABET.index(letter) for letter in peaks(heard)]
    assert len(drawn) == len(real)
    assert max(real) > 30, "there is something to hear"
    for place in range(len(real)):
        around = slice(max(0, place - 1), place + 2)
        assert drawn[place] <= max(real[around]) + 1, place
        assert real[place] <= max(drawn[around]) + 1, place


@pytest.mark.parametrize("kind", ["plain", "difficult"])
def test_the_clips_at_their_places_are_the_two_tracks_of_the_call(tmp_path: Path, kind: str) -> None:
    report = heard_run(tmp_path)
    assert isinstance(report.audio, FlacStore)
    if kind == "difficult":
        report = baseline_with(report, *difficult(report.audio))
    assert report.audio is not None
    arm = laid_out(report, tmp_path)["arms"]["baseline"]
    tracks = two_tracks(baseline_call(report), report.audio)
    for name, heard in (("caller", tracks.caller), ("agent", tracks.agent)):
        clips = [clip for clip in arm["clips"] if clip["track"] == name]
        assert_alike(composed(clips, arm["duration_ms"]), heard)
        assert all(clip["at_ms"] + clip["length_ms"] <= arm["duration_ms"] for clip in clips)


def test_of_a_cut_reply_there_is_just_what_was_played(tmp_path: Path) -> None:
    report = heard_run(tmp_path)
    assert isinstance(report.audio, FlacStore)
    report = baseline_with(report, *difficult(report.audio))
    arm = laid_out(report, tmp_path)["arms"]["baseline"]
    cut, rest = (clip for clip in arm["clips"] if clip["track"] == "agent")
    assert (cut["at_ms"], cut["length_ms"]) == (2_011, 1_322)
    assert (rest["at_ms"], rest["length_ms"]) == (6_007, 994)
    for clip in (cut, rest):
        file = (tmp_path / "report" / "calls" / clip["src"]).resolve()
        alone = AudioClip.decode(file.read_bytes(), name=file.name)
        assert alone.duration_ms == clip["length_ms"]
        assert clip["peaks"] == peaks(alone)


def test_a_whole_reply_begins_audibly_when_the_call_says_so(tmp_path: Path) -> None:
    report = heard_run(tmp_path)
    arm = laid_out(report, tmp_path)["arms"]["baseline"]
    started = [event for event in baseline_call(report).events if isinstance(event, AgentStarted)]
    clips = [clip for clip in arm["clips"] if clip["track"] == "agent"]
    assert [clip["at_ms"] + LEAD_MS for clip in clips] == [event.at_ms for event in started]
    assert all((tmp_path / "report" / "calls" / clip["src"]).resolve().is_file() for clip in clips)


@pytest.mark.parametrize("kept", ["no store", "no files"])
def test_without_audio_the_words_keep_their_places(tmp_path: Path, kept: str) -> None:
    report = heard_run(tmp_path)
    report = (
        replace(report, audio=None)
        if kept == "no store"
        else replace(report, audio=FlacStore(tmp_path / "elsewhere"), audio_href=lambda _: "")
    )
    arm = laid_out(report, tmp_path)["arms"]["baseline"]
    assert {(clip["src"], clip["peaks"]) for clip in arm["clips"]} == {("", "")}
    floor = floor_of(baseline_call(report).events)
    words = [tuple(stretch) for taken in floor.turns for stretch in taken.stretches]
    words += [tuple(speech.stretch) for speech in floor.agent]
    assert [(clip["at_ms"], clip["at_ms"] + clip["length_ms"]) for clip in arm["clips"]] == words


def test_an_arm_that_was_not_placed_is_absent(tmp_path: Path) -> None:
    report = heard_run(tmp_path)
    gone = arm_call_id(report.planned[0], Arm.CANDIDATE)
    calls = {id_: call for id_, call in report.calls.items() if id_ != gone}
    data = laid_out(replace(report, calls=calls), tmp_path)
    assert list(data["arms"]) == ["baseline"]
    assert data["duration_ms"] == data["arms"]["baseline"]["duration_ms"] > 0
    assert laid_out(replace(report, calls={}), tmp_path)["duration_ms"] == 0


def test_rendering_again_decodes_no_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = heard_run(tmp_path)
    assert isinstance(report.audio, FlacStore)
    report = baseline_with(report, *difficult(report.audio))
    page = render_all(report, tmp_path).html.parent / "calls"
    first = {path.name: path.read_bytes() for path in page.iterdir()}
    monkeypatch.setattr(FlacStore, "get", lambda *_: pytest.fail("a clip was read again"))
    render_all(report, tmp_path)
    assert {path.name: path.read_bytes() for path in page.iterdir()} == first
    assert (tmp_path / "audio" / "waveforms.json").is_file()


def eventful() -> tuple[Event, ...]:
    return (
        says("", 1_000, 1),
        CallerStopped(at_ms=3_000, turn=1),
        EndOfTurn(at_ms=2_500, turn=1, heard_ms=1_500, reason="silence"),
        ReplyDropped(at_ms=2_700, turn=1),
        EndOfTurn(at_ms=3_700, turn=1, heard_ms=2_700, reason="silence"),
        Transcribed(at_ms=3_900, turn=1, text="words", stage_ms=200),
        Replied(at_ms=4_200, turn=1, text="", tool_calls=2, stage_ms=300),
        ToolCalled(at_ms=4_200, turn=1, name="look_up", arguments={}),
        ToolCalled(at_ms=4_200, turn=1, name="book", arguments={}),
        ToolReturned(at_ms=4_350, turn=1, name="look_up", value=1, failed=False, stage_ms=150),
        ToolReturned(at_ms=4_500, turn=1, name="book", value=1, failed=True, stage_ms=300),
        replies("", 4_800, 1),
        says("", 5_200, 2),
        AgentStopped(at_ms=5_600, turn=1, interrupted=True),
        CallerStopped(at_ms=6_400, turn=2),
        KeyPressed(at_ms=7_000, turn=3, key="4"),
        StageFailed(at_ms=7_500, turn=3, stage=Stage.DIALOGUE, error="ValueError at agent.py:41"),
        HungUp(at_ms=8_000, turn=3, by="limit", reason="failure"),
    )


def marked() -> tuple[Call, tuple[TrackMark, ...]]:
    made = replace(baseline_call(report_input()), events=eventful())
    return made, marks(made, floor_of(made.events))


def test_everything_that_happens_is_marked_at_its_moment() -> None:
    made, found = marked()
    assert [(mark.kind, mark.at_ms, mark.until_ms) for mark in found] == [
        ("early", 2_500, -1),
        ("drop", 2_700, -1),
        ("end_of_turn", 3_700, -1),
        ("tool", 4_200, 4_350),
        ("tool", 4_200, 4_500),
        ("interruption", 5_200, -1),
        ("overlap", 5_200, 5_600),
        ("cut", 5_600, -1),
        ("key", 7_000, -1),
        ("failed", 7_500, -1),
        ("hung_up", 8_000, -1),
    ]
    titles = {mark.kind: mark.title for mark in found}
    assert titles["early"] == "the agent takes the turn for over 500 ms too early"
    assert titles["overlap"] == "both speak for 400 ms"
    assert titles["tool"] == "tool book fails"
    assert not any(re.search("baseline|candidate", mark.title) for mark in found)
    spans = [
        (turn["number"], turn["at_ms"], turn["until_ms"]) for turn in turn_spans(made, floor_of(made.events))
    ]
    assert spans == [(1, 1_000, 5_200), (2, 5_200, 7_000), (3, 7_000, 8_000)]


def test_stages_end_where_the_call_says_that_they_were_done() -> None:
    made, _ = marked()
    spans = [
        (span["stage"], span["at_ms"], span["duration_ms"])
        for span in stage_spans(made, floor_of(made.events))
    ]
    assert spans == [
        ("endpointing", 3_000, 700),
        ("recognizer", 3_700, 200),
        ("dialogue", 3_900, 300),
        ("tools", 4_200, 150),
        ("tools", 4_200, 300),
        ("synthesizer", 4_710, 90),
    ]


def test_no_text_of_a_run_ends_the_element_that_holds_it(tmp_path: Path) -> None:
    name = "</script><!--<script>\u2028\ud800\x00&amp;"
    report = heard_run(tmp_path)
    report = baseline_with(
        report,
        ToolCalled(at_ms=10, turn=0, name=name, arguments={}),
        HungUp(at_ms=90, turn=0, by="limit", reason="failure"),
    )
    data = laid_out(report, tmp_path)
    text = str(in_page(data))
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == data
    title = data["arms"]["baseline"]["marks"][0]["title"]
    assert title.startswith("tool </script>")
    assert "\x00" not in title
    page = next((render_all(report, tmp_path).html.parent / "calls").iterdir()).read_text(encoding="utf-8")
    [held] = re.findall(r'id="call-data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(held) == data


def test_numbers_are_whole_milliseconds(tmp_path: Path) -> None:
    data = laid_out(heard_run(tmp_path), tmp_path)

    def numbers(value: object) -> Iterable[object]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                yield from numbers(each)
        elif isinstance(value, int | float | np.number):
            yield value

    found = list(numbers(data))
    assert found
    assert all(type(number) is int for number in found)
