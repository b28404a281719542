"""From settings to margins, waivers and expected cohorts; names that do not exist are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from gate_samples import TASK, WER
from voice_project import VoiceProject

from voiceeval.assembly import build
from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.config import load_config
from voiceeval.errors import ConfigError
from voiceeval.gate_settings import (
    DEFAULT_MARGINS,
    check_named_cells,
    check_release,
    expected_cohorts,
    margins,
    own_margins,
    targets,
    waivers,
)
from voiceeval.settings import Settings

SCOTTISH = Cohort((("accent", "scottish"),))


def own(**changes: Any) -> dict[str, Any]:
    entry = {"metric": "wer", "cohort": {"accent": "scottish"}, "margin": "+4pp", "reason": "a hard accent"}
    return {**entry, "until": date(2026, 12, 31), **changes}


def waiver(**changes: Any) -> dict[str, Any]:
    entry = {"metric": "wer", "cohort": {}, "owner": "maria", "reason": "known"}
    return {**entry, "expires": date(2026, 12, 31), **changes}


def checked(**settings: Any) -> None:
    check_named_cells(Settings(**settings), ["wer", "task"], [EVERYONE, SCOTTISH], ["accent", "line"])


def test_a_cohort_margin_is_read_with_its_reason_and_last_day() -> None:
    (found,) = own_margins(Settings(cohort_margins=(own(),)))
    assert (found.metric, found.cohort, found.margin.written) == ("wer", SCOTTISH, "+4pp")
    assert (found.reason, found.until) == ("a hard accent", date(2026, 12, 31))


def test_two_margins_of_one_cell_are_refused() -> None:
    settings = Settings(cohort_margins=(own(), own(margin="+5pp")))
    with pytest.raises(ConfigError, match=r"cohort_margins\[1\]: wer\[accent=scottish\] has a margin"):
        own_margins(settings)


def test_a_waiver_of_everyone_has_an_empty_cohort() -> None:
    (found,) = waivers(Settings(waivers=(waiver(),)))
    assert found.verdict == "wer[overall]"


def test_default_margins_hold_where_none_is_written() -> None:
    assert margins(Settings(), [WER])["wer"].written == DEFAULT_MARGINS["wer"]
    with pytest.raises(ConfigError, match="none of the scored metrics has one"):
        margins(Settings(), [TASK])
    assert margins(Settings(cohort_margins=(own(metric="task"),)), [TASK]) == {}


def test_every_combination_of_expected_values_is_a_cohort_that_must_be_there() -> None:
    settings = Settings(
        cohorts=((), ("accent",), ("accent", "line"), ("accent", "device")),
        expect={"accent": ("a", "b"), "line": ("x", "y")},
    )
    names = {cohort.name for cohort in expected_cohorts(settings)}
    # No value is expected of the device, so that nothing is known of accent × device.
    assert names == {
        *("accent=a", "accent=b"),
        *(f"accent={a} × line={x}" for a in "ab" for x in "xy"),
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"cohort_margins": (own(cohort={"accent": "scotish"}),)},
            r"no gating cohort is accent=scotish\.",
        ),
        ({"cohort_margins": (own(metric="wre"),)}, r"cohort_margins\[0\]\.metric: no scored metric is named"),
        ({"waivers": (waiver(), waiver(metric="wet"))}, r"waivers\[1\]\.metric: .*Did you mean 'wer'"),
        ({"waivers": (waiver(cohort={"line": "x"}),)}, r"waivers\[0\]\.cohort: no gating cohort is line=x"),
        ({"expect": {"acent": ("a",)}}, r"expect: no cohort tag is named 'acent'\. Did"),
    ],
)
def test_names_that_nothing_answers_to_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked(**settings)


def test_names_that_exist_are_fine() -> None:
    checked(cohort_margins=(own(),), waivers=(waiver(),), expect={"accent": ("scottish",)})


@pytest.mark.parametrize("missing", ["reason", "until", "margin", "metric", "cohort"])
def test_a_cohort_margin_says_everything(missing: str) -> None:
    entry = own()
    del entry[missing]
    with pytest.raises(ValueError, match=missing):
        Settings(cohort_margins=(entry,))


@pytest.mark.parametrize(
    ("release", "message"),
    [
        ({"margins": {"wre": "+2pp"}}, r"release\.margins\.wre: no scored metric is named 'wre'"),
        ({"margins": {"wer": "2"}}, r"release\.margins\.wer: '2' is not a margin"),
        (
            {"cohorts": [["acent"]]},
            r"release\.cohorts: no cohort tag is named 'acent'",
        ),
        ({"report_cohorts": [["x"]]}, r"release\.report_cohorts: no cohort tag is named 'x'"),
    ],
)
def test_a_slip_in_the_release_settings_is_found_before_the_release(
    release: dict[str, Any], message: str
) -> None:
    settings = Settings(policy="pr", release=release)
    with pytest.raises(ConfigError, match=message):
        check_release(settings, [WER, TASK], ["accent"])


def test_release_settings_may_name_what_only_repeats_have() -> None:
    done = replace(TASK, name="task_completion")
    margins_of_repeats = {"trials": 3, "margins": {"pass_hat_3": "+5pp"}, "cohorts": [[], ["accent"]]}
    check_release(Settings(release=margins_of_repeats), [WER, done], ["accent"])
    check_release(Settings(), [WER], [])


def test_targets_are_stated_by_duration_and_quantile() -> None:
    written = {"time_to_first_audio": {"p95": 1500, "p50": 800}, "queue_ms": {"p99": 0.5}}
    own_metric = replace(WER, name="queue_ms", unit="ms")
    found = targets(Settings(targets=written), [own_metric])
    assert found == {"queue_ms": {"p99": 0.5}, "time_to_first_audio": {"p50": 800, "p95": 1500}}
    assert list(found["time_to_first_audio"]) == ["p50", "p95"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            {"time_to_first_adio": {"p50": 1}},
            r"^\[tool\.voiceeval\] targets\.time_to_first_adio: .*Did you mean",
        ),
        ({"wer": {"p50": 1}}, r"targets\.wer: wer is no duration; allowed: call_length_ms, "),
        (
            {"tools_ms": {"p50": 900, "p90": 1000, "p99": 950}},
            r"targets\.tools_ms\.p99: given 950; allowed: at least 1000, as p90 has",
        ),
    ],
)
def test_a_target_that_nothing_can_meet_is_refused(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        targets(Settings(targets=written), [WER])


@pytest.mark.parametrize("aims", [{"p50": 0}, {"p50": -1}, {"p51": 800}, {"p50": "800"}, {"p50": True}, 800])
def test_a_target_is_a_positive_number_of_a_known_quantile(tmp_path: Path, aims: object) -> None:
    written = f"[tool.voiceeval.targets]\ntime_to_first_audio = {_toml(aims)}\n"
    (tmp_path / "pyproject.toml").write_text(written)
    where = r"pyproject\.toml: \[tool\.voiceeval\]: targets\.time_to_first_audio"
    with pytest.raises(ConfigError, match=where):
        load_config(tmp_path, {}, from_folder=tmp_path)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def test_the_targets_stand_in_the_manifest_and_change_nothing_else(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(voice_project.path)
    aims = {"time_to_first_audio": {"p95": 1500.0}}
    plain, aiming = (
        build(load_config(voice_project.path, options, from_folder=voice_project.path)).experiment.manifest()
        for options in ({}, {"targets": aims})
    )
    assert aiming.pop("targets") == aims
    assert aiming == plain
