from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from labelled import label_file, written
from voice_project import VoiceProject

from voiceeval.cli import main
from voiceeval.labels import run_digest
from voiceeval.run_folder import RunFolder


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves its project for the others: placing calls takes longer than all of them."""
    return tmp_path_factory.mktemp("placed") / "project"


@pytest.fixture
def run(
    voice_project: VoiceProject, placed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunFolder:
    """A run on disk whose candidate fails every call of one accent."""
    if not placed.exists():
        voice_project.settings(('"task_completion"]', '"task_completion", "tool_path"]'))
        voice_project.run("--voice-run", "run", "--voice-candidate", "toy_agent:raising")
        shutil.copytree(voice_project.path, placed)
    monkeypatch.syspath_prepend(placed)
    return RunFolder.open(shutil.copytree(placed / "run", tmp_path / "copy"))


def digest(run: RunFolder) -> str:
    return run_digest(run.stated("comparison"), run.planned, run.calls())


def labels_file(run: RunFolder, name: str = "ab.json", reviewer: str = "AB", task_done: str = "yes") -> Path:
    labels = [
        written(call.id, arm, task_done=task_done, note="said 4129 aloud")
        for call in run.planned
        for arm in ("baseline", "candidate")
    ]
    return label_file(run.path.parent / name, labels, reviewer=reviewer, run=digest(run))


def test_labels_are_kept_and_set_beside_the_scores(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    table = run.path.parent / "agreement.json"
    capsys.readouterr()
    assert main(["labels", "import", str(run.path), str(labels_file(run)), "--json", str(table)]) == 0
    out = capsys.readouterr().out
    assert "labels.json: 48 labels added" in out
    assert "48 labels of 1 reviewer, 48 given blind and 0 not" in out
    assert "24 times a metric contradicts people" in out
    assert "candidate, task done: people yes, metric no, with a note: report/calls/" in out
    assert "4129" not in out
    found = json.loads(table.read_text())
    rows = {
        (row["question"], row["arm"]): row for row in found["metrics"] if row["which"] == "all labelled calls"
    }
    # The toy candidate fails 12 of its calls before there is anything to score: no score, no disagreement.
    scored = rows["task_done", "candidate"]
    assert scored["compared"] + scored["unscored"] == 24
    assert rows["task_done", "baseline"]["both_yes"] == 24
    assert "why_no_kappa" in rows["task_done", "baseline"]
    assert all((run.path / each["page"]).is_file() for each in found["contradictions"])
    page = (run.path / "report/labels.html").read_text()
    links = re.findall(r'href="(calls/[^"]+)"', page)
    assert len(links) == 24
    assert all((run.report / link).is_file() for link in links)
    assert "4129" not in page


def test_importing_twice_changes_nothing_and_show_says_it_again(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    file = labels_file(run)
    printed = []
    for arguments in (["import", str(run.path), str(file)], ["import", str(run.path), str(file)]):
        assert main(["labels", *arguments]) == 0
        kept = (run.path / "labels.json").read_bytes(), (run.path / "report/labels.html").read_bytes()
        printed.append((capsys.readouterr().out.splitlines()[1:-1], kept))
    assert printed[0][1] == printed[1][1]
    assert main(["labels", "show", str(run.path)]) == 0
    again = capsys.readouterr().out.splitlines()
    assert printed[1][0] == again
    assert printed[0][0][-len(again) :] == again
    other = labels_file(run, "cd.json", "CD", "no")
    assert main(["labels", "import", str(run.path), str(other)]) == 0
    assert "AB and CD" in capsys.readouterr().out


def test_one_wrong_file_keeps_all_of_them_out(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    right = labels_file(run)
    wrong = label_file(
        run.path.parent / "wrong.json", [written("no/such/call/0")], reviewer="CD", run=digest(run)
    )
    other = label_file(run.path.parent / "other.json", [], reviewer="CD", run="0" * 16)
    capsys.readouterr()
    for file, message in (
        (wrong, "labels[0].call: no call of this run"),
        (other, "run: given 0000000000000000"),
    ):
        assert main(["labels", "import", str(run.path), str(right), str(file)]) == 2
        assert f"voiceeval: {file}: {message}" in capsys.readouterr().err
        assert not (run.path / "labels.json").exists()


def test_a_run_without_labels_says_so(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["labels", "show", str(run.path)]) == 0
    assert capsys.readouterr().out == "0 labels of 0 reviewers, 0 given blind and 0 not\n"


def test_labels_stay_with_a_run_that_is_scored_again(run: RunFolder) -> None:
    before = digest(run)
    assert main(["labels", "import", str(run.path), str(labels_file(run))]) == 0
    assert main(["report", str(run.path)]) == 1
    assert digest(RunFolder.open(run.path)) == before
    assert before in (run.path / "report/data/review.js").read_text()
    assert main(["labels", "show", str(run.path)]) == 0
