from __future__ import annotations

import re

import pytest
from test_report_sample import WER, comparison, verdict

from voiceeval.cohort import Cohort
from voiceeval.reports.markdown import escaped, summary
from voiceeval.reports.wording import SIGNS
from voiceeval.verdict import Outcome

CELLS = re.compile(r"(?<!\\)\|")


def test_the_summary_tells_verdict_numbers_blame_and_counts() -> None:
    text = summary(comparison())
    assert text.startswith("## ✗ MAY NOT SHIP: 2 cohorts regressed\n")
    assert "9 of 11 failed calls would have succeeded with the right words" in text
    assert "✗ \\+6.1 pp<br>8.1 → 14.2 %" in text
    assert "23 inconclusive \\(not decided\\)" in text
    for outcome, sign in SIGNS.items():
        assert f"{escaped(sign)} {outcome.value}" in text


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    rows = [line for line in summary(comparison()).splitlines() if line.startswith("| ")]
    assert {len(CELLS.findall(row)) for row in rows} == {8, 5}


def test_equal_comparisons_give_equal_text() -> None:
    assert summary(comparison()) == summary(comparison())


def test_however_much_there_is_it_stays_under_the_limit_and_counts_what_is_missing() -> None:
    reason = "ß" * 5000
    many = tuple(
        verdict(WER, Cohort((("accent", f"a{number}"),)), Outcome.REGRESSED, reason=reason)
        for number in range(900)
    )
    text = summary(comparison(verdicts=many, alarms=(reason,) * 5000))
    assert len(text.encode()) < 64 * 1024
    assert "MAY NOT SHIP: 900 cohorts regressed" in text
    told = re.search(r"\*\*Shortened:\*\* (\d+) blocking entries", text)
    assert told
    assert int(told[1]) + text.count("**✗ regressed:") == 900


@pytest.mark.parametrize("limit", [1000, 2000, 5000])
def test_any_limit_is_kept(limit: int) -> None:
    assert len(summary(comparison(), limit_bytes=limit).encode()) <= limit


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("a|b", "a\\|b"),
        ("<img src=x>", "&lt;img src\\=x&gt;"),
        ("[x](javascript:1)", "\\[x\\]\\(javascript:1\\)"),
        ("`x`", "\\`x\\`"),
        ("a\n\n# b", "a \\# b"),
        ("&lt;", "&amp;lt;"),
        ("@team", "@\u2060team"),
        ("https://x.y", "https:\u2060//x.y"),
        ("www.x.y", "www\u2060.x.y"),
        ("\u202ex", "⟨U\\+202E⟩x"),
    ],
)
def test_names_from_files_stay_text(given: str, written: str) -> None:
    assert escaped(given) == written
