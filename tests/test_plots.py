"""The gallery for a release note: which files, the same bytes again, names that try to be something else."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import pytest
from test_report_sample import FIRST_AUDIO, TASK, WER, comparison, report_input, verdict

from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.errors import RegistryError
from voiceeval.reports import plots
from voiceeval.reports.plots import MOST_ROWS, draw_plots
from voiceeval.reports.report_input import ReportInput
from voiceeval.verdict import Estimate, Interval, Verdict

HOSTILE = "$\\frac{1}{0}$ <script>alert(1)</script> ]]> \u202e \U0001f600 " + "x" * 2_000


def told(svg: Path) -> str:
    return svg.read_text(encoding="utf-8")


def unbounded(cell: Verdict) -> Verdict:
    assert isinstance(cell.estimate, Estimate)
    interval = Interval(lower=-math.inf, upper=math.inf, level=0.95)
    return replace(cell, estimate=replace(cell.estimate, interval=interval))


def test_there_is_a_plot_of_every_gated_metric_and_time_and_the_same_again(tmp_path: Path) -> None:
    cells = tuple(each for each in comparison().verdicts if each.metric in (WER, FIRST_AUDIO))
    report = report_input(comparison(verdicts=cells))
    one, other = (draw_plots(report, tmp_path / name) for name in ("one", "other"))
    expected = {"verdicts", f"latency-{FIRST_AUDIO.name}"}
    expected |= {f"differences-{info.name}" for info in (WER, FIRST_AUDIO)}
    assert {path.stem for path in one} == expected
    assert {path.suffix for path in one} == {".svg", ".png"}
    for first, second in zip(one, other, strict=True):
        assert first.read_bytes().startswith(b"<?xml" if first.suffix == ".svg" else b"\x89PNG")
        assert first.read_bytes() == second.read_bytes()


def test_another_result_gives_another_drawing(tmp_path: Path) -> None:
    cells = [verdict(WER, worse_by=worse_by) for worse_by in (0.001, 0.041)]
    drawn = [
        draw_plots(report_input(comparison(verdicts=(cell,))), tmp_path / str(place), formats=["svg"])
        for place, cell in enumerate(cells)
    ]
    for first, second in zip(*drawn, strict=True):
        assert first.name == second.name
        assert told(first) != told(second)


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    named = Cohort((("accent", HOSTILE),))
    info = replace(WER, name="../" + HOSTILE, title=HOSTILE)
    cells = (verdict(info, named), unbounded(verdict(info)), unbounded(verdict(TASK)))
    written = draw_plots(report_input(comparison(verdicts=cells)), tmp_path)
    assert {path.parent for path in written} == {tmp_path}
    assert sorted(tmp_path.rglob("*")) == sorted(written)
    for path in written:
        assert len(path.name) < 100
        assert path.suffix == ".png" or "<script" not in told(path)


def test_many_cohorts_are_cut_and_one_is_enough(tmp_path: Path) -> None:
    def heights(count: int) -> int:
        cells = tuple(verdict(WER, Cohort((("accent", f"a{place}"),))) for place in range(count))
        report = report_input(comparison(verdicts=(verdict(WER), *cells)))
        [path] = [
            path
            for path in draw_plots(report, tmp_path / str(count), formats=["svg"])
            if path.stem == "verdicts"
        ]
        return told(path).count("<path")

    assert heights(1) < heights(MOST_ROWS - 1)
    assert heights(3 * MOST_ROWS) < 1.5 * heights(MOST_ROWS - 1)


def test_an_empty_run_still_gives_a_plot(tmp_path: Path) -> None:
    nothing: ReportInput = report_input(comparison(verdicts=()))
    assert [path.name for path in draw_plots(nothing, tmp_path, formats=["png"])] == ["verdicts.png"]
    assert draw_plots(report_input(comparison(verdicts=(verdict(TASK, EVERYONE),))), tmp_path)


def test_without_matplotlib_the_line_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RegistryError, match=r"pip install 'voiceeval\[plots\]'"):
        plots.draw_plots(report_input(), tmp_path)
