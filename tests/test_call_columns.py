"""The calls by columns: what they hold is what the run's scores, verdicts and metrics say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_pages import Chromium
from test_report_sample import (
    SECOND,
    WER,
    WORST,
    comparison,
    invalid,
    manifest,
    planned_calls,
    report_input,
    verdict,
)

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE
from voiceeval.config import load_config
from voiceeval.metrics import BUNDLED
from voiceeval.reports.call_columns import calls_data
from voiceeval.reports.call_list import call_rows, slug
from voiceeval.reports.cohort_table import gating_table
from voiceeval.reports.data_files import data_script, write_data
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.score import Gap, NotScored, Score
from voiceeval.verdict import Comparison, Estimate, Interval, Outcome

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = "'\"\\</script><!--\u2028\u2029\ud800 \x00\x1b\u202e\U0001f600 it\\u0027s ${1} `\r\n"


def column(found: dict[str, Any]) -> list[str | None]:
    """A coded column as texts."""
    return [found["values"][code] if code >= 0 else None for code in found["codes"]]


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return calls_data(report_input())


def test_every_column_says_what_the_plan_says(data: dict[str, Any]) -> None:
    planned = report_input().planned
    assert data["count"] == len(planned) == 12
    assert data["slugs"] == [slug(item.id) for item in planned]
    for name in ("scenario", "caller", "line", "speaker"):
        assert column(data[name]) == [getattr(item, name) for item in planned]
    assert data["trials"] == [item.trial for item in planned]
    assert {tag["name"]: column(tag) for tag in data["tags"]} == {
        tag: [item.tags[tag] for item in planned]
        for tag in ("accent", "call_type", "domain", "line", "locale")
    }


def test_a_call_without_a_tag_has_no_code() -> None:
    planned = list(planned_calls()[:3])
    planned[1] = replace(planned[1], tags={"accent": "american"})
    found = {tag["name"]: tag for tag in calls_data(report_input(planned=tuple(planned)))["tags"]}
    assert column(found["domain"]) == [planned[0].tags["domain"], None, planned[2].tags["domain"]]
    assert found["domain"]["codes"][1] == -1


def test_results_and_changes_are_those_of_the_list_of_calls(data: dict[str, Any]) -> None:
    report = report_input()
    rows = {row.slug: row for row in call_rows(report, gating_table(report.comparison).metrics)}
    listed = [rows[name] for name in data["slugs"]]
    assert column(data["change"]) == [row.change.value for row in listed]
    assert data["change"]["values"][0] == "newly failing"
    for side, arm in enumerate(Arm):
        assert column(data["results"][side]) == [row.results[arm].value for row in listed]


def test_metrics_are_described_and_gated_ones_come_first() -> None:
    targets = {"time_to_first_audio": {"p50": 800.0, "p95": 1500.0}, "wer": {"p50": 1.0}}
    made = calls_data(report_input(comparison(manifest=manifest() | {"targets": targets})))["metrics"]
    assert [metric["gated"] for metric in made] == sorted((metric["gated"] for metric in made), reverse=True)
    found = {metric["name"]: metric for metric in made}
    assert found["time_to_first_audio"]["targets"] == {"p50": 800.0, "p95": 1500.0}
    assert found["wer"]["targets"] == {}, "a share has no quantiles"
    assert found["wer"]["margin"] == "+2pp"
    assert found["round_trip_wer"]["margin"] == ""
    assert (found["task_completion"]["higher_is_better"], found["task_completion"]["yes_no"]) == (True, True)
    assert found["time_to_first_audio"]["sides"][0]["observations"] == [[1480, 1790]] * 12
    assert "observations" not in found["wer"]["sides"][0]


def test_why_a_call_has_no_score_is_one_character() -> None:
    report = report_input(planned=planned_calls()[:6])
    ids = [arm_call_id(item, Arm.CANDIDATE) for item in report.planned]
    scores: dict[tuple[str, str], Score] = dict(report.scores)
    for call_id, gap in zip(ids, Gap, strict=False):
        scores[call_id, "wer"] = NotScored(gap=gap, reason="as it happens")
    del scores[ids[4], "wer"]
    del scores[ids[5], "wer"]
    calls = {id_: placed for id_, placed in report.calls.items() if id_ != ids[5]}
    wer = calls_data(replace(report, scores=scores, calls=calls))["metrics"][0]
    assert wer["name"] == "wer"
    assert wer["sides"][0]["gaps"] == "......"
    assert wer["sides"][1]["gaps"] == "nahrnr"
    assert wer["sides"][1]["numerators"] == [0] * 6 == wer["sides"][1]["denominators"]


# --- the rates of any set of calls ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged() -> Iterator[ReportInput]:
    """A run that the gate has judged, in which calls lack scores for every reason there is."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(ROOT / "benchmarks")
    synthetic = import_module("synthetic_report")
    made: ReportInput = synthetic.synthetic_report(240)
    rng = np.random.default_rng(7)
    gaps = [Gap.AGENT_FAILED, Gap.AGENT_FAILED, Gap.HARNESS_FAILED, Gap.NOT_APPLICABLE]
    scores = {
        key: NotScored(gap=gaps[int(rng.integers(4))], reason="as it happens")
        if rng.random() < 0.04
        else score
        for key, score in made.scores.items()
    }
    infos = [make().info for make in BUNDLED.values()]
    settings = load_config(ROOT, {}, from_folder=ROOT).settings
    yield replace(made, scores=scores, comparison=synthetic.judged(settings, infos, made.planned, scores))
    patch.undo()


def pooled(metric: dict[str, Any], rows: list[int]) -> tuple[float, float] | None:
    """Both arms' rates in some calls, as `report_data.ts` tells to compute them."""
    sums = np.zeros((2, 2))
    for row in rows:
        gaps = [side["gaps"][row] for side in metric["sides"]]
        sides = [[side["numerators"][row], side["denominators"][row]] for side in metric["sides"]]
        if set(gaps) & set("nhr"):
            continue
        if "a" in gaps and (metric["unit"] != "share" or (gaps == ["a", "a"] and not metric["yes_no"])):
            continue
        if gaps == ["a", "a"]:
            sides = [[0 if metric["higher_is_better"] else 1, 1]] * 2
        elif "a" in gaps:
            failed = gaps.index("a")
            x, n = sides[1 - failed]
            wrong = n - x if metric["higher_is_better"] else x
            wrong = max(wrong, n)
            sides[failed] = [n - wrong if metric["higher_is_better"] else wrong, n]
        sums += np.array(sides)
    if not sums[:, 1].all():
        return None
    return sums[0, 0] / sums[0, 1], sums[1, 0] / sums[1, 1]


def test_the_rates_of_a_cohort_come_out_of_the_columns_as_the_gate_has_them(judged: ReportInput) -> None:
    made = calls_data(judged)
    tags = {tag["name"]: column(tag) for tag in made["tags"]}
    metrics = {metric["name"]: metric for metric in made["metrics"]}
    compared = 0
    for cohort in made["cohorts"]:
        rows = [
            row
            for row in range(made["count"])
            if all(tags[tag][row] == value for tag, value in cohort["parts"])
        ]
        for cell in cohort["verdicts"]:
            if "estimate" in cell:
                rates = pooled(metrics[cell["metric"]], rows)
                assert rates is not None
                wanted = cell["estimate"]["baseline"], cell["estimate"]["candidate"]
                assert rates == pytest.approx(wanted, rel=1e-5, abs=1e-5), cell["metric"]
                compared += 1
    assert compared > 500


def test_what_the_gate_says_is_there_cohort_by_cohort_the_worst_first(judged: ReportInput) -> None:
    made = calls_data(judged)["cohorts"]
    rows = gating_table(judged.comparison).rows
    assert [cohort["parts"] for cohort in made][: len(rows)] == [
        [list(part) for part in row.cohort.parts] for row in rows
    ]
    cells = {
        (tuple(tuple(part) for part in cohort["parts"]), cell["metric"]): cell
        for cohort in made
        for cell in cohort["verdicts"]
    }
    assert len(cells) == len(judged.comparison.verdicts)
    for each in judged.comparison.verdicts:
        cell = cells[each.cohort.parts, each.metric.name]
        assert (cell["outcome"], cell["gating"], cell["margin"]) == (each.outcome, each.gating, each.margin)
        assert ("estimate" in cell) == isinstance(each.estimate, Estimate)


def test_an_interval_without_an_end_and_a_cell_without_an_estimate_are_told_apart() -> None:
    told = verdict(WER, WORST, Outcome.INCONCLUSIVE)
    assert isinstance(told.estimate, Estimate)
    endless = replace(told.estimate, interval=Interval(lower=-float("inf"), upper=float("inf"), level=0.9))
    found = comparison(verdicts=(replace(told, estimate=endless), invalid(), verdict(WER, SECOND)))
    made = calls_data(report_input(found))["cohorts"]
    by_parts = {tuple(map(tuple, cohort["parts"])): cohort["verdicts"][0] for cohort in made}
    assert by_parts[WORST.parts]["estimate"]["lower"] is None
    assert by_parts[WORST.parts]["estimate"]["upper"] is None
    assert "estimate" not in by_parts[EVERYONE.parts]
    assert by_parts[SECOND.parts]["estimate"]["lower"] < by_parts[SECOND.parts]["estimate"]["upper"]


# --- the file -------------------------------------------------------------------------------------------


def hostile(found: Comparison | None = None) -> ReportInput:
    planned = tuple(
        replace(item, scenario=HOSTILE, tags={**item.tags, HOSTILE: HOSTILE + str(number)})
        for number, item in enumerate(planned_calls()[:4])
    )
    report = report_input(found, planned=planned_calls()[:4])
    calls = {}
    for old, new in zip(report.planned, planned, strict=True):
        for arm in Arm:
            calls[arm_call_id(new, arm)] = report.calls[arm_call_id(old, arm)]
    return replace(report, planned=planned, calls=calls)


def test_any_text_of_a_run_survives_the_file(chromium: Chromium, tmp_path: Path) -> None:
    bad = manifest()
    bad["arms"] = {str(arm): {"name": HOSTILE, "parts": {}} for arm in Arm}
    reasons = replace(verdict(WER, EVERYONE), margin=HOSTILE)
    made = calls_data(hostile(comparison(manifest=bad, verdicts=(reasons,))))
    write_data(tmp_path / "data", "calls.js", "voiceevalCalls", made)
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>t</title><script src='data/calls.js'></script>", encoding="utf-8")
    opened = chromium.open(page)
    arrived = json.loads(opened.page.evaluate("JSON.stringify(globalThis.voiceevalCalls)"))
    assert arrived == json.loads(json.dumps(made))
    assert arrived["arms"] == [HOSTILE, HOSTILE]
    assert HOSTILE in [tag["name"] for tag in arrived["tags"]]
    assert arrived["cohorts"][0]["verdicts"][0]["margin"] == HOSTILE
    opened.assert_quiet()


def test_the_file_is_ascii_on_one_line_and_closes_no_element() -> None:
    text = data_script("x", {"a": HOSTILE, "b": [1.5, None, True]})
    assert text.isascii()
    assert text.count("\n") == 1
    assert "<" not in text
    with pytest.raises(ValueError, match="JSON"):
        data_script("x", float("nan"))


def test_the_order_in_which_a_run_is_read_changes_no_byte() -> None:
    report = report_input()
    calls = {id_: report.calls[id_] for id_ in sorted(report.calls, reverse=True)}
    scores = {key: report.scores[key] for key in sorted(report.scores, reverse=True)}
    other = replace(report, calls=calls, scores=scores)
    assert list(other.calls) != list(report.calls)
    assert data_script("x", calls_data(report)) == data_script("x", calls_data(other))


def test_a_call_that_was_not_placed_and_a_scenario_that_is_unknown_break_nothing() -> None:
    report = report_input()
    gone = arm_call_id(report.planned[0], Arm.BASELINE)
    calls = {id_: placed for id_, placed in report.calls.items() if id_ != gone}
    made = calls_data(replace(report, calls=calls, scenarios={}))
    assert column(made["results"][0])[0] == "not run"
    assert made["tools"]["calls"] == made["words"]["found"] == [[], []]
