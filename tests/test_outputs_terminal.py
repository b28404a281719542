"""Intervals drawn in the cohort table: on the right side of zero and margin, in line, in any terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from test_report_full_sample import everything
from test_report_sample import FIRST_AUDIO, TASK, WER, WORST, cohorts, comparison, estimate, invalid, verdict
from test_report_terminal import printed

from voiceeval.cohort import EVERYONE
from voiceeval.reports.interval_bars import margin_worse_by
from voiceeval.reports.sparkline import (
    CROSSED,
    FARTHER_LEFT,
    FARTHER_RIGHT,
    LEAST_WIDTH,
    LINE,
    MARGIN,
    POINT,
    ZERO,
    interval_lines,
)
from voiceeval.reports.terminal import render
from voiceeval.score import MetricInfo
from voiceeval.verdict import Interval, Verdict

DRAWN = {LINE, POINT, CROSSED, FARTHER_LEFT, FARTHER_RIGHT}
PICTURE = """\
    ──●── ┊
      │ ──●─
      │   ┊──●──
 ─●── │   ┊"""
BOUNDS = st.floats(-1, 1, allow_nan=False)


def cell(
    lower: float, upper: float, *, margin: str = "+2pp", place: int = 0, info: MetricInfo = WER
) -> Verdict:
    """A verdict with an interval of differences, its point in the middle."""
    middle = (lower + upper) / 2 if abs(lower) + abs(upper) < 1e9 else 0.0
    worse = -middle if info is TASK else middle
    found = replace(
        estimate(info, worse_by=worse, half=0.0), interval=Interval(lower=lower, upper=upper, level=0.95)
    )
    return replace(verdict(info, cohorts()[place]), estimate=found, margin=margin)


def drawn(*cells: Verdict, width: int = 16) -> list[str]:
    return list(interval_lines(cells, width).values())


def test_an_interval_lies_where_its_numbers_do() -> None:
    pictures = drawn(
        cell(-0.01, 0.01),
        cell(0.01, 0.03, place=1),
        cell(0.03, 0.05, place=2),
        cell(-0.03, -0.01, place=3),
        width=17,
    )
    assert [picture.rstrip() for picture in pictures] == PICTURE.splitlines()


@settings(max_examples=300, deadline=None)
@given(
    bounds=st.lists(st.tuples(BOUNDS, BOUNDS).map(sorted), min_size=1, max_size=8),
    margins=st.lists(
        st.sampled_from(["", "+2pp", "+0.1pp", "+15pp", "+40pp", "+10%"]), min_size=1, max_size=3
    ),
    width=st.integers(LEAST_WIDTH, 40),
    higher=st.booleans(),
)
def test_no_rounding_moves_a_bound_across_zero_or_its_margin(
    bounds: list[list[float]], margins: list[str], width: int, higher: bool
) -> None:
    info = TASK if higher else WER
    cells = [
        cell(*both, margin=margins[place % len(margins)], place=place, info=info)
        for place, both in enumerate(bounds)
    ]
    lines = interval_lines(cells, width)
    zeros = {line.index(ZERO) for line in lines.values() if ZERO in line}
    assert len(zeros) <= 1  # it runs down the column
    for each, (lower, upper) in zip(cells, bounds, strict=True):
        line = lines[each.id]
        assert len(line) == width
        worst, best = (-lower, -upper) if higher else (upper, lower)
        columns = [column for column, mark in enumerate(line) if mark in DRAWN]
        assert columns
        assert columns == list(range(columns[0], columns[-1] + 1))
        if ZERO in line:  # not covered: all of the interval is on one side
            zero = line.index(ZERO)
            assert (best > 0) == (columns[0] > zero)
            assert (worst < 0) == (columns[-1] < zero)
        elif zeros:
            (zero,) = zeros
            assert best <= 0 <= worst
            assert columns[0] <= zero <= columns[-1]
        if MARGIN in line:
            (margin,) = margin_worse_by(each)
            at = line.index(MARGIN)
            assert (best > margin) == (columns[0] > at)
            assert (worst < margin) == (columns[-1] < at)
            assert all(at >= zero + 2 for zero in zeros)


@pytest.mark.parametrize(
    ("lower", "upper"), [(-float("inf"), 0.01), (-0.01, float("inf")), (-float("inf"), float("inf"))]
)
def test_what_has_no_bound_goes_on_beyond_the_edge(lower: float, upper: float) -> None:
    (line,) = drawn(cell(lower, upper))
    assert (line[0] == FARTHER_LEFT) == (lower < -1)
    assert (line[-1] == FARTHER_RIGHT) == (upper > 1)


def test_a_wide_interval_does_not_squeeze_the_margin_out_of_sight() -> None:
    wide, narrow = drawn(cell(-0.5, 0.6), cell(-0.004, 0.004, place=1), width=12)
    assert (wide[0], wide[-1]) == (FARTHER_LEFT, FARTHER_RIGHT)
    assert narrow.index(MARGIN) - max(column for column, mark in enumerate(narrow) if mark in DRAWN) >= 1
    assert FARTHER_LEFT not in narrow


def test_a_higher_share_of_done_tasks_is_drawn_to_the_left() -> None:
    (better,) = drawn(cell(0.02, 0.06, info=TASK))
    (worse,) = drawn(cell(-0.06, -0.02, info=TASK))
    assert better.index(POINT) < better.index(ZERO)
    assert worse.index(POINT) > worse.index(ZERO)


def test_without_an_estimate_or_room_nothing_is_drawn() -> None:
    assert interval_lines([invalid()], 20) == {}
    assert interval_lines([cell(0.0, 0.1)], LEAST_WIDTH - 1) == {}
    (line,) = drawn(cell(0.0, 0.0, margin=""))
    assert line.strip() == POINT


@pytest.mark.parametrize("width", [80, 120, 200])
def test_zero_and_margin_run_down_the_columns_of_the_table(width: int) -> None:
    rows = printed(everything(), width).splitlines()
    pictures = [row for row in rows if POINT in row and "pp" not in row and "worse" not in row]
    tables = sum("cohort " in row and "size" in row for row in rows)
    assert len(pictures) == 13 * tables
    firsts = [row.index(ZERO) for row in pictures if ZERO in row[:46] and FARTHER_LEFT not in row[:46]]
    assert firsts


def test_the_drawings_are_explained_once() -> None:
    text = printed(everything(), 120)
    assert text.count(f"{LINE}{POINT}{LINE} interval, worse to the right") == 1
    assert POINT not in printed(comparison(verdicts=(), blames=()), 120)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_without_the_characters_gets_ascii(encoding: str) -> None:
    text = printed(everything(), 120, encoding=encoding)
    assert not set(text) & (DRAWN | {ZERO, MARGIN})
    assert "?" not in text.replace("? ", "").replace("(?)", "")
    assert "-o- interval, worse to the right   | no difference   : margin   < > goes on" in text
    assert any("o" in row and ":" in row and set(row) <= set(" -o|:+<>") for row in text.splitlines())


def test_no_color_takes_the_colours_and_leaves_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def coloured() -> str:
        file = io.StringIO()
        render(everything(), Console(file=file, width=120, force_terminal=True, color_system="truecolor"))
        return file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m" in coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in coloured()
    assert not any(f"\x1b[{code}m" in coloured() for code in range(30, 50))


def test_times_with_a_relative_margin_are_drawn_too() -> None:
    cells = [
        verdict(FIRST_AUDIO, EVERYONE, half=40.0),
        verdict(FIRST_AUDIO, WORST, worse_by=310.0, half=96.0),
    ]
    fine, slow = drawn(*cells)
    assert MARGIN in fine
    assert slow.index(POINT) > slow.index(MARGIN)
