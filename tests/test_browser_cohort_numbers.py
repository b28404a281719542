"""What the page of a cohort tells of the calls it shows: verdicts, figures, tools, words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from browser_pages import Chromium
from cohort_pages import (
    choose,
    count,
    drawn,
    fragment,
    opened_at,
    sample_data,
    write_page,
)
from test_report_sample import SCENARIOS, WORST, misheard_on_candidate, planned_calls

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return sample_data()


@pytest.fixture(scope="module")
def page(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("cohort"), data)


def test_a_declared_cohort_has_the_gates_verdicts_and_no_other_selection_has(
    chromium: Chromium, page: Path
) -> None:
    opened = opened_at(chromium, page, urlencode({f"tag.{tag}": value for tag, value in WORST.parts}))
    verdicts = opened.page.locator("#verdict tbody tr").filter(has_text="Word error rate").first.inner_text()
    assert verdicts.count("interval") == 0, "the interval has a column, and stands nowhere else"
    for told in ("✗ regressed", "+6.1 pp worse", "+2pp", "8.1 → 14.2 %", "over 6 speakers"):
        assert told in verdicts
    choose(opened.page, "Scenario", SCENARIOS[0])
    assert "No verdict for this selection." in opened.page.locator("#verdict").inner_text()
    assert "exploration" in opened.page.locator("#verdict").inner_text()
    opened.page.locator("#verdict").get_by_role("button", name="accent=caribbean × line=telephone").click()
    assert "✗ regressed" in opened.page.locator("#verdict").inner_text()
    assert opened.page.evaluate("document.activeElement.id") == "title"


@pytest.mark.parametrize("metric", ["wer", "task_completion", "time_to_first_audio"])
def test_the_bins_of_a_figure_hold_every_call_once(metric: str, chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, f"tag.accent=caribbean&metric={metric}")
    assert opened.page.locator("#figures svg[role=img]").count() == 2
    spread, paired = (table_of_numbers(opened.page, place) for place in (0, 1))
    turns = 2 if metric == "time_to_first_audio" else 1
    assert [sum(line) for line in zip(*spread, strict=True)] == [36 * turns, 36 * turns]
    assert sum(line[0] for line in paired) == 36
    missing = opened.page.locator("#numbers tr").filter(has_text="Without")
    assert missing.count() == 0
    bars = opened.page.locator("#figures figure").nth(1).locator("rect").all()
    heights = [float(bar.get_attribute("height") or 0) for bar in bars]
    drawn_counts = [line[0] for line in paired if line[0]]
    assert [height / max(heights) for height in heights if height] == pytest.approx(
        [n / max(drawn_counts) for n in drawn_counts]
    )


def table_of_numbers(page: Page, place: int) -> list[list[int]]:
    rows = page.locator("#bins table").nth(place).locator("tbody tr")
    return [
        [int(text.replace(",", "")) for text in row.locator("td").all_text_contents()] for row in rows.all()
    ]


def test_pooled_rates_are_those_of_the_scores(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, "tag.accent=scottish&tag.line=telephone&metric=wer")
    # 12 of 18 calls with 5 wrong of 26 words on the candidate, none on the baseline.
    pooled = opened.page.locator("#numbers tr").filter(has_text="Pooled rate").inner_text().split("\t")
    assert pooled == ["Pooled rate", "0.0 %", f"{100 * 12 * 5 / (18 * 26):.1f} %", "+12.8 pp worse"]
    assert "worse in 12, better in 0, the same in 6" in opened.page.locator("#numbers").inner_text()


def test_an_agent_that_failed_has_everything_wrong_in_the_pooled_rate(
    chromium: Chromium, data: dict[str, Any], tmp_path: Path
) -> None:
    changed = json.loads(json.dumps(data))
    wer = next(metric for metric in changed["metrics"] if metric["name"] == "wer")
    side = wer["sides"][1]
    side["gaps"] = "a" + side["gaps"][1:]
    side["numerators"][0] = side["denominators"][0] = 0
    opened = opened_at(
        chromium, write_page(tmp_path, changed), f"metric=wer&scenario={SCENARIOS[0]}&caller=american-0"
    )
    # Two calls of 26 words: one is lost.
    pooled = opened.page.locator("#numbers tr").filter(has_text="Pooled rate").inner_text().split("\t")
    assert pooled[1:3] == ["0.0 %", "50.0 %"]
    assert "agent failed" in opened.page.locator("#numbers").inner_text()


def test_quantiles_that_too_few_calls_bound_are_withheld(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page, "metric=time_to_first_audio&tag.accent=welsh")
    rows = {
        row.split("\t")[0]: row.split("\t")[1:]
        for row in opened.page.locator("#numbers tbody tr").all_inner_texts()
    }
    assert rows["p50"][:2] == ["1480 ms", "1480 ms"]
    assert rows["p95"][:2] == rows["p99"][:2] == ["withheld", "withheld"]
    assert "p95 takes 59 calls" in opened.page.locator("#numbers").inner_text()
    opened.page.get_by_role("button", name="Show all calls").click()
    drawn(opened.page)
    assert "p95 takes" not in opened.page.locator("#numbers").inner_text()
    assert "p99 takes 299 calls" in opened.page.locator("#numbers").inner_text()


def test_aims_are_drawn_and_compared(chromium: Chromium, data: dict[str, Any], tmp_path: Path) -> None:
    changed = json.loads(json.dumps(data))
    next(one for one in changed["metrics"] if one["name"] == "time_to_first_audio")["targets"] = {
        "p50": 1400,
        "p95": 1800,
    }
    opened = opened_at(chromium, write_page(tmp_path, changed), "metric=time_to_first_audio")
    told = opened.page.locator("#numbers").inner_text()
    assert "p50 (aim 1400 ms)\t1480 ms ✗" in told
    assert "p95 (aim 1800 ms)\t1790 ms ✓" in told
    assert opened.page.locator("#figures svg").first.get_by_text("aim p95 1800 ms").is_visible()


def test_tools_confused_are_counted_by_arm_and_lead_to_their_calls(
    chromium: Chromium, data: dict[str, Any], tmp_path: Path
) -> None:
    changed = json.loads(json.dumps(data))
    names = changed["tools"]["names"]
    block, order = names.index("block_card"), names.index("order_card")
    candidate = changed["tools"]["calls"][1]
    for line in candidate:
        if line[0] < 6 and line[1:3] == [block, block]:
            line[2] = order
    opened = opened_at(chromium, write_page(tmp_path, changed))
    before, after = (opened.page.locator("#tools table").nth(arm) for arm in (0, 1))
    lines = [
        table.locator("tbody tr").filter(has_text="block_card").first.inner_text().split("\t")
        for table in (before, after)
    ]
    assert lines[0] == ["block_card", "216", "0"]
    assert lines[1] == ["block_card", "210 (−6)", "6 (+6)"]
    assert before.locator(".differs").count() == 0
    after.get_by_role("button", name="6 block_card → order_card").click()
    assert count(opened.page) == 6
    assert opened.page.locator(".chip").all_inner_texts() == ["Tools: block_card → order_card ✕"]
    link = fragment(opened.page)
    opened.page.reload()
    drawn(opened.page)
    assert (count(opened.page), fragment(opened.page)) == (6, link)


def test_words_misheard_are_counted_by_arm_and_lead_to_their_calls(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page)
    misheard = sum(map(misheard_on_candidate, planned_calls()))
    rows = [text.split("\t") for text in opened.page.locator("#words tbody tr").all_inner_texts()]
    # What the sample's recognizer does to the two sentences, in the normalizer's words.
    assert {(kind, words) for kind, words, *_ in rows} == {
        ("no entity", "SUBcard → cart"),
        ("no entity", "DELneed"),
        ("no entity", "DELit"),
        ("card", "SUB4 → for"),
        ("card", "SUB9 → 5"),
    }
    assert {tuple(counts) for _, _, *counts in rows} == {("0", f"{misheard}", f"+{misheard}")}
    opened.page.get_by_role("button", name="card → cart: show the calls").click()
    assert count(opened.page) == misheard
    assert fragment(opened.page) == "word.type=&word.said=card&word.heard=cart"
    choose_plainly(opened.page, "Words", "card")
    kinds = {text.split("\t")[0] for text in opened.page.locator("#words tbody tr").all_inner_texts()}
    assert kinds == {"card"}


def choose_plainly(page: Page, label: str, value: str) -> None:
    page.get_by_label(label, exact=True).select_option(label=value)


def test_words_sort_by_every_column(chromium: Chromium, page: Path) -> None:
    opened = opened_at(chromium, page)
    heading = opened.page.locator("#words").get_by_role("button", name="Kind of word")
    heading.click()
    kinds = [text.split("\t")[0] for text in opened.page.locator("#words tbody tr").all_inner_texts()]
    assert kinds == sorted(kinds, key=lambda kind: "" if kind == "no entity" else kind)
    assert opened.page.evaluate("document.activeElement.textContent").startswith("Kind of word")


def test_values_that_are_all_alike_look_alike(
    chromium: Chromium, data: dict[str, Any], tmp_path: Path
) -> None:
    changed = json.loads(json.dumps(data))
    times = next(one for one in changed["metrics"] if one["name"] == "time_to_first_audio")
    for side, ms in zip(times["sides"], (1_500, 960), strict=True):
        side["observations"] = [[ms]] * len(side["gaps"])
        side["numerators"] = [ms] * len(side["gaps"])
        side["denominators"] = [1] * len(side["gaps"])
    page = write_page(tmp_path, changed)
    opened = opened_at(
        chromium, page, f"metric=wer&scenario={SCENARIOS[0]}&caller=american-0&tag.line=telephone"
    )
    assert count(opened.page) == 1
    bars, whole = (
        [box["width"] for rect in opened.page.locator(f"{figure} rect").all() if (box := rect.bounding_box())]
        for figure in ("#figures figure:nth-child(2)", "#figures figure:nth-child(1)")
    )
    width = opened.page.locator("#figures svg").first.evaluate("svg => svg.clientWidth")
    assert max(bars + whole) < width / 4, "one call is not spread over the whole axis"
    behind = opened.page.locator("#bins table").nth(1).locator("tbody th").all_text_contents()
    assert behind == ["−0.5 pp to +0.5 pp"]
    ticks = opened.page.locator("#figures [aria-label]").count()
    assert ticks == 2, "only the drawings themselves are named"
    numbers = opened.page.locator("#figures svg").nth(1).locator("text").all_text_contents()
    assert [text for text in numbers if text in ("0", "1")] == ["0", "1"]
    opened = opened_at(chromium, page, "metric=time_to_first_audio")
    assert "Mean of the calls" in opened.page.locator("#numbers").inner_text(), "one value a call"
    drawing = opened.page.locator("#figures svg").nth(1)
    zero = drawing.get_by_text("±0", exact=True).bounding_box()
    [bar] = [box for rect in drawing.locator("rect").all() if (box := rect.bounding_box()) and box["height"]]
    assert zero is not None
    assert bar["x"] + bar["width"] < zero["x"], "better lies left of no change, which is in sight"


@pytest.mark.parametrize(
    "pressed", ["#verdict td button, #verdict th button", "#tools button", "#words td button"]
)
def test_what_was_pressed_keeps_the_focus_when_it_is_drawn_anew(
    pressed: str, chromium: Chromium, page: Path
) -> None:
    opened = opened_at(chromium, page)
    button = opened.page.locator(pressed).first
    told = button.inner_text()
    button.focus()
    opened.page.keyboard.press("Enter")
    drawn(opened.page)
    assert fragment(opened.page)
    assert opened.page.evaluate("document.activeElement.innerText") == told


def test_a_run_without_verdicts_says_so_and_blames_no_filter(
    chromium: Chromium, data: dict[str, Any], tmp_path: Path
) -> None:
    opened = opened_at(chromium, write_page(tmp_path, {**data, "cohorts": []}))
    told = opened.page.locator("#verdict").inner_text()
    assert "judged no cohort of this run" in told
    assert "filter" not in told
    assert opened.page.get_by_label("Cohorts with a verdict").is_disabled()
