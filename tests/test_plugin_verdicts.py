from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from voice_project import CALLS, VoiceProject

from voiceeval import __version__

RAISING = ("--voice-candidate", "toy_agent:raising")


def junit(folder: Path) -> ET.Element:
    """The suite in a JUnit file that this test just wrote."""
    return ET.parse(folder / "junit.xml").getroot()[0]  # noqa: S314 - our own file


def facts(suite: ET.Element) -> dict[str | None, list[tuple[str | None, str | None]]]:
    """The properties of the suite, and those of each verdict."""
    cases = {case.get("name"): case for case in suite.iter("testcase") if case.get("classname") == "voice"}
    return {
        name: [(prop.get("name"), prop.get("value")) for prop in node.find("properties") or ()]
        for name, node in {"": suite, **cases}.items()
    }


def test_an_agent_against_itself_passes_and_exits_with_0(voice_project: VoiceProject) -> None:
    result = voice_project.run("--voice-run", "run")
    assert result.ret == pytest.ExitCode.OK
    assert set(voice_project.outcomes().values()) == {"passed"}
    result.stdout.fnmatch_lines([f"*6 passed, {CALLS} placed in *"])


def test_a_candidate_that_raises_in_one_cohort_is_regressed_there(voice_project: VoiceProject) -> None:
    result = voice_project.run("--voice-run", "run", *RAISING, "--junitxml", "junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = voice_project.outcomes()
    assert outcomes["task_completion[accent=high]"] == "regressed"
    assert outcomes["task_completion[accent=low]"] not in ("regressed", "invalid")
    result.stdout.fnmatch_lines(["*FAILED voice::task_completion*accent=high*"])

    # No item failed: what the agent did is data. What a stage said is the call's own, and shown nowhere.
    cases = {case.get("name"): case for case in junit(voice_project.path).iter("testcase")}
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert {str(name).split("[")[0] for name in failed} <= {"wer", "task_completion"}
    assert "secret words" not in result.stdout.str() + (voice_project.path / "junit.xml").read_text()


def test_junit_holds_the_facts_behind_each_gating_verdict(voice_project: VoiceProject) -> None:
    voice_project.run("--voice-run", "run", *RAISING, "--junitxml", "junit.xml")
    suite = junit(voice_project.path)
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    verdicts = {verdict["id"]: verdict for verdict in voice_project.gate()["verdicts"] if verdict["gating"]}
    assert int(suite.get("tests", "0")) == len(cases) == CALLS + len(verdicts)
    for name, verdict in verdicts.items():
        found = {prop.get("name"): prop.get("value") for prop in cases[name].iter("property")}
        assert found["outcome"] == verdict["outcome"]
        assert found["reason"] == verdict["reason"]
        assert found["margin"] == "+5pp"
        assert found["metric"] == verdict["metric"]["name"]
        assert found["cohort"] == verdict["cohort"]["name"]
        tags = {
            str(key).removeprefix("cohort."): value for key, value in found.items() if "cohort." in str(key)
        }
        assert tags == verdict["cohort"]["tags"]
        assert (found["gating"], found["policy"]) == ("true", "pr")
        assert found["blocks"] == str(verdict["blocks"]).lower()
        assert int(str(found["pairs"])) == verdict["counts"]["scored"]
        assert int(str(found["speakers"])) == verdict["counts"]["speakers"]
        estimate = verdict["estimate"]
        for key in ("baseline", "candidate", "difference", "worse_by"):
            assert float(str(found[f"estimate.{key}"])) == pytest.approx(estimate[key], rel=1e-5)
        for key, value in estimate["interval"].items():
            assert found[f"interval.{key}"] == (value if value == "unbounded" else f"{value:.6g}")
        assert found["p"] == f"{estimate['p_worse']:.6g}"
        assert found["p_adjusted"] == f"{estimate['p_adjusted']:.6g}"
        failure = cases[name].find("failure")
        assert (failure is not None) == (verdict["outcome"] in ("regressed", "invalid"))
        if failure is not None:
            assert verdict["reason"] in str(failure.get("message"))
            assert "Traceback" not in str(failure.text)


def test_junit_holds_the_facts_of_the_whole_run(voice_project: VoiceProject) -> None:
    voice_project.run("--voice-run", "run", *RAISING, "--junitxml", "junit.xml", "--voice-seed", "11")
    properties = junit(voice_project.path).find("properties")
    assert properties is not None
    found = {prop.get("name"): prop.get("value") for prop in properties}
    gate = voice_project.gate()
    assert (
        found.items()
        >= {
            "voiceeval.version": __version__,
            "voiceeval.seed": "11",
            "voiceeval.suite": "toy",
            "voiceeval.baseline": "steady 1",
            "voiceeval.candidate": "raising 1",
            "voiceeval.candidate.release_date": "2026-01-01",
            "voiceeval.policy": "pr",
            "voiceeval.may_ship": "false",
            "voiceeval.partial": "false",
            "voiceeval.headline": gate["headline"],
        }.items()
    )


def test_under_xdist_the_junit_file_holds_the_same_facts(voice_project: VoiceProject) -> None:
    voice_project.run("--voice-run", "one", *RAISING, "--junitxml", "junit.xml")
    one = facts(junit(voice_project.path))
    result = voice_project.run_apart("--voice-run", "two", *RAISING, "-n", "2", "--junitxml", "junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED, result.stdout.str()
    assert facts(junit(voice_project.path)) == one
    assert len(one) == 1 + len(
        [verdict for verdict in voice_project.gate("one")["verdicts"] if verdict["gating"]]
    )


def test_what_is_not_decided_is_skipped_under_pr_and_failed_under_release(
    voice_project: VoiceProject,
) -> None:
    voice_project.settings(("min_clusters = 5", "min_clusters = 50"))
    lenient = voice_project.run("--voice-run", "pr", *RAISING)
    assert lenient.ret == pytest.ExitCode.OK
    assert lenient.parseoutcomes()["skipped"] >= 1
    strict = voice_project.run("--voice-run", "release", *RAISING, "--voice-policy", "release")
    assert strict.ret == pytest.ExitCode.TESTS_FAILED


def test_a_selection_is_judged_over_what_was_selected_and_labelled_partial(
    voice_project: VoiceProject,
) -> None:
    result = voice_project.run("--voice-run", "run", "-k", "high", *RAISING)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    gate = voice_project.gate()
    assert gate["partial"] is True
    assert {verdict["cohort"]["name"] for verdict in gate["verdicts"]} == {
        "overall", "accent=high", "urgency=now", "urgency=later"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("selection", "share"),
    [
        (("-k", "lost-card"), 0.5),
        (("-k", "later"), 0.5),
        (("-m", "voice(accent='low')"), 0.5),
        (("-m", "voice(accent='low', arm='candidate')"), 0.25),
        (("suite/calls/old-card.toml",), 0.5),
        ((), 1.0),
    ],
)
def test_calls_are_selected_by_name_tag_and_file(
    voice_project: VoiceProject, selection: tuple[str, ...], share: float
) -> None:
    result = voice_project.run("--collect-only", "-q", *selection)
    listed = [line for line in result.outlines if line.startswith("suite/calls/") and "::" in line]
    assert len(listed) == share * CALLS
    assert not (voice_project.path / ".voiceeval").exists()


def test_without_paths_only_calls_are_collected(voice_project: VoiceProject) -> None:
    voice_project.pytester.makepyfile(test_own="def test_of_the_project(): pass")
    listed = voice_project.run("--collect-only", "-q")
    listed.stdout.no_fnmatch_line("*test_of_the_project*")
    assert "lost-card[high-0-clear-0-candidate]" in listed.stdout.str()


def test_without_the_option_the_plugin_has_no_effect(voice_project: VoiceProject) -> None:
    voice_project.pytester.makepyfile(test_own="def test_of_the_project(): pass")
    result = voice_project.pytester.runpytest_inprocess("-p", "voiceeval.pytest_plugin")
    result.assert_outcomes(passed=1)
    said = [line for line in result.outlines if not line.startswith(("plugins: ", "rootdir: "))]
    assert "voice" not in "\n".join(said)


def test_two_workers_of_xdist_give_the_same_bytes_as_one_process(voice_project: VoiceProject) -> None:
    assert voice_project.run("--voice-run", "one", *RAISING).ret == pytest.ExitCode.TESTS_FAILED
    apart = voice_project.run_apart("--voice-run", "two", *RAISING, "-n", "2")
    assert apart.ret == pytest.ExitCode.TESTS_FAILED, apart.stdout.str()
    one, two = ((voice_project.path / run / "gate.json").read_bytes() for run in ("one", "two"))
    assert one == two


def test_worker_processes_and_a_second_run_give_the_same_bytes(voice_project: VoiceProject) -> None:
    voice_project.run("--voice-run", "one", *RAISING)
    voice_project.run("--voice-run", "two", *RAISING, "--voice-workers", "2")
    voice_project.run("--voice-run", "three", *RAISING, "--voice-no-cache", "-q", "-p", "no:cacheprovider")
    gates = {(voice_project.path / run / "gate.json").read_bytes() for run in ("one", "two", "three")}
    assert len(gates) == 1
    assert not (voice_project.path / "three" / "kept").exists()


def test_the_baseline_against_itself_draws_apart_and_finds_nothing(voice_project: VoiceProject) -> None:
    result = voice_project.run("--voice-run", "run", "--voice-aa", *RAISING)
    assert result.ret == pytest.ExitCode.OK
    assert voice_project.gate()["manifest"]["independent_arms"] is True
    assert voice_project.gate()["manifest"]["arms"]["candidate"]["name"] == "steady"


def test_each_run_has_a_fresh_folder_and_latest_names_it(voice_project: VoiceProject) -> None:
    for _ in range(2):
        assert voice_project.run("-k", "high-0").ret == pytest.ExitCode.OK
    runs = voice_project.path / ".voiceeval" / "runs"
    folders = [path.name for path in runs.iterdir() if path.is_dir()]
    assert len(folders) == 2
    assert (runs / "latest").read_text().strip() in folders


def test_verbose_output_names_calls_and_verdicts(voice_project: VoiceProject) -> None:
    result = voice_project.run("-v", "-k", "high-0")
    result.stdout.fnmatch_lines(["*lost-card?high-0-clear-0-baseline? PLACED*", "voice::*"])
