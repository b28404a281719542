"""Every kind of run gives a gate.json that its published schema accepts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from test_report_full_sample import everything
from test_report_sample import comparison
from voice_project import VoiceProject

from voiceeval.cli import main
from voiceeval.reports.gate_json import SCHEMA_FILE, SCHEMA_ID, gate_document
from voiceeval.reports.wording import blamed_stage
from voiceeval.verdict import Blame, Comparison

PUBLISHED = Path(__file__).parent.parent / "docs" / "schema" / "gate.json"


def accepted(path: Path) -> dict[str, Any]:
    jsonschema = pytest.importorskip("jsonschema")
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8"))).validate(read)
    return read


def test_the_published_schema_is_the_one_of_the_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PUBLISHED.read_bytes() == SCHEMA_FILE.read_bytes(), "run `voiceeval schema docs/schema`"
    assert main(["schema", str(tmp_path)]) == 0
    assert (tmp_path / "gate.json").read_bytes() == SCHEMA_FILE.read_bytes()
    assert str(tmp_path / "gate.json") in capsys.readouterr().out.splitlines()
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert schema["$id"] == SCHEMA_ID == gate_document(comparison())["$schema"]


def test_whole_partial_release_and_a_a_runs_are_accepted(voice_project: VoiceProject) -> None:
    raising = ("--voice-candidate", "toy_agent:raising")
    voice_project.run("--voice-run", "pr", *raising)
    voice_project.run("--voice-run", "release", *raising, "--voice-policy", "release")
    voice_project.run("--voice-run", "aa", "--voice-aa")
    voice_project.run("--voice-run", "partial", "-k", "high")
    read = {name: accepted(voice_project.path / name / "gate.json") for name in ("pr", "release", "aa")}
    assert {name: gate["policy"] for name, gate in read.items()} == {
        "pr": "pr",
        "release": "release",
        "aa": "pr",
    }
    assert accepted(voice_project.path / "partial" / "gate.json")["partial"] is True


def test_runs_on_a_stored_baseline_are_accepted_those_that_cannot_be_judged_too(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(voice_project.path)
    monkeypatch.chdir(voice_project.path)
    voice_project.run("--voice-run", "first")
    assert main(["bless", "first", "--to", "baseline"]) == 0
    stored = ("--voice-stored-baseline", "baseline")
    voice_project.run("--voice-run", "run", *stored)
    assert accepted(voice_project.path / "run" / "gate.json")["may_ship"] is True
    # Of another seed the callers are not the same: every verdict is invalid.
    voice_project.run("--voice-run", "unlike", *stored, "--voice-seed", "7")
    unlike = accepted(voice_project.path / "unlike" / "gate.json")
    assert {verdict["outcome"] for verdict in unlike["verdicts"] if verdict["gating"]} == {"invalid"}
    assert "invalid" in unlike["headline"]


@pytest.mark.parametrize("result", [comparison(), everything(), comparison(policy="release")])
def test_what_is_counted_per_cohort_adds_up_to_what_is_counted_for_all(result: Comparison) -> None:
    document = gate_document(result)
    total: Counter[str] = Counter()
    for cohort in document["cohorts"]:
        total.update(cohort["outcomes"])
    assert dict(total) == document["outcomes"]
    assert sum(cohort["waived"] for cohort in document["cohorts"]) == document["waived"]
    assert sum(cohort["blocking"] for cohort in document["cohorts"]) == sum(
        verdict["blocks"] for verdict in document["verdicts"]
    )
    names = [cohort["cohort"]["name"] for cohort in document["cohorts"]]
    assert names[0] == "overall"
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("saved", "stage"), [(3, "recognition or turn-taking"), (0, "dialogue")])
def test_the_stage_to_blame_is_told_in_the_words_of_the_pages(saved: int, stage: str) -> None:
    cohort = comparison().verdicts[0].cohort
    blame = Blame(cohort=cohort, arm="candidate", failed=4, saved_by_right_words=saved)
    (told,) = gate_document(comparison(blames=(blame,)))["blames"]
    assert told["stage"] == stage == blamed_stage(blame)
