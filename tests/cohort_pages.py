"""The page of a cohort for tests in a browser: the sample's 216 calls, and words for what is on the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from browser_pages import Chromium, Opened
from test_report_sample import planned_calls, report_input

from voiceeval.reports.call_columns import calls_data
from voiceeval.reports.cohort_page import cohort_values
from voiceeval.reports.data_files import write_data
from voiceeval.reports.page_frame import copy_assets
from voiceeval.reports.page_templates import page_templates

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGE_SIZE = 50
DRAWN = "main[data-drawn]"


def write_page(folder: Path, data: Mapping[str, Any]) -> Path:
    """The page alone, with data that a test may have changed."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_assets(folder)
    write_data(folder / "data", "calls.js", "voiceevalCalls", data)
    shell = page_templates().get_template("cohort.html.j2")
    page = folder / "cohort.html"
    page.write_text(shell.render(**cohort_values(report_input())), encoding="utf-8")
    return page


def opened_at(chromium: Chromium, page: Path, fragment: str = "", **settings: Any) -> Opened:
    opened = chromium.open(page, fragment=f"#{fragment}" if fragment else "", **settings)
    opened.page.set_default_timeout(6_000)
    drawn(opened.page)
    return opened


def drawn(page: Page) -> None:
    page.locator(DRAWN).wait_for()


def count(page: Page) -> int:
    return int(page.locator("#count").inner_text().split()[0].replace(",", ""))


def fragment(page: Page) -> str:
    return str(page.evaluate("location.hash")).removeprefix("#")


def column(page: Page, place: int) -> list[str]:
    cells = page.locator(f"#calls-body tr > :nth-child({place})")
    return [text.strip() for text in cells.all_inner_texts()]


def choose(page: Page, label: str, value: str) -> None:
    """Choose by the start of an option's words: what follows is the count."""
    select = page.get_by_label(label, exact=True)
    words = select.locator("option").all_inner_texts()
    select.select_option(label=next(text for text in words if text.startswith(f"{value} (")))
    drawn(page)


def turn_to(page: Page, link: str) -> None:
    """Another fragment in the address of the open page."""
    page.evaluate("link => { location.hash = link; }", link)
    page.wait_for_timeout(20)
    drawn(page)


def sample_data() -> dict[str, Any]:
    """What ``data/calls.js`` says of the sample; a test may change a copy."""
    return calls_data(report_input(planned=planned_calls()))


def repeated(data: dict[str, Any], times: int) -> dict[str, Any]:
    """The same calls as several trials."""
    calls: int = data["count"]

    def coded(column: dict[str, Any]) -> dict[str, Any]:
        return {**column, "codes": column["codes"] * times}

    def shifted(lines: list[list[int]]) -> list[list[int]]:
        return [[line[0] + calls * trial, *line[1:]] for trial in range(times) for line in lines]

    return {
        **data,
        "count": calls * times,
        "slugs": [f"{slug}-{trial}" for trial in range(times) for slug in data["slugs"]],
        "trials": [trial for trial in range(times) for _ in range(calls)],
        **{name: coded(data[name]) for name in ("scenario", "caller", "line", "speaker", "change")},
        "tags": [coded(tag) for tag in data["tags"]],
        "results": [coded(result) for result in data["results"]],
        "metrics": [
            {
                **metric,
                "sides": [{name: held * times for name, held in side.items()} for side in metric["sides"]],
            }
            for metric in data["metrics"]
        ],
        "tools": {**data["tools"], "calls": [shifted(lines) for lines in data["tools"]["calls"]]},
        "words": {**data["words"], "found": [shifted(lines) for lines in data["words"]["found"]]},
    }
