from __future__ import annotations

import re
from dataclasses import replace

import pytest
from test_report_full_sample import FAULTS, everything, exploration, waived
from test_report_sample import WER, comparison, verdict

from voiceeval.cohort import Cohort
from voiceeval.reports.markdown import summary
from voiceeval.reports.markdown_text import escaped
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
    for table in re.split(r"\n(?!\|)", summary(everything())):
        widths = {len(CELLS.findall(row)) for row in table.splitlines() if row.startswith("| ")}
        assert len(widths) <= 1


def test_equal_comparisons_give_equal_text() -> None:
    assert summary(comparison()) == summary(comparison())


def test_however_much_there_is_it_stays_under_the_limit_and_counts_what_is_missing() -> None:
    reason = "ß" * 5000
    many = tuple(
        verdict(WER, Cohort((("accent", f"a{number}"),)), Outcome.REGRESSED, reason=reason)
        for number in range(900)
    )
    text = summary(comparison(verdicts=many, alarms=(reason,) * 5000))
    assert len(text.encode()) < 1024 * 1024
    assert "MAY NOT SHIP: 900 cohorts regressed" in text
    assert "and 4,900 more alarms" in text
    shorter = summary(comparison(verdicts=many, alarms=(reason,) * 50), limit_bytes=64 * 1024)
    told = re.search(r"\*\*Shortened:\*\* .*\b(\d+) blocking entries", shorter)
    assert told
    named = shorter.count("**✗ regressed:")
    assert named >= 10
    assert int(told[1]) + named == 900


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


def test_all_sections_come_in_the_order_to_read_them() -> None:
    text = summary(everything())
    order = (
        "## ✗ MAY NOT SHIP: 2 cohorts regressed, 2 faults beside the verdicts",
        f"- **✗ Fault: {escaped(FAULTS[0])}**",
        "- **Alarm: ",
        "| Cohort |",
        "### Why it may not ship",
        "### Waived, not passed",
        "- **⊘ regressed, waived: accent\\=welsh × line\\=telephone, Entity error rate**",
        "### Gaps between the worst and the best served cohort",
        "### Exploration of undeclared cohorts",
        "### Repeats of the same call",
        "### Observed quantiles",
        "| Reported only, overall |",
    )
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_what_is_waived_names_its_owner_and_is_no_blocking_entry() -> None:
    text = summary(comparison(verdicts=(waived(),), alarms=()))
    assert text.startswith("## ✓ may ship: no unwaived regression; 1 known regression waived\n")
    assert "waived by asr\\-team until 2026\\-12\\-31" in text
    assert "### Why it may not ship" not in text
    assert "⊘ \\+4.8 pp" in text


def test_what_was_placed_again_is_told() -> None:
    text = summary(everything())
    assert "Placed again because we failed to measure them at first: baseline 0, candidate 2 calls" in text


def test_finds_are_labelled_as_exploration() -> None:
    text = summary(everything())
    assert "| accent\\=caribbean × domain\\=pharmacy | Task completion | \\+28.0 pp | \\+41.0 pp |" in text
    assert "gate it in the NEXT run, on fresh calls" in text
    nothing = summary(everything(exploration=replace(exploration(), found=())))
    assert "none stands out" in nothing
    assert "NEXT run" not in nothing


def test_a_common_margin_is_in_the_head_and_an_own_one_in_its_cell() -> None:
    text = summary(everything())
    assert "| Word error rate<br>margin \\+2pp |" in text
    assert text.count("own margin \\+4pp") == 1


def test_every_cohort_is_in_the_table_and_those_that_block_come_first() -> None:
    many = [verdict(WER, Cohort((("accent", f"a{number:03}"),))) for number in range(200)]
    many[190] = verdict(WER, many[190].cohort, Outcome.REGRESSED, worse_by=0.1)
    text = summary(comparison(verdicts=tuple(many)))
    names = re.findall(r"^\| (accent\S+) \|", text, re.MULTILINE)
    assert len(names) == 200
    assert names[:3] == ["accent\\=a190", "accent\\=a000", "accent\\=a001"]


@pytest.mark.parametrize("limit", [1000, 2000, 4000, 6000, 9000])
def test_sections_that_do_not_fit_are_named(limit: int) -> None:
    text = summary(everything(), limit_bytes=limit)
    assert len(text.encode()) <= limit
    for title in ("Waived, not passed", "Exploration of undeclared cohorts", "Repeats of the same call"):
        assert f"### {title}" in text or f"“{title}”" in text
