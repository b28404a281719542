"""The pictures of docs/report.md: the pages of a finished run at three widths, light and dark.

    python benchmarks/screenshots.py RUN docs/report

RUN is a run folder whose report was written. Needs Chromium, and the packages of ``voiceeval[dev]``.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZES = {"phone": (390, 844), "laptop": (1366, 768), "large": (1920, 1080)}
COLOURS = 128
"""A screen of text and flat areas needs no more; the files are a third as large."""


@dataclass(frozen=True)
class View:
    """One page as it is shown."""

    name: str
    address: str
    scroll_to: str = ""
    """A selector that is brought to the top; empty: the page's own top."""


def views(report: Path, cohort: str, metric: str, call: str) -> list[View]:
    """The main views of a report."""
    pages = report.resolve().as_uri()
    return [
        View("first-screen", f"{pages}/index.html"),
        View("heat-map", f"{pages}/index.html", scroll_to="#cohorts"),
        View("cohort", f"{pages}/cohort.html#{cohort}&metric={metric}"),
        View("call", f"{pages}/calls/{call}"),
        View("review", f"{pages}/review.html"),
    ]


def shoot(page: Page, view: View, path: Path) -> None:
    """Take one picture."""
    from PIL import Image

    page.goto("about:blank")  # the same page with another fragment would not be loaded again
    page.goto(view.address)
    page.wait_for_load_state("load")
    page.wait_for_timeout(800)
    if view.scroll_to:
        page.eval_on_selector(view.scroll_to, "element => element.scrollIntoView()")
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cohort", default="tag.accent=scottish&tag.line=telephone")
    parser.add_argument("--metric", default="wer")
    parser.add_argument(
        "--call", default="", help="file name of a call's page; default: the one to hear first"
    )
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    given.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        call = given.call or _first_call(browser.new_page(), given.run / "report" / "index.html")
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark") if size == "laptop" else ("light",):
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                for view in views(given.run / "report", given.cohort, given.metric, call):
                    name = f"{view.name}-{size}{'-dark' if scheme == 'dark' else ''}.png"
                    shoot(context.new_page(), view, given.folder / name)
                    print(given.folder / name)
                context.close()
        browser.close()
    return 0


def _first_call(page: Page, index: Path) -> str:
    """The call that the first screen offers to hear."""
    page.goto(index.resolve().as_uri())
    href = page.locator("a[href^='calls/']").first.get_attribute("href") or ""
    return href.removeprefix("calls/")


if __name__ == "__main__":
    sys.exit(main())
