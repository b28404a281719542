"""Worst against best cohort, and quantiles of the waiting times."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate_samples import ABSENT, LATENCY, TASK, WER, Sides, accent, gate, pair, sample

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.disparity import disparities
from voiceeval.quantiles import quantiles
from voiceeval.samples import key_of
from voiceeval.score import MetricInfo, Ratio, Score, Scored


def cell(metric: MetricInfo, cohort: Cohort, baseline: float, candidate: float, speakers: int = 10):  # type: ignore[no-untyped-def] # one verdict
    sides: list[list[Sides]] = [[((baseline, 20), (candidate, 20))] for _ in range(speakers)]
    (verdict,) = gate({}).judge([sample(metric, sides, cohort)])
    return verdict


def test_the_worst_and_the_best_cohort_of_each_arm_and_the_gap_between_them() -> None:
    verdicts = [
        cell(WER, EVERYONE, 9, 9),
        cell(WER, accent("a"), 2, 4),
        cell(WER, accent("b"), 6, 2),
        cell(WER, accent("c"), 3, 3),
    ]
    (found,) = disparities(verdicts, min_clusters=8)
    assert found.tags == ("accent",)
    assert found.worst == {"baseline": accent("b"), "candidate": accent("a")}
    assert found.best == {"baseline": accent("a"), "candidate": accent("b")}
    assert found.gap("baseline") == pytest.approx(0.2)
    assert found.gap("candidate") == pytest.approx(0.1)
    assert disparities(verdicts[::-1], min_clusters=8) == (found,)


def test_where_higher_is_better_the_worst_cohort_is_the_lowest() -> None:
    verdicts = [cell(replace(TASK, yes_no=False), accent(name), x, x) for name, x in (("a", 12), ("b", 4))]
    (found,) = disparities(verdicts, min_clusters=8)
    assert found.worst["candidate"] == accent("b")
    assert found.rates["candidate"] == pytest.approx((0.2, 0.6))


def test_cohorts_of_few_speakers_and_slicings_of_one_cohort_have_no_gap() -> None:
    few = cell(WER, accent("b"), 9, 9, speakers=7)
    assert disparities([cell(WER, accent("a"), 2, 4), few], min_clusters=8) == ()
    assert len(disparities([cell(WER, accent("a"), 2, 4), few], min_clusters=7)) == 1


TIMED = replace(LATENCY, timing=True)


def test_a_quantile_that_needs_more_calls_is_absent_and_the_turns_are_counted() -> None:
    nothing: Sides = (ABSENT, ABSENT)
    planned = [pair(g, i, nothing).planned for g in range(12) for i in range(5)]
    scores: dict[tuple[str, str], Score] = {}
    for number, call in enumerate(planned):
        turns = (Ratio(100 + number, 1), Ratio(1000 + number, 1))
        scores[key_of(call, Arm.BASELINE).id, "latency"] = Scored(observations=turns)
        scores[key_of(call, Arm.CANDIDATE).id, "latency"] = pair(0, 0, nothing).baseline
    (found,) = quantiles([TIMED], [(EVERYONE, planned)], scores)
    assert (found.arm, found.calls, found.observations) == ("baseline", 60, 120)
    # 120 turns: 100…159 and 1000…1059; the 60th, the 114th.
    assert found.values == {"p50": 159, "p95": 1053}
    (fewer,) = quantiles([TIMED], [(EVERYONE, planned[:58])], scores)
    assert set(fewer.values) == {"p50"}
