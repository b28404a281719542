"""The page of a cohort in a real browser: links, filters, search, order, keyboard; by the planned calls."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from browser_pages import PHONE, Chromium
from cohort_pages import (
    PAGE_SIZE,
    choose,
    column,
    count,
    fragment,
    opened_at,
    repeated,
    sample_data,
    turn_to,
    write_page,
)
from test_report_sample import ACCENTS, SCENARIOS, WORST, misheard_on_candidate, planned_calls, report_input

from voiceeval.cohort import PlannedCall
from voiceeval.reports.html import HtmlReport
from voiceeval.reports.page_links import cohort_href

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return sample_data()


@pytest.fixture(scope="module")
def page(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("cohort"), data)


FILTERS: dict[str, tuple[dict[str, str], Callable[[PlannedCall], bool]]] = {
    "nothing": ({}, lambda call: True),
    "one tag": ({"tag.accent": "welsh"}, lambda call: call.tags["accent"] == "welsh"),
    "two tags": (
        {"tag.accent": "caribbean", "tag.line": "telephone"},
        lambda call: call.tags["accent"] == "caribbean" and call.tags["line"] == "telephone",
    ),
    "scenario": ({"scenario": SCENARIOS[2]}, lambda call: call.scenario == SCENARIOS[2]),
    "caller": ({"caller": "indian-3"}, lambda call: call.caller == "indian-3"),
    "line": ({"line": "wideband"}, lambda call: call.line == "wideband"),
    "change": ({"change": "newly failing"}, misheard_on_candidate),
    "result": ({"result.candidate": "task done"}, lambda call: not misheard_on_candidate(call)),
    "text": ({"q": "scottish-4"}, lambda call: call.caller == "scottish-4"),
    "words of text": (
        {"q": "WELSH pharmacy"},
        lambda call: call.tags["accent"] == "welsh" and call.tags["domain"] == "pharmacy",
    ),
    "text of a tag": ({"q": "line=wide"}, lambda call: call.line == "wideband"),
    "id of a call": (
        {"q": f"{SCENARIOS[0]}/welsh-2/telephone/0"},
        lambda call: call.id.startswith(f"{SCENARIOS[0]}/welsh-2/t"),
    ),
    "nobody": ({"tag.accent": "welsh", "caller": "indian-3"}, lambda call: False),
}


def test_a_link_keeps_the_calls_it_names_and_the_view_writes_the_same_link(
    chromium: Chromium, page: Path
) -> None:
    opened = opened_at(chromium, page)
    for view, keeps in FILTERS.values():
        turn_to(opened.page, urlencode(view))
        assert_kept(opened.page, urlencode(view), [call for call in planned_calls() if keeps(call)])
    opened.assert_quiet()


def assert_kept(page: Page, link: str, expected: list[PlannedCall]) -> None:
    assert count(page) == len(expected), link
    if expected:
        lines = [text.split("\n") for text in column(page, 1)]
        shown = {"/".join([line[0], *line[-1].split(" · ")]) for line in lines}
        assert shown <= {f"{call.scenario}/{call.caller}/{call.line}" for call in expected}
        assert len(shown) == min(len(expected), PAGE_SIZE)
    # A change that is taken back leaves the address that the view has of itself.
    page.get_by_label("All metrics as columns").click()
    page.get_by_label("All metrics as columns").click()
    assert fragment(page) == link


def test_links_from_python_are_the_views_own(chromium: Chromium, page: Path) -> None:
    link = cohort_href(WORST, metric="wer").split("#")[1]
    opened = opened_at(chromium, page, link)
    assert count(opened.page) == 18
    assert opened.page.locator(".chip").all_inner_texts() == ["accent=caribbean ✕", "line=telephone ✕"]
    assert opened.page.locator("#metric-title").inner_text() == "Word error rate"
    opened.page.locator("#descending").click()
    opened.page.locator("#descending").click()
    assert fragment(opened.page) == link


def test_every_link_of_the_first_screen_shows_calls(chromium: Chromium, page: Path) -> None:
    index = HtmlReport().index(report_input(planned=planned_calls()))
    links = sorted({html.unescape(link) for link in re.findall(r'cohort\.html#([^"]+)', index)})
    assert links
    opened = opened_at(chromium, page)
    for link in links[::4]:
        turn_to(opened.page, link)
        assert opened.page.locator("#told").is_hidden(), link
        assert count(opened.page), link


def test_every_choice_has_the_count_that_it_would_show(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, urlencode({"tag.line": "telephone", "change": "newly failing"}))
    failing = [call for call in planned_calls() if misheard_on_candidate(call)]
    told = opened.page.get_by_label("accent", exact=True).locator("option").all_inner_texts()
    counts = {a: sum(call.tags["accent"] == a for call in failing) for a in ACCENTS}
    assert told == [f"any ({len(failing)})", *(f"{accent} ({n})" for accent, n in counts.items())]
    changes = opened.page.get_by_label("Between the arms", exact=True).locator("option").all_inner_texts()
    telephone = [call for call in planned_calls() if call.line == "telephone"]
    assert f"newly failing ({len(failing)})" in changes
    assert f"any ({len(telephone)})" in changes
    choose(opened.page, "accent", "scottish")
    assert count(opened.page) == counts["scottish"]


def test_failed_calls_come_first_and_every_column_sorts_both_ways(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, "metric=wer")
    failing = sum(map(misheard_on_candidate, planned_calls()))
    assert column(opened.page, 2)[: failing + 1] == ["newly failing"] * failing + ["same"]
    heading = opened.page.get_by_role("button", name="Word error rate, candidate")
    heading.click()
    assert column(opened.page, 6) == ["0.0 %"] * PAGE_SIZE
    assert (
        opened.page.locator("th[aria-sort=ascending]").inner_text().startswith("Word error rate, candidate")
    )
    heading.click()
    assert column(opened.page, 6) == ["19.2 %"] * failing + ["0.0 %"] * (PAGE_SIZE - failing)
    assert fragment(opened.page) == "metric=wer&sort=wer.candidate&desc=1"
    opened.page.get_by_role("button", name="Call", exact=True).click()
    names = [text.split("\n")[0] for text in column(opened.page, 1)]
    assert names == sorted(names)
    assert set(names) == {SCENARIOS[0]}


def test_pages_of_the_table_hold_every_call_once(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page)
    seen: list[str] = []
    for number in range(1, 6):
        seen += column(opened.page, 1)
        if number < 5:
            opened.page.locator("#page-after").click()
    assert len(seen) == len(set(seen)) == 216
    assert fragment(opened.page) == "page=5"
    assert opened.page.locator("#page-after").get_attribute("aria-disabled") == "true"
    choose(opened.page, "accent", "welsh")
    assert fragment(opened.page) == "tag.accent=welsh"


def test_what_is_typed_is_searched_for(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page)
    opened.page.get_by_label("Search ids and tags").press_sequentially("caribbean-5")
    opened.page.get_by_text(re.compile("^6 calls of 216$")).wait_for()
    assert fragment(opened.page) == "q=caribbean-5"
    opened.page.get_by_role("button", name="Remove Text: caribbean-5").click()
    assert count(opened.page) == 216
    assert opened.page.get_by_label("Search ids and tags").input_value() == ""


UNKNOWN = [
    "tag.accent=martian",
    "tag.shoe=42",
    "colour=red",
    "metric=beauty",
    "sort=wer",
    "page=0",
    "desc=yes",
    "columns=some",
    "word.said=never&word.heard=said",
    "tool.due=nuke",
    "word.type=card",
    "tag.accent=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E",
    "%3Cb%3E=%E2%80%AE",
    "__proto__=1",
    "constructor=1",
]


def test_what_a_link_says_in_vain_is_told(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, f"{UNKNOWN[0]}&tag.line=wideband")
    told = opened.page.get_by_role("alert")
    for given in UNKNOWN:
        turn_to(opened.page, f"{given}&tag.line=wideband")
        assert "1 thing" in told.inner_text(), given
        assert opened.page.locator("#told li").count() == 1, given
        assert count(opened.page) == 108, given
        assert not opened.page.locator("#told li img, #told li b").count()
        assert "\u202e" not in told.inner_text()
    turn_to(opened.page, "tag.line=wideband")
    assert told.count() == 0
    opened.assert_quiet()


def test_a_key_that_is_given_twice_is_told(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, "tag.line=wideband&tag.line=telephone")
    assert "the first one counts" in opened.page.get_by_role("alert").inner_text()
    assert opened.page.locator(".chip").all_inner_texts() == ["line=wideband ✕"]


def test_everything_is_within_reach_of_the_keyboard(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page)
    keyboard = opened.page.keyboard
    opened.page.get_by_label("accent", exact=True).focus()
    keyboard.type("w")
    assert count(opened.page) == 36
    heading = opened.page.locator("#calls-table").get_by_role("button", name="Candidate", exact=True)
    heading.focus()
    keyboard.press("Enter")
    keyboard.press("Enter")
    assert fragment(opened.page) == "tag.accent=welsh&sort=result.candidate&desc=1"
    assert opened.page.evaluate("document.activeElement.textContent").startswith("Candidate")
    opened.page.get_by_role("button", name="Remove accent=welsh").focus()
    keyboard.press("Space")
    assert count(opened.page) == 216
    assert opened.page.evaluate("document.activeElement.id") == "title"
    opened.page.locator("#page-after").focus()
    for _ in range(6):
        keyboard.press("Enter")
    assert "page 5 of 5" in opened.page.locator("#calls-range").inner_text()
    assert opened.page.evaluate("document.activeElement.id") == "page-after"
    opened.page.locator(".skip").focus()
    keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "title"
    assert "main" not in fragment(opened.page)
    assert opened.page.get_by_role("alert").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_light_or_dark(scheme: str, chromium: Chromium, page: Path) -> None:
    link = cohort_href(WORST).split("#")[1]
    metric = {"light": "time_to_first_audio", "dark": "wer"}[scheme]
    opened = opened_at(chromium, page, f"{link}&metric={metric}&tag.x=1", color_scheme=scheme)
    if scheme == "light":
        for name in ("reported only", "Numbers behind"):
            opened.page.locator("summary").filter(has_text=name).click()
    assert opened.violations(impact=("moderate", "serious", "critical")) == []
    opened.assert_quiet()


def test_a_phone_shows_it_without_scrolling_sideways(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, "metric=time_to_first_audio&columns=all", size=PHONE)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert not opened.page.get_by_label("accent", exact=True).is_visible()
    opened.page.locator("#filter-summary").click()
    assert opened.page.get_by_label("accent", exact=True).is_visible()


HOSTILE = [
    '<img src=x onerror="alert(1)">',
    "a\u202eb",
    "\ud800",
    "'\"`&",
    "ע <b>",
    "line\u2028feed",
    "__proto__",
]


def test_hostile_texts_are_texts_and_their_links_work(
    chromium: Chromium, data: dict[str, Any], tmp_path: Path
) -> None:
    changed = json.loads(json.dumps(data))
    accent = next(tag for tag in changed["tags"] if tag["name"] == "accent")
    accent["values"] = HOSTILE[:6]
    accent["name"] = HOSTILE[6]
    changed["scenario"]["values"] = HOSTILE[:3]
    changed["words"]["texts"] = ["", *(HOSTILE * 9)[: len(changed["words"]["texts"]) - 1]]
    changed["tools"]["names"] = ["", *HOSTILE[: len(changed["tools"]["names"]) - 1]]
    changed["metrics"][0]["title"] = HOSTILE[0]
    changed["arms"] = HOSTILE[:2]
    path = write_page(tmp_path, changed)
    opened = opened_at(chromium, path)
    for value in HOSTILE[:6]:
        turn_to(opened.page, urlencode({f"tag.{HOSTILE[6]}": value}, errors="replace"))
        assert count(opened.page) == 36
        assert opened.page.locator("#told").is_hidden()
        assert opened.page.locator("img").count() == 0
        assert "\u202e" not in opened.page.locator("body").inner_text()
        opened.assert_quiet()


def test_a_row_leads_to_the_page_of_its_call(chromium: Chromium, heard_report: Path) -> None:
    opened = opened_at(chromium, heard_report / "cohort.html")
    assert count(opened.page) == 12
    link = opened.page.locator("#calls-body a").first
    target = link.get_attribute("href")
    assert target is not None
    opened.page.locator("#calls-body tr").first.locator("td").nth(1).click()
    opened.page.wait_for_url(f"**/{target}")
    assert (heard_report / target).is_file()


def test_without_script_it_says_so_and_leads_on(chromium: Chromium, page: Path) -> None:
    opened = chromium.open(page, java_script_enabled=False)
    told = opened.page.locator("noscript").first.inner_text()
    assert "needs JavaScript" in told
    assert opened.page.locator("main a[href='index.html']").count() == 1


def test_without_its_data_it_says_so(chromium: Chromium, data: dict[str, Any], tmp_path: Path) -> None:
    page = write_page(tmp_path, {**data, "schema_version": 2})
    opened = chromium.open(page)
    assert "another version" in opened.page.get_by_role("alert").inner_text()
    (tmp_path / "data" / "calls.js").write_text("")
    opened = chromium.open(page)
    assert "data/calls.js" in opened.page.get_by_role("alert").inner_text()


def test_the_link_can_be_copied(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, "tag.accent=welsh", permissions=["clipboard-read", "clipboard-write"])
    opened.page.get_by_role("button", name="Copy link").click()
    opened.page.get_by_text("Link copied.").wait_for()
    assert opened.page.evaluate("navigator.clipboard.readText()").endswith("cohort.html#tag.accent=welsh")


def test_ten_thousand_calls_are_filtered_within_the_event(
    chromium: Chromium, data: dict[str, Any], tmp_path: Path
) -> None:
    opened = opened_at(chromium, write_page(tmp_path, repeated(data, 47)))
    # How long it takes is for benchmarks/report_pages.py to say; here, that nobody waits for a later moment.
    told = opened.page.evaluate(
        """() => {
          const select = document.querySelector("#filter-tags select");
          select.value = "1";
          select.dispatchEvent(new Event("change"));
          return document.body.innerText;
        }"""
    )
    assert f"{36 * 47:,} calls of" in told
    assert count(opened.page) == 36 * 47
