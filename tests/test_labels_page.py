from __future__ import annotations

import io
from pathlib import Path

import pytest
from browser_pages import Chromium
from labelled import said
from rich.console import Console
from test_report_html import HOSTILE
from test_report_sample import report_input

from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.label_agreement import Agreement, agreement
from voiceeval.reports.labels_page import write_labels_page
from voiceeval.reports.labels_table import labels_json, render


def found(*reviewers: str) -> Agreement:
    report = report_input()
    labels = [
        said(name, planned.id, arm, task_done="yes" if number % 3 else "no", tone=1 + number % 5)
        for name in reviewers
        for number, planned in enumerate(report.planned)
        for arm in ("baseline", "candidate")
    ]
    cohorts = [EVERYONE, Cohort((("accent", "caribbean"),))]
    return agreement(labels, report.scores, report.planned, cohorts)


def printed(result: Agreement, *, width: int = 80, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    render(result, Console(file=file, width=width, force_terminal=False, color_system=None))
    file.flush()
    return raw.getvalue().decode(encoding)


def test_the_page_the_terminal_and_the_json_give_the_same_figures(tmp_path: Path) -> None:
    result = found("AB", "CD")
    text, page = printed(result), write_labels_page(result, tmp_path).read_text("utf-8")
    rows = labels_json(result, "run")["metrics"]
    for row in rows:
        share = f"{row['agreed']}/{row['compared']} {row['agreed'] / row['compared']:.0%}"
        assert share in text
        assert share in page
    assert any("lower" in row for row in rows)
    for row in rows:
        if "lower" in row:
            words = f"{row['kappa']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
            assert words in text
            assert words in page


def test_few_labels_are_said_to_be_few(tmp_path: Path) -> None:
    result = found("AB")
    row = next(each for each in labels_json(result, "run")["metrics"] if each["arm"] == "baseline")
    assert "why_no_interval" in row or "why_no_kappa" in row
    assert "(too few)" in printed(result) + write_labels_page(result, tmp_path).read_text("utf-8")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_terminal_and_leaves_paths_whole(width: int) -> None:
    lines = printed(found("AB", "CD"), width=width).splitlines()
    assert all(len(line.rstrip()) <= width for line in lines if "report/calls/" not in line)
    assert all(line.endswith(".html") for line in lines if "report/calls/" in line)


def test_a_console_of_ascii_gets_ascii() -> None:
    assert "accent=caribbean" in printed(found("AB", "Zoë"), encoding="ascii")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_reviewers_name_is_text(text: str, tmp_path: Path) -> None:
    tame = write_labels_page(found("AB", "CD"), tmp_path).read_text("utf-8")
    wild = write_labels_page(found(text, "CD"), tmp_path).read_text("utf-8")
    assert wild.count("<") == tame.count("<")


def test_the_page_is_quiet_and_accessible(chromium: Chromium, tmp_path: Path) -> None:
    opened = chromium.open(write_labels_page(found("AB", "CD"), tmp_path), color_scheme="dark")
    opened.assert_quiet()
    assert opened.violations() == []
