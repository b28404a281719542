from __future__ import annotations

import json
from pathlib import Path

import pytest
from voice_project import VoiceProject

from voiceeval import __version__
from voiceeval.cli import main
from voiceeval.content_files import write_whole
from voiceeval.run_folder import RunFolder


def test_a_run_scored_again_gives_the_same_bytes(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice_project.run("--voice-run", "run", "--voice-candidate", "toy_agent:raising")
    gate = voice_project.path / "run" / "gate.json"
    before = gate.read_bytes()
    gate.unlink()
    monkeypatch.syspath_prepend(voice_project.path)
    assert main(["report", str(voice_project.path / "run")]) == 1
    assert gate.read_bytes() == before
    assert "accent=high" in capsys.readouterr().out


def test_a_run_is_scored_again_without_the_files_of_its_reference(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice_project.run("--voice-run", "run", "-k", "high-0")
    run = voice_project.path / "run"
    before = (run / "gate.json").read_bytes()
    manifest = json.loads((run / "manifest.json").read_text())
    gone = {"use": "pocketsphinx", "corpus": "gone/replies.txt"}
    manifest["config"]["settings"]["reference"] = {"recognizer": gone, "synthesizer": {"use": "espeak"}}
    (run / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.syspath_prepend(voice_project.path)
    assert main(["report", str(run)]) in (0, 1)
    assert (run / "gate.json").read_bytes() == before


def test_a_run_is_scored_again_with_another_metric_without_placing_a_call(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice_project.settings()
    voice_project.run("-k", "high")
    monkeypatch.syspath_prepend(voice_project.path)
    runs = voice_project.path / ".voiceeval" / "runs"
    out = voice_project.path / "other"
    assert main(["report", str(runs), "--metrics", "tool_path,wer", "--out", str(out)]) == 0
    gate = json.loads((out / "gate.json").read_text())
    assert {verdict["metric"]["name"] for verdict in gate["verdicts"]} == {"tool_path", "wer"}
    assert gate["partial"] is True


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_other_metrics_never_replace_what_the_run_itself_said(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice_project.run("--voice-run", "run", "-k", "high")
    monkeypatch.syspath_prepend(voice_project.path)
    run, out = voice_project.path / "run", voice_project.path / "out"
    before = files_of(run)
    assert main(["report", str(run), "--metrics", "tool_path"]) == 0
    assert "nothing was written: these are not the run's own metrics" in capsys.readouterr().out
    assert files_of(run) == before
    assert main(["report", str(run), "--metrics", "tool_path", "--out", str(run)]) == 2
    assert "which --metrics would replace; allowed: another folder" in capsys.readouterr().err
    assert files_of(run) == before
    assert main(["report", str(run), "--metrics", "tool_path", "--out", str(out)]) == 0
    assert files_of(run) == before
    # The other folder is a report by itself: what a call page plays lies in it.
    played = {name for name in files_of(out) if name.startswith("audio/")}
    assert played == {name for name in before if name.startswith("audio/")}
    # The run's own metrics, named: written as without the option.
    (run / "gate.json").unlink()
    assert main(["report", str(run), "--metrics", "task_completion, wer"]) == 0
    assert files_of(run) == before


def test_a_run_of_an_agent_that_changed_since_is_not_scored_as_its_own(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice_project.run("--voice-run", "run", "-k", "high-0")
    source = (voice_project.path / "toy_agent.py").read_text()
    (voice_project.path / "changed_agent.py").write_text(source.replace("pitch=60", "pitch=61"))
    manifest = voice_project.path / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("toy_agent:steady", "changed_agent:steady"))
    monkeypatch.syspath_prepend(voice_project.path)
    assert main(["report", str(voice_project.path / "run")]) == 2
    assert "the baseline has changed since this run (synthesizer)" in capsys.readouterr().err


def test_check_says_what_is_fine_and_what_is_not(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(voice_project.path)
    assert main(["check", str(voice_project.path / "suite"), "toy_agent:steady"]) == 0
    assert "suite 'toy', 2 scenarios, 12 callers: ok" in capsys.readouterr().out
    assert main(["check", "gone.toml", "toy_agent:steady"]) == 2
    printed = capsys.readouterr()
    assert "gone.toml: no such file" in printed.err
    assert "agent 'steady': ok" in printed.out


def test_a_folder_without_a_run_is_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"voiceeval: {tmp_path}: no run here: it holds no manifest.json\n"


@pytest.mark.parametrize("command", ["report", "export", "plan"])
@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({}, "manifest.json: config: absent or no table; the run is damaged"),
        ({"config": {}}, "manifest.json: config: 'settings': absent"),
    ],
)
def test_a_damaged_manifest_is_said_plainly(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    manifest: dict[str, object],
    message: str,
) -> None:
    RunFolder.create(tmp_path / "run", manifest=manifest, planned=(), scenarios={})
    file = [str(tmp_path / "o.csv")] if command == "export" else []
    assert main([command, str(tmp_path / "run"), *file]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("lacking", ["arms", "suite_digest"])
def test_a_manifest_without_what_was_compared_is_said_plainly(
    voice_project: VoiceProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lacking: str,
) -> None:
    voice_project.run("--voice-run", "run", "-k", "high-0")
    path = voice_project.path / "run" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["comparison"][lacking]
    path.write_text(json.dumps(manifest))
    monkeypatch.syspath_prepend(voice_project.path)
    assert main(["report", str(voice_project.path / "run")]) == 2
    assert f"manifest.json: comparison: '{lacking}': absent" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["schema", str(tmp_path / "file")]) == 2
    assert "file: cannot be read or written (File exists)" in capsys.readouterr().err


def test_a_stop_is_no_traceback_and_no_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("voiceeval.commands.schema.run", stop)
    assert main(["schema", "nowhere"]) == 130
    assert capsys.readouterr().err == "voiceeval: stopped\n"


def test_a_file_that_could_not_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "folder", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_suite_file_of_another_name_is_checked_as_a_suite(
    voice_project: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = voice_project.path / "suite"
    (suite / "some.toml").write_text((suite / "suite.toml").read_text())
    assert main(["check", str(suite / "some.toml")]) == 0
    assert "suite 'toy', 2 scenarios, 12 callers: ok" in capsys.readouterr().out


def test_schema_writes_a_schema_per_kind_of_file(tmp_path: Path) -> None:
    assert main(["schema", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "scenario.schema.json").read_text())["type"] == "object"


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"voiceeval {__version__}\n"
