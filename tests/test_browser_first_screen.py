"""The first screen in a real browser."""

from __future__ import annotations

from pathlib import Path

from browser_pages import Chromium


def test_it_opens_from_a_file_and_asks_for_nothing_else(chromium: Chromium, heard_report: Path) -> None:
    opened = chromium.open(heard_report / "index.html")
    assert "MAY NOT SHIP" in opened.page.title()
    opened.assert_quiet()
    assert opened.violations() == []
