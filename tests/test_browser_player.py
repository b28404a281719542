"""The player of a call in a real browser: both arms sound together, and every way to move in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser_pages import PHONE, Chromium, Opened, until
from heard_run import heard_run, tone
from test_report_sample import report_input

from voiceeval.audio import AudioClip
from voiceeval.call import AgentStarted, AgentStopped, Arm, Event, HungUp
from voiceeval.call_audio import duration_ms
from voiceeval.content_files import FlacStore
from voiceeval.metrics.floor import floor_of
from voiceeval.reports.call_list import slug
from voiceeval.reports.report_files import render_all
from voiceeval.reports.report_input import ReportInput, arm_call_id

if TYPE_CHECKING:
    pass

PLANNED = report_input().planned[0]
PAGE = f"calls/{slug(PLANNED.id)}.html"
CLOCK = "document.getElementById('player').transport"
STATE = """() => {
  const { currentTime, paused, playbackRate } = document.getElementById("player").transport;
  const sounds = [...document.querySelectorAll(".sounds audio")].map((audio) => ({
    ...audio.dataset, muted: audio.muted, paused: audio.paused, duration: audio.duration,
    at: audio.currentTime, place: audio.currentTime + Number(audio.dataset.atMs) / 1000,
  }));
  const heard = document.querySelector('.controls [aria-pressed="true"]').textContent;
  return { now: currentTime, wall: performance.now() / 1000, paused, rate: playbackRate, heard, sounds };
}"""


def state(opened: Opened) -> dict[str, Any]:
    found: dict[str, Any] = opened.page.evaluate(STATE)
    return found


def sounding(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By arm, what plays just now."""
    return {sound["arm"]: sound for sound in found["sounds"] if not sound["paused"]}


def reach(opened: Opened, seconds: float) -> dict[str, Any]:
    """Wait until the clock has come that far."""
    until(opened.page, f"{CLOCK}.currentTime >= {seconds}")
    return state(opened)


def audible(opened: Opened) -> dict[str, Any]:
    """Wait until something is heard."""
    ends = monotonic() + 15
    while True:
        found = state(opened)
        if not all(sound["muted"] for sound in sounding(found).values()):
            return found
        assert monotonic() < ends, "nothing is heard"


def clips(opened: Opened) -> list[str]:
    return [url for url in opened.requests if url.endswith(".flac")]


def starts_of(arm: Arm) -> dict[int, float]:
    """When the turns begin, in seconds; the greeting is 0."""
    floor = floor_of(report_input().calls[arm_call_id(PLANNED, arm)].events)
    return {0: 0.3} | {turn.number: turn.begins_ms / 1000 for turn in floor.turns}


@pytest.fixture
def player(chromium: Chromium, heard_report: Path) -> Callable[..., Opened]:
    def open_(fragment: str = "", **settings: Any) -> Opened:
        return chromium.open(heard_report / PAGE, fragment=fragment, **settings)

    return open_


def test_both_arms_sound_together_and_nothing_is_fetched_before(player: Callable[..., Opened]) -> None:
    opened = player("#t=2.4")
    opened.page.wait_for_timeout(200)
    assert clips(opened) == []
    opened.page.get_by_role("button", name="▶ Play").click()
    reach(opened, 3.4)
    found = []
    while (latest := state(opened))["now"] < 4.8:
        found.append(latest)
        opened.page.wait_for_timeout(80)
    for arm in Arm:
        places = [sounding(each)[arm]["at"] for each in found]
        assert places == sorted(places)
        assert places[-1] - places[0] > 0.4
        away = [abs(sounding(each)[arm]["place"] - each["now"]) for each in found]
        assert median(away) < 0.08
        assert {sounding(each)[arm]["muted"] for each in found} == {arm is Arm.CANDIDATE}
    now = state(opened)["now"]
    assert 0 < len(set(clips(opened))) <= 4, "the first turn's sounds, not the whole call"
    assert all(int(sound["atMs"]) / 1000 < now + 4.5 for sound in state(opened)["sounds"])
    opened.assert_quiet()


def test_the_other_arm_is_heard_at_the_same_moment(player: Callable[..., Opened]) -> None:
    opened = player()
    opened.page.keyboard.press(" ")
    before = reach(opened, 0.6)
    fetched = len(clips(opened))
    opened.page.keyboard.press("s")
    after = state(opened)
    assert (before["heard"], after["heard"]) == ("baseline", "candidate")
    assert 0 <= after["now"] - before["now"] < 0.3
    assert {arm: sound["muted"] for arm, sound in sounding(after).items()} == {
        "baseline": True,
        "candidate": False,
    }
    places = [sounding(each)["candidate"]["place"] for each in (before, after)]
    assert 0 <= places[1] - places[0] < 0.3, "it went on playing, and did not begin again"
    assert len(clips(opened)) == fetched
    opened.page.keyboard.press("1")
    assert state(opened)["heard"] == "baseline"


def test_twice_the_speed_gets_twice_as_far(player: Callable[..., Opened]) -> None:
    opened = player("#t=2.2")
    opened.page.get_by_label("Speed").select_option("2×")
    opened.page.keyboard.press(" ")
    first = reach(opened, 2.7)
    opened.page.wait_for_timeout(800)
    last = state(opened)
    wall = last["wall"] - first["wall"]
    assert (last["now"] - first["now"]) / wall == pytest.approx(2, abs=0.3)
    heard = [sounding(each)["baseline"]["at"] for each in (first, last)]
    assert 1.5 < (heard[1] - heard[0]) / wall < 2.6, "what lags is nudged by up to a quarter"


def test_turns_are_jumped_to_on_either_arm(player: Callable[..., Opened]) -> None:
    opened = player()
    page = opened.page
    starts = {arm: starts_of(arm) for arm in Arm}
    page.get_by_role("button", name="candidate: turn 2").click()
    assert state(opened)["now"] == starts[Arm.CANDIDATE][2]
    assert state(opened)["heard"] == "candidate"
    assert state(opened)["paused"]
    page.keyboard.press("]")
    assert state(opened)["now"] == starts[Arm.CANDIDATE][3]
    page.keyboard.press("1")
    page.keyboard.press("[")
    assert (
        state(opened)["now"]
        == starts[Arm.BASELINE][3 if starts[Arm.BASELINE][3] < starts[Arm.CANDIDATE][3] - 1.5 else 2]
    )
    page.keyboard.press("ArrowRight")
    assert clips(opened) == [], "looking around fetches nothing"


@pytest.mark.parametrize(
    ("fragment", "heard", "at"),
    [
        ("#t=3.5&arm=candidate", "candidate", 3.5),
        ("#t=3.5", "baseline", 3.5),
        ("#turn-2", "baseline", starts_of(Arm.BASELINE)[2]),
        (
            "#t=99999",
            "baseline",
            duration_ms(report_input().calls[arm_call_id(PLANNED, Arm.CANDIDATE)]) / 1000,
        ),
        ("#t=-3&arm=neither", "baseline", 0.0),
        ("#t=%3Cscript%3E", "baseline", 0.0),
    ],
)
def test_an_address_leads_to_its_moment(
    player: Callable[..., Opened], fragment: str, heard: str, at: float
) -> None:
    opened = player(fragment)
    found = state(opened)
    assert (found["heard"], found["now"], found["paused"]) == (heard, at, True)
    opened.page.evaluate("location.hash = '#t=1.2&arm=candidate'")
    until(opened.page, f"{CLOCK}.currentTime === 1.2")
    assert state(opened)["heard"] == "candidate"


def test_a_moment_of_the_page_is_played_from(player: Callable[..., Opened]) -> None:
    opened = player()
    opened.page.evaluate("""() => {
      const link = document.createElement("a");
      Object.assign(link, { className: "at", href: "#", textContent: "at 2.4 s" });
      Object.assign(link.dataset, { atMs: "2400", arm: "candidate" });
      document.querySelector("main").prepend(link);
    }""")
    opened.page.get_by_role("link", name="at 2.4 s").click()
    found = reach(opened, 2.5)
    assert (found["heard"], found["paused"]) == ("candidate", False)
    assert found["now"] < 4


def test_everything_is_done_by_keyboard(player: Callable[..., Opened]) -> None:
    opened = player()
    page = opened.page
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('play')"):
            break
    page.keyboard.press(" ")
    assert not reach(opened, 0.2)["paused"], "a space on the button presses it, once"
    page.keyboard.press("2")
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    found = state(opened)
    assert (found["heard"], found["rate"]) == ("candidate", 1.25)
    assert found["now"] > 5
    page.keyboard.press("Enter")
    assert state(opened)["paused"]
    page.keyboard.press("?")
    assert page.get_by_text("hear the other arm at the same moment").is_visible()
    page.keyboard.press("Control+s")
    assert state(opened)["heard"] == "candidate", "the browser's own keys stay its own"


def test_muted_and_solo_tracks(player: Callable[..., Opened]) -> None:
    opened = player("#t=2.3")
    opened.page.keyboard.press(" ")
    reach(opened, 2.6)
    assert sounding(state(opened))["baseline"]["track"] == "caller"
    mute = opened.page.get_by_role("button", name="Mute caller, baseline")
    mute.click()
    assert sounding(state(opened))["baseline"]["muted"]
    mute.click()
    opened.page.get_by_role("button", name="Solo agent, baseline").click()
    assert sounding(state(opened))["baseline"]["muted"]
    opened.page.get_by_role("button", name="Solo caller, baseline").click()
    assert not sounding(state(opened))["baseline"]["muted"]
    assert sounding(state(opened))["candidate"]["muted"]


HEIGHT = """([arm, track, share]) => {
  const lane = document.querySelector(`.wave[data-arm="${arm}"][data-track="${track}"]`);
  const canvas = lane.firstElementChild.shadowRoot.querySelector("canvas");
  const { width, height } = canvas;
  const middle = Math.round(width * share);
  const { data } = canvas.getContext("2d").getImageData(middle - 3, 0, 6, height);
  return Math.max(...[0, 1, 2, 3, 4, 5].map((column) =>
    Array.from({ length: height }, (_, row) => data[4 * (row * 6 + column) + 3] > 0).filter(Boolean).length));
}"""


def test_the_waveforms_show_where_somebody_sounds(player: Callable[..., Opened]) -> None:
    opened = player()
    opened.page.wait_for_timeout(300)
    whole = max(duration_ms(report_input().calls[arm_call_id(PLANNED, arm)]) for arm in Arm) / 1000

    def height(track: str, seconds: float) -> int:
        found: int = opened.page.evaluate(HEIGHT, ["baseline", track, seconds / whole])
        return found

    # A tone of 9,000 of 32,768: the root of its share is half of the lane.
    assert height("agent", 1.2) == pytest.approx(0.52 * 44, abs=4)
    assert height("caller", 3.5) == pytest.approx(0.52 * 44, abs=4)
    assert max(height("agent", 3.5), height("caller", 1.2)) <= 3


def test_events_are_there_to_read(player: Callable[..., Opened]) -> None:
    opened = player()
    page = opened.page
    page.get_by_text("Events as a list").click()
    rows = page.locator(".events tbody tr")
    told = [row.strip() for row in rows.all_inner_texts()]
    assert any("tool call" in row and "tool block_card, 150 ms" in row for row in told)
    assert any("candidate" in row and "endpointing" in row and "960 ms" in row for row in told)
    page.get_by_role("button", name="Go to 0:02.5 on candidate").first.click()
    assert (state(opened)["now"], state(opened)["heard"]) == (2.5, "candidate")
    assert page.locator(".sign.m-tool").count() == 4


def test_it_is_accessible_and_quiet_on_a_phone_in_the_dark(player: Callable[..., Opened]) -> None:
    opened = player(size=PHONE, color_scheme="dark", reduced_motion="reduce")
    page = opened.page
    page.get_by_text("Events as a list").click()
    page.get_by_text("Keys", exact=True).click()
    page.get_by_label("Zoom").select_option("4×")
    assert opened.violations() == []
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen
    opened.assert_quiet()


def test_a_zoomed_axis_follows_the_head_and_a_click_seeks(player: Callable[..., Opened]) -> None:
    opened = player("#t=1")
    page = opened.page
    page.get_by_label("Zoom").select_option("8×")
    seen = (
        "(() => { const box = document.querySelector('.scroller').getBoundingClientRect(), "
        "head = document.querySelector('.head').getBoundingClientRect(); "
        "return head.left >= box.left - 1 && head.left <= box.right })()"
    )
    assert page.evaluate(seen)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(seen)
    page.get_by_label("Zoom").select_option("fit")
    page.locator(".axis").scroll_into_view_if_needed()
    box = page.locator(".axis").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] - 60)
    whole = float(page.evaluate("document.getElementById('player').transport.duration"))
    assert state(opened)["now"] == pytest.approx(whole / 4, abs=whole / 200)


def test_blind_nothing_tells_which_arm_is_which(player: Callable[..., Opened]) -> None:
    opened = player("#embedded=1&blind=ba")
    page = opened.page
    page.get_by_text("Events as a list").click()
    assert page.locator(".turns-head").all_inner_texts() == ["A", "B"]
    assert page.locator(".arm-rows").evaluate_all("all => all.map((rows) => rows.dataset.arm)") == [
        "candidate",
        "baseline",
    ]
    told: list[str] = page.evaluate("""() => {
      const all = [...document.querySelectorAll("body *")].filter((each) => each.checkVisibility());
      const names = ["aria-label", "title", "href", "aria-valuetext"];
      const labels = all.flatMap((each) => names.map((name) => each.getAttribute(name)));
      return [document.body.innerText, ...labels].filter(Boolean);
    }""")
    assert not [text for text in told if "baseline" in text.lower() or "candidate" in text.lower()]
    assert "frontdesk" not in told[0], "nor what the agents are called"
    page.keyboard.press("1")
    page.get_by_role("button", name="▶ Play").click()
    reach(opened, 0.5)
    assert not sounding(state(opened))["candidate"]["muted"]
    names = page.locator("[data-arm-name]").evaluate_all(
        "all => all.map((each) => [each.dataset.armName, each.textContent])"
    )
    assert {tuple(name) for name in names} <= {("candidate", "A"), ("baseline", "B")}


def test_a_page_around_it_moves_it_and_is_told_of_other_keys(
    chromium: Chromium, heard_report: Path, tmp_path: Path
) -> None:
    outer = tmp_path / "outer.html"
    source = f"{(heard_report / PAGE).as_uri()}#embedded=1"
    outer.write_text(
        "<!doctype html><title>outer</title>"
        f"<iframe id=call width=1200 height=700 allow=autoplay src='{source}'></iframe>"
        "<script>told = []; onmessage = ({data}) => told.push(data);"
        "act = (action) => call.contentWindow.postMessage({voiceeval: 'do', action}, '*')</script>",
        encoding="utf-8",
    )
    opened = chromium.open(outer)
    page = opened.page
    until(page, "told.length > 0")
    assert page.evaluate("told") == [{"voiceeval": "ready", "slug": slug(PLANNED.id)}]
    inner = page.frames[1]
    for action in ("forward", "switch", "faster", "nonsense"):
        page.evaluate(f"act('{action}')")
    until(inner, f"{CLOCK}.playbackRate === 1.25")
    found = inner.evaluate(STATE)
    assert (found["now"], found["heard"], found["paused"]) == (5, "candidate", True)
    page.evaluate("act('toggle')")
    until(inner, f"{CLOCK}.currentTime > 5.2")
    page.evaluate("act('pause')")
    until(inner, f"{CLOCK}.paused")
    inner.locator("h1").click()
    page.keyboard.press("k")
    page.keyboard.press("s")
    until(page, "told.length > 1")
    assert page.evaluate("told.slice(1)") == [{"voiceeval": "key", "key": "k", "shift": False}]
    opened.assert_quiet()


def made(run: Path, change: Callable[[ReportInput], ReportInput]) -> Path:
    """The call's page of a report that was changed."""
    report = heard_run(run, replace(report_input(planned=(PLANNED,))))
    return render_all(change(report), run).html.parent / PAGE


def test_a_cut_reply_is_silent_from_the_cut_on(chromium: Chromium, tmp_path: Path) -> None:
    def cut(report: ReportInput) -> ReportInput:
        assert isinstance(report.audio, FlacStore)
        audio = report.audio.put(tone("long", 4_000))
        events: tuple[Event, ...] = (
            AgentStarted(at_ms=200, turn=0, text="words", audio=audio, stage_ms=9),
            AgentStopped(at_ms=1_100, turn=0, interrupted=True),
            HungUp(at_ms=4_000, turn=0, by="caller", reason="hung up"),
        )
        id_ = arm_call_id(PLANNED, Arm.BASELINE)
        return replace(report, calls={id_: replace(report.calls[id_], events=events)})

    opened = chromium.open(made(tmp_path, cut))
    opened.page.keyboard.press(" ")
    playing = reach(opened, 0.7)
    [sound] = playing["sounds"]
    assert not sound["paused"]
    assert sound["duration"] == pytest.approx(0.9, abs=0.005), "the file holds no more"
    after = reach(opened, 1.3)
    assert sounding(after) == {}
    for at in (0.45, 0.65, 0.75, 0.85):
        # Chromium cannot seek to some of these places of so short a file; they sound all the same.
        opened.page.evaluate(f"{CLOCK}.currentTime = {at}")
        found = audible(opened)
        assert sounding(found)["baseline"]["place"] == pytest.approx(found["now"], abs=0.25)
    assert opened.page.locator(".told").inner_text() == ""
    opened.page.keyboard.press("s")
    assert state(opened)["heard"] == "baseline", "the other arm was not placed"
    assert opened.page.locator(".arm-rows").count() == 1
    until(opened.page, f"{CLOCK}.currentTime === 4 && {CLOCK}.paused")
    opened.assert_quiet()


def test_a_file_that_is_gone_is_told_of_once_and_playing_goes_on(chromium: Chromium, tmp_path: Path) -> None:
    page = made(tmp_path, lambda report: report)
    for file in (tmp_path / "audio").glob("*/*.flac"):
        file.unlink()
    opened = chromium.open(page)
    opened.page.keyboard.press(" ")
    found = reach(opened, 2.6)
    assert not found["paused"]
    told = opened.page.locator(".told")
    assert "could not be played" in told.inner_text()
    assert told.count() == 1
    assert not [text for text in opened.complaints if "Error" in text and "net::" not in text]


def test_without_audio_the_lanes_stay_and_nothing_offers_to_play(chromium: Chromium, tmp_path: Path) -> None:
    opened = chromium.open(
        made(tmp_path, lambda report: replace(report, audio=None, audio_href=lambda _: ""))
    )
    page = opened.page
    assert "audio was left out" in page.locator(".told").inner_text()
    assert page.get_by_role("button", name="Play").count() == 0
    assert page.locator(".clip.silent").count() == 14
    page.keyboard.press(" ")
    page.get_by_role("button", name="baseline: turn 2").click()
    assert state(opened)["now"] == starts_of(Arm.BASELINE)[2]
    assert state(opened)["paused"]
    opened.assert_quiet()


def test_one_sound_that_was_left_out_is_told_of_and_the_others_play(
    chromium: Chromium, tmp_path: Path
) -> None:
    def without_the_greeting(report: ReportInput) -> ReportInput:
        href = report.audio_href
        greeting = report.calls[arm_call_id(PLANNED, Arm.BASELINE)].events[0]
        assert isinstance(greeting, AgentStarted)
        return replace(report, audio_href=lambda digest: "" if digest == greeting.audio else href(digest))

    opened = chromium.open(made(tmp_path, without_the_greeting), fragment="#t=1.8")
    assert "left out of this report" in opened.page.locator(".told").inner_text()
    opened.page.keyboard.press(" ")
    assert sounding(audible(opened))["baseline"]["track"] == "caller"
    opened.assert_quiet()


def test_a_call_without_events_has_no_player(chromium: Chromium, tmp_path: Path) -> None:
    opened = chromium.open(
        made(
            tmp_path,
            lambda report: replace(
                report, calls={id_: replace(call, events=()) for id_, call in report.calls.items()}
            ),
        )
    )
    assert opened.page.locator(".player").count() == 0
    opened.page.keyboard.press(" ")
    opened.assert_quiet()


def test_without_script_the_picture_stays(player: Callable[..., Opened]) -> None:
    opened = player(java_script_enabled=False)
    assert opened.page.locator("#timelines svg.lane").first.is_visible()
    assert opened.page.get_by_role("button", name="Play").count() == 0


def speech_like(length_ms: int) -> AudioClip:
    """Noise in syllables: its frames differ in size as those of speech do."""
    noise = np.random.default_rng(7).normal(size=length_ms * 16)
    syllables = np.abs(np.sin(np.arange(len(noise)) / 2_500)) ** 3
    return AudioClip((6_000 * noise * syllables).clip(-32_000, 32_000).astype(np.int16), 16_000)


def one_long_reply(*, hangs_up_ms: int) -> Callable[[ReportInput], ReportInput]:
    """The run with a call of nothing but a reply that is long enough for seeking to fail."""

    def change(report: ReportInput) -> ReportInput:
        assert isinstance(report.audio, FlacStore)
        audio = report.audio.put(speech_like(5_200))
        events: tuple[Event, ...] = (
            AgentStarted(at_ms=0, turn=0, text="words", audio=audio, stage_ms=9),
            AgentStopped(at_ms=5_200, turn=0, interrupted=False),
            HungUp(at_ms=hangs_up_ms, turn=0, by="caller", reason="hung up"),
        )
        id_ = arm_call_id(PLANNED, Arm.BASELINE)
        return replace(report, calls={id_: replace(report.calls[id_], events=events)})

    return change


def test_where_the_browser_cannot_seek_the_sound_is_reached_once(chromium: Chromium, tmp_path: Path) -> None:
    opened = chromium.open(made(tmp_path, one_long_reply(hangs_up_ms=9_000)))
    opened.page.evaluate("""() => {
      globalThis.counts = { error: 0, ended: 0 };
      for (const name of ["error", "ended"])
        document.addEventListener(name, (event) => event.target.tagName === "AUDIO" && counts[name]++, true);
    }""")
    failed = 0
    for at in (3.9, 4.1, 4.3, 4.5):
        opened.page.evaluate(f"{CLOCK}.pause(); {CLOCK}.currentTime = 0; counts.error = counts.ended = 0")
        opened.page.evaluate(f"{CLOCK}.currentTime = {at}; void {CLOCK}.play()")
        found = audible(opened)
        assert sounding(found)["baseline"]["place"] == pytest.approx(found["now"], abs=0.35)
        reach(opened, 5.6)
        counts = opened.page.evaluate("counts")
        failed += counts["error"]
        assert counts["ended"] <= 1, f"run up again and again from {at} s"
    assert failed, "this browser can seek everywhere: nothing was tested"
    assert opened.page.locator(".told").inner_text() == ""


def test_what_is_played_again_after_the_end_sounds_from_the_start(player: Callable[..., Opened]) -> None:
    opened = player()
    length = opened.page.evaluate(f"{CLOCK}.duration")
    opened.page.evaluate(f"{CLOCK}.currentTime = {length} - 0.3; void {CLOCK}.play()")
    until(opened.page, f"{CLOCK}.paused")
    told = opened.page.evaluate(f"""() => {{
      const seen = [];
      for (const name of ["seeking", "play"]) {CLOCK}.addEventListener(name, () => seen.push(name));
      void {CLOCK}.play();
      return seen;
    }}""")
    assert told == ["seeking", "play"], "whatever follows the clock is told of its jump"
    found = audible(opened)
    assert found["now"] < 3


def test_a_sound_of_the_page_lives_on_where_the_browser_cannot_seek(
    chromium: Chromium, tmp_path: Path
) -> None:
    opened = chromium.open(made(tmp_path, one_long_reply(hangs_up_ms=6_000)))
    opened.page.evaluate("""() => {
      globalThis.own = document.querySelector("section.turn audio");
      globalThis.errors = 0;
      own.addEventListener("error", () => errors++);
      own.preload = "auto";
    }""")
    until(opened.page, "own.readyState >= 4")
    for at in (3.9, 4.1, 4.3, 4.5, 4.7):
        opened.page.evaluate(f"void (own.currentTime = {at})")
        until(opened.page, "!own.seeking && own.error === null && own.readyState >= 2")
    assert opened.page.evaluate("errors"), "this browser can seek everywhere: nothing was tested"
    opened.page.evaluate("own.play()")
    from_s = opened.page.evaluate("own.currentTime")
    until(opened.page, f"own.currentTime > {from_s} + 0.2")


def test_space_plays_while_the_time_slider_has_the_focus(player: Callable[..., Opened]) -> None:
    opened = player()
    opened.page.get_by_label("Time", exact=True).focus()
    opened.page.keyboard.press(" ")
    assert not state(opened)["paused"]
    opened.page.get_by_role("button", name="Pause").focus()
    opened.page.keyboard.press(" ")
    assert state(opened)["paused"], "a button is pressed once"


def test_in_forced_colours_the_chosen_arm_and_the_head_are_seen(player: Callable[..., Opened]) -> None:
    opened = player(forced_colors="active")
    colours = opened.page.evaluate("""() => {
      const of = (found) => getComputedStyle(found).backgroundColor;
      const [chosen, other] = document.querySelectorAll('[aria-label="Arm to hear"] button');
      return [of(chosen), of(other), of(document.querySelector(".head")), of(document.body)];
    }""")
    assert colours[0] != colours[1]
    assert colours[2] != colours[3]


def test_space_plays_after_a_button_was_clicked_with_a_pointer(player: Callable[..., Opened]) -> None:
    opened = player()
    opened.page.get_by_role("button", name="Hear candidate").click()
    for paused in (False, True):
        opened.page.keyboard.press(" ")
        assert state(opened)["paused"] is paused
    # Who gets to a button by keyboard presses it with Space, as everywhere.
    opened.page.get_by_role("button", name="Hear baseline").focus()
    opened.page.keyboard.press(" ")
    assert (state(opened)["heard"], state(opened)["paused"]) == ("baseline", True)
