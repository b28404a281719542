"""Calls and cohorts as tables: typed, whole, without a word that was said, and as the verdicts say."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from test_report_sample import FIRST_AUDIO, WER, comparison, invalid, report_input, verdict
from voice_project import CALLS, VoiceProject

from voiceeval.assembly import judge, restored
from voiceeval.call import Arm
from voiceeval.cli import main
from voiceeval.errors import ConfigError, TableError
from voiceeval.outcome_files import SUFFIXES, Table, write_columns
from voiceeval.reports.gate_json import gate_document
from voiceeval.reports.tables_calls import NOTHING_TO_SCORE, call_table, value_column
from voiceeval.reports.tables_cohorts import cohort_table
from voiceeval.run_folder import RunFolder
from voiceeval.score import MetricInfo, Ratio, Scored
from voiceeval.verdict import Estimate, Interval

DOCS = Path(__file__).parent.parent / "docs" / "outputs.md"
# Compiled, so that they can be imported only once: before any test that forgets what it imported.
for name in ("pyarrow.parquet", "pandas", "pandas.core.arrays.arrow.extension_types"):
    import_module(name)


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs are kept once a test has placed their calls."""
    return tmp_path_factory.mktemp("placed")


def taken(project: VoiceProject, placed: Path, *options: str) -> VoiceProject:
    """The project with a finished run, which is placed once for all tests."""
    kept = placed / "-".join(["run", *options]).replace(":", "-")
    here = project.path
    if not kept.exists():
        project.run("--voice-run", "run", *options)
        shutil.copytree(here / "run", kept)
        (placed / f"{kept.name}.folder").write_text(str(here))
    elif not (here / "run").exists():
        shutil.copytree(kept, here / "run")
        manifest = here / "run" / "manifest.json"
        was = (placed / f"{kept.name}.folder").read_text()
        manifest.write_text(manifest.read_text().replace(was, str(here)))
    return project


@pytest.fixture
def project(voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch) -> VoiceProject:
    monkeypatch.syspath_prepend(voice_project.path)
    monkeypatch.chdir(voice_project.path)
    return voice_project


@pytest.fixture
def run(project: VoiceProject, placed: Path) -> VoiceProject:
    """A run with a candidate that fails high voices, and one call that was never placed."""
    taken(project, placed, "--voice-candidate", "toy_agent:raising")
    folder = RunFolder.open(project.path / "run")
    folder._call_path(min(call.key.id for call in folder.calls().values())).unlink()
    return project


def frame(path: Path) -> Any:
    """The table as pandas reads it, with types that hold what is missing."""
    import pandas

    if path.suffix == ".parquet":
        return pandas.read_parquet(path, dtype_backend="numpy_nullable")
    if path.suffix == ".csv":
        # Without this a gap named "" and a tag named "NA" would both be missing.
        return pandas.read_csv(path, keep_default_na=False, na_values={}).map(str)
    return pandas.read_json(path, lines=True, dtype_backend="numpy_nullable")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_the_calls_of_a_run_come_back_as_pandas_and_arrow_read_them(run: VoiceProject, suffix: str) -> None:
    path = run.path / f"calls{suffix}"
    assert main(["export", "run", path.name, "--table", "calls"]) == 0
    read = frame(path)
    assert len(read) == CALLS
    assert sorted(read["arm"].value_counts().items()) == [("baseline", CALLS // 2), ("candidate", CALLS // 2)]
    results = read["result"].value_counts()
    assert results["not run"] == 1
    assert results["agent failed"] == CALLS // 4
    by_high = read[read["tag_accent"] == "high"]
    assert set(by_high[by_high["arm"] == "candidate"]["ending"]) == {"agent failed"}
    pages = set(read["page"])
    assert len(pages) == CALLS // 2
    assert {
        page.name.removesuffix(".html") for page in (run.path / "run" / "report" / "calls").glob("*.html")
    } == pages
    text = path.read_bytes()
    assert b"block my card" not in text
    assert b"is blocked" not in text
    assert b"secret words" not in text


def test_columns_have_their_types_and_what_is_missing_says_why(run: VoiceProject) -> None:
    from pyarrow import parquet

    assert main(["export", "run", "calls.parquet", "--table", "calls"]) == 0
    table = parquet.read_table(run.path / "calls.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types["critical"] == "bool"
    assert types["trial"] == types["duration_ms"] == types["input_tokens"] == "int64"
    assert types["wer_value"] == types["cost"] == "double"
    assert {types[name] for name in ("call", "arm", "tag_accent", "wer_gap", "failure")} == {"string"}
    for row in table.to_pylist():
        placed = row["result"] != "not run"
        for name in ("duration_ms", "caller_turns", "cost", "retries"):
            assert (row[name] is not None) == placed
        for metric in ("wer", "task_completion"):
            missing = {row[f"{metric}_{part}"] is None for part in ("value", "numerator", "denominator")}
            assert missing == {bool(row[f"{metric}_gap"])}
            assert row[f"{metric}_gap"] in ("", "agent failed", "not run", "not applicable")
            if not row[f"{metric}_gap"]:
                assert row[f"{metric}_value"] == row[f"{metric}_numerator"] / row[f"{metric}_denominator"]
    assert table.column("wer_gap").null_count == 0


def test_all_kinds_of_files_hold_the_same(run: VoiceProject) -> None:
    from pyarrow import parquet

    for suffix in (".csv", ".parquet", ".jsonl", ".json"):
        assert main(["export", "run", f"calls{suffix}", "--table", "calls"]) == 0
    rows = parquet.read_table(run.path / "calls.parquet").to_pylist()
    lines = [json.loads(line) for line in (run.path / "calls.jsonl").read_text().splitlines()]
    assert lines == json.loads((run.path / "calls.json").read_text())
    assert lines == [{name: value for name, value in row.items() if value is not None} for row in rows]
    with (run.path / "calls.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    for row, line in zip(rows, cells, strict=True):
        for name, value in row.items():
            said = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            assert line[name] == said


def test_pooling_the_calls_gives_the_rates_of_the_cohorts(project: VoiceProject, placed: Path) -> None:
    voice_project = taken(project, placed)
    assert main(["export", "run", "calls.parquet", "--table", "calls"]) == 0
    assert main(["export", "run", "cohorts.parquet", "--table", "cohorts"]) == 0
    calls, cohorts = frame(Path("calls.parquet")), frame(Path("cohorts.parquet"))
    assert len(cohorts) == len(voice_project.gate()["verdicts"]) > 0
    for _, cohort in cohorts.iterrows():
        mine = calls
        for tag in ("accent", "urgency"):
            if cohort[f"tag_{tag}"]:
                mine = mine[mine[f"tag_{tag}"] == cohort[f"tag_{tag}"]]
        for arm in Arm:
            of_arm = mine[mine["arm"] == str(arm)]
            pooled = (
                of_arm[f"{cohort['metric']}_numerator"].sum()
                / of_arm[f"{cohort['metric']}_denominator"].sum()
            )
            assert pooled == pytest.approx(cohort[str(arm)])
        assert cohort["pairs"] == len(mine) / 2


def test_a_row_per_verdict_says_what_gate_json_says(
    run: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder.open(run.path / "run")
    judged, _ = judge(folder, restored(folder))
    assert main(["export", "run", "cohorts.jsonl", "--table", "cohorts"]) == 0
    gate = gate_document(judged.comparison)
    assert f"cohorts.jsonl: {len(gate['verdicts'])} verdicts" in capsys.readouterr().out
    rows = [json.loads(line) for line in Path("cohorts.jsonl").read_text().splitlines()]
    for row, said in zip(rows, gate["verdicts"], strict=True):
        assert (row["metric"], row["cohort"]) == (said["metric"]["name"], said["cohort"]["name"])
        assert {row[f"tag_{tag}"] for tag in said["cohort"]["tags"]} == set(said["cohort"]["tags"].values())
        for key in ("outcome", "gating", "blocks", "margin", "reason"):
            assert row[key] == said[key]
        for key in ("pairs", "scored", "speakers", "not_applicable", "not_run"):
            assert row[key] == said["counts"][key]
        estimate = said["estimate"]
        assert (row["gap"] == "") == (estimate["kind"] == "estimate")
        if not row["gap"]:
            for key in ("baseline", "candidate", "difference", "worse_by", "p_worse", "p_adjusted", "method"):
                assert row[key] == estimate[key]
            for key, value in estimate["interval"].items():
                name = f"interval_{key}"
                assert row.get(name, "unbounded") == value
                assert (name in row["unbounded"]) == (value == "unbounded")


def test_one_arm_can_be_asked_for_and_a_verdict_has_both(
    run: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", "calls.csv", "--table", "calls", "--arm", "baseline"]) == 0
    assert f"calls.csv: {CALLS // 2} calls of the baseline" in capsys.readouterr().out
    assert main(["export", "run", "c.csv", "--table", "cohorts", "--arm", "baseline"]) == 2
    assert "--arm: for outcomes and calls; a verdict is on both arms" in capsys.readouterr().err
    assert not Path("c.csv").exists()


def test_the_calls_can_be_read_when_the_agent_is_gone(
    run: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = run.path / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("toy_agent:raising", "gone_agent:raising"))
    assert main(["export", "run", "calls.csv", "--table", "calls"]) == 0
    assert main(["export", "run", "cohorts.csv", "--table", "cohorts"]) == 2
    assert "gone_agent" in capsys.readouterr().err


def timed(name: str) -> MetricInfo:
    return replace(FIRST_AUDIO, name=name)


def test_two_columns_of_one_name_are_an_error() -> None:
    with pytest.raises(ConfigError, match="two columns would be named 'duration_ms'"):
        call_table(report_input(), [timed("duration")])
    with pytest.raises(ConfigError, match="two columns would be named 'a_ms'"):
        call_table(report_input(), [timed("a"), timed("a_ms")])
    assert [value_column(info) for info in (WER, timed("a"), timed("a_ms"))] == ["wer_value", "a_ms", "a_ms"]


def test_nothing_to_score_is_a_gap_and_no_rate() -> None:
    report = report_input()
    scores = {key: Scored(observations=(Ratio(0, 0),)) for key in report.scores}
    table = call_table(replace(report, scores=scores), [WER])
    assert set(table.columns["wer_gap"]) == {NOTHING_TO_SCORE}
    assert set(table.columns["wer_value"]) == {None}
    assert set(table.columns["wer_denominator"]) == {0.0}


def test_a_bound_that_does_not_exist_is_named_and_empty() -> None:
    cell = verdict()
    assert isinstance(cell.estimate, Estimate)
    interval = Interval(lower=-0.1, upper=float("inf"), level=0.9)
    cell = replace(cell, estimate=replace(cell.estimate, interval=interval, detectable=float("inf")))
    table = cohort_table(comparison(verdicts=(cell, invalid())))
    assert table.columns["unbounded"] == ["interval_upper; detectable", ""]
    assert table.columns["interval_upper"] == [None, None]
    assert table.columns["interval_lower"] == [-0.1, None]
    assert table.columns["gap"] == ["", "no estimate"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_column_without_a_value_keeps_its_type_and_its_place(tmp_path: Path, suffix: str) -> None:
    table = Table.of_rows({"a": int, "b": float, "c": str, "d": bool}, [{}, {}])
    assert len(table) == 2
    path = tmp_path / f"a{suffix}"
    write_columns(path, table.columns, types=table.types)
    if suffix == ".parquet":
        from pyarrow import parquet

        schema = parquet.read_table(path).schema
        assert [str(field.type) for field in schema] == ["int64", "double", "string", "bool"]
    if suffix == ".csv":
        assert path.read_text() == "a,b,c,d\n,,,\n,,,\n"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_that_cannot_be_written_leaves_the_old_one_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_columns(path, {"a": ["x"]})
    before = path.read_bytes()
    with pytest.raises(
        TableError, match="half of a surrogate pair; allowed: text that can be saved as UTF-8"
    ):
        write_columns(path, {"a": ["y" * 100_000, "\ud800"]})
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_every_column_is_in_the_docs() -> None:
    text = DOCS.read_text(encoding="utf-8")
    calls = call_table(report_input(), [])
    cohorts = cohort_table(comparison())
    names = {name for table in (calls, cohorts) for name in table.types if not name.startswith("tag_")}
    assert not {name for name in names if f"`{name}`" not in text}
