from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from voice_project import CALLS, VoiceProject

from voiceeval import blessing
from voiceeval.assembly import build
from voiceeval.call import Arm, AsideStarted, Call, CallerStarted, CallKey, Ending, KeyPressed, Usage
from voiceeval.cli import main
from voiceeval.cohort import PlannedCall
from voiceeval.config import load_config
from voiceeval.errors import HarnessError
from voiceeval.run_fingerprint import MOST_SENTENCES, caller_clips, joined, unlike_callers
from voiceeval.run_folder import RunFolder
from voiceeval.stored_baseline import FINGERPRINT, StoredAgent, StoredBaseline, Unusable, open_stored

PLANNED = CALLS // 2
STORED = ("--voice-stored-baseline", "stored")
VOICE = {"use": "toy_agent:Tone"}
RAISING = ("--voice-candidate", "toy_agent:raising")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first project leaves its run, its stored baseline and its results for the others."""
    return tmp_path_factory.mktemp("blessed") / "kept"


@pytest.fixture
def blessed(voice_project: VoiceProject, kept: Path) -> VoiceProject:
    """A project whose steady agent was blessed, into ``stored``."""
    folders = ("first", "stored", ".voiceeval")
    if not kept.exists():
        assert voice_project.run("--voice-run", "first").ret == pytest.ExitCode.OK
        assert main(["bless", "first", "--to", "stored"]) == 0
        for folder in folders:
            shutil.copytree(voice_project.path / folder, kept / folder)
    for folder in folders:
        shutil.copytree(kept / folder, voice_project.path / folder, dirs_exist_ok=True)
    return voice_project


def fingerprint(project: VoiceProject) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((project.path / "stored" / FINGERPRINT).read_text())
    return document


def why_not_comparable(project: VoiceProject, monkeypatch: pytest.MonkeyPatch, **options: object) -> str:
    """What a session would say before it places a call."""
    monkeypatch.syspath_prepend(project.path)
    config = load_config(project.path, {"stored_baseline": "stored", **options}, from_folder=project.path)
    experiment = build(config).experiment
    assert experiment.stored
    return experiment.not_comparable


# -- blessing ---------------------------------------------------------------------------------------------


def test_a_stored_baseline_holds_the_candidates_calls_as_the_baselines(blessed: VoiceProject) -> None:
    stored, run = RunFolder(blessed.path / "stored"), RunFolder.open(blessed.path / "first")
    assert sorted(path.name for path in stored.path.iterdir()) == [
        "calls", "fingerprint.json", "plan.json", "scenarios.json"
    ]  # fmt: skip
    calls, placed = stored.calls(), run.calls()
    assert len(calls) == PLANNED
    for call in calls.values():
        assert call.key.arm is Arm.BASELINE
        assert call == replace(placed[replace(call.key, arm=Arm.CANDIDATE).id], key=call.key)
    written = fingerprint(blessed)
    assert written["agent"]["name"] == "steady"
    assert set(written["agent"]["parts"]) >= {"recognizer", "dialogue", "synthesizer", "endpointing", "tools"}
    assert (
        written["conditions"]["metrics"]
        == {"wer": 2, "task_completion": 1} | written["conditions"]["metrics"]
    )
    assert written["conditions"]["normalizers"].keys() == {"en-US"}
    assert written["audio"].keys() == {call.id for call in run.planned}


def test_equal_runs_are_blessed_into_equal_bytes(blessed: VoiceProject) -> None:
    blessed.run("--voice-run", "second", "--voice-no-cache", "--voice-workers", "2")
    assert main(["bless", "second", "--to", "again"]) == 0
    first, again = blessed.path / "stored", blessed.path / "again"
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((first / file).read_bytes() == (again / file).read_bytes() for file in files)


def test_clips_are_kept_when_asked_for_and_linked_into_later_runs(blessed: VoiceProject) -> None:
    run = RunFolder.open(blessed.path / "first")
    assert main(["bless", "first", "--to", "loud", "--with-audio"]) == 0
    clips = {path.name for path in (blessed.path / "loud" / "audio").rglob("*.flac")}
    assert clips == {path.name for path in (run.path / "audio").rglob("*.flac")}
    blessed.run("--voice-run", "quiet", *STORED, *RAISING, "-k", "high-0")
    blessed.run("--voice-run", "run", "--voice-stored-baseline", "loud", *RAISING, "-k", "high-0")
    # The raising candidate never speaks: what the agent said can only come from the stored baseline.
    heard = {path.name for path in (blessed.path / "run" / "audio").rglob("*.flac")}
    assert heard - {path.name for path in (blessed.path / "quiet" / "audio").rglob("*.flac")}
    assert heard <= clips


def test_the_setting_says_where_and_without_one_it_is_asked_for(
    blessed: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bless", "first"]) == 2
    assert "stored_baseline: not set; set it, or give --to DIR" in capsys.readouterr().err
    blessed.settings(("workers = 0", 'workers = 0\nstored_baseline = "kept/baseline"'))
    assert main(["bless", "first"]) == 0
    assert (blessed.path / "kept" / "baseline" / FINGERPRINT).is_file()


def drop_gate(run: Path) -> None:
    (run / "gate.json").unlink()


def fail(run: Path) -> None:
    gate = json.loads((run / "gate.json").read_text())
    (run / "gate.json").write_text(json.dumps({**gate, "may_ship": False}))


def make_invalid(run: Path) -> None:
    gate = json.loads((run / "gate.json").read_text())
    next(verdict for verdict in gate["verdicts"] if verdict["gating"])["outcome"] = "invalid"
    (run / "gate.json").write_text(json.dumps(gate))


def select_one(run: Path) -> None:
    folder = RunFolder.open(run)
    folder.select(folder.planned[:1])


def lose_a_call(run: Path) -> None:
    name = next(key for key in RunFolder.open(run).calls() if key.endswith("candidate"))
    RunFolder(run)._call_path(name).unlink()


def fail_to_measure(run: Path) -> None:
    folder = RunFolder.open(run)
    call = next(call for call in folder.calls().values() if call.key.arm is Arm.CANDIDATE)
    folder.add(replace(call, ending=Ending.HARNESS_FAILED, failure="the worker process died"))


def draw_apart(run: Path) -> None:
    manifest = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(
        manifest.replace('"independent_arms": false', '"independent_arms": true')
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (drop_gate, "it was not judged: it holds no gate.json"),
        (fail, "it failed: its gate.json says that the candidate may not ship"),
        (make_invalid, "1 gating verdicts are invalid: "),
        (select_one, f"it is partial: 1 of {PLANNED} planned calls were selected"),
        (lose_a_call, "1 calls of the candidate were not placed: "),
        (fail_to_measure, "1 calls of the candidate could not be measured: "),
        (draw_apart, "it is an A/A check"),
    ],
)
def test_a_run_that_does_not_deserve_it_is_refused_and_nothing_is_written(
    blessed: VoiceProject, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], reason: str
) -> None:
    before = (blessed.path / "stored" / FINGERPRINT).read_bytes()
    spoil(blessed.path / "first")
    assert main(["bless", "first", "--to", "stored"]) == 1
    assert f"voiceeval: not blessed: {reason}" in capsys.readouterr().err
    assert main(["bless", "first", "--to", "absent"]) == 1
    assert not (blessed.path / "absent").exists()
    assert (blessed.path / "stored" / FINGERPRINT).read_bytes() == before


def test_a_failed_run_is_not_blessed_for_the_metrics_that_look_well(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice_project.settings(('wer = "+5pp"', 'wer = "+500pp"'))
    monkeypatch.chdir(voice_project.path)
    monkeypatch.syspath_prepend(voice_project.path)
    assert voice_project.run("--voice-run", "run", *RAISING).ret == pytest.ExitCode.TESTS_FAILED
    assert main(["report", "run", "--metrics", "wer"]) == 0
    assert main(["bless", "run", "--to", "stored"]) == 1
    # Looking at it with other metrics leaves the run's own verdicts where they are.
    assert "its gate.json says that the candidate may not ship" in capsys.readouterr().err
    assert not Path("stored").exists()


@pytest.mark.parametrize("verdicts", [[{}], [3]])
def test_a_gate_json_that_holds_no_verdicts_is_damaged(
    blessed: VoiceProject, capsys: pytest.CaptureFixture[str], verdicts: list[object]
) -> None:
    (blessed.path / "first" / "gate.json").write_text(json.dumps({"may_ship": True, "verdicts": verdicts}))
    assert main(["bless", "first", "--to", "absent"]) == 2
    assert "gate.json: damaged; write it again with 'voiceeval report" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_said_plainly(
    blessed: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bless", "first", "--to", "pyproject.toml/stored"]) == 2
    assert "pyproject.toml/stored: cannot be created (File exists)" in capsys.readouterr().err


def test_trouble_in_the_other_arm_does_not_matter(blessed: VoiceProject) -> None:
    lose_a_call(blessed.path / "first")
    assert main(["bless", "first", "--to", "other", "--arm", "baseline"]) == 0


def test_a_folder_with_anything_else_in_it_is_not_replaced(
    blessed: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    (blessed.path / "stored" / "notes.md").write_text("mine")
    assert main(["bless", "first", "--to", "stored"]) == 1
    assert "holds what no blessing wrote: notes.md" in capsys.readouterr().err
    assert main(["bless", "first", "--to", "first"]) == 1
    assert main(["bless", "first", "--to", "pyproject.toml"]) == 1
    assert (blessed.path / "stored" / "notes.md").read_text() == "mine"


def test_two_blessings_of_one_folder_do_not_run_at_once(
    blessed: VoiceProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with (blessed.path / ".stored.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["bless", "first", "--to", "stored"]) == 1
        assert "another blessing of" in capsys.readouterr().err
    # The lock of a process that is gone is no lock.
    assert main(["bless", "first", "--to", "stored"]) == 0
    assert not list(blessed.path.glob(".stored*"))


def test_a_blessing_that_fails_leaves_the_stored_baseline_as_it_was(
    blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = open_stored(blessed.path / "stored")

    def full_disk(*_: object, **__: object) -> None:
        (blessed.path / ".stored.new").mkdir()
        raise OSError("no space left on device")

    monkeypatch.setattr(blessing, "write_stored", full_disk)
    assert main(["bless", "first", "--to", "stored"]) == 2
    assert "no space left on device" in capsys.readouterr().err
    assert isinstance(before, StoredBaseline)
    assert open_stored(blessed.path / "stored") == before
    assert not list(blessed.path.glob(".stored*"))


def test_a_blessing_that_was_killed_between_the_renames_is_mended_by_the_next(blessed: VoiceProject) -> None:
    (blessed.path / "stored").rename(blessed.path / ".stored.old")
    (blessed.path / ".stored.new").mkdir()
    assert isinstance(open_stored(blessed.path / "stored"), Unusable)
    assert main(["bless", "first", "--to", "stored"]) == 0
    assert isinstance(open_stored(blessed.path / "stored"), StoredBaseline)
    assert not list(blessed.path.glob(".stored*"))


# -- sessions ---------------------------------------------------------------------------------------------


def test_only_the_candidates_calls_are_placed_and_the_figures_are_those_of_a_whole_run(
    blessed: VoiceProject,
) -> None:
    both = blessed.run("--voice-run", "both", *RAISING)
    alone = blessed.run("--voice-run", "alone", *RAISING, *STORED)
    assert both.ret == alone.ret == pytest.ExitCode.TESTS_FAILED
    alone.stdout.fnmatch_lines(
        [f"voice: baseline 'steady' (stored) -> candidate 'raising', {PLANNED} calls, policy pr"]
    )
    assert alone.parseoutcomes()["placed"] == PLANNED
    found = [
        {verdict["id"]: (verdict["counts"], verdict["estimate"]) for verdict in blessed.gate(run)["verdicts"]}
        for run in ("both", "alone")
    ]
    assert found[0] == found[1]
    assert blessed.outcomes("alone")["task_completion[accent=high]"] == "regressed"
    assert blessed.gate("alone")["manifest"]["differences"] == blessed.gate("both")["manifest"]["differences"]


def test_nothing_is_unchanged_by_construction_against_a_stored_run(blessed: VoiceProject) -> None:
    assert blessed.run("--voice-run", "run", *STORED).ret == pytest.ExitCode.OK
    verdicts = blessed.gate()["verdicts"]
    assert not any("unchanged by construction" in verdict["flags"] for verdict in verdicts)
    assert {verdict["outcome"] for verdict in verdicts} <= {"passed", "inconclusive"}


def test_latency_is_reported_and_never_gated_against_a_stored_run(blessed: VoiceProject) -> None:
    blessed.settings(
        ('"task_completion"]', '"task_completion", "time_to_first_audio"]'),
        ('wer = "+5pp"', 'wer = "+5pp"\ntime_to_first_audio = "+10ms"'),
    )
    blessed.run("--voice-run", "both")
    assert blessed.run("--voice-run", "alone", *STORED).ret == pytest.ExitCode.OK
    gating = [
        {verdict["id"] for verdict in blessed.gate(run)["verdicts"] if verdict["gating"]}
        for run in ("both", "alone")
    ]
    timing = {f"time_to_first_audio[{cohort}]" for cohort in ("overall", "accent=low", "accent=high")}
    assert gating[0] - gating[1] == timing
    assert timing <= blessed.outcomes("alone").keys()


def test_a_report_offers_no_clip_that_was_not_kept(blessed: VoiceProject) -> None:
    # With high voices the candidate never speaks, so that what the agent said is the baseline's alone.
    blessed.run("--voice-run", "run", "-k", "high", *STORED, *RAISING)
    run = RunFolder.open(blessed.path / "run")
    agent_said = {
        event.audio for call in run.calls().values() for event in call.events if event.kind == "agent_started"
    }
    assert agent_said
    assert not any(run.href(digest) for digest in agent_said)
    caller_said = {
        clip for key, call in run.calls().items() if "high" in key for clip in caller_clips(call)[:1]
    }
    assert all((run.path / run.href(digest)).is_file() for digest in caller_said)
    pages = "".join(page.read_text() for page in (run.path / "report").rglob("*.html"))
    assert not any(digest + ".flac" in pages for digest in agent_said)
    assert all(digest + ".flac" in pages for digest in caller_said)


def test_a_run_is_reported_again_though_another_baseline_is_stored_now(
    blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    blessed.run("--voice-run", "run", "-k", "high", *STORED, *RAISING)
    gate = blessed.path / "run" / "gate.json"
    before = gate.read_bytes()
    (blessed.path / "stored").rename(blessed.path / "gone")
    gate.unlink()
    pages = {page: page.read_bytes() for page in (blessed.path / "run" / "report").rglob("*.html")}
    monkeypatch.syspath_prepend(blessed.path)
    assert main(["report", "run"]) == 1
    assert gate.read_bytes() == before
    assert pages == {page: page.read_bytes() for page in (blessed.path / "run" / "report").rglob("*.html")}


def test_workers_of_xdist_give_the_same_bytes(blessed: VoiceProject) -> None:
    blessed.run("--voice-run", "one", *STORED, *RAISING)
    apart = blessed.run_apart("--voice-run", "two", *STORED, *RAISING, "-n", "2")
    assert apart.ret == pytest.ExitCode.TESTS_FAILED, apart.stdout.str()
    one, two = ((blessed.path / run / "gate.json").read_bytes() for run in ("one", "two"))
    assert one == two


def test_a_baseline_named_for_the_run_is_placed_although_one_is_stored(blessed: VoiceProject) -> None:
    blessed.settings(("workers = 0", 'workers = 0\nstored_baseline = "stored"'))
    named = blessed.run("--voice-run", "run", "--voice-baseline", "toy_agent:steady")
    assert named.parseoutcomes()["placed"] == CALLS
    both = blessed.run("--voice-run", "no", "--voice-baseline", "toy_agent:steady", *STORED)
    assert both.ret == pytest.ExitCode.USAGE_ERROR
    both.stderr.fnmatch_lines(["ERROR: --voice-baseline places*--voice-stored-baseline takes*give one*"])


def test_an_aa_check_places_both_arms(blessed: VoiceProject) -> None:
    result = blessed.run("--voice-run", "run", "--voice-aa", *STORED)
    assert result.parseoutcomes()["placed"] == CALLS
    assert not (blessed.path / "run" / "stored_baseline.json").exists()


def test_the_baseline_setting_is_not_needed(blessed: VoiceProject) -> None:
    blessed.settings(('baseline = "toy_agent:steady"', ""))
    assert blessed.run("--voice-run", "run", *STORED).ret == pytest.ExitCode.OK


def test_repeats_are_stored_and_compared(voice_project: VoiceProject) -> None:
    voice_project.run("--voice-run", "first", "--voice-trials", "2")
    assert main(["bless", "first", "--to", "stored"]) == 0
    result = voice_project.run("--voice-run", "run", "--voice-trials", "2", *STORED)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["placed"] == 2 * PLANNED
    fewer = voice_project.run("--voice-run", "fewer", *STORED)
    assert fewer.ret == pytest.ExitCode.TESTS_FAILED
    fewer.stdout.fnmatch_lines(["voice: no call is placed: *trials: 2 -> 1"])


# -- what has to be the same ------------------------------------------------------------------------------


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_unchanged_project_is_comparable(blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_comparable(blessed, monkeypatch) == ""
    assert why_not_comparable(blessed, monkeypatch, metrics=["wer", "tool_path", "task_completion"]) == ""


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("calls/lost-card.toml", "block my card", "please block my card", "scenario 'lost-card' changed"),
        ("callers.toml", "pitch = 90", "pitch = 91", "the suite's callers, lines or recordings changed"),
        ("callers.toml", '"high-0"', '"high-zero"', "the suite's callers, lines or recordings changed"),
        ("lines.toml", '"clear"', '"clear"\nsnr_db = 20\nnoise = "pink"', "the suite's callers, lines or"),
    ],
)
def test_a_changed_suite_is_named(
    blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str, sentence: str
) -> None:
    edited(blessed.path / "suite" / file, old, new)
    why = why_not_comparable(blessed, monkeypatch)
    assert why.startswith(f"not comparable with the stored baseline: {sentence}")


def test_a_renamed_scenario_is_named_on_both_sides(
    blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = blessed.path / "suite" / "calls"
    (calls / "old-card.toml").rename(calls / "new-card.toml")
    assert why_not_comparable(blessed, monkeypatch) == (
        "not comparable with the stored baseline: scenario 'new-card' is not in the stored baseline; "
        "scenario 'old-card' is in the stored baseline and not in the suite"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seed": 2}, "seed: 1 -> 2"),
        ({"trials": 3}, "trials: 1 -> 3"),
        (
            {"reference": {"recognizer": {"use": "toy_agent:Ears", "flaw": "other"}, "synthesizer": VOICE}},
            "the reference recognizer or voice changed",
        ),
        (
            {"reference": {"recognizer": {"use": "mute_ears:Ears"}, "synthesizer": VOICE}},
            "the reference recognizer or voice states no fingerprint, so that it may have changed",
        ),
    ],
)  # fmt: skip
def test_a_changed_setting_is_named(
    blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], sentence: str
) -> None:
    (blessed.path / "mute_ears.py").write_text("class Ears:\n    def transcribe(self, audio): ...\n")
    why = why_not_comparable(blessed, monkeypatch, **options)
    assert why == f"not comparable with the stored baseline: {sentence}"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (("metrics", "wer"), 99, r"metric wer: version 99 -> \d+"),
        (("normalizers", "en-US"), "english/0", r"normaliser of en-US: english/0 -> english/\d+"),
        (("judge",), "task_completion/0", r"what decides .*: task_completion/0 -> task_completion/\d+"),
        (("engine",), "cascade/0", r"what places calls: cascade/0 -> cascade/\d+"),
        (("matrix",), "block", "matrix: block -> full"),
        (("independent_arms",), True, "independent_arms: True -> False"),
        (("plan",), "other", "the same suite is planned in another way by this version of voiceeval"),
    ],
)
def test_a_changed_measure_is_named(
    blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch, key: tuple[str, ...], value: object, sentence: str
) -> None:
    written = fingerprint(blessed)
    at = written["conditions"]
    for part in key[:-1]:
        at = at[part]
    at[key[-1]] = value
    (blessed.path / "stored" / FINGERPRINT).write_text(json.dumps(written))
    why = why_not_comparable(blessed, monkeypatch)
    assert re.fullmatch(f"not comparable with the stored baseline: {sentence}", why), why


def test_another_version_of_voiceeval_alone_is_no_difference(
    blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {**fingerprint(blessed), "voiceeval_version": "0.0.1"}
    (blessed.path / "stored" / FINGERPRINT).write_text(json.dumps(written))
    assert why_not_comparable(blessed, monkeypatch) == ""


def truncate(stored: Path) -> None:
    (stored / FINGERPRINT).write_bytes((stored / FINGERPRINT).read_bytes()[:100])


def empty(stored: Path) -> None:
    (stored / FINGERPRINT).unlink()


def raise_schema(stored: Path) -> None:
    edited(stored / FINGERPRINT, '"schema_version": 1', '"schema_version": 2')


def lack_a_key(stored: Path) -> None:
    edited(stored / FINGERPRINT, '"seed"', '"sead"')


def touch_a_call(stored: Path) -> None:
    edited(min((stored / "calls").iterdir()), '"completed"', '"agent failed"')


def lack_a_call(stored: Path) -> None:
    min((stored / "calls").iterdir()).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "the stored baseline is damaged: stored/fingerprint.json: "),
        (empty, "there is no stored baseline in 'stored': it holds no fingerprint.json; make one with"),
        (raise_schema, "the stored baseline has schema_version 2, this version of voiceeval reads 1"),
        (lack_a_key, "the stored baseline is damaged: stored/fingerprint.json: conditions.seed: missing"),
        (
            touch_a_call,
            "the stored baseline is damaged: the files in 'stored' are not those that were blessed",
        ),
        (
            lack_a_call,
            "the stored baseline is damaged: the files in 'stored' are not those that were blessed",
        ),
    ],
)
def test_damage_is_found_before_a_call_is_placed(
    blessed: VoiceProject, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None], message: str
) -> None:
    damage(blessed.path / "stored")
    assert why_not_comparable(blessed, monkeypatch).startswith(message)


def test_many_differences_are_cut_short() -> None:
    sentences = tuple(f"scenario 's{n}' changed" for n in range(MOST_SENTENCES + 3))
    assert joined(sentences).endswith("scenario 's3' changed; and 3 more")
    assert joined(sentences[:1]) == "not comparable with the stored baseline: scenario 's0' changed"
    assert joined(()) == ""


# -- what callers sound like ------------------------------------------------------------------------------


def planned(number: int) -> PlannedCall:
    return PlannedCall(scenario="s", caller=f"c{number}", line="l", trial=0, speaker=f"c{number}", tags={})


def call(number: int, arm: Arm, *clips: str) -> Call:
    heard = tuple(
        CallerStarted(at_ms=at, turn=at, text="hello", script_turn=0, wording="text", audio=clip)
        for at, clip in enumerate(clips)
    )
    return Call(
        key=CallKey(scenario="s", caller=f"c{number}", line="l", trial=0, arm=arm), seed=1, events=heard,
        ending=Ending.COMPLETED, final_state={}, usage=Usage(), cost=0.0,
    )  # fmt: skip


def placed(*calls: Call) -> dict[str, Call]:
    return {each.key.id: each for each in calls}


def test_first_turns_must_sound_alike_and_later_ones_need_not() -> None:
    alike = placed(call(0, Arm.BASELINE, "a", "b"), call(0, Arm.CANDIDATE, "a", "c", "d"))
    assert unlike_callers([planned(0)], alike) == ""
    other = placed(call(1, Arm.BASELINE, "a", "b"), call(1, Arm.CANDIDATE, "x", "b"))
    assert "in 1 of 2 calls" in unlike_callers([planned(0), planned(1)], {**alike, **other})


def test_asides_during_the_greeting_and_a_silent_first_turn_say_nothing_about_callers() -> None:
    spoken = [call(0, Arm.BASELINE, "a", "b"), call(0, Arm.CANDIDATE, "a", "b")]
    cough = AsideStarted(at_ms=0, turn=0, aside="cough", text="", audio="c", audio_from_ms=0)
    spoken[1] = replace(spoken[1], events=(cough, *spoken[1].events))
    assert caller_clips(spoken[1]) == ("c", "a", "b")
    silent = placed(call(1, Arm.BASELINE, "", "b"), call(1, Arm.CANDIDATE, "", "x"))
    assert unlike_callers([planned(0), planned(1)], {**placed(*spoken), **silent}) == ""


def test_first_words_after_keys_or_right_after_a_sound_say_nothing_about_callers() -> None:
    keyed = [call(0, arm, clip) for arm, clip in zip(Arm, ("a", "x"), strict=True)]
    key = KeyPressed(at_ms=0, turn=0, key="1")
    keyed = [replace(each, events=(key, *each.events)) for each in keyed]
    assert unlike_callers([planned(0)], placed(*keyed)) == ""
    first = CallerStarted(
        at_ms=900, turn=1, text="hello", script_turn=0, wording="text", audio="x", audio_from_ms=650
    )
    shorter = replace(call(0, Arm.CANDIDATE), events=(first,))
    whole = replace(call(0, Arm.BASELINE), events=(replace(first, audio="a", audio_from_ms=600),))
    assert unlike_callers([planned(0)], placed(whole, shorter)) == ""
    as_long = replace(shorter, events=(replace(first, audio_from_ms=600),))
    assert "in 1 of 1 calls" in unlike_callers([planned(0)], placed(whole, as_long))


def test_a_call_that_ended_before_the_caller_spoke_says_nothing_about_callers() -> None:
    silent = placed(call(0, Arm.BASELINE, "a"), call(0, Arm.CANDIDATE))
    absent = placed(call(1, Arm.BASELINE, "a"))
    assert unlike_callers([planned(0), planned(1)], {**silent, **absent}) == ""


def test_callers_that_sound_other_than_before_make_the_run_invalid(blessed: VoiceProject) -> None:
    edited(blessed.path / "toy_agent.py", "self._hz = 10 * pitch", "self._hz = 10 * pitch + 40")
    result = blessed.run("--voice-run", "run", "--voice-no-cache", *STORED)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    gating = [verdict for verdict in blessed.gate()["verdicts"] if verdict["gating"]]
    assert {verdict["outcome"] for verdict in gating} == {"invalid"}
    assert f"in {PLANNED} of {PLANNED} calls" in gating[0]["reason"]


# -- the agent that is known by its description --------------------------------------------------------------


def test_a_stored_agent_is_described_and_never_placed(blessed: VoiceProject) -> None:
    stored = open_stored(blessed.path / "stored")
    assert isinstance(stored, StoredBaseline)
    agent = stored.agent
    assert (agent.name, agent.model_version, agent.release_date) == ("steady", "1", "2026-01-01")
    assert agent.parts == fingerprint(blessed)["agent"]["parts"]
    assert not any(agent.deterministic(part) for part in agent.parts)
    with pytest.raises(HarnessError, match="no call can be placed with it"):
        agent.synthesizer.synthesize("hello")
    assert isinstance(Unusable(reason="gone").agent, StoredAgent)
