"""Two finished runs compared, and a run exported as tables that give the verdicts of the run itself."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from voice_project import CALLS, VoiceProject

from voiceeval.cli import main
from voiceeval.stored_baseline import FINGERPRINT

# Compiled, so that it can be imported only once: before any test that forgets what it imported.
import_module("pyarrow.parquet")

METRICS = (
    'metrics = ["wer", "task_completion"]',
    'metrics = ["wer", "task_completion", "time_to_first_audio"]',
)
MARGINS = ('task_completion = "+5pp"', 'task_completion = "+5pp"\ntime_to_first_audio = "+10%"')


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the two runs are kept once a test has placed their calls."""
    return tmp_path_factory.mktemp("placed")


@pytest.fixture
def project(voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, placed: Path) -> VoiceProject:
    """Two runs of the same calls: ``good`` has the steady agent twice, ``bad`` one that fails high voices."""
    voice_project.settings(METRICS, MARGINS)
    here = voice_project.path
    if not (placed / "bad").exists():
        voice_project.run("--voice-run", "good")
        voice_project.run("--voice-run", "bad", "--voice-candidate", "toy_agent:raising")
        for name in ("good", "bad"):
            shutil.copytree(here / name, placed / name)
        (placed / "folder").write_text(str(here))
    for name in ("good", "bad"):
        shutil.copytree(placed / name, here / name, dirs_exist_ok=True)
        manifest = here / name / "manifest.json"
        manifest.write_text(manifest.read_text().replace((placed / "folder").read_text(), str(here)))
    monkeypatch.syspath_prepend(here)
    monkeypatch.chdir(here)
    return voice_project


def compared(*arguments: str) -> tuple[int, dict[str, Any]]:
    status = main(["compare", *arguments, "--json", "gate.json"])
    return status, json.loads(Path("gate.json").read_text())


def verdicts(gate: dict[str, Any]) -> dict[str, Any]:
    return {verdict["id"]: verdict for verdict in gate["verdicts"]}


def test_the_candidates_of_two_runs_are_compared(
    project: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    status, gate = compared("good", "bad", "--out", "out")
    assert status == 1
    printed = capsys.readouterr().out
    assert "baseline steady 1 → candidate raising 1" in printed
    within = verdicts(project.gate("bad"))
    across = verdicts(gate)
    assert across.keys() == within.keys()
    for name in ("wer[overall]", "task_completion[overall]", "task_completion[accent=high]"):
        # One metric fewer is gated, so that Holm adjusts less.
        assert {**across[name]["estimate"], "p_adjusted": 0} == {**within[name]["estimate"], "p_adjusted": 0}
    assert across["wer[overall]"]["outcome"] == "regressed"
    timing = across["time_to_first_audio[overall]"]
    assert (timing["gating"], within["time_to_first_audio[overall]"]["gating"]) == (False, True)
    assert "timing is never gated" in timing["reason"]
    assert (project.path / "out" / "report" / "index.html").is_file()
    assert (project.path / "out" / "gate.json").read_bytes() == Path("gate.json").read_bytes()


def test_the_arms_can_be_chosen(project: VoiceProject) -> None:
    status, gate = compared("bad", "good")
    assert status == 0
    assert verdicts(gate)["task_completion[accent=high]"]["outcome"] == "improved"
    status, gate = compared("bad", "bad", "--arm-a", "baseline")
    assert status == 1
    status, gate = compared("bad", "bad", "--arm-b", "baseline")
    assert verdicts(gate)["task_completion[accent=high]"]["outcome"] == "improved"


def test_a_call_that_one_run_lacks_was_not_run(project: VoiceProject) -> None:
    from voiceeval.run_folder import RunFolder

    folder = RunFolder.open(project.path / "good")
    lost = next(call for call in folder.calls().values() if call.key.arm == "candidate")
    folder._call_path(lost.key.id).unlink()
    status, gate = compared("good", "bad")
    assert status == 1
    overall = verdicts(gate)["wer[overall]"]
    assert overall["outcome"] == "invalid"
    assert f"1 of {CALLS // 2} planned pairs were not run" in overall["reason"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("seed", 1, 2), "seed: 2 -> 1"),
        (("metrics", {"wer": 1}, {"wer": 0}), "metric wer: version 0 -> "),
        (("reference", "", "another"), "the reference recognizer or voice changed"),
    ],
)
def test_runs_under_other_conditions_are_invalid(
    project: VoiceProject, change: tuple[str, Any, Any], says: str
) -> None:
    manifest = project.path / "good" / "manifest.json"
    document = json.loads(manifest.read_text())
    document["comparison"][change[0]] = change[2]
    manifest.write_text(json.dumps(document))
    status, gate = compared("good", "bad")
    assert status == 1
    assert {verdict["outcome"] for verdict in gate["verdicts"]} == {"invalid"}
    assert says in gate["verdicts"][0]["reason"]
    assert gate["verdicts"][0]["reason"].startswith("the runs are not comparable: ")


def test_other_scenarios_and_other_audio_are_invalid(project: VoiceProject) -> None:
    scenarios = project.path / "good" / "scenarios.json"
    was = scenarios.read_text()
    scenarios.write_text(was.replace("have the card blocked", "have the card unblocked"))
    manifest = project.path / "good" / "manifest.json"
    document = json.loads(manifest.read_text())
    document["comparison"]["scenarios"]["lost-card"] = "0" * 64
    manifest.write_text(json.dumps(document))
    _, gate = compared("good", "bad")
    assert "scenario 'lost-card' changed" in gate["verdicts"][0]["reason"]
    shutil.rmtree(project.path / "good")
    settings = (project.path / "suite" / "callers.toml").read_text()
    (project.path / "suite" / "callers.toml").write_text(settings.replace("pitch = 50", "pitch = 51"))
    project.run("--voice-run", "good")
    status, gate = compared("good", "bad")
    assert status == 1
    assert "the runs are not comparable: " in gate["verdicts"][0]["reason"]


def test_a_stored_baseline_stands_in_for_the_first_run(
    project: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bless", "good", "--to", "stored"]) == 0
    status, gate = compared("stored", "bad")
    assert status == 1
    assert verdicts(gate)["task_completion[accent=high]"]["outcome"] == "regressed"
    capsys.readouterr()
    assert main(["compare", "bad", "stored"]) == 2
    assert "a stored baseline, which says nothing about margins" in capsys.readouterr().err
    (project.path / "stored" / FINGERPRINT).write_text("{}")
    status, gate = compared("stored", "bad")
    assert status == 1
    assert "the stored baseline is damaged" in gate["verdicts"][0]["reason"]


def test_options_of_tables_are_refused_for_runs(
    project: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    del project
    assert main(["compare", "good", "bad", "--margin", "wer=+2pp"]) == 2
    assert "--margin: for two tables; of two runs the second one's settings hold" in capsys.readouterr().err
    assert main(["compare", "good", "bad", "--alpha", "0"]) == 2
    assert "--alpha: for two tables" in capsys.readouterr().err
    Path("a.csv").write_text("")
    assert main(["compare", "good", "a.csv"]) == 2
    assert "good is a run and a.csv a table" in capsys.readouterr().err
    assert main(["compare", "good", "gone"]) == 2
    assert "gone: neither a folder nor a table" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_exported_tables_give_the_verdicts_of_the_run(
    project: VoiceProject, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for arm in ("baseline", "candidate"):
        assert main(["export", "bad", f"{arm}{suffix}", "--arm", arm]) == 0
    assert f"candidate{suffix}: {CALLS // 2 * 3} outcomes of the candidate" in capsys.readouterr().out
    status, gate = compared(f"baseline{suffix}", f"candidate{suffix}")
    assert status == 1
    of_run = verdicts(project.gate("bad"))
    of_tables = verdicts(gate)
    assert of_tables == {
        name: {**verdict, "metric": of_tables[name]["metric"]} for name, verdict in of_run.items()
    }
    assert of_tables["time_to_first_audio[overall]"]["estimate"]["kind"] == "estimate"


def test_an_export_holds_numbers_and_nothing_that_was_said(project: VoiceProject) -> None:
    assert main(["export", "bad", "candidate.csv"]) == 0
    text = (project.path / "candidate.csv").read_text()
    assert text.count("\n") == 1 + CALLS // 2 * 3
    assert "block my" not in text
    assert "blocked" not in text
    head = text.split("\n")[0].split(",")
    assert head[:5] == ["call", "trial", "speaker", "scenario", "critical"]
    assert {"accent", "line", "urgency", "metric", "numerator", "denominator", "gap"} <= set(head)


def test_a_call_that_was_never_placed_is_exported_as_such(project: VoiceProject) -> None:
    from voiceeval.run_folder import RunFolder

    folder = RunFolder.open(project.path / "bad")
    lost = next(call for call in folder.calls().values() if call.key.arm == "candidate")
    folder._call_path(lost.key.id).unlink()
    for arm in ("baseline", "candidate"):
        assert main(["export", "bad", f"{arm}.csv", "--arm", arm]) == 0
    status, gate = compared("baseline.csv", "candidate.csv")
    assert status == 1
    assert verdicts(gate)["wer[overall]"]["outcome"] == "invalid"
