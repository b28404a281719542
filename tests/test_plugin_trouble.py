from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from voice_project import CALLS, ROOT, VoiceProject


@pytest.mark.slow
def test_a_hanging_stage_is_the_agents_failure_and_the_other_calls_go_on(voice_project: VoiceProject) -> None:
    result = voice_project.run(
        "--voice-run", "run", "--voice-candidate", "toy_agent:hanging", "--voice-workers", "1",
        "--voice-call-limit", "3",
        "-m", "voice(accent='low') or voice(caller='high-0', scenario='lost-card')",
    )  # fmt: skip
    placed = CALLS // 4 + 1
    result.stdout.fnmatch_lines([f"* calls placed: baseline {placed}, candidate {placed} (1 failed)"])
    verdicts = {verdict["id"]: verdict for verdict in voice_project.gate()["verdicts"]}
    assert verdicts["task_completion[accent=low]"]["counts"]["scored"] == CALLS // 4


def test_a_killed_worker_costs_its_call_alone_and_is_said_plainly(voice_project: VoiceProject) -> None:
    result = voice_project.run(
        "--voice-run", "run", "--voice-candidate", "toy_agent:dying", "--voice-workers", "1",
        "-m", "voice(accent='low') or voice(caller='high-0')",
    )  # fmt: skip
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not measured: the worker process died (signal 9)"])
    assert result.parseoutcomes()["placed"] == CALLS // 2 + 2
    assert "Traceback" not in result.stdout.str()


def test_a_run_that_stops_early_is_not_judged(voice_project: VoiceProject) -> None:
    result = voice_project.run(
        "--voice-run", "run", "--voice-candidate", "toy_agent:dying", "--voice-workers", "1", "-x"
    )
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["not judged: the run stopped before every call was made*"])
    assert not (voice_project.path / "run" / "gate.json").exists()


def interrupted(process: subprocess.Popen[str]) -> str:
    """What a process printed that was interrupted. Python loses an interrupt that falls into a destructor, so
    that a person would press the keys again."""
    try:
        for _ in range(4):
            os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=10)[0]
        raise AssertionError("the process goes on after four interrupts")
    finally:
        with contextlib.suppress(ProcessLookupError):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def test_an_interrupted_run_is_not_judged_and_leaves_no_process(voice_project: VoiceProject) -> None:
    command = [
        sys.executable, "-m", "pytest", "-p", "voiceeval.pytest_plugin", "--voice-cohorts",
        "--voice-run", "run",
        "--voice-candidate", "toy_agent:hanging", "--voice-workers", "1",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=voice_project.path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    calls = voice_project.path / "run" / "calls"
    while process.poll() is None and not (calls.is_dir() and any(calls.iterdir())):
        time.sleep(0.02)
    output = interrupted(process)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "not judged: the run stopped before every call was made" in output
    # multiprocessing's own tracker ends a moment after the process it watches.
    with pytest.raises(ProcessLookupError):  # noqa: PT012 - it takes a moment
        for _ in range(500):
            os.killpg(process.pid, 0)
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--voice-baseline", "gone.toml"), "*gone.toml*no such file*"),
        (("--voice-suite", "gone"), "*gone*no such file; a suite is a folder with a suite.toml*"),
        (("--voice-candidate", "toy_agent:steddy"), "*steddy*"),
        (("--voice-trials", "0"), "*options: trials: *"),
        (("--voice-run", "suite"), "*suite: already holds files; a run starts in an absent or empty folder*"),
        (("-k", "nobody"), "*no voice call was selected*"),
    ],
)
def test_bad_input_gives_one_clear_message_and_exit_code_4(
    voice_project: VoiceProject, args: tuple[str, ...], message: str
) -> None:
    result = voice_project.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'baseline = "toy_agent:steady"',
            "",
            "*pyproject.toml: ?tool.voiceeval? baseline: not set*--voice-baseline",
        ),
        ('metrics = ["wer"', 'metrics = ["werr"', "*'werr'*Did you mean 'wer'?*"),
        ('["accent"]]', '["acent"]]', "*cohorts: no cohort tag is named 'acent'. Did you mean 'accent'?*"),
        ('wer = "+5pp"', 'wer = "5"', "*margins.wer: '5' is not a margin*"),
        ('wer = "+5pp"', 'wr = "5pp"', "*margins.wr: no scored metric is named 'wr'. Did you mean 'wer'?*"),
        ("min_clusters", "min_cluster", "*min_cluster*Did you mean 'min_clusters'?*"),
        ("cohorts = [[]", "cohort = [[]", "*cohort*Did you mean 'cohorts'?*"),
        ("cohorts = [[], ", "cohorts = [] #", "*cohorts: empty, so that nothing could fail*"),
    ],
)
def test_bad_settings_give_one_clear_message(
    voice_project: VoiceProject, old: str, new: str, message: str
) -> None:
    voice_project.settings((old, new))
    result = voice_project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_an_interrupted_run_without_a_cache_keeps_no_results(voice_project: VoiceProject) -> None:
    result = voice_project.run(
        "--voice-run", "run", "--voice-candidate", "toy_agent:interrupted", "--voice-no-cache"
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert list((voice_project.path / "run" / "calls").iterdir())
    assert not (voice_project.path / "run" / "kept").exists()


def test_two_calls_of_one_name_are_refused_and_none_is_left_out(voice_project: VoiceProject) -> None:
    suite = voice_project.path / "suite"
    (suite / "lines.toml").write_text('[[lines]]\nid = "phone"\n[[lines]]\nid = "a-phone"\n')
    callers = (suite / "callers.toml").read_text()
    (suite / "callers.toml").write_text(callers.replace('id = "low-1"', 'id = "low-0-a"'))
    result = voice_project.run("--voice-run", "run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*two calls are named *low-0-a-phone*give a caller or a line another id"])
