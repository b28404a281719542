"""Cells that only report, estimates as people read them, and the table of verdicts as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gate_samples import (
    ABSENT,
    AGENT,
    LATENCY,
    TASK,
    WER,
    Sides,
    accent,
    estimate_of,
    gate,
    judge_one,
    noisy,
    pair,
    sample,
)

from voiceeval.cohort import EVERYONE, Cohort, PairedSample
from voiceeval.errors import ConfigError
from voiceeval.gate import alarms
from voiceeval.score import MetricInfo
from voiceeval.verdict import Comparison, Outcome, Verdict

SAME: Sides = ((2, 20), (2, 20))
OK: Sides = ((1, 1), (1, 1))
LOST: Sides = ((1, 1), (0, 1))


def clear_regression(cohort: Cohort = EVERYONE) -> PairedSample:
    return sample(WER, [[((2, 20), (3 + g % 3, 20))] * 5 for g in range(12)], cohort)


def clear_improvement(cohort: Cohort = EVERYONE, speakers: int = 12) -> PairedSample:
    return sample(WER, [[((6, 20), (g % 3, 20))] * 5 for g in range(speakers)], cohort)


def failed(*verdicts: Verdict) -> bool:
    return Comparison(manifest={}, verdicts=verdicts, blames=(), alarms=(), partial=False, policy="pr").failed


# cells that only report


def test_a_metric_without_a_margin_reports_and_is_never_regressed() -> None:
    worse, better = gate({}).judge([clear_improvement(accent("a")), clear_regression(accent("b"))])[::-1]
    assert (worse.outcome, worse.flags, worse.gating) == (Outcome.INCONCLUSIVE, ("worse",), False)
    assert worse.reason.endswith("no margin is set, so it only reports")
    assert better.outcome is Outcome.IMPROVED
    assert estimate_of(worse).p_adjusted == estimate_of(worse).p_worse
    assert estimate_of(worse).clusters_needed == 0
    assert not failed(worse, better)


def test_a_cohort_that_does_not_gate_reports_against_the_margin() -> None:
    shown = clear_regression()
    reported = PairedSample(metric=WER, cohort=EVERYONE, pairs=shown.pairs, gates=False)
    verdict = judge_one(reported)
    assert (verdict.outcome, verdict.gating, verdict.margin) == (Outcome.INCONCLUSIVE, False, "+2pp")
    assert verdict.flags[-1] == "worse"
    assert verdict.reason.endswith("it only reports")


def test_a_cohort_that_a_metric_does_not_suit_only_reports_but_one_that_suits_nobody_gates() -> None:
    absent = sample(WER, [[(ABSENT, ABSENT)]] * 12, accent("a"))
    beside = gate().judge([sample(WER, [[SAME]] * 12), absent])
    assert {v.cohort.name: v.gating for v in beside} == {"overall": True, "accent=a": False}
    alone = judge_one(absent)
    assert alone.gating
    assert alone.outcome is Outcome.INCONCLUSIVE
    assert alone.reason.startswith("the metric applies to none of the 12 pairs")


def test_a_candidate_that_made_itself_inapplicable_is_seen() -> None:
    verdict = judge_one(sample(WER, [[SAME, ((9, 20), ABSENT)]] * 12))
    assert verdict.flags[-1] == "applicable in one arm only"
    assert verdict.reason.endswith("applicable in one arm only and left out: 12 pairs")


# estimates as people read them


def test_completed_tasks_are_estimated_in_their_own_direction_and_tested_in_the_worse_one() -> None:
    calls: list[list[Sides]] = [[LOST] * (1 + g % 2) + [OK] * (4 - g % 2) for g in range(12)]
    verdict = judge_one(sample(TASK, calls), "+5pp")
    found = estimate_of(verdict)
    assert found.baseline == 1.0
    assert found.candidate == pytest.approx(0.7)
    assert found.difference == -found.worse_by == pytest.approx(-0.3)
    assert found.interval.upper < 0
    assert verdict.outcome is Outcome.REGRESSED
    assert "30.0 pp worse (90 % interval +24.6 to +35.4 pp, + is worse)" in verdict.reason


def test_milliseconds_are_compared_per_turn() -> None:
    calls: list[list[Sides]] = [[((800 + g, 2), (1001 + 7 * g, 2))] for g in range(12)]
    verdict = judge_one(sample(LATENCY, calls), "+80ms")
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.reason.startswith("117 ms worse (90 % interval +111 to +123 ms) over 12 speakers")


def test_small_differences_do_not_read_as_none() -> None:
    calls: list[list[Sides]] = [[((40, 1000), (40 + (g == 0), 1000))] for g in range(12)]
    assert judge_one(sample(WER, calls)).reason.startswith("0.01 pp worse")


# the whole table


def test_an_overall_improvement_that_hides_a_regressed_cohort_is_an_alarm() -> None:
    hidden = clear_regression(accent("scottish"))
    rest = clear_improvement(speakers=100).pairs[60:]
    overall = PairedSample(metric=WER, cohort=EVERYONE, pairs=(*hidden.pairs, *rest))
    verdicts = gate().judge([overall, hidden])
    assert alarms(verdicts) == (f"{WER.title}: overall improved, but accent=scottish regressed",)
    assert verdicts[0].flags == ("overall improved",)


def test_an_overall_figure_that_only_looks_better_is_an_alarm_in_other_words() -> None:
    hidden = clear_regression(accent("scottish"))
    nobody: list[list[Sides]] = [[]] * 12
    noise = noisy(np.random.default_rng(8), WER, speakers=60, calls=1, rate=0.5, worse=-0.22)
    overall = PairedSample(
        metric=WER, cohort=EVERYONE, pairs=(*hidden.pairs, *sample(WER, [*nobody, *noise]).pairs)
    )
    verdicts = gate().judge([overall, hidden])
    assert alarms(verdicts) == (f"{WER.title}: overall looks better, but accent=scottish regressed",)


def test_without_a_regressed_cohort_there_is_no_alarm() -> None:
    assert alarms(gate().judge([clear_improvement(), clear_improvement(accent("a"))])) == ()


def test_blocking_verdicts_come_first_and_then_metrics_and_cohorts_by_name() -> None:
    samples = [
        clear_improvement(accent("b")),
        sample(LATENCY, [[((400, 1), (400, 1))]] * 12),
        clear_improvement(),
        clear_regression(accent("a")),
    ]
    order = ["wer[accent=a]", "latency[overall]", "wer[overall]", "wer[accent=b]"]
    assert [verdict.id for verdict in gate().judge(samples)] == order


def test_nothing_to_judge_and_nothing_to_gate_is_no_verdict() -> None:
    assert gate({}).judge([]) == ()


# what is refused


def test_a_gated_metric_without_a_sample_is_refused_and_not_passed() -> None:
    with pytest.raises(ConfigError, match=r"^margins\.task: nothing was scored for it: .*Known: wer"):
        gate({"task": "+2pp"}).judge([clear_improvement()])


def test_a_margin_in_another_unit_than_its_metric_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^margins\.wer: '\+80ms' is in ms"):
        gate({"wer": "+80ms"}).judge([clear_improvement()])


def test_two_samples_of_one_cell_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two samples of wer\[overall\]"):
        gate().judge([clear_improvement(), clear_improvement()])


def test_two_metrics_of_one_name_are_refused() -> None:
    other = MetricInfo(name="wer", version=2, title="", definition="", unit="share", direction=WER.direction)
    with pytest.raises(ValueError, match="two different metrics are named 'wer'"):
        gate().judge([clear_improvement(), sample(other, [[SAME]], accent("a"))])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_clusters": 4}, "min_clusters: must be 5 or more, got 4"),
        ({"alpha": 0.6}, "alpha: must be between 0 and 0.5"),
        ({"level": 1.0}, "level: must be between 0 and 1"),
        ({"harness_failure_cap": 1.0}, r"harness_failure_cap: must be in \[0, 1\)"),
        ({"policy": "prr"}, "policy: no policy is named 'prr'. Did you mean 'pr'"),
    ],
)
def test_settings_that_make_no_gate_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gate({}, **settings)


def test_a_candidate_that_crashes_on_calls_that_have_no_value_then_is_not_judged_by_the_others() -> None:
    answered: Sides = ((400, 1), (380, 1))
    calls: list[list[Sides]] = [
        [answered, answered, ((400, 1), AGENT) if g < 3 else answered] for g in range(12)
    ]
    verdict = judge_one(sample(LATENCY, calls), "+80ms")
    assert verdict.outcome is Outcome.INVALID
    assert "the candidate alone failed 3 of 36 calls" in verdict.reason
    once: list[list[Sides]] = [
        [answered, answered, ((400, 1), AGENT) if g < 1 else answered] for g in range(12)
    ]
    assert judge_one(sample(LATENCY, once), "+80ms").outcome is not Outcome.INVALID
    both: list[list[Sides]] = [[answered, answered, (AGENT, AGENT) if g < 3 else answered] for g in range(12)]
    assert judge_one(sample(LATENCY, both), "+80ms").outcome is not Outcome.INVALID


def test_a_metric_of_turns_knows_no_scenario_that_was_lost_altogether() -> None:
    slow = replace(WER, name="slow", yes_no_per_turn=True)
    # Three calls of a critical scenario, four turns each; the candidate is slow in three turns of all.
    turns: tuple[Sides, ...] = (((0, 4), (2, 4)), ((0, 4), (1, 4)), ((0, 4), (0, 4)))
    pairs = [pair(g, 0, sides, scenario="mine", critical=True) for g, sides in enumerate(turns)]
    others = [pair(g, 1, ((1, 4), (1, 4))) for g in range(12)]
    judged = PairedSample(metric=slow, cohort=EVERYONE, pairs=(*pairs, *others))
    verdict = judge_one(judged, "+20pp")
    assert "severity" not in verdict.flags
    assert verdict.outcome is not Outcome.REGRESSED


def test_turns_of_which_none_differs_are_bounded_by_their_speakers_and_not_by_their_number() -> None:
    slow = replace(WER, name="slow", yes_no_per_turn=True)
    same = sample(slow, [[((0, 10), (0, 10))] * 20] * 12)
    estimate = estimate_of(judge_one(same, "+5pp"))
    # Tango with n = 12 speakers, z²/(12 + z²), whatever the 2,400 turns.
    assert estimate.interval.upper == pytest.approx(0.184, abs=0.001)


def test_calls_that_the_candidate_made_inapplicable_leave_nothing_certified() -> None:
    good: Sides = ((4, 20), (1, 20))
    hidden: Sides = ((1, 20), ABSENT)
    calls: list[list[Sides]] = [[good, good, hidden] for _ in range(12)]
    verdict = judge_one(sample(WER, calls), "+5pp")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "applicable in one arm only" in verdict.flags
    assert "applicable in one arm only and left out: 12 pairs" in verdict.reason
    once: list[list[Sides]] = [[good, good, hidden if g == 0 else good] for g in range(12)]
    assert judge_one(sample(WER, once), "+5pp").outcome is Outcome.IMPROVED


def test_a_crash_is_never_better_than_the_errors_of_the_other_arm() -> None:
    # Twelve errors of ten words, and three words heard where nothing was said.
    loud: list[list[Sides]] = [[((12, 10), AGENT), ((3, 0), AGENT)] for _ in range(12)]
    estimate = estimate_of(judge_one(sample(WER, loud), "+5pp"))
    assert estimate.difference == 0
    assert judge_one(sample(WER, loud), "+5pp").outcome is not Outcome.IMPROVED
