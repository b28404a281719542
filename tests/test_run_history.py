"""Runs put in the order of releases: which level stands for one, what may be joined, what is refused."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser_pages import PHONE, Chromium
from rich.console import Console
from test_report_sample import WORST, comparison, manifest, verdict

from voiceeval import cli, run_history
from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.errors import RunFolderError
from voiceeval.reports import gate_json
from voiceeval.reports.history_page import write_history
from voiceeval.reports.history_table import glyphs, render
from voiceeval.reports.trend_lines import scale, trend_line
from voiceeval.run_history import UNDATED, History, chosen, cohort_named, history
from voiceeval.verdict import Outcome

TELEPHONE = Cohort((("line", "telephone"),))


def agent(version: str, date: str, *, name: str = "desk", parts: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "model_version": version,
        "release_date": date,
        "parts": {"dialogue": parts or version},
    }


def run_at(
    folder: Path,
    baseline: dict[str, Any],
    candidate: dict[str, Any],
    *,
    worse_by: float = 0.0,
    outcome: Outcome = Outcome.PASSED,
    **changed: Any,
) -> Path:
    """A judged run of one metric in two cohorts."""
    partial = changed.pop("partial", False)
    facts = {**manifest(), "suite_digest": "a1", "engine": "cascade/2", "reference": "r1", **changed}
    facts["arms"] = {"baseline": baseline, "candidate": candidate}
    cells = tuple(
        verdict(cohort=cohort, outcome=outcome, worse_by=worse_by, half=0.01)
        for cohort in (EVERYONE, TELEPHONE)
    )
    judged = comparison(manifest=facts, verdicts=cells, blames=(), alarms=(), partial=partial)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"schema_version": 1}))
    gate_json.write(judged, folder / "gate.json")
    return folder


V1, V2, V10 = agent("2.1", "2026-09-01"), agent("2.2", "2026-10-01"), agent("2.10", "2026-11-01")


@pytest.fixture
def three(tmp_path: Path) -> Path:
    run_at(tmp_path / "b", V2, V10, worse_by=0.06, outcome=Outcome.REGRESSED)
    run_at(tmp_path / "a", V1, V2, worse_by=-0.02, outcome=Outcome.IMPROVED)
    return tmp_path


def test_releases_stand_in_the_order_of_their_dates_whatever_the_order_of_the_runs(three: Path) -> None:
    one, other = history([three / "b", three / "a"]), history([three / "a", three / "b"])
    assert [release.label for release in one.releases] == ["desk 2.1", "desk 2.2", "desk 2.10"]
    assert one.releases == other.releases


def test_versions_of_one_day_sort_by_number_and_the_undated_come_last(tmp_path: Path) -> None:
    day = "2026-11-01"
    run_at(tmp_path / "a", agent("2.10", day), agent("2.9", day))
    run_at(tmp_path / "b", agent("0.1", ""), agent("2.9.1", day))
    endless = "9" * 5_000
    run_at(tmp_path / "c", agent(endless, day), agent("2.9.1", day))
    found = history([tmp_path])
    assert [release.model_version for release in found.releases] == [endless, "2.9", "2.9.1", "2.10", "0.1"]
    assert found.releases[-1].date == UNDATED


def test_a_release_is_shown_as_the_candidate_that_was_judged(three: Path) -> None:
    [trend, _] = history([three]).trends
    middle = history([three]).releases[1]
    assert {level.arm for level in trend.levels[middle]} == set(Arm)
    [shown] = trend.shown(middle)
    assert (shown.run, shown.arm, shown.verdict) == ("a", Arm.CANDIDATE, Outcome.IMPROVED)
    assert shown.value == pytest.approx(0.081 - 0.02)
    assert shown.difference == pytest.approx(-0.02)


def test_two_agents_of_one_name_and_version_are_two_releases(tmp_path: Path) -> None:
    run_at(tmp_path / "a", agent("2.1", "2026-09-01", parts="x"), agent("2.1", "2026-09-01", parts="y"))
    assert len(history([tmp_path]).releases) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"suite_digest": "a2"},
        {"matrix": "full"},
        {"engine": "cascade/3"},
        {"reference": "r2"},
        {"partial": True},
    ],
)
def test_only_levels_that_were_measured_alike_are_joined(tmp_path: Path, changed: dict[str, Any]) -> None:
    run_at(tmp_path / "a", V1, V2)
    run_at(tmp_path / "b", V2, V10, **changed)
    found = history([tmp_path])
    [trend, _] = found.trends
    line = trend_line(trend, found.releases, low=0.0, high=1.0)
    assert line.broken
    assert [piece.count(",") for piece in line.pieces] == [2]
    assert glyphs(trend, found.releases, 0.0, 1.0).count("┊") == 1


def test_a_line_joins_all_that_was_measured_alike_and_keeps_its_scale(three: Path) -> None:
    found = history([three])
    [trend, _] = found.trends
    low, high = scale(found.trends, found.releases)
    line = trend_line(trend, found.releases, low=low, high=high)
    assert not line.broken
    assert len(line.pieces) == 1
    assert all(one.x < other.x for one, other in pairwise(line.points))
    by_level = sorted(line.points, key=lambda point: point.level.value)
    assert [point.y for point in by_level] == sorted((point.y for point in line.points), reverse=True)
    assert len(glyphs(trend, found.releases, low, high)) == 3


def test_what_cannot_be_read_is_skipped_in_a_folder_and_refused_by_name(three: Path) -> None:
    (three / "b" / "gate.json").unlink()
    found = history([three])
    assert found.runs == ("a",)
    assert "voiceeval report" in found.skipped[0]
    with pytest.raises(RunFolderError, match=r"b/gate\.json: absent"):
        history([three / "a", three / "b"])


def test_another_schema_and_damage_are_named(three: Path) -> None:
    gate = three / "a" / "gate.json"
    document = json.loads(gate.read_text())
    for schema_version, said in ((1, "schema_version: 1"), (99, "schema_version: 99")):
        gate.write_text(json.dumps({**document, "schema_version": schema_version}))
        with pytest.raises(RunFolderError, match=said):
            history([three / "a"])
    del document["verdicts"][0]["outcome"]
    gate.write_text(json.dumps(document))
    with pytest.raises(RunFolderError, match=r"missing at 'verdicts\.0\.outcome'"):
        history([three / "a"])


def test_the_present_gate_json_is_one_that_is_read() -> None:
    assert gate_json.SCHEMA_VERSION in run_history._READABLE


def test_an_empty_folder_holds_no_runs(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no run here"):
        history([tmp_path])
    with pytest.raises(RunFolderError, match="no such folder"):
        history([tmp_path / "absent"])


def test_names_choose_and_unknown_ones_are_refused(three: Path) -> None:
    trends = history([three]).trends
    assert chosen(trends) == trends
    assert [trend.cohort for trend in chosen(trends, cohorts=[TELEPHONE])] == [TELEPHONE]
    assert chosen(trends, metrics=["wer"]) == trends
    with pytest.raises(RunFolderError, match="Did you mean 'wer'"):
        chosen(trends, metrics=["wr"])
    with pytest.raises(RunFolderError, match="no cohort of these runs"):
        chosen(trends, cohorts=[WORST])


def test_cohorts_are_written_in_any_order() -> None:
    assert cohort_named("line=telephone, accent=caribbean") == WORST
    assert cohort_named("overall") == EVERYONE
    with pytest.raises(RunFolderError, match="is not written as"):
        cohort_named("telephone")


def printed(found: History, width: int = 100) -> str:
    console = Console(width=width, highlight=False, file=io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    with console.capture() as capture:
        render(found, chosen(found.trends), console)
    return capture.get()


def test_the_table_tells_first_last_and_the_verdict_that_blocks(three: Path) -> None:
    text = printed(history([three]))
    assert "8.1 % → 14.1 %" in text
    assert "✗ regressed +6.0 pp" in text
    assert text.index("2.1") < text.index("2.2") < text.index("2.10")


def test_the_command_writes_the_page_and_refuses_nonsense(
    three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["history", str(three), "--html", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "history.html").is_file()
    assert "3 releases of 2 runs" in capsys.readouterr().out
    assert cli.main(["history", str(three), "--metrics", "nonsense"]) == 2
    assert "no metric of these runs is named 'nonsense'" in capsys.readouterr().err


def test_the_page_opens_quietly_and_escapes_what_agents_are_called(
    chromium: Chromium, three: Path, tmp_path: Path
) -> None:
    evil = agent("<img src=x onerror=alert(1)>\u202e", "2026-12-01", name="</td><script>alert(1)</script>")
    run_at(three / "c", V10, evil, worse_by=0.03, outcome=Outcome.INCONCLUSIVE)
    found = history([three])
    page = write_history(found, chosen(found.trends), tmp_path / "out")
    for scheme in ("light", "dark"):
        opened = chromium.open(page, color_scheme=scheme)
        assert opened.violations() == []
        opened.assert_quiet()
        assert opened.page.locator("polyline.trend-line").count() == 2
        assert "onerror=alert(1)" in opened.page.locator("main").inner_text()
    opened = chromium.open(page, size=PHONE)
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert write_history(found, chosen(found.trends), tmp_path / "again").read_bytes() == page.read_bytes()
