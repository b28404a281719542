"""What is left out of a report, as people ask for it: in the settings, for a run, of a run that exists."""

from __future__ import annotations

from pathlib import Path

import pytest
from voice_project import VoiceProject

from voiceeval.cli import main

SAID = 'turns = [{ text = "block my card" }]'
MARKED = 'turns = [{ text = "block my card", entities = [{ type = "thing", text = "block" }] }]'


@pytest.fixture
def project(voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch) -> VoiceProject:
    """A project in which one thing is marked, with its package to be found by the command line."""
    for path in (voice_project.path / "suite" / "calls").glob("*.toml"):
        assert SAID in path.read_text()
        path.write_text(path.read_text().replace(SAID, MARKED))
    monkeypatch.syspath_prepend(voice_project.path)
    return voice_project


def calls(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted((folder / "report" / "calls").iterdir()))


def clips(folder: Path) -> set[str]:
    return {path.name for path in (folder / "audio").rglob("*.flac")}


def test_what_is_left_out_is_named_in_the_settings_or_for_a_run(project: VoiceProject) -> None:
    project.settings(("workers = 0", 'workers = 0\nredact = ["thing"]'))
    project.run("--voice-run", "own", "-k", "high")
    assert "[thing] my card" in calls(project.path / "own")
    assert "block my card" not in calls(project.path / "own")
    both, out = str(project.path / "own"), project.path / "both"
    main(["compare", both, both, "--arm-a", "baseline", "--out", str(out)])
    assert "[thing] my card" in calls(out)
    assert "block my card" not in calls(out)
    project.run("--voice-run", "other", "-k", "high", "--voice-redact", "none,text")
    assert "[text left out]" in calls(project.path / "other")
    assert (project.path / "own" / "gate.json").read_bytes() == (
        project.path / "other" / "gate.json"
    ).read_bytes()


def test_an_unknown_name_is_refused_before_a_call_is_placed(project: VoiceProject) -> None:
    result = project.run("--voice-run", "run", "--voice-redact", "things")
    result.stderr.fnmatch_lines(
        ["*--voice-redact: no name is named 'things'. Did you mean 'thing'?*audio, none*"]
    )
    assert not (project.path / "run").exists()


def test_a_run_is_shown_to_others_with_just_what_may_be_heard(
    project: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.run("--voice-run", "run", "-k", "high")
    run, out = project.path / "run", project.path / "out"
    assert "block my card" in calls(run)
    main(["report", str(run), "--out", str(out)])
    assert clips(out) == clips(run)
    main(["report", str(run), "--redact", "thing", "--out", str(out)])
    assert "block my card" not in calls(out)
    assert set() < clips(out) < clips(run)
    assert not {path.name for path in out.iterdir()} - {"audio", "gate.json", "report"}
    waveforms = out / "audio" / "waveforms.json"
    silenced = clips(run) - clips(out)
    assert not [name for name in silenced if name.removesuffix(".flac") in waveforms.read_text()]
    main(["report", str(run), "--redact", "audio", "--out", str(out)])
    assert clips(out) == set()
    assert not waveforms.exists()
    assert (out / "gate.json").read_bytes() == (run / "gate.json").read_bytes()
    # The run itself has lost nothing.
    assert "block my card" in calls(run)
    assert main(["report", str(run), "--redact", "thnig", "--out", str(out)]) == 2
    assert "--redact: no name is named 'thnig'" in capsys.readouterr().err
