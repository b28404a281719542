"""The page of a call in a browser: what first went wrong, said over heard, links to turns and moments."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_pages import LAPTOP, LARGE, PHONE, Chromium, Opened
from test_report_sample import planned_calls

from voiceeval.reports.call_list import slug

MISHEARD = "banking.block-card/caribbean-0/telephone/0"
"""Turn 2 of the candidate takes 4129 for 4125, by the sample's own making."""


def page_of(report: Path, call_id: str = MISHEARD) -> Path:
    assert call_id in {planned.id for planned in planned_calls()}
    return report / "calls" / f"{slug(call_id)}.html"


@pytest.fixture
def opened(chromium: Chromium, heard_report: Path) -> Opened:
    return chromium.open(page_of(heard_report))


def test_what_first_went_wrong_stands_on_top_and_leads_to_its_turn(opened: Opened) -> None:
    page = opened.page
    sides = page.locator("section[aria-labelledby=short] .side")
    assert sides.count() == 2
    assert "Nothing to blame: the task was done" in sides.nth(0).inner_text()
    told = sides.nth(1).inner_text()
    assert "First to go wrong: recognizer in turn 2" in " ".join(told.split())
    assert "heard the card “4 1 2 9” as “for 1 2 5”" in told
    departs = page.locator(".departs").inner_text()
    assert departs.startswith("The candidate departs from the baseline in turn 2: it heard")
    sides.nth(1).get_by_role("link", name="turn 2").first.click()
    assert page.evaluate("location.hash") == "#turn-2"
    assert page.locator("#turn-2").evaluate("e => Math.abs(e.getBoundingClientRect().top) < innerHeight / 2")
    opened.assert_quiet()


def test_said_stands_over_heard_in_columns(opened: Opened) -> None:
    """The words in the two rows, read off where they are drawn, are what was said and what was heard."""
    side = opened.page.locator("#turn-2 .side[data-arm=candidate] .align")
    drawn = side.evaluate("""e => [...e.querySelectorAll('.w:not(.names)')].map(w => {
        const at = [...w.querySelectorAll('bdi, .gap')].map(b => [b.textContent, b.getBoundingClientRect()]);
        return {words: at.map(a => a[0]),
            edit: w.className, letters: w.querySelector('small')?.textContent,
            over: at[0][1].bottom <= at[1][1].top + 1, column: Math.abs(at[0][1].left - at[1][1].left) < 2,
            entity: w.closest('.entity')?.querySelector('.type').textContent ?? ''};
    })""")
    assert all(word["over"] and word["column"] for word in drawn)
    assert [tuple(word["words"]) for word in drawn] == [
        ("it", "it"), ("ends", "ends"), ("in", "in"), ("4", "for"), ("1", "1"), ("2", "2"), ("9", "5"),
    ]  # fmt: skip
    assert [word["entity"] for word in drawn] == ["", "", "", "card", "card", "card", "card"]
    assert [word["letters"] for word in drawn if word["edit"] != "w"] == ["SUB", "SUB"]
    assert "2 errors in 7 words" in side.inner_text()
    colours = side.evaluate(
        "e => [...e.querySelectorAll('.w')].map(w => getComputedStyle(w).backgroundColor)"
    )
    assert len(set(colours)) == 2, "an error has a colour of its own"


def test_words_that_are_as_said_are_read_out_once(opened: Opened) -> None:
    told = opened.page.locator("#turn-2 .side[data-arm=candidate] .align").aria_snapshot()
    spoken = " ".join(told.split())
    assert "SUB 4 → for" in spoken
    assert spoken.count("ends") == 1


def test_every_step_leads_to_its_moment(opened: Opened) -> None:
    links = opened.page.locator("a.at").evaluate_all(
        "all => all.map(a => [a.getAttribute('href'), Number(a.dataset.atMs), a.dataset.arm, a.textContent])"
    )
    assert len(links) > 30
    for href, at_ms, arm, text in links:
        assert href == f"#t={at_ms / 1000:.3f}"
        assert arm in ("baseline", "candidate")
        minutes, seconds = text.split(":")
        assert abs(60 * int(minutes) + float(seconds) - at_ms / 1000) <= 0.051
    ids = opened.page.locator("section.turn[id]").evaluate_all("all => all.map(e => e.id)")
    assert ids == ["turn-0", "turn-1", "turn-2", "turn-3"]


def test_tools_and_states_show_what_differs(opened: Opened) -> None:
    tools = opened.page.locator("section[aria-labelledby=tools] .side")
    assert tools.nth(0).locator("li.right").count() == 2
    wrong = tools.nth(1).locator("li.wrong")
    assert wrong.count() == 2
    assert 'card: due "4129", given "4125"' in wrong.nth(0).inner_text()
    state = " ".join(opened.page.locator("section[aria-labelledby=state]").inner_text().split())
    assert 'cards.4129.status "blocked" ✓ "blocked" ✗ "active"' in state
    assert "cards.4125 + added" in state


def test_scores_that_differ_come_first_and_say_why(opened: Opened) -> None:
    scores = opened.page.locator("section[aria-labelledby=scores]")
    headings = [" ".join(each.split()) for each in scores.locator("h3").all_inner_texts()]
    assert headings[0] == "Recognition 2 scores differ"
    assert headings[-1].endswith("no score differs")
    assert scores.locator("tr.apart").count() == 4
    assert "expected '4129', got '4125'" in scores.inner_text()


def test_the_page_leads_to_its_neighbours_and_to_its_cohorts(opened: Opened, heard_report: Path) -> None:
    page = opened.page
    first = page.url
    page.locator("a[rel=next]").click()
    assert page.url != first
    page.locator("a[rel=prev]").click()
    assert page.url == first
    tags = page.locator("p.tags a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert "../cohort.html#tag.line=wideband" in tags or "../cohort.html#tag.line=telephone" in tags
    assert all((heard_report / "calls" / tag.split("#")[0]).resolve().is_file() for tag in tags)
    opened.assert_quiet()


@pytest.mark.parametrize(("scheme", "size"), [("light", LAPTOP), ("dark", PHONE)], ids=["light", "dark"])
def test_axe_finds_nothing_serious(
    chromium: Chromium, heard_report: Path, scheme: str, size: tuple[int, int]
) -> None:
    opened = chromium.open(page_of(heard_report), size=size, color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.violations() == []
    opened.assert_quiet()


@pytest.mark.parametrize("size", [PHONE, LAPTOP, LARGE], ids=["phone", "laptop", "large"])
def test_nothing_is_wider_than_the_window(
    chromium: Chromium, heard_report: Path, size: tuple[int, int]
) -> None:
    page = chromium.open(page_of(heard_report), size=size).page
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_without_script_all_of_it_can_be_read(chromium: Chromium, heard_report: Path) -> None:
    opened = chromium.open(page_of(heard_report), java_script_enabled=False)
    text = opened.page.locator("main").inner_text()
    for told in ("First to go wrong", "At a glance", "Tool calls: due and made", "Turn 3", "Why each score"):
        assert told in text
    assert opened.page.locator("section.turn audio").count() > 10


def test_a_blind_page_tells_neither_the_arms_nor_how_they_did(chromium: Chromium, heard_report: Path) -> None:
    opened = chromium.open(page_of(heard_report), fragment="#embedded=1&blind=ba")
    page = opened.page
    text = page.locator("body").inner_text().lower()
    for secret in (
        "baseline",
        "candidate",
        "task done",
        "first to go wrong",
        "due and made",
        "error rate",
        "cost",
    ):
        assert secret not in text, secret
    snapshot = page.locator("body").aria_snapshot().lower()
    assert "baseline" not in snapshot
    assert "candidate" not in snapshot
    for judged in (
        "SUB",
        "DEL",
        "INS",
        "as said",
        "reference recognizer",
        "error",
        "answer time",
        "too early",
    ):
        assert judged.lower() not in text, judged
    assert page.locator("section.turn .row", has_text="agent hears").count() > 0, "what was heard stays"
    assert page.locator(".m-early, .stages .span").count() == 0
    assert page.locator("a[href]:not([href^='#'])").count() == 0, "other pages name the arms"
    order = page.locator("#turn-2 .side").evaluate_all("all => all.map(e => e.dataset.arm)")
    assert order == ["candidate", "baseline"]
    assert page.locator("#turn-2 .armname").all_inner_texts() == ["A", "B"]


def test_on_paper_nothing_stays_folded(chromium: Chromium, heard_report: Path) -> None:
    page = chromium.open(page_of(heard_report)).page
    page.emulate_media(media="print")
    assert page.locator("section[aria-labelledby=scores] details pre").first.is_visible()
    assert not page.locator("nav.pages").is_visible()
