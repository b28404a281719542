"""The benchmark of a report's pages, on a run of a few calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from browser_pages import CHROMIUM

from voiceeval.call import Arm
from voiceeval.reports.report_input import arm_call_id

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark's modules, imported as its script does."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return SimpleNamespace(pages=import_module("report_pages"), synthetic=import_module("synthetic_report"))


def test_a_run_that_was_made_up_has_every_call_scored_on_both_arms(parts: Any) -> None:
    report = parts.synthetic.synthetic_report(60)
    assert len({planned.id for planned in report.planned}) == len(report.planned) == 60
    for planned in report.planned:
        for arm in Arm:
            call = report.calls[arm_call_id(planned, arm)]
            assert (call.key.caller, call.key.arm) == (planned.caller, arm)
            assert (call.key.id, "wer") in report.scores
    again = parts.synthetic.synthetic_report(60)
    assert again.calls == report.calls
    assert again.comparison == report.comparison


def test_pages_are_written_opened_and_filtered(parts: Any, tmp_path: Path) -> None:
    if CHROMIUM is None:
        assert not os.environ.get("CI"), "no Chromium on this machine"
        pytest.skip("no Chromium on this machine")
    file = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS / "report_pages.py"), "--calls", "60", "--pages", "2"]
    ended = subprocess.run(
        [*command, "--repeats", "1", "--write", str(file)],
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    # 1: a busy machine may be slower than the limits; a page that is broken raises.
    assert ended.returncode in (0, 1), ended.stderr
    assert "cohort.html interactive" in ended.stdout, ended.stderr
    (found,) = json.loads(file.read_text(encoding="utf-8"))["runs"]
    assert (found["calls"], found["pages"]) == (60, 2)
    assert len(found["filter_ms"]) == parts.pages.FILTERS
    assert min(found["filter_ms"]) > 0
    assert found["sounds_before_play"] == []
    assert {"index.html", "cohort.html", "a call's page"} <= found["interactive_ms"].keys()
    assert all(1_000 < size < 2_000_000 for size in found["data_bytes"].values())


def test_of_a_large_run_every_so_manieth_call_is_judged(parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.synthetic, "MOST_JUDGED", 20)
    report = parts.synthetic.synthetic_report(60)
    assert len(report.calls) == 120
    overall = [verdict for verdict in report.comparison.verdicts if verdict.id == "wer[overall]"]
    assert [verdict.counts.pairs for verdict in overall] == [20]
    assert {"telephone", "wideband"} == {planned.line for planned in report.planned[::3]}


def test_a_limit_that_is_broken_is_told(parts: Any) -> None:
    good = parts.pages.Measured(
        calls=5_000, pages=0, interactive_ms={"index.html": 1_999.0}, filter_ms=[10.0, 199.0]
    )
    assert good.kept
    for change in (
        {"interactive_ms": {"index.html": 2_000.0}},
        {"filter_ms": [10.0, 200.0]},
        {"data_bytes": {"cohort.html": 10_000_000}},
        {"sounds_before_play": ["file:///audio/ab/abc.flac"]},
    ):
        assert not parts.pages.Measured(calls=5_000, pages=0, **change).kept, change
    large = parts.pages.Measured(calls=50_000, pages=0, data_bytes={"cohort.html": 60_000_000})
    assert large.kept, "data may grow as the run does"
