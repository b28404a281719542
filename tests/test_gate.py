"""Each rule of the gate once, in the order in which the first match wins."""

from __future__ import annotations

import numpy as np
import pytest
from gate_samples import (
    AGENT,
    HARNESS,
    LATENCY,
    NOT_RUN,
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
from voiceeval.finding import sign_test_p
from voiceeval.gate import CohortGate
from voiceeval.verdict import Comparison, NoEstimate, Outcome, Verdict

SAME: Sides = ((2, 20), (2, 20))
OK: Sides = ((1, 1), (1, 1))
LOST: Sides = ((1, 1), (0, 1))


def clear_regression(cohort: Cohort = EVERYONE) -> PairedSample:
    return sample(WER, [[((2, 20), (3 + g % 3, 20))] * 5 for g in range(12)], cohort)


def clear_improvement(cohort: Cohort = EVERYONE, speakers: int = 12) -> PairedSample:
    return sample(WER, [[((6, 20), (g % 3, 20))] * 5 for g in range(speakers)], cohort)


def failed(*verdicts: Verdict) -> bool:
    return Comparison(manifest={}, verdicts=verdicts, blames=(), alarms=(), partial=False, policy="pr").failed


# invalid


def test_a_planned_pair_that_was_not_run_makes_the_cell_invalid() -> None:
    verdict = judge_one(sample(WER, [[SAME, ((1, 20), NOT_RUN)], *[[SAME]] * 11]))
    assert verdict.outcome is Outcome.INVALID
    assert verdict.reason == "1 of 13 planned pairs were not run in both arms"
    assert failed(verdict)


def test_a_declared_cohort_that_vanished_is_invalid() -> None:
    verdicts = gate(declared=(accent("scottish"),)).judge([sample(WER, [[SAME]] * 12)])
    assert verdicts[0].id == "wer[accent=scottish]"
    assert verdicts[0].outcome is Outcome.INVALID
    assert verdicts[0].reason == "the cohort is declared, but no call belongs to it"
    assert verdicts[0].estimate == NoEstimate(reason="there are no pairs")
    assert judge_one(sample(WER, [])).outcome is Outcome.INVALID


def test_harness_failures_over_the_cap_are_invalid() -> None:
    verdict = judge_one(sample(WER, [[SAME] * 4 + [((1, 20), HARNESS)]] * 3 + [[SAME] * 5] * 9))
    assert verdict.outcome is Outcome.INVALID
    assert verdict.reason == (
        "harness failures over the cap of 1: baseline 0, candidate 3, of 60 pairs; "
        "mend the harness and run again"
    )


def test_one_harness_failure_is_left_out_of_a_cell_of_any_size() -> None:
    verdict = judge_one(sample(WER, [[SAME, (HARNESS, (1, 20))], *[[SAME]] * 11]))
    assert verdict.outcome is Outcome.PASSED
    assert verdict.reason.endswith("left out after harness failures: 1 of 13 pairs")
    assert (verdict.counts.pairs, verdict.counts.scored) == (13, 12)


def test_harness_failures_that_keep_to_one_arm_are_invalid_below_the_cap() -> None:
    hidden: Sides = ((2, 20), HARNESS)
    verdict = judge_one(sample(WER, [[SAME] * 50] * 9 + [[SAME] * 42 + [hidden] * 8]))
    assert verdict.reason == (
        "harness failures are unequal between the arms: baseline 0, candidate 8, of 500 pairs; "
        "a crash must not hide as ours"
    )
    even: list[Sides] = [((2, 20), HARNESS), (HARNESS, (2, 20))] * 4
    assert judge_one(sample(WER, [[SAME] * 50] * 9 + [[SAME] * 42 + even])).outcome is Outcome.PASSED


@pytest.mark.parametrize(("b", "c", "p"), [(0, 0, 1.0), (0, 8, 2 / 256), (7, 0, 2 / 128), (5, 5, 1.0)])
def test_the_sign_test_of_harness_failures_is_exact(b: int, c: int, p: float) -> None:
    assert sign_test_p(b, c) == p


# regressed


def test_a_clear_worsening_is_regressed_and_blocks() -> None:
    verdict = judge_one(clear_regression())
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.reason.startswith("10.0 pp worse (90 % interval +7.8 to +12.2 pp) over 12 speakers")
    assert "margin +2pp; adjusted p below 0.0001" in verdict.reason
    assert failed(verdict)


def test_a_candidate_that_crashes_in_one_cohort_is_regressed_there() -> None:
    crash: list[list[Sides]] = [[((1, 1), AGENT)] * 2 + [OK] * 2] * 6 + [[OK] * 4] * 6
    overall = sample(TASK, crash + [[OK] * 4] * 48)
    verdicts = gate({"task": "+5pp"}).judge([overall, sample(TASK, crash, accent("irish"))])
    assert {v.cohort.name: v.outcome for v in verdicts}["accent=irish"] is Outcome.REGRESSED
    assert "calls the agent failed: candidate 12" in verdicts[-1].reason


def test_a_proven_worsening_within_the_margin_is_not_regressed() -> None:
    verdict = judge_one(clear_regression(), "+15pp")
    assert verdict.outcome is Outcome.PASSED
    assert verdict.flags == ("worse within margin",)


def test_the_family_of_tests_is_all_gating_cells_with_enough_speakers() -> None:
    rng = np.random.default_rng(3)
    borderline = sample(WER, noisy(rng, WER, speakers=12, calls=8, rate=0.1, worse=0.03), accent("a"))
    alone = estimate_of(judge_one(borderline))
    assert alone.p_adjusted == alone.p_worse
    others = [clear_improvement(accent(name)) for name in "bcde"]
    few = sample(WER, [[SAME]] * 7, accent("f"))
    reported = sample(LATENCY, [[((400, 1), (400, 1))]] * 12)
    constructed = sample(WER, [[SAME]] * 12, accent("g"), same=True)
    verdicts = gate().judge([borderline, *others, few, reported, constructed])
    found = next(estimate_of(v) for v in verdicts if v.cohort == accent("a"))
    assert found.p_adjusted == pytest.approx(5 * alone.p_worse)
    assert found.p_worse == alone.p_worse


def test_a_critical_scenario_that_is_lost_altogether_is_regressed_whatever_the_statistics() -> None:
    lost = [pair(speaker, 0, LOST, scenario="emergency", critical=True) for speaker in range(3)]
    rest = [pair(speaker, call, OK) for speaker in range(3) for call in range(1, 30)]
    verdict = judge_one(PairedSample(metric=TASK, cohort=EVERYONE, pairs=(*lost, *rest)), "+5pp")
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.flags == ("severity",)
    assert verdict.reason.startswith(
        "critical scenario 'emergency': the baseline passed all 3 calls, the candidate none; 3.3 pp worse"
    )


@pytest.mark.parametrize(
    ("sides", "critical"),
    [
        ([LOST, LOST], True),
        ([LOST, LOST, OK], True),
        ([LOST, LOST, ((0, 1), (0, 1))], True),
        ([LOST] * 3, False),
    ],
)
def test_the_severity_rule_needs_three_calls_all_lost_and_a_critical_scenario(
    sides: list[Sides], critical: bool
) -> None:
    pairs = [pair(g, 0, each, scenario="s", critical=critical) for g, each in enumerate(sides)]
    verdict = judge_one(PairedSample(metric=TASK, cohort=EVERYONE, pairs=tuple(pairs)), "+5pp")
    assert verdict.outcome is Outcome.INCONCLUSIVE


# improved and passed


def test_an_upper_bound_below_zero_is_improved() -> None:
    verdict = judge_one(clear_improvement())
    assert verdict.outcome is Outcome.IMPROVED
    assert verdict.reason.startswith("25.0 pp better (90 % interval -27.2 to -22.8 pp)")
    assert not failed(verdict)


def test_an_upper_bound_below_the_margin_is_passed() -> None:
    rng = np.random.default_rng(1)
    verdict = judge_one(sample(WER, noisy(rng, WER, speakers=60, calls=20, rate=0.1)))
    assert verdict.outcome is Outcome.PASSED
    assert verdict.flags == ()


@pytest.mark.parametrize("speakers", [1, 3, 12])
def test_nothing_that_could_differ_and_nothing_that_does_is_passed_with_any_number_of_speakers(
    speakers: int,
) -> None:
    verdict = judge_one(sample(TASK, [[OK]] * speakers, same=True), "+1pp")
    assert verdict.outcome is Outcome.PASSED
    assert verdict.flags == ("unchanged by construction",)
    assert "both arms ran the same parts on the same input" in verdict.reason


def test_a_difference_where_none_was_possible_is_judged_and_flagged() -> None:
    verdict = judge_one(sample(WER, [[((2, 20), (3 + g % 3, 20))] * 5 for g in range(12)], same=True))
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.flags == ("differs though the same by construction",)


@pytest.mark.parametrize(("speakers", "outcome"), [(51, Outcome.INCONCLUSIVE), (52, Outcome.PASSED)])
def test_fifty_two_clean_speakers_certify_five_points(speakers: int, outcome: Outcome) -> None:
    assert judge_one(sample(TASK, [[OK]] * speakers), "+5pp").outcome is outcome
    assert judge_one(sample(TASK, [[OK] * 9] * speakers), "+5pp").outcome is outcome


def test_a_clean_ratio_cell_has_an_interval_with_a_width() -> None:
    interval = estimate_of(judge_one(sample(WER, [[SAME]] * 12))).interval
    assert interval.lower < 0 < interval.upper


# inconclusive


def test_too_little_data_is_inconclusive_and_says_what_it_would_take() -> None:
    rng = np.random.default_rng(4)
    verdict = judge_one(sample(WER, noisy(rng, WER, speakers=8, calls=10, rate=0.1)))
    found = estimate_of(verdict)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.flags == ("underpowered",)
    assert f"could find {100 * found.detectable:.1f} pp with 8 speakers" in verdict.reason
    assert verdict.reason.endswith(f"certifying +2pp takes about {found.clusters_needed}")
    assert found.clusters_needed > 8


def test_enough_speakers_and_an_estimate_near_the_margin_is_borderline() -> None:
    verdict = judge_one(sample(WER, [[((2, 20), (2 + (g % 5 < 2), 20))] * 5 for g in range(60)]), "+2.1pp")
    assert verdict.flags == ("borderline",)


@pytest.mark.parametrize("speakers", [2, 4, 5, 7])
def test_fewer_speakers_than_needed_to_gate_are_inconclusive_however_clear_it_looks(speakers: int) -> None:
    calls = [[((2, 20), (3 + g % 3, 20))] * 5 for g in range(speakers)]
    verdict = judge_one(sample(WER, calls))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.flags == ("underpowered", "too few speakers")
    assert "a verdict takes at least 8 speakers" in verdict.reason
    assert ("exact sign-flip p" in estimate_of(verdict).method) is (speakers >= 5)


def test_five_speakers_gate_where_the_configuration_says_so() -> None:
    calls = [[((2, 20), (3 + g % 3, 20))] * 5 for g in range(5)]
    assert judge_one(sample(WER, calls), min_clusters=5).outcome is Outcome.REGRESSED


def test_one_speaker_says_nothing_about_others() -> None:
    verdict = judge_one(sample(WER, [[SAME] * 40]))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.estimate == NoEstimate(
        reason="all 40 compared pairs are of one speaker, which says nothing about others"
    )


def test_pairs_that_leave_nothing_to_compare_are_inconclusive_and_say_why() -> None:
    both_failed = judge_one(sample(WER, [[(AGENT, AGENT)]] * 12))
    assert both_failed.reason.startswith("none of the 12 pairs could be compared")
    silent = judge_one(sample(WER, [[((1, 20), (1, 0))]] * 12))
    assert silent.reason.startswith("one arm has nothing to score in any of the 12 compared pairs")
    assert both_failed.outcome is silent.outcome is Outcome.INCONCLUSIVE


def test_release_fails_on_inconclusive_and_a_pull_request_does_not() -> None:
    verdict = judge_one(sample(WER, [[SAME]] * 4))
    assert not verdict.outcome.blocks("pr")
    assert verdict.outcome.blocks("release")
    assert CohortGate({}).policy == "pr"
