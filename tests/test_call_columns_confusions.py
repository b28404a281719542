"""What was confused with what: words as the error rate counts them, tools along the path that fits best."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_calls import some_agent, some_room, some_scenario
from rooms import hold
from spoken_calls import aside, call, called, ended, heard, hung_up, pressed, said, scenario
from test_report_sample import report_input

from voiceeval.call import Call, Ending, Replay
from voiceeval.metrics import WordErrorRate
from voiceeval.metrics.tool_alignment import calls_made, closest_path
from voiceeval.reports.alignment import hear
from voiceeval.reports.call_columns import calls_data
from voiceeval.reports.tool_confusion import tools_confused
from voiceeval.reports.word_confusions import WordError, word_errors
from voiceeval.scenario import Scenario
from voiceeval.score import Scored

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
