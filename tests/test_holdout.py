from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voice_project import SCENARIO, VoiceProject

from voiceeval import holdout
from voiceeval.audio import AudioClip
from voiceeval.cli import main
from voiceeval.config import Config, load_config
from voiceeval.errors import ConfigError, HarnessError, LedgerError, RefusedError
from voiceeval.holdout import refuse_overlap
from voiceeval.holdout_answer import Rounded
from voiceeval.look_ledger import Allowance, LookLedger
from voiceeval.metrics import TimeToFirstAudio, WordErrorRate
from voiceeval.scenario_files import Suite, load_suite
from voiceeval.score import MetricInfo
from voiceeval.settings import HoldoutSettings
from voiceeval.vanishing_folder import vanishing_folder

PRIVATE = ("opal", "quartz", "jasper", "agate", "zircon", "beryl")
"""Occurs in every id, speaker, family and text of the holdout, and nowhere else."""

SPEAKERS = 11
"""Per accent: with few, not even a candidate that fails them all is told from chance at alpha / 10."""
CALLS = 2 * 2 * 2 * SPEAKERS


class Project:
    """The toy project with a holdout beside its suite."""

    def __init__(self, project: VoiceProject, temporary: Path) -> None:
        self.toy = project
        self.path = project.path
        self.suite = project.path / "kept-apart"
        self.temporary = temporary
        (self.suite / "calls").mkdir(parents=True)
        (self.suite / "suite.toml").write_text((project.path / "suite" / "suite.toml").read_text())
        (self.suite / "lines.toml").write_text('[[lines]]\nid = "clear"\n')
        self.callers()
        for name, family in (("quartz-card", "jasper-cards"), ("agate-card", "")):
            text = SCENARIO.format(urgency="now").replace('text = "block my card"', 'text = "zircon my card"')
            self.scenario(name, f'family = "{family}"\n{text}')
        self.ledger = project.path / "holdout-ledger.jsonl"
        self.ledger.touch()
        self.commit()

    def callers(self, count: int = SPEAKERS, *, speaker: str = "beryl") -> None:
        (self.suite / "callers.toml").write_text(
            "\n".join(
                f'[[callers]]\nid = "opal-{accent}-{n}"\nspeaker = "{speaker}-{accent}-{n}"\n'
                f'accent = "{accent}"\nvoice = "{accent}{n}"\npitch = {pitch}\n'
                for accent, pitch in (("low", 50), ("high", 90))
                for n in range(count)
            )
        )

    def scenario(self, name: str, text: str) -> None:
        (self.suite / "calls" / f"{name}.toml").write_text(text)

    def commit(self, *replacements: tuple[str, str], looks: int = 10) -> None:
        self.toy.settings(*replacements)
        settings = self.path / "pyproject.toml"
        settings.write_text(
            f"{settings.read_text()}\n[tool.voiceeval.holdout]\n"
            f'suite = "kept-apart"\ndigest = "{load_suite(self.suite).digest()}"\nlooks = {looks}\n'
        )

    def run(self, *arguments: str) -> int:
        return main(["holdout", "run", *arguments])

    def looks(self) -> list[str]:
        return [look.result for look in LookLedger(self.ledger).read().looks]


@pytest.fixture
def project(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(voice_project.path)
    monkeypatch.syspath_prepend(voice_project.path)
    yield Project(voice_project, temporary)
    assert list(temporary.iterdir()) == []


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def assert_nothing_private(*texts: str) -> None:
    for text in texts:
        assert not re.search("|".join(PRIVATE), text, re.IGNORECASE), text


def test_a_look_says_verdicts_on_cohorts_and_nothing_about_calls(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    before = files(project.path)
    assert project.run("--candidate", "toy_agent:raising", "--json", "answer.json") == 1
    shown = capfd.readouterr()
    assert_nothing_private(shown.out, shown.err, (project.path / "answer.json").read_text())
    assert "secret words" not in shown.out + shown.err
    assert f"{CALLS} of {CALLS} calls placed" in shown.out
    assert "failed" not in shown.out
    assert "MAY NOT SHIP" in shown.out
    assert "9 left" in shown.out
    # The cache of kept results included: nothing of the calls stays in the project.
    assert files(project.path) - before == {project.path / "answer.json"}
    answer = json.loads((project.path / "answer.json").read_text())
    assert answer["may_ship"] is False
    found = {(cell["metric"], cell["cohort"]["name"]): cell for cell in answer["cells"]}
    # Tango's bound where all n pairs got worse is (n - z^2)/(n + z^2): 0.2475 for n = 11 at 99 %.
    assert found["task_completion", "accent=high"] == {
        "metric": "task_completion",
        "cohort": {"name": "accent=high", "tags": {"accent": "high"}},
        "outcome": "regressed",
        "blocks": True,
        "interval": {"kind": "rounded", "lower": -100, "upper": -24, "unit": "pp"},
        "speakers": SPEAKERS,
    }
    assert found["task_completion", "accent=low"]["outcome"] == "inconclusive"
    assert answer["look"]["alpha"] == pytest.approx(0.005)
    assert answer["look"]["ledger_head"] == LookLedger(project.ledger).read().head
    assert project.looks() == ["may not ship"]


LOUD = """
import logging
import os
import sys
import warnings

from toy_agent import Desk, agent as toy
from voiceeval.metrics.task import TaskCompletion
from dataclasses import replace


def shout(scenario):
    words = scenario.turns[0].text
    print(words, flush=True)
    os.write(2, words.encode())
    logging.getLogger().error(words)
    return Desk()


shout.fingerprint = "desk"
loud = replace(toy("loud"), tool_backend=shout)


class LoudMetric:
    info = TaskCompletion().info

    def score(self, scenario, call):
        words = scenario.turns[0].text
        print(words)
        sys.stderr.write(words)
        logging.getLogger().error(words)
        warnings.warn(words)
        return TaskCompletion().score(scenario, call)


class Broken(LoudMetric):
    def score(self, scenario, call):
        raise ValueError(scenario.turns[0].text)
"""


def test_what_agents_and_metrics_print_of_a_call_goes_nowhere(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    (project.path / "loud_agent.py").write_text(LOUD)
    project.commit(
        ('metrics = ["wer", "task_completion"]', 'metrics = ["loud_agent:LoudMetric"]'),
        ('wer = "+5pp"', ""),
    )
    assert project.run("--candidate", "loud_agent:loud") == 0
    shown = capfd.readouterr()
    assert_nothing_private(shown.out, shown.err)
    assert "nothing blocks" in shown.out
    assert project.looks() == ["may ship"]


def test_a_metric_that_breaks_spends_the_look_and_is_not_quoted(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    (project.path / "loud_agent.py").write_text(LOUD)
    project.callers(1)
    project.commit(
        ('metrics = ["wer", "task_completion"]', 'metrics = ["loud_agent:Broken"]'), ('wer = "+5pp"', "")
    )
    assert project.run() == 1
    shown = capfd.readouterr()
    assert_nothing_private(shown.out, shown.err)
    assert "look 1 is spent, and nothing was judged: ValueError at loud_agent.py:" in shown.err
    assert project.looks() == ["not judged"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_look_that_is_stopped_is_spent_and_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], how: signal.Signals
) -> None:
    project.callers(1)
    project.commit()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def stop(*_: object) -> None:
        assert len(list(project.temporary.iterdir())) == 1
        try:
            os.kill(os.getpid(), how)
        finally:
            os.kill(os.getpid(), how)  # an impatient person asks twice

    monkeypatch.setattr("voiceeval.holdout.CallProgress.advance", stop)
    assert project.run("--json", "answer.json") == 1
    shown = capfd.readouterr()
    assert "stopped, and nothing is kept" in shown.err
    assert "verdict" not in shown.out
    assert not (project.path / "answer.json").exists()
    assert list(project.temporary.iterdir()) == []
    assert project.looks() == ["not judged"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_look_is_written_down_before_its_first_call(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def place(*_: object) -> None:
        assert project.looks() == ["not judged"]
        raise HarnessError("no room")

    monkeypatch.setattr("voiceeval.holdout.Pool.place", place)
    assert project.run() == 1
    assert "look 1 is spent, and nothing was judged: no room" in capsys.readouterr().err
    assert project.looks() == ["not judged"]


def test_an_answer_that_cannot_be_written_down_is_not_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(*_: object, **__: object) -> None:
        raise LedgerError("the disk is full")

    project.callers(1)
    project.commit()
    monkeypatch.setattr(LookLedger, "end", end)
    assert project.run("--json", "answer.json") == 2
    shown = capsys.readouterr()
    assert shown.err == "voiceeval: the disk is full\n"
    assert "accent" not in shown.out
    assert not (project.path / "answer.json").exists()


def changed_text(project: Project) -> None:
    file = project.suite / "calls" / "agate-card.toml"
    file.write_text(file.read_text().replace("zircon", "beryl"))


def shared_speaker(project: Project) -> None:
    project.callers(speaker="beryl")
    file = project.path / "suite" / "callers.toml"
    file.write_text(file.read_text().replace('accent = "low"', 'speaker = "beryl-low-0"\naccent = "low"', 1))


def shared_family(project: Project) -> None:
    file = project.path / "suite" / "calls" / "lost-card.toml"
    file.write_text(f'family = "jasper-cards"\n{file.read_text()}')


def shared_scenario(project: Project) -> None:
    # Without a family of its own, a scenario is its own family.
    file = project.path / "suite" / "calls" / "old-card.toml"
    file.write_text(f'family = "agate-card"\n{file.read_text()}')


def spent(project: Project) -> None:
    project.commit(looks=1)
    ledger, digest = LookLedger(project.ledger), load_suite(project.suite).digest()
    ledger.begin(digest, Allowance(looks=1, alpha=0.05), agents=("a" * 64, "b" * 64), day=date(2026, 3, 1))


def tampered(project: Project) -> None:
    spent(project)
    project.ledger.write_text(project.ledger.read_text().replace("2026-03-01", "2026-03-02"))


def malformed(project: Project) -> None:
    project.scenario("agate-card", 'goal = "zircon"\nquartz = 1\n')


def telling(project: Project) -> None:
    project.commit(('cohorts = [[], ["accent"]]', 'cohorts = [["accent"]]'))
    (project.suite / "callers.toml").write_text('[[callers]]\nid = "opal"\naccent = "opal"\nvoice = "v"\n')
    project.commit(('cohorts = [[], ["accent"]]', 'cohorts = [["accent"]]'))


def unplannable(project: Project) -> None:
    tags = ("calls/agate-card.toml", 'tags = { urgency = "now" }', 'tags = { accent = "x" }')
    file = project.suite / tags[0]
    file.write_text(file.read_text().replace(*tags[1:]))
    project.commit()


@pytest.mark.parametrize(
    ("trouble", "status", "words"),
    [
        (changed_text, 1, "the holdout has changed since it was set aside"),
        (shared_speaker, 1, "shares with it speakers: 1 (low-0)"),
        (shared_family, 1, "shares with it scenario families: 1 (lost-card)"),
        (shared_scenario, 1, "shares with it scenario families: 1 (old-card)"),
        (spent, 1, "no look is left at this holdout: 1 of 1"),
        (tampered, 2, "holdout-ledger.jsonl: line 1: was changed"),
        (malformed, 2, "the holdout suite cannot be loaded; its own words name what is in"),
        (telling, 2, "the tag 'accent' names scenarios or callers of the holdout one by one"),
        (unplannable, 2, "ScenarioError; its own words name what is in the holdout and are withheld"),
        (lambda project: project.ledger.unlink(), 2, "no such file; a ledger begins as an empty file"),
        (lambda project: project.toy.settings(), 2, "[tool.voiceeval.holdout]: not set"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_before_a_call_and_spends_nothing(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    trouble: Callable[[Project], Any],
    status: int,
    words: str,
) -> None:
    monkeypatch.setattr(holdout, "Pool", None)
    trouble(project)
    before = project.ledger.read_bytes() if project.ledger.exists() else b""
    assert project.run() == status
    shown = capfd.readouterr()
    assert words in shown.err
    assert_nothing_private(shown.out, shown.err)
    assert (project.ledger.read_bytes() if project.ledger.exists() else b"") == before


def test_a_file_of_the_holdout_that_cannot_be_read_is_not_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreadable(_: Path) -> Suite:
        raise PermissionError(13, "Permission denied", "kept-apart/recordings/quartz-card-opal-low-0.wav")

    monkeypatch.setattr("voiceeval.holdout.load_suite", unreadable)
    assert project.run() == 2
    shown = capsys.readouterr().err
    assert "the holdout suite cannot be loaded" in shown
    assert_nothing_private(shown)


def test_an_answer_with_no_place_to_go_spends_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("--json", "gone/answer.json") == 2
    assert "--json: gone/answer.json: no such folder" in capsys.readouterr().err
    assert project.run("--json", "suite") == 2
    assert "--json: suite: a folder; allowed: a file's name" in capsys.readouterr().err
    assert project.run("--project", "gone") == 2
    assert "--project: gone: no pyproject.toml there" in capsys.readouterr().err
    assert project.looks() == []


def test_a_shared_recording_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = load_suite(project.path / "suite")
    apart = load_suite(project.suite)
    refuse_overlap(apart, ordinary)
    apart = replace(apart, recording_digests={("quartz-card", "", 0): "d"})
    ordinary = replace(ordinary, recording_digests={("lost-card", "", 0): "d", ("old-card", "", 0): "e"})
    with pytest.raises(RefusedError, match=r"recordings: 1 \(lost-card turns\[0\]\)$"):
        refuse_overlap(apart, ordinary)


def test_nothing_is_excused_stored_or_explored_in_a_look(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.commit(
        (
            'baseline = "toy_agent:steady"',
            'baseline = "toy_agent:steady"\nstored_baseline = "blessed"\nwaivers = [{ metric = "wer", '
            'cohort = { accent = "high" }, owner = "a", reason = "b", expires = 2020-01-01 }]\n'
            'cohort_margins = [{ metric = "wer", cohort = { accent = "gone" }, margin = "+9pp", '
            'reason = "b", until = 2020-01-01 }]',
        ),
        looks=5,
    )
    seen = []

    def build(config: Config) -> None:
        seen.append(config.settings)
        raise ConfigError("enough")

    monkeypatch.setattr(holdout, "build", build)
    assert project.run() == 2
    (settings,) = seen
    assert (settings.waivers, settings.cohort_margins, settings.stored_baseline) == ((), (), "")
    assert (settings.report_cohorts, settings.explore_depth) == ((), 0)
    assert settings.alpha == pytest.approx(0.01)
    assert settings.suite == "kept-apart"


def test_commit_prints_settings_that_a_project_can_use(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["holdout", "commit", "kept-apart", "--looks", "4"]) == 0
    snippet = capsys.readouterr().out
    assert_nothing_private(snippet)
    project.toy.settings()
    file = project.path / "pyproject.toml"
    file.write_text(f"{file.read_text()}\n{snippet}")
    config = load_config(project.path, {}, from_folder=project.path)
    assert config.settings.holdout == HoldoutSettings(
        suite="kept-apart", digest=load_suite(project.suite).digest(), looks=4
    )
    assert holdout.committed_suite(config).name == "toy"
    assert main(["holdout", "commit", "kept-apart", "--looks", "0"]) == 2
    assert "--looks: looks: given 0; allowed: at least 1" in capsys.readouterr().err


def tone(hertz: int) -> bytes:
    times = np.arange(16_000) / 16_000
    return AudioClip.from_float(0.3 * np.sin(2 * np.pi * hertz * times), 16_000).encode("wav")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("calls/agate-card.toml", "zircon", "beryl"),
        ("calls/agate-card.toml", "blocked = true", "blocked = false"),
        ("calls/agate-card.toml", 'urgency = "now"', 'urgency = "later"'),
        ("callers.toml", "beryl-low-0", "beryl-low-1"),
        ("callers.toml", "pitch = 50", "pitch = 51"),
        ("lines.toml", 'id = "clear"', 'id = "clear"\nnoise = "car"\nsnr_db = 20'),
        ("suite.toml", 'matrix = "full"', 'matrix = "block"'),
        ("hum.wav", "", ""),
    ],
)
def test_a_changed_file_changes_the_digest(project: Project, file: str, old: str, new: str) -> None:
    (project.suite / "hum.wav").write_bytes(tone(440))
    scenario = project.suite / "calls" / "quartz-card.toml"
    scenario.write_text(scenario.read_text().replace('card" }]', 'card", audio = "../hum.wav" }]', 1))
    before = load_suite(project.suite).digest()
    assert load_suite(project.suite).digest() == before
    changed = project.suite / file
    if file == "hum.wav":
        changed.write_bytes(tone(441))
    else:
        assert old in changed.read_text()
        changed.write_text(changed.read_text().replace(old, new))
    assert load_suite(project.suite).digest() != before


def test_the_ledger_is_shown_with_what_is_left(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["holdout", "ledger"]) == 0
    assert "10 of 10 looks left" in capsys.readouterr().out
    spent(project)
    older = project.path / "older.jsonl"
    older.write_bytes(project.ledger.read_bytes())
    assert main(["holdout", "ledger", "--extends", "older.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert "0 of 1 looks left" in shown
    assert "2026-03-01" in shown
    assert "not judged" in shown
    project.ledger.write_text("")
    assert main(["holdout", "ledger", "--extends", "older.jsonl"]) == 1
    assert "does not hold all lines of older.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "lower", "upper", "words"),
    [
        (WordErrorRate().info, -0.0301, 0.0449, "-4 to +5 pp"),
        (WordErrorRate().info, 0.03, 0.05, "+3 to +5 pp"),
        (WordErrorRate().info, -0.004, -0.001, "-1 to 0 pp"),
        (WordErrorRate().info, float("-inf"), 0.07, "unbounded to +7 pp"),
        (TimeToFirstAudio().info, -12.0, 81.0, "-20 to +90 ms"),
        (TimeToFirstAudio().info, 10.0, 80.0, "+10 to +80 ms"),
    ],
)
def test_an_interval_is_rounded_outwards(metric: MetricInfo, lower: float, upper: float, words: str) -> None:
    assert Rounded.of(metric, lower, upper).words == words


@given(st.floats(-1, 1), st.floats(0, 1))
def test_a_rounded_interval_holds_the_exact_one_and_is_hardly_wider(lower: float, width: float) -> None:
    rounded = Rounded.of(WordErrorRate().info, lower, lower + width)
    assert 100 * lower - 1 < rounded.lower <= 100 * lower + 1e-5
    assert 100 * (lower + width) - 1e-5 <= rounded.upper < 100 * (lower + width) + 1


def test_a_vanishing_folder_works_where_signals_are_not_told() -> None:
    seen: list[Path] = []

    def use() -> None:
        with vanishing_folder() as folder:
            assert folder.stat().st_mode & 0o777 == 0o700
            seen.append(folder)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert [folder.exists() for folder in seen] == [False]


def test_an_ignored_signal_stays_ignored() -> None:
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with vanishing_folder() as folder:
            os.kill(os.getpid(), signal.SIGHUP)
            assert folder.exists()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, was)
    assert not folder.exists()
