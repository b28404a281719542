"""The calls by columns: what they hold is what the run's scores, verdicts and metrics say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_pages import Chromium
from random_calls import some_agent, some_room, some_scenario
from rooms import hold
from spoken_calls import aside, call, called, ended, heard, hung_up, pressed, said, scenario
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

from voiceeval.call import Arm, Call, Ending, Replay
from voiceeval.cohort import EVERYONE
from voiceeval.config import load_config
from voiceeval.metrics import BUNDLED, WordErrorRate
from voiceeval.metrics.tool_alignment import calls_made, closest_path
from voiceeval.reports.alignment import hear
from voiceeval.reports.call_columns import calls_data
from voiceeval.reports.call_list import call_rows, slug
from voiceeval.reports.cohort_table import gating_table
from voiceeval.reports.data_files import data_script, write_data
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.tool_confusion import tools_confused
from voiceeval.reports.word_confusions import WordError, word_errors
from voiceeval.scenario import Scenario
from voiceeval.score import Gap, NotScored, Score, Scored
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


# --- words ----------------------------------------------------------------------------------------------

CARD = {
    "turns": [
        {"text": "block my card"},
        {"text": "it is four one two nine", "entities": [{"type": "card", "text": "four one two nine"}]},
    ]
}


def errors_by_metric(story: Scenario, placed: Call) -> float:
    score = WordErrorRate().score(story, placed)
    return score.total.numerator if isinstance(score, Scored) else 0


HELD_WORDS = Replay(events=(), ending=Ending.COMPLETED, final_state={})
CASES = {
    "right": call(*said(1, "block my card", "Block my card.")),
    "wrong": call(*said(1, "block my card", "lock a my cart")),
    "never transcribed": call(*said(1, "block my card"), given_right_words=HELD_WORDS),
    "out of noise": call(*said(1, "block my card", "block my card"), *heard(2, 60_000, "the the", "noise")),
    "out of a cough": call(*said(1, "block my card", "my card"), *heard(2, 60_000, "the the", "aside")),
    "keys": call(*pressed(1, 20_000, "4129"), *ended(1, 22_000, "keys"), *heard(1, 22_100, "four", "keys")),
    "in two parts": call(*said(1, "block my card", "block"), *heard(1, 24_000, "my guard now")),
    "agent failed": call(*said(1, "block my card", "block my card"), ending=Ending.AGENT_FAILED),
    "harness failed": call(*said(1, "block my card", "lock"), ending=Ending.HARNESS_FAILED),
    "silence": call(*said(1, "", "hello there")),
    "nothing reported": call(*said(1, "block my card")),
    "an aside": call(*said(1, "block my card", "lock card"), *aside(1, 30_000, 30_500)),
}


@pytest.mark.parametrize("name", CASES)
def test_as_many_words_are_wrong_as_the_word_error_rate_counts(name: str) -> None:
    story = scenario(**CARD)
    assert word_errors(story, CASES[name]).total() == errors_by_metric(story, CASES[name])


def test_as_many_words_are_wrong_as_counted_in_calls_at_random() -> None:
    wrong = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        story, (made, _), room = some_scenario(rng), some_agent(rng), some_room(rng)
        record = hold(story, made, room)
        placed = call(*record.events, ending=record.ending)
        found = word_errors(story, placed)
        assert found.total() == errors_by_metric(story, placed), seed
        wrong += found.total()
    assert wrong > 100


@pytest.mark.parametrize("locale", ["en-GB", "hi-IN", "zh-CN", "tr-TR"])
def test_words_are_those_of_the_languages_normaliser(locale: str) -> None:
    story = scenario(**CARD, locale=locale)
    placed = call(*said(1, "मेरा कार्ड 你好吗 İstanbul", "मेरा कार 你吗 istanbul now"))
    found = word_errors(story, placed)
    assert found.total() == errors_by_metric(story, placed) > 0


def test_a_text_that_no_page_aligns_is_counted_all_the_same() -> None:
    words = " ".join(
        "x" + str(number).translate(str.maketrans("0123456789", "abcdefghij")) for number in range(1500)
    )
    placed = call(*said(1, words, words.replace("xh ", "vh ").replace("xj ", "") + " more"))
    found = word_errors(scenario(), placed)
    assert not hear(words, words, locale="en-US").aligned
    assert found.total() == errors_by_metric(scenario(), placed) == 3
    assert found[WordError("", "xh", "vh")] == found[WordError("", "", "more")] == 1


def test_words_of_an_entity_have_its_type() -> None:
    placed = call(*said(1, "block my card", "block my cart"), *said(2, "it is four one two nine", "is 4 5 2"))
    assert word_errors(scenario(**CARD), placed) == Counter(
        {
            WordError("", "card", "cart"): 1,
            WordError("", "it", ""): 1,
            WordError("card", "1", "5"): 1,
            WordError("card", "9", ""): 1,
        }
    )


def test_the_columns_of_words_sum_up_to_the_word_error_rate() -> None:
    report = report_input()
    scored = {
        (id_, "wer"): WordErrorRate().score(report.scenarios[placed.key.scenario], placed)
        for id_, placed in report.calls.items()
    }
    made = calls_data(replace(report, scores={**report.scores, **scored}))
    words, wer = made["words"], made["metrics"][0]
    assert words["types"][0] == words["texts"][0] == ""
    assert len(set(words["texts"])) == len(words["texts"])
    for side in (0, 1):
        by_row: Counter[int] = Counter()
        for row, _, _, _, times in words["found"][side]:
            by_row[row] += times
        assert [by_row[row] for row in range(made["count"])] == wer["sides"][side]["numerators"]
    assert sum(wer["sides"][1]["numerators"]) > 0


# --- tools ----------------------------------------------------------------------------------------------


def path(*names: str, order: str = "exact") -> dict[str, Any]:
    return {"calls": [{"name": name, "arguments": {}} for name in names], "order": order}


@pytest.mark.parametrize(
    ("paths", "made", "pairs"),
    [
        ([path("find_card", "refund")], ["find_card", "refund"], ["find_card>find_card", "refund>refund"]),
        ([path("find_card", "refund")], ["find_card", "log"], ["find_card>find_card", "refund>log"]),
        ([path("find_card", "refund")], ["refund"], ["find_card>", "refund>refund"]),
        ([path("refund")], ["refund", "refund"], ["refund>refund", ">refund"]),
        ([path("refund"), path("log")], ["log"], ["log>log"]),
        ([path()], ["log"], [">log"]),
        ([path("refund")], [], ["refund>"]),
        ([path("find_card", "refund", order="any_order")], ["log", "find_card"], None),
        (
            [path("find_card", "refund", order="any_order")],
            ["log", "log"],
            ["find_card>", "refund>", ">log", ">log"],
        ),
    ],
)
def test_a_tool_that_was_due_stands_against_the_one_that_was_called(
    paths: list[dict[str, Any]], made: list[str], pairs: list[str] | None
) -> None:
    pairs = ["find_card>find_card", "refund>log"] if pairs is None else pairs
    placed = call(*(event for turn, name in enumerate(made, 1) for event in called(name, turn=turn)))
    found = tools_confused(scenario(tool_paths=paths), placed)
    assert found == Counter(tuple(pair.split(">")) for pair in pairs)


def test_every_due_and_every_made_call_stands_in_one_pair() -> None:
    rng, tools = np.random.default_rng(3), ["find_card", "block_card", "refund", "log"]
    for _ in range(300):
        order = str(rng.choice(["exact", "in_order", "any_order"]))
        paths = [path(*map(str, rng.choice(tools, rng.integers(4))), order=order) for _ in range(2)]
        story = scenario(tool_paths=paths)
        names = map(str, rng.choice(tools, rng.integers(6)))
        placed = call(*(event for turn, name in enumerate(names, 1) for event in called(name, turn=turn)))
        found = tools_confused(story, placed)
        closest = closest_path(story.tool_paths, calls_made(placed.events))
        due, made = Counter[str](), Counter[str]()
        for (wanted, got), times in found.items():
            due[wanted] += times
            made[got] += times
        del due[""], made[""]
        assert due == Counter(wanted.name for wanted in closest.path.calls)
        assert made == Counter(done.name for done in calls_made(placed.events))
        assert ("", "") not in found
        right = sum(times for (wanted, got), times in found.items() if wanted == got)
        assert right == sum(None not in step[:2] for step in closest.steps)


def test_a_call_that_we_failed_to_measure_has_no_tools() -> None:
    placed = call(*called("log"), hung_up(1), ending=Ending.HARNESS_FAILED)
    assert not tools_confused(scenario(), placed)


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
