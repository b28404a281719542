"""The page of a call in full duplex: every sound where it was, and of cut replies only what was heard."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from duplex_call import CLIPS, LEAD_MS, RATE_HZ, SHELF, Shelf, duplex_report, events
from hypothesis import given
from hypothesis import strategies as st
from test_report_html import Page, pages
from test_report_sample import report_input, scenario

from voiceeval.audio import AudioClip
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    Call,
    CallerStarted,
    CallerStopped,
    Damage,
    Ending,
    EndOfTurn,
    Event,
    HungUp,
    Replied,
    ToolCalled,
    ToolReturned,
    Transcribed,
)
from voiceeval.call_audio import playings, two_tracks
from voiceeval.metrics.transcription import WordErrorRate
from voiceeval.reports.call_clips import PlayedClips
from voiceeval.reports.call_page import CallPage, call_page, line_told
from voiceeval.reports.call_timeline import timelines
from voiceeval.reports.call_turns import Step
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import clock
from voiceeval.score import Scored


def written(folder: Path, report: ReportInput | None = None) -> str:
    """The text of the call's page, after it and its clips were written."""
    found = dict(pages(duplex_report() if report is None else report, folder))
    [page] = [page for name, page in found.items() if name.startswith("calls/")]
    return page


def laid_out(report: ReportInput | None = None) -> CallPage:
    report = duplex_report() if report is None else report
    return call_page(report, report.planned[0])


def call_of(report: ReportInput) -> str:
    return arm_call_id(report.planned[0], Arm.BASELINE)


# -- what is told, in the order in which it happened -------------------------------------------------------


def test_a_turn_tells_what_happened_in_its_order() -> None:
    told = {
        number: [(step.kind, step.at) for step in sides[Arm.BASELINE].steps]
        for number, sides in laid_out().turns
    }
    assert told == {
        0: [
            ("says", "0:00.3"),
            ("aside", "0:01.5"),
            ("cut off", "0:01.9"),
            ("hears", "0:02.9"),
            ("says", "0:03.0"),
        ],
        1: [
            ("caller", "0:06.0"),
            ("too early", "0:08.5"),
            ("hears", "0:08.7"),
            ("drops", "0:09.0"),
            ("hears", "0:12.9"),
            ("hears", "0:12.9"),
            ("says", "0:13.6"),
            ("aside", "0:14.7"),
            ("cut off", "0:16.5"),
        ],
        2: [
            ("caller", "0:16.0"),
            ("caller", "0:18.6"),
            ("hears", "0:20.9"),
            ("says", "0:21.5"),
            ("aside", "0:22.5"),
        ],
        3: [
            ("keys", "0:26.0"),
            ("hears", "0:27.7"),
            ("calls", "0:28.0"),
            ("returns", "0:28.2"),
            ("says", "0:28.6"),
            ("ends", "0:30.1"),
        ],
    }


def test_the_page_says_it_in_words(tmp_path: Path) -> None:
    text = Page(written(tmp_path)).text
    for told in (
        "cough",
        "back-channel uh huh",
        "side talk one moment darling",
        "takes the turn for over in the middle of it, 3500 ms before its end",
        "gives up the reply it was preparing: the caller goes on",
        "2 transcripts of this turn, together: hi i lost my cart it ends in four one two nine 1 error",
        "SUB card → cart",
        "barges in just block it please",
        "afterthought and no new card",
        "only the first 2850 ms of this were played",
        "the agent takes this to have been heard: I can block that card for you right",
        "from 1600 ms on, where it had stopped",
        "made of: only sounds that were not meant for the agent (no words)",
        "caller keys 0:26.0 4 1 2 9 #",
        "made of: keys, no words 4 1 2 9",
        "Line: speech 20.0 dB over the noise; 36 of 1,500 packets lost (2.4%, in 9 bursts); "
        "25 samples clipped (0.25%)",
        "30.1 s long, 2 spoken turns, 4 replies, 1 turn of keys, 3 sounds not meant for the agent, "
        "1 interruption by the caller, 2 replies cut off, 1 reply given up, 1 turn taken for over too early",
    ):
        assert told in text, told


def test_marked_errors_are_those_that_the_error_rate_counts() -> None:
    report = duplex_report()
    score = WordErrorRate().score(scenario(), report.calls[call_of(report)])
    assert isinstance(score, Scored)
    marked = [
        hearing.errors
        for _, sides in laid_out(report).turns
        for step in sides[Arm.BASELINE].steps
        if step.kind == "hears"
        for hearing in step.hearings
        if hearing.aligned
    ]
    assert sum(marked) == score.total.numerator == 1
    assert len(marked) == 2


def test_of_a_reply_cut_off_at_once_nothing_was_heard(tmp_path: Path) -> None:
    report = duplex_report()
    unheard = tuple(
        replace(event, believed="") if isinstance(event, AgentStopped) else event for event in events()
    )
    calls = {call_of(report): replace(report.calls[call_of(report)], events=unheard)}
    text = Page(written(tmp_path, replace(report, calls=calls))).text
    assert text.count("the agent takes none of it to have been heard") == 2
    assert "the agent takes this" not in text


@pytest.mark.parametrize(
    ("starts_ms", "barge_in", "text", "notes"),
    [
        (1_500, True, "stop", ("barges in",)),
        (2_500, True, "stop", ("means to barge in; the agent has stopped",)),
        (1_500, False, "stop", ("speaks over the agent",)),
        (2_500, False, "stop", ()),
        (1_500, False, "", ()),
    ],
)
def test_who_speaks_over_whom_is_read_from_the_times(
    starts_ms: int, barge_in: bool, text: str, notes: tuple[str, ...]
) -> None:
    found: list[Event] = [
        AgentStarted(at_ms=1_000, turn=0, text="hello there", audio="abc", stage_ms=0),
        AgentStopped(at_ms=2_000, turn=0),
        CallerStarted(
            at_ms=starts_ms, turn=1, text=text, script_turn=0, wording="text", audio="", barge_in=barge_in
        ),
    ]
    found += [CallerStopped(at_ms=3_000, turn=1)] if text else []
    [step] = steps_of(*sorted(found, key=lambda event: event.at_ms), turn=1)[:1]
    assert (step.kind, step.notes) == ("caller" if text else "silent", notes)


def steps_of(*found: Event, turn: int) -> list[Step]:
    report = duplex_report()
    report = replace(
        report, calls={call_of(report): replace(report.calls[call_of(report)], events=tuple(found))}
    )
    return list(dict(laid_out(report).turns)[turn][Arm.BASELINE].steps)


def test_an_agent_that_answers_before_the_caller_has_finished_is_seen_to() -> None:
    said = CallerStarted(at_ms=0, turn=1, text="my card", script_turn=0, wording="text", audio="")
    more = replace(said, at_ms=3_000, text="no wait", wording="afterthought")
    over = EndOfTurn(at_ms=1_500, turn=1, heard_ms=900, reason="silence")
    reply = AgentStarted(at_ms=800, turn=1, text="yes", audio="abc", stage_ms=0)
    ends = (CallerStopped(at_ms=1_000, turn=1), CallerStopped(at_ms=4_000, turn=1))
    steps = steps_of(said, reply, ends[0], over, more, ends[1], turn=1)
    assert [(step.kind, step.text) for step in steps if step.kind == "too early"] == [
        ("too early", "takes the turn for over before the caller goes on, 2500 ms before its end")
    ]
    [says] = [step for step in steps if step.kind == "says"]
    assert "begins while the caller speaks" in says.notes


@pytest.mark.parametrize(
    "kinds",
    [set(), {"aside_started"}, {"reply_dropped"}, {"agent_stopped"}, {"end_of_turn"}, {"agent_started"}],
    ids=["nothing", "asides", "a reply given up", "a reply cut off", "a turn ended too early", "talk-over"],
)
def test_recognition_alone_is_blamed_only_where_nobody_got_in_the_way(kinds: set[str]) -> None:
    """The replay on the right words has neither the words misheard nor the interruptions."""
    report = duplex_report()
    plain = report.planned[0]
    id_ = arm_call_id(plain, Arm.CANDIDATE)
    lost = report.calls[id_]
    disturbing = tuple(
        event
        for event in events()
        if event.turn <= 1 and event.kind in {"caller_started", "caller_stopped", *kinds}
    )
    page = laid_out(replace(report, calls={**report.calls, id_: replace(lost, events=disturbing)}))
    blamed = page.arms[Arm.CANDIDATE].saved
    assert blamed.startswith("Recognition or turn-taking is to blame" if kinds else "Recognition is to blame")


# -- what can be listened to -------------------------------------------------------------------------------


def test_of_a_reply_that_was_cut_off_only_what_was_played_can_be_heard(tmp_path: Path) -> None:
    page = written(tmp_path)
    offered = [unquote(source) for source in re.findall(r'<audio [^>]*src="([^"]+)"', page)]
    parts = [source for source in offered if source.startswith("../audio/")]
    whole = [source for source in offered if source.startswith("../../audio/")]
    assert len(parts) == 3
    assert not any(CLIPS[name] in source for name in ("greeting", "offer") for source in whole)
    assert all(any(CLIPS[name] in source for source in whole) for name in ("asked", "bye"))
    report = duplex_report()
    tracks = two_tracks(report.calls[call_of(report)], SHELF)
    cut = [playing for playing in playings(report.calls[call_of(report)]) if not playing.whole]
    for source, playing in zip(parts, cut, strict=True):
        clip = AudioClip.decode((tmp_path / "calls" / source).resolve().read_bytes(), name=source)
        on_track = tracks.agent.part(playing.started.at_ms, playing.end_ms)
        np.testing.assert_array_equal(clip.samples, on_track.samples)
    first, offer, rest = (AudioClip.decode((tmp_path / "calls" / part).read_bytes(), name=part) for part in (
        parts[0], parts[2], parts[1]
    ))  # fmt: skip
    assert (first.duration_ms, offer.duration_ms, rest.duration_ms) == (1_600, 2_850, 2_400)
    greeting = SHELF.get(CLIPS["greeting"]).samples[LEAD_MS * RATE_HZ // 1000 :]
    np.testing.assert_array_equal(np.concatenate([first.samples, rest.samples]), greeting)


def test_without_the_clips_a_cut_reply_has_no_sound_and_a_whole_one_keeps_its_own(tmp_path: Path) -> None:
    for number, audio in enumerate((None, Shelf())):
        page = written(tmp_path / f"{number}", replace(duplex_report(), audio=audio))
        assert "../audio/" not in page.replace("../../audio/", "")
        assert not any(CLIPS[name] in page for name in ("greeting", "offer"))
        assert CLIPS["bye"] in page
        assert page.count("no audio kept") == 3
        assert not list(tmp_path.rglob("*.flac"))


@pytest.mark.parametrize("digest", ["../../etc/passwd", "a/b", "", "a.b", "é" * 64])
def test_no_clip_is_written_under_a_name_that_is_no_digest(tmp_path: Path, digest: str) -> None:
    clip = SHELF.get(CLIPS["bye"])
    cut = next(playings(replace(report_call(), events=(
        AgentStarted(at_ms=0, turn=0, text="hello", audio=digest, stage_ms=0),
        AgentStopped(at_ms=200, turn=0, interrupted=True),
    ))))  # fmt: skip
    assert PlayedClips(tmp_path, Shelf({digest: clip})).href(cut) == ""
    assert not list(tmp_path.iterdir())


def report_call() -> Call:
    report = duplex_report()
    return report.calls[call_of(report)]


# -- the picture -------------------------------------------------------------------------------------------


def test_marks_lie_where_the_events_are_on_one_scale_for_both_arms() -> None:
    report = duplex_report()
    calls = {arm: report.calls[arm_call_id(report.planned[0], arm)] for arm in Arm}
    drawn = timelines(calls)
    whole_ms = max(call.events[-1].at_ms for call in calls.values())
    for arm, call in calls.items():
        marks = drawn[arm].marks
        assert drawn[arm].ends == pytest.approx(100 * call.events[-1].at_ms / whole_ms, abs=1e-3)
        assert all(0 <= mark.start <= mark.start + mark.width <= 100.001 for mark in marks)
        spoken = [(mark.start, mark.start + mark.width) for mark in marks if mark.kind.startswith("agent")]
        times = [
            (playing.started.at_ms / whole_ms * 100, playing.end_ms / whole_ms * 100)
            for playing in playings(call)
        ]
        assert spoken == [pytest.approx(pair, abs=2e-3) for pair in times]


def test_both_speak_exactly_where_both_speak() -> None:
    """Against a count of milliseconds in which the caller and the agent are both audible."""
    [both] = [
        mark for mark in timelines({Arm.BASELINE: report_call()})[Arm.BASELINE].marks if mark.kind == "both"
    ]
    whole_ms = events()[-1].at_ms
    caller, agent = np.zeros(whole_ms, dtype=bool), np.zeros(whole_ms, dtype=bool)
    for track, start, stop in ((caller, CallerStarted, CallerStopped), (agent, AgentStarted, AgentStopped)):
        marks = [event for event in events() if isinstance(event, start | stop)]
        for one, other in pairwise(marks):
            if isinstance(one, start):
                track[one.at_ms : other.at_ms] = True
    [at] = [np.flatnonzero(caller & agent)]
    assert both.start == pytest.approx(100 * at[0] / whole_ms, abs=1e-3)
    assert both.width == pytest.approx(100 * len(at) / whole_ms, abs=1e-3)
    assert "0:16.0 to 0:16.5" in both.title


def test_numbers_over_the_picture_lead_to_their_turns(tmp_path: Path) -> None:
    page = written(tmp_path)
    read = Page(page)
    drawn = Page(page[page.index('id="timelines"') : page.index('id="call-data"')])
    leads = [link for link in drawn.links if link.startswith("#turn-")]
    assert leads == ["#turn-1", "#turn-2", "#turn-3"] * 2
    assert {link[1:] for link in leads} <= set(read.ids)


def test_a_call_that_we_broke_off_departs_from_nothing_and_lacks_nothing() -> None:
    report = report_input()
    planned = report.planned[0]
    id_ = arm_call_id(planned, Arm.CANDIDATE)
    call = report.calls[id_]
    before = call_page(report, planned)
    assert before.departs
    assert [sign for sign, _ in before.due[0].found] == ["✓", "✗"]
    broken = replace(
        call, ending=Ending.HARNESS_FAILED, failure="OSError", events=call.events[:3], final_state={}
    )
    page = call_page(replace(report, calls={**report.calls, id_: broken}), planned)
    assert (page.departs, page.worlds) == ((), ())
    assert [sign for sign, _ in page.due[0].found] == ["✓", "–"]
    unplaced = {key: each for key, each in report.calls.items() if key != id_}
    page = call_page(replace(report, calls=unplaced), planned)
    assert [found for row in page.due for found in row.found[1:]] == [("–", "not run")] * len(page.due)


def test_a_call_without_events_has_no_picture(tmp_path: Path) -> None:
    report = report_input(planned=duplex_report().planned)
    empty = {id_: replace(call, events=()) for id_, call in report.calls.items()}
    assert laid_out(replace(report, calls=empty)).timelines == {}
    assert "At a glance" not in written(tmp_path, replace(report, calls=empty))


@given(st.sets(st.integers(0, len(events()) - 1)))
def test_a_call_of_which_events_are_missing_is_laid_out_all_the_same(lost: set[int]) -> None:
    """As of an agent that failed, or a live one that does not tell everything."""
    report = duplex_report()
    left = tuple(event for number, event in enumerate(events()) if number not in lost)
    calls = {call_of(report): replace(report.calls[call_of(report)], events=left)}
    page = laid_out(replace(report, calls=calls))
    assert {number for number, _ in page.turns} == {event.turn for event in left}
    for line in page.timelines.values():
        assert all(0 <= mark.start <= mark.start + mark.width <= 100.001 for mark in line.marks)
        assert all(mark.width >= 0 for mark in line.marks)
    for _, sides in page.turns:
        bars = sides[Arm.BASELINE].timings
        assert all(bar.start >= 0 and bar.width >= 0 and bar.start + bar.width <= 100.1 for bar in bars)


@pytest.mark.parametrize("length_ms", [0, 400, 59_000, 61_000, 3_600_000, 80_000_000])
def test_a_call_of_any_length_has_a_few_ticks(length_ms: int) -> None:
    over = HungUp(at_ms=length_ms, turn=0, by="limit", reason="failure")
    line = timelines({Arm.BASELINE: replace(report_call(), events=(over,))})[Arm.BASELINE]
    assert 1 <= len(line.ticks) <= 15
    assert all(later.at > earlier.at for earlier, later in pairwise(line.ticks))


@pytest.mark.parametrize("text", ["x" * 1_000_000, "word </code><script>alert(1)</script> " * 27_000])
def test_a_megabyte_in_calls_states_and_words_is_shortened_everywhere(text: str, tmp_path: Path) -> None:
    report = report_input(planned=duplex_report().planned)
    id_ = call_of(report)
    long: dict[type[Event], dict[str, object]] = {
        Transcribed: {"text": text},
        CallerStarted: {"text": text},
        Replied: {"text": text},
        AgentStarted: {"text": text},
        ToolCalled: {"arguments": {"card": text, text[:50_000]: 1}},
        ToolReturned: {"value": text, "failed": True},
    }
    made = replace(
        report.calls[id_],
        events=tuple(replace(event, **long.get(type(event), {})) for event in report.calls[id_].events),  # type: ignore[arg-type]
        final_state={"cards": {"4129": {"status": text}, text[:50_000]: text}},
    )
    page = written(tmp_path, replace(report, calls={**report.calls, id_: made}))
    assert len(page) < 400_000
    assert page.count("more characters") > 10
    assert "<script>alert" not in page


# -- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_ms", "told"), [(0, "0:00.0"), (949, "0:00.9"), (59_960, "1:00.0"), (3_600_000, "60:00.0")]
)
def test_moments_are_told_in_minutes_and_seconds(at_ms: int, told: str) -> None:
    assert clock(at_ms) == told


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (Damage(), ""),
        (Damage(samples=10, duration_ms=1.0), ""),
        (Damage(packets=100), "0 of 100 packets lost (0.0%)"),
        (Damage(packets=100, lost=1, bursts=1), "1 of 100 packets lost (1.0%, in 1 burst)"),
        (Damage(samples=1_000, clipped=10), "10 samples clipped (1.00%)"),
    ],
)
def test_what_the_line_did_is_told_where_it_was_measured(damage: Damage, told: str) -> None:
    assert line_told(damage) == told
