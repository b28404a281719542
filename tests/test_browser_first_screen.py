from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser_pages import LAPTOP, LARGE, PHONE, Chromium, Opened
from test_first_screen import many
from test_report_full_sample import everything, waived
from test_report_html import HOSTILE, dressed
from test_report_sample import WER, comparison, invalid, report_input, verdict

from voiceeval.cohort import Cohort
from voiceeval.reports.html import HtmlReport
from voiceeval.verdict import Comparison, Outcome

SIZES = {"phone": PHONE, "laptop": LAPTOP, "large": LARGE}


def index_of(folder: Path, result: Comparison) -> Path:
    """Just the first screen of a report, with its style."""
    return HtmlReport().write(report_input(result, planned=report_input().planned[:1]), folder)


@pytest.fixture(scope="module")
def full_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_of(tmp_path_factory.mktemp("full") / "report", everything())


def in_first_view(opened: Opened, text: str) -> bool:
    """Whether the smallest element above the tables that has this text lies wholly in the window."""
    box = opened.page.locator("header.top, .first").get_by_text(text).last.bounding_box()
    size = opened.page.viewport_size
    assert box
    assert size
    return box["y"] >= 0 and box["y"] + box["height"] <= size["height"] and box["x"] >= 0


def test_a_laptop_shows_verdict_cohort_difference_and_stage_without_scrolling(
    chromium: Chromium, heard_report: Path
) -> None:
    opened = chromium.open(heard_report / "index.html", size=LAPTOP)
    for text in (
        "MAY NOT SHIP: 2 cohorts regressed",
        "a gated cell that regressed or is invalid fails the run; what was not decided only warns",
        "Word error rate: overall improved, but accent=caribbean × line=telephone regressed",
        "Caribbean callers on the telephone line",
        "22.2 pp worse",
        "90.3 % → 68.1 %",
        "interval −32.8 to −11.6 pp",
        "recognition or turn-taking",
        "yes → no",
    ):
        assert in_first_view(opened, text), text
    changed = opened.page.get_by_role("heading", name="What changed", exact=True)
    assert (changed.bounding_box() or {"y": 9999})["y"] < LAPTOP[1]
    opened.assert_quiet()


def test_the_call_that_shows_it_best_is_one_click_away(chromium: Chromium, heard_report: Path) -> None:
    opened = chromium.open(heard_report / "index.html")
    link = opened.page.locator(".worst a.button")
    name = link.inner_text().split(",")[0]
    link.click()
    opened.page.wait_for_load_state()
    assert "/calls/" in opened.page.url
    assert name in opened.page.locator("h1").inner_text()


def test_axe_finds_nothing(chromium: Chromium, heard_report: Path) -> None:
    opened = chromium.open(heard_report / "index.html")
    opened.page.evaluate("document.querySelector('#numbers ~ details').open = true")
    assert opened.violations(impact=("moderate", "serious", "critical")) == []
    opened.assert_quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_verdict(chromium: Chromium, tmp_path: Path, scheme: str) -> None:
    cells = [
        invalid() if outcome is Outcome.INVALID else verdict(WER, Cohort.of({"line": outcome.value}), outcome)
        for outcome in Outcome
    ]
    opened = chromium.open(
        index_of(tmp_path / "report", comparison(verdicts=(*cells, waived()))), color_scheme=scheme
    )
    opened.page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert opened.violations(impact=("moderate", "serious", "critical")) == []


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_window(chromium: Chromium, full_index: Path, size: str) -> None:
    opened = chromium.open(full_index, size=SIZES[size])
    opened.page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    opened.assert_quiet()


def test_links_of_the_heat_map_lead_to_pages_that_exist(chromium: Chromium, heard_report: Path) -> None:
    opened = chromium.open(heard_report / "index.html")
    links = opened.page.locator(".heat td.cell a, nav.pages a, .first a, .findings a").evaluate_all(
        "all => all.map(one => one.href)"
    )
    assert len(links) > 65
    for link in links:
        assert Path(unquote(urlsplit(link).path)).is_file(), link


def test_every_cell_is_reached_and_named_by_keyboard(chromium: Chromium, heard_report: Path) -> None:
    page = chromium.open(heard_report / "index.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reached: list[str] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        inside = page.evaluate(
            "document.activeElement.closest('td.cell') && "
            "getComputedStyle(document.activeElement).outlineStyle + ' ' + document.activeElement.innerText"
        )
        if inside:
            reached.append(inside)
        elif reached and page.evaluate("!document.activeElement.closest('.heat')"):
            break
    assert len(reached) == page.locator("td.cell a").count()
    assert all(text.startswith("solid ") for text in reached)
    words = ("regressed", "passed", "inconclusive", "improved")
    assert all(any(word in text for word in words) for text in reached)


def test_a_link_into_folded_numbers_unfolds_them(chromium: Chromium, heard_report: Path) -> None:
    page = chromium.open(heard_report / "index.html").page
    numbers = page.locator("#cohort-1 table")
    assert not numbers.is_visible()
    page.get_by_role("link", name="All its numbers").click()
    assert numbers.is_visible()


def test_drawn_lines_of_a_panel_meet_and_points_lie_inside_their_intervals(
    chromium: Chromium, heard_report: Path
) -> None:
    page = chromium.open(heard_report / "index.html").page
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('table.forest')].map(table =>
          [...table.querySelectorAll('tbody svg.strip')].map(strip => {
            const box = one => strip.querySelector(one).getBoundingClientRect();
            const middle = one => (box(one).left + box(one).right) / 2;
            return [box('.range').left, middle('.point'), box('.range').right,
                    middle('.zero'), middle('.margin'),
                    strip.parentElement.getBoundingClientRect().left,
                    strip.parentElement.getBoundingClientRect().right];
          }))"""
    )
    assert [len(panel) for panel in drawn] == [13] * 5
    for panel in drawn:
        for start, point, end, zero, margin, left, right in panel:
            assert left <= start <= point <= end <= right
            assert zero < margin
            assert zero == pytest.approx(panel[0][3], abs=0.5)


def test_printed_it_keeps_its_verdicts_and_drops_what_only_a_screen_can_do(
    chromium: Chromium, heard_report: Path
) -> None:
    page = chromium.open(heard_report / "index.html", color_scheme="dark").page
    page.emulate_media(media="print")
    assert not page.locator("nav.pages").is_visible()
    for shown in (".banner", ".worst", ".heat", ".forest svg.strip"):
        assert page.locator(shown).first.is_visible()
    dark_on_light = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert dark_on_light == ["rgb(27, 31, 36)", "rgb(255, 255, 255)"]
    assert page.evaluate("getComputedStyle(document.querySelector('td.cell')).printColorAdjust") == "exact"
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("text", HOSTILE[:2], ids=range(2))
def test_hostile_names_run_nothing(chromium: Chromium, tmp_path: Path, text: str) -> None:
    opened = chromium.open(HtmlReport().write(dressed(text), tmp_path / "report"))
    assert opened.page.locator(".worst").count() == 1
    opened.assert_quiet()


def test_two_hundred_cohorts_are_shown_soon_and_unfold(chromium: Chromium, tmp_path: Path) -> None:
    opened = chromium.open(index_of(tmp_path / "report", many(200, 8)), size=PHONE)
    ready = opened.page.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    assert ready < 5000
    assert opened.page.locator(".heat tbody tr:visible").count() == 30
    opened.page.locator("summary", has_text="171 more cohorts").first.click()
    assert opened.page.locator(".heat tbody tr:visible").count() == 201


@pytest.mark.parametrize(
    "result", [comparison(verdicts=(), blames=(), alarms=(), manifest={})], ids=["nothing judged"]
)
def test_a_run_without_verdicts_has_a_page_too(
    chromium: Chromium, tmp_path: Path, result: Comparison
) -> None:
    path = HtmlReport().write(replace(report_input(result), planned=()), tmp_path / "report")
    opened = chromium.open(path)
    assert "NOT JUDGED" in opened.page.locator(".banner").inner_text()
    assert opened.violations() == []
    opened.assert_quiet()
