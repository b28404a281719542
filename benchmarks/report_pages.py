"""How fast a report's pages open and answer in a browser, as ratios to their limits.

    python benchmarks/report_pages.py [--calls 5000 50000] [--pages N] [--write FILE]

Writes the report of a run of so many planned calls with both arms (``synthetic_report``) and opens its pages
from ``file://`` in headless Chromium, each in a fresh profile:

* *interactive*: from the start of navigation until the document's scripts have run and no task of more than
  50 ms is under way any more; the median of a few openings;
* *filter*: from choosing a value of a tag (or the last letter of a search) until the table with the result
  has been painted; the median and the longest of ten;
* *data*: bytes of what the page loads, but for scripts and styles that every report has;
* *audio*: files of sound that are requested before anybody plays one.

Only some of the calls' own pages are written: they are alike, and their time is told per page. Times of
writing are of the processor. Exits with 1 where a limit is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from rich.console import Console
from rich.table import Table
from synthetic_report import synthetic_report

from voiceeval.reports.html import HtmlReport
from voiceeval.reports.report_input import ReportInput

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

INTERACTIVE_MS = 2_000.0
FILTER_MS = 200.0
DATA_BYTES = 10_000_000
"""Of a run of 5,000 calls."""
QUIET_MS = 600
"""Without a long task for so long, a page is taken to have come to rest."""
FILTERS = 10
SEARCHES = 2
"""So many of the filters are typed, the others chosen."""
SOUND = (".flac", ".wav", ".mp3", ".ogg", ".opus")

WATCH_TASKS = """
globalThis.longTasks = [];
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) longTasks.push(task.startTime + task.duration);
}).observe({ type: "longtask", buffered: true });
"""
INTERACTIVE = """
() => Math.max(performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd, ...longTasks)
"""
WATCH_ANSWERS = """
() => {
  globalThis.answers = [];
  let asked = 0;
  const ask = () => void (asked = performance.now());
  for (const kind of ["input", "change"]) addEventListener(kind, ask, true);
  const seen = () => {
    if (!asked) return;
    const from = asked;
    asked = 0;
    requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = () => answers.push(performance.now() - from);
      painted.port2.postMessage(0);
    });
  };
  new MutationObserver(seen).observe(document.getElementById("calls-body"), { childList: true });
}
"""


@dataclass
class Measured:
    """What one run's report took."""

    calls: int
    pages: int
    """Call pages that were written."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Of Python's processor time, by part of the report."""
    interactive_ms: dict[str, float] = field(default_factory=dict)
    """By page."""
    data_bytes: dict[str, int] = field(default_factory=dict)
    filter_ms: list[float] = field(default_factory=list)
    sounds_before_play: list[str] = field(default_factory=list)

    def figures(self) -> list[tuple[str, float, float, str]]:
        """Name, value, limit (0: none) and unit of everything that is told."""
        found = [
            (f"{page} interactive", ms, INTERACTIVE_MS, "ms") for page, ms in self.interactive_ms.items()
        ]
        if self.filter_ms:
            found.append(("filter, median", statistics.median(self.filter_ms), FILTER_MS, "ms"))
            found.append(("filter, longest", max(self.filter_ms), FILTER_MS, "ms"))
        limit = DATA_BYTES * max(1.0, self.calls / 5_000)
        found += [(f"{page} data", size / 1e6, limit / 1e6, "MB") for page, size in self.data_bytes.items()]
        found.append(("sounds before play", len(self.sounds_before_play), 1, "files"))
        found += [(f"write {part}", seconds, 0, "s") for part, seconds in self.seconds.items()]
        if self.pages:
            found.append(("write one call page", 1000 * self.seconds["call pages"] / self.pages, 0, "ms"))
        return found

    @property
    def kept(self) -> bool:
        """Whether every limit is kept."""
        return all(value < limit for _, value, limit, _ in self.figures() if limit)


class SomePages(HtmlReport):
    """Writes the pages of the first calls only, and looks at the clock."""

    def __init__(self, pages: int) -> None:
        super().__init__()
        self._pages = pages
        self.seconds: dict[str, float] = {}

    def index(self, report: ReportInput) -> str:
        """The first screen as text."""
        found: list[str] = []
        self.seconds["first screen"] = seconds_of(lambda: found.append(super(SomePages, self).index(report)))
        return found[0]

    def _write_calls(self, report: ReportInput, folder: Path) -> None:
        some = replace(report, planned=report.planned[: self._pages])
        self.seconds["call pages"] = seconds_of(lambda: super(SomePages, self)._write_calls(some, folder))


def seconds_of(work: Callable[[], object]) -> float:
    """Of processor time, so that other work on the machine counts less."""
    started = time.process_time()
    work()
    return time.process_time() - started


def written(report: ReportInput, folder: Path, pages: int) -> Measured:
    """Write the report's pages; how long which part takes."""
    html = SomePages(pages)
    whole = seconds_of(lambda: html.write(report, folder))
    found = Measured(calls=len(report.planned), pages=min(pages, len(report.planned)))
    found.seconds = html.seconds | {"columns and all else": whole - sum(html.seconds.values()), "all": whole}
    return found


def opened(browser: Browser, path: Path) -> tuple[Page, list[str]]:
    """A page in a fresh profile once it has come to rest, and what it asked for."""
    page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(WATCH_TASKS)
    page.goto(path.resolve().as_uri(), wait_until="load", timeout=120_000)
    page.wait_for_function(
        f"() => performance.now() - Math.max(0, ...longTasks) > {QUIET_MS}", timeout=120_000, polling=100
    )
    return page, asked


def look_at(browser: Browser, folder: Path, found: Measured, repeats: int) -> None:
    """Open the report's pages, and filter."""
    for name in ("index.html", "cohort.html", "review.html"):
        if (folder / name).exists():
            times = []
            for _ in range(repeats):
                page, asked = opened(browser, folder / name)
                times.append(float(page.evaluate(INTERACTIVE)))
                page.context.close()
            found.interactive_ms[name] = statistics.median(times)
            found.data_bytes[name] = sum(map(size_of_data, asked))
            found.sounds_before_play += [url for url in asked if url.endswith(SOUND)]
    for path in sorted((folder / "calls").glob("*.html"))[:1]:
        page, asked = opened(browser, path)
        found.interactive_ms["a call's page"] = float(page.evaluate(INTERACTIVE))
        found.data_bytes["a call's page"] = sum(map(size_of_data, asked))
        found.sounds_before_play += [url for url in asked if url.endswith(SOUND)]
        page.context.close()
    if (folder / "cohort.html").exists():
        found.filter_ms = filtered(browser, folder / "cohort.html")


def size_of_data(url: str) -> int:
    """Bytes of a file of this report; the scripts and styles that all reports have count nothing.

    A call's page that a review would show may be one of those that were not written.
    """
    path = Path(unquote(urlparse(url).path))
    return path.stat().st_size if path.exists() and path.parent.name != "assets" else 0


def filtered(browser: Browser, path: Path) -> list[float]:
    """Milliseconds until the table shows what a filter leaves."""
    page, _ = opened(browser, path)
    page.evaluate(WATCH_ANSWERS)
    for number in range(FILTERS):
        if number < SEARCHES:
            page.locator("#search").press_sequentially("dan" if number else "card", delay=20)
        else:
            choices = page.locator("#filter-tags select")
            pick = choices.nth((number // 2) % choices.count())
            # Choose a value, and let it go again.
            pick.select_option(index=1 if number % 2 == 0 else 0)
        page.wait_for_function(f"() => answers.length > {number}", timeout=30_000)
        if number < SEARCHES:
            page.locator("#search").fill("")
            page.wait_for_function(f"() => answers.length > {number + 1}", timeout=30_000)
            page.evaluate("() => void answers.pop()")
    times = [float(ms) for ms in page.evaluate("() => answers")]
    page.context.close()
    return times


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "processor": platform.machine(),
    }


def measure(counts: list[int], *, pages: int, repeats: int) -> list[Measured]:
    """Reports of so many calls each, written and looked at."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    found = []
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for count in counts:
            run = Path(scratch) / str(count)
            of_run = written(synthetic_report(count, sounds_in=run), run / "report", pages)
            look_at(browser, run / "report", of_run, repeats)
            found.append(of_run)
        browser.close()
    return found


def main() -> int:
    """Measure and print; 1 when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--pages", type=int, default=200, help="call pages to write of each run")
    parser.add_argument("--repeats", type=int, default=3, help="how often each page is opened")
    parser.add_argument("--write", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    found = measure(options.calls, pages=options.pages, repeats=options.repeats)
    console, on = Console(), machine()
    console.print(f"{on['cores']} cores (load {on['load']}, {on['processor']}), Python {on['python']}")
    for of_run in found:
        table = Table("figure", "value", "limit", "ratio", title=f"{of_run.calls:,} calls x 2 arms")
        for name, value, limit, unit in of_run.figures():
            bound = (f"{limit:g} {unit}", f"{value / limit:.2f}") if limit else ("", "")
            table.add_row(name, f"{value:,.{2 if value < 100 else 0}f} {unit}", *bound)
        console.print(table)
    if options.write:
        document = {"machine": on, "runs": [asdict(of_run) for of_run in found]}
        options.write.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if all(of_run.kept for of_run in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
