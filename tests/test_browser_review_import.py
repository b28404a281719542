from __future__ import annotations

import json

import pytest
from browser_pages import Chromium
from test_browser_review import assert_quiet, exported, press, review
from voice_project import VoiceProject

from voiceeval.cli import main
from voiceeval.labels import run_digest
from voiceeval.run_folder import RunFolder


def test_from_the_page_to_the_commands_agreement(
    chromium: Chromium,
    voice_project: VoiceProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    voice_project.settings(('"task_completion"]', '"task_completion", "tool_path"]'))
    voice_project.run("--voice-run", "run", "--voice-candidate", "toy_agent:raising", "-k", "0")
    monkeypatch.syspath_prepend(voice_project.path)
    run = RunFolder.open(voice_project.path / "run")
    opened = review(chromium, run.report, blind=True)
    press(opened, "yy" + "b" + "nn" + "o" + "yy" + "b" + "nn")
    name, file = exported(opened)
    path = voice_project.path / name
    path.write_text(json.dumps(file))
    assert file["run"] == run_digest(run.stated("comparison"), run.selected, run.calls())
    capsys.readouterr()
    assert main(["labels", "import", str(run.path), str(path)]) == 0
    out = capsys.readouterr().out
    assert "4 labels added" in out
    assert "4 labels of 1 reviewer, 4 given blind and 0 not" in out
    assert "People and task_completion: task done?" in out
    assert_quiet(opened)
