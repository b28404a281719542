from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser_pages import PHONE, Chromium, Opened, until
from test_report_sample import report_input

from voiceeval.labels import read_label_files
from voiceeval.reports.data_files import write_data
from voiceeval.reports.review_page import review_data

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, FrameLocator

NAMES = ("baseline", "candidate", "frontdesk", "2.3", "2.4-rc1")
TOLD = ("task not done", "not as expected", "newly failing", "failing on both", "metrics disagree")


def review(
    chromium: Chromium,
    report: Path,
    *,
    blind: bool = False,
    reviewer: str = "AB",
    fragment: str = "",
    **settings: Any,
) -> Opened:
    """The page, with the reviewer's name given."""
    opened = chromium.open(report / "review.html", fragment=fragment, **settings)
    page = opened.page
    page.get_by_label("Name or initials").fill(reviewer)
    page.get_by_role("checkbox").set_checked(blind)
    page.keyboard.press("Enter")
    page.locator("iframe[data-ready]").wait_for()
    return opened


def assert_quiet(opened: Opened) -> None:
    """As `Opened.assert_quiet`; a frame that is left takes what it was still loading with it."""
    opened.complaints[:] = [told for told in opened.complaints if not told.startswith("failed: file:")]
    opened.assert_quiet()


def press(opened: Opened, keys: str) -> None:
    for key in keys:
        opened.page.keyboard.press(key)


def exported(opened: Opened) -> tuple[str, dict[str, Any]]:
    with opened.page.expect_download() as download:
        opened.page.keyboard.press("t")
    return download.value.suggested_filename, json.loads(Path(download.value.path()).read_text("utf-8"))


def call(opened: Opened) -> str:
    return opened.page.locator("#call-name").inner_text()


def frame(opened: Opened) -> FrameLocator:
    return opened.page.frame_locator("#frame iframe")


def answers(opened: Opened) -> list[str]:
    return [
        label.inner_text().split()[-1]
        for label in opened.page.locator(".review-option:has(input:checked) span").all()
    ]


def test_two_calls_are_labelled_by_keyboard_alone_and_found_again(
    chromium: Chromium, heard_report: Path
) -> None:
    context = chromium.context()
    opened = review(chromium, heard_report, context=context)
    first = call(opened)
    press(opened, "ynhj" + "nyfd" + "o")
    second = call(opened)
    press(opened, "uuggb" + "yn" + "m")
    opened.page.keyboard.type("asked twice")
    opened.page.keyboard.press("Escape")
    assert "2 of 12 labelled" in opened.page.locator("#progress").inner_text()
    name, file = exported(opened)
    assert_quiet(opened)

    again = chromium.open(heard_report / "review.html", context=context)
    assert "2 of 12 labelled" in again.page.locator("#progress").inner_text()
    assert call(again) not in (first, second)
    press(again, "ii")
    assert {first, second} & {call(again)}
    again.page.evaluate(f"location.hash = {json.dumps(fragment_of(heard_report, first))}")
    again.page.get_by_role("heading", name=first).wait_for()
    assert answers(again) == ["yes", "no", "4", "5", "no", "yes", "2", "1"]
    assert exported(again)[1] == file

    data = review_data(report_input())
    assert re.fullmatch(rf"voiceeval-labels-{file['run']}-AB\.json", name)
    labels = {(label["call"], label["arm"]): label for label in file["labels"]}
    entry = data["queue"][0]
    one = labels[entry["id"], "baseline"]
    assert (one["task_done"], one["tools_right"], one["tone"], one["clarity"]) == ("yes", "no", 4, 5)
    assert one["why"] == [why["reason"] for why in entry["why"]]
    assert (one["blind"], len(labels)) == (False, 4)
    other = labels[data["queue"][1]["id"], "candidate"]
    assert (other["task_done"], other["tone"], other["note"]) == ("yes", "not given", "asked twice")


def fragment_of(report: Path, name: str) -> str:
    entries = review_data(report_input())
    return next(
        f"#call={entry['slug']}"
        for entry in (*entries["queue"], *entries["others"])
        if " · ".join(entry["name"]) == name
    )


def test_the_queue_begins_with_newly_failing_calls_and_says_why(
    chromium: Chromium, heard_report: Path
) -> None:
    opened = review(chromium, heard_report)
    entries = review_data(report_input())["queue"]
    for entry in entries[:3]:
        assert call(opened) == " · ".join(entry["name"])
        why = opened.page.get_by_role("list", name="Why it is in the queue").inner_text()
        assert all(reason["reason"] in why for reason in entry["why"])
        opened.page.keyboard.press("o")
    assert entries[0]["why"][0]["reason"] == "newly failing"
    opened.page.get_by_label("Show").select_option("newly failing")
    assert "of 4 · 0 of 12 labelled" in opened.page.locator("#progress").inner_text()


def visible_and_named(opened: Opened) -> str:
    """Everything that is seen or read out, in the page and in its frame."""
    attributes = """all => all.filter(e => e.checkVisibility()).flatMap(e =>
        ['title', 'aria-label', 'alt', 'placeholder', 'value', 'href', 'aria-description', 'aria-valuetext']
            .filter(name => !(name === 'href' && e.closest('nav.pages')))
            .map(name => e.getAttribute(name) ?? '')).join(' ')"""
    parts = [opened.page.title()]
    for body in (opened.page.locator("body"), frame(opened).locator("body")):
        parts += [body.inner_text(), body.aria_snapshot(), body.locator("*").evaluate_all(attributes)]
    return " ".join(parts)


def test_blind_nothing_tells_which_arm_is_which_or_what_became_of_it(
    chromium: Chromium, heard_report: Path
) -> None:
    opened = review(chromium, heard_report, blind=True)
    orders = set()
    for _ in range(6):
        opened.page.locator("iframe[data-ready]").wait_for()
        found = visible_and_named(opened).lower()
        assert [word for word in NAMES + TOLD if word in found] == []
        assert "task done" in found
        orders.add(str(opened.page.locator("#frame iframe").get_attribute("src"))[-2:])
        opened.page.keyboard.press("o")
    assert orders == {"ab", "ba"}
    opened.page.keyboard.press("w")
    opened.page.locator("iframe[data-ready]").wait_for()
    assert "candidate" in visible_and_named(opened)
    assert_quiet(opened)


def test_a_blind_label_stands_with_the_arm_that_was_heard(chromium: Chromium, heard_report: Path) -> None:
    opened = review(chromium, heard_report, blind=True)
    expected: dict[tuple[str, str], str] = {}
    for _ in range(4):
        source = opened.page.locator("#frame iframe").get_attribute("src") or ""
        slug = source.removeprefix("calls/").split(".html")[0]
        arms = ("baseline", "candidate") if source.endswith("=ab") else ("candidate", "baseline")
        expected |= {(slug, arms[0]): "yes", (slug, arms[1]): "no"}
        press(opened, "ayy" + "bnn" + "o")
    _, file = exported(opened)
    slugs = {entry["id"]: entry["slug"] for entry in review_data(report_input())["queue"]}
    found = {(slugs[label["call"]], label["arm"]): label["task_done"] for label in file["labels"]}
    assert found == expected
    assert all(label["blind"] for label in file["labels"])


def test_a_label_on_a_call_once_seen_with_names_is_not_blind(chromium: Chromium, heard_report: Path) -> None:
    opened = review(chromium, heard_report, blind=False)
    press(opened, "w")
    assert "do not count as blind" in opened.page.locator("#status").inner_text()
    press(opened, "y" + "eay")
    _, file = exported(opened)
    assert [label["blind"] for label in file["labels"]].count(True) == 1
    assert [label["blind"] for label in file["labels"]].count(False) == 1


def test_the_players_keys_reach_it_and_the_frames_letters_come_back(
    chromium: Chromium, heard_report: Path
) -> None:
    opened = review(chromium, heard_report)
    at = "document.querySelector('#player')?.transport?.currentTime"
    inside = opened.page.frames[1]
    until(inside, f"{at} === 0")
    press(opened, "]]")
    until(inside, f"{at} > 1")
    frame(opened).locator("h1").click()
    opened.page.keyboard.press("y")
    opened.page.locator(".review-option input:checked").first.wait_for(state="attached")
    assert answers(opened) == ["yes"]
    assert_quiet(opened)


def test_skipped_calls_come_after_the_other_unlabelled_ones(chromium: Chromium, heard_report: Path) -> None:
    opened = review(chromium, heard_report)
    opened.page.get_by_label("Show").select_option("newly failing")
    skipped = call(opened)
    opened.page.keyboard.press("z")
    seen = []
    while call(opened) != skipped:
        seen.append(call(opened))
        press(opened, "yyllbyy" + "e")
    assert len(set(seen)) == len(seen) == 3
    press(opened, "yyllbyy" + "e")
    assert "Every call here is labelled" in opened.page.locator("#status").inner_text()
    assert "newly failing 4/4" in opened.page.locator("#progress").inner_text()


def test_an_exported_file_comes_back_and_conflicts_are_told(
    chromium: Chromium, heard_report: Path, tmp_path: Path
) -> None:
    first = review(chromium, heard_report)
    press(first, "yy" + "b" + "ny")
    _, file = exported(first)
    assert read_label_files([written(tmp_path, file)], run=file["run"], calls=known()) != ()
    other = review(chromium, heard_report)
    press(other, "n")
    other.page.locator("#import-file").set_input_files(written(tmp_path, file))
    told = other.page.get_by_role("region", name="What was imported")
    told.wait_for()
    assert "1 new, 0 newer than what was here, 1 older and left out" in told.inner_text()
    assert "task no, tools not given" in told.inner_text()
    assert answers(other)[0] == "no"
    labels = exported(other)[1]["labels"]
    assert {label["arm"]: label["task_done"] for label in labels} == {"baseline": "no", "candidate": "no"}


def written(folder: Path, file: dict[str, Any]) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(file), encoding="utf-8")
    return path


def known() -> list[str]:
    return [planned.id for planned in report_input().planned]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"run": "0" * 16}, "run: its labels are of another run"),
        ({"labels": [{}]}, "labels[0]: allowed keys: arm, at, blind"),
        ({"schema_version": 2}, "schema_version: allowed: 1"),
    ],
    ids=["run", "keys", "version"],
)
def test_a_wrong_file_changes_nothing_and_is_named(
    changed: dict[str, Any], message: str, chromium: Chromium, heard_report: Path, tmp_path: Path
) -> None:
    opened = review(chromium, heard_report)
    press(opened, "y")
    before = exported(opened)[1]
    opened.page.locator("#import-file").set_input_files(written(tmp_path, {**before, **changed}))
    told = opened.page.get_by_role("region", name="What was imported")
    told.wait_for()
    assert f"labels.json was not imported: {message}" in told.inner_text()
    assert exported(opened)[1] == before
    assert_quiet(opened)


def test_labels_are_cleared_only_after_a_second_word(chromium: Chromium, heard_report: Path) -> None:
    opened = review(chromium, heard_report)
    press(opened, "yn")
    page = opened.page
    page.get_by_role("button", name="Clear…").click()
    page.get_by_role("button", name="Keep them").click()
    assert len(exported(opened)[1]["labels"]) == 1
    page.get_by_role("button", name="Clear…").click()
    page.get_by_role("button", name="Clear them").click()
    assert exported(opened)[1]["labels"] == []
    assert_quiet(opened)


def without_storage(chromium: Chromium) -> BrowserContext:
    context = chromium.context()
    context.add_init_script("Storage.prototype.setItem = () => { throw new Error('full') }")
    return context


def test_where_the_browser_keeps_nothing_it_is_said_and_leaving_is_asked_about(
    chromium: Chromium, heard_report: Path
) -> None:
    opened = review(chromium, heard_report, context=without_storage(chromium))
    leaving = "dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert opened.page.evaluate(leaving)
    press(opened, "y")
    assert "This browser keeps nothing" in opened.page.get_by_role("alert").inner_text()
    assert not opened.page.evaluate(leaving)
    assert len(exported(opened)[1]["labels"]) == 1
    assert opened.page.evaluate(leaving)


def test_kept_labels_that_cannot_be_read_are_put_aside(chromium: Chromium, heard_report: Path) -> None:
    context = chromium.context()
    run = review_data(report_input())["run"]
    key = f"'voiceeval.labels.{run}'"
    context.add_init_script(f"localStorage.getItem({key}) ?? localStorage.setItem({key}, '{{')")
    opened = chromium.open(heard_report / "review.html", context=context)
    assert "it was put aside" in opened.page.get_by_role("alert").inner_text()
    assert opened.page.evaluate(f"localStorage.getItem('voiceeval.labels.{run}.unread')") == "{"


def test_a_link_leads_to_its_call_in_the_queue_or_out_of_it(chromium: Chromium, heard_report: Path) -> None:
    entry = review_data(report_input())["queue"][4]
    opened = review(chromium, heard_report, fragment=f"#call={entry['slug']}")
    assert call(opened) == " · ".join(entry["name"])
    opened.page.keyboard.press("o")
    assert opened.page.url.endswith(review_data(report_input())["queue"][5]["slug"])
    opened.page.go_back()
    opened.page.get_by_role("heading", name=" · ".join(entry["name"])).wait_for()


@pytest.mark.parametrize(
    "settings",
    [{}, {"color_scheme": "dark"}, {"size": PHONE}],
    ids=["laptop", "dark", "phone"],
)
def test_axe_finds_nothing_and_nothing_overflows(
    settings: dict[str, Any], chromium: Chromium, heard_report: Path
) -> None:
    opened = chromium.open(heard_report / "review.html", **settings)
    assert opened.violations() == []
    opened.page.get_by_label("Name or initials").fill("AB")
    opened.page.keyboard.press("Enter")
    opened.page.locator("iframe[data-ready]").wait_for()
    # Axe sends messages into frames by an origin that pages of files have not: that is no fault of the page.
    opened.complaints.clear()
    press(opened, "yn")
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert opened.page.evaluate(wide) <= 0
    press(opened, "w")
    opened.page.locator("iframe[data-ready]").wait_for()
    assert_quiet(opened)
    assert opened.violations() == []


def test_a_second_page_follows_and_what_it_plays_goes_on(chromium: Chromium, heard_report: Path) -> None:
    context = chromium.context()
    first = review(chromium, heard_report, context=context)
    link = "#" + str(first.page.evaluate("location.hash")).removeprefix("#")
    second = chromium.open(heard_report / "review.html", fragment=link, context=context)
    second.page.locator("iframe[data-ready]").wait_for()
    second.page.evaluate("globalThis.heard = document.querySelector('#frame iframe')")
    press(first, "y")
    second.page.locator(".review-option:has(input:checked)").first.wait_for()
    assert answers(second) == answers(first)
    assert second.page.evaluate("heard === document.querySelector('#frame iframe')")


def test_a_queue_of_a_thousand_calls_is_gone_through(
    chromium: Chromium, heard_report: Path, tmp_path: Path
) -> None:
    found = review_data(report_input())
    one = found["queue"][0]
    why = [{"reason": "random sample", "told": []}]
    many = [
        {**one, "id": f"scenario/caller-{n}/line/0", "slug": f"call-{n}", "why": why} for n in range(1_000)
    ]
    shutil.copytree(heard_report / "assets", tmp_path / "assets")
    shutil.copy(heard_report / "review.html", tmp_path)
    write_data(tmp_path / "data", "review.js", "voiceevalReview", {**found, "queue": many})
    for blind in (True, False):
        page = chromium.open(tmp_path / "review.html").page
        page.get_by_label("Name or initials").fill("AB")
        page.get_by_role("checkbox").set_checked(blind)
        page.keyboard.press("Enter")
        assert page.locator("#reason option").first.inner_text() == "all 1000 calls"
        page.get_by_label("Show").select_option("random sample")
        page.keyboard.press("o")
        assert "Call 2 of 1000" in page.locator("header").inner_text()
        page.keyboard.press("i")
        assert "Call 1 of 1000" in page.locator("header").inner_text()
