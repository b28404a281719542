"""Relations between whole runs: no change is not regressed, order changes no byte, swapping swaps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from gate_samples import TASK, WER, accent, estimate_of, gate, judge_one, noisy, sample, swapped
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceeval.cohort import EVERYONE, PairedSample
from voiceeval.score import MetricInfo
from voiceeval.verdict import Estimate, Outcome, Verdict

MARGINS = {"wer": "+2pp", "task": "+5pp"}


def a_run(seed: int, cohorts: int, metric: MetricInfo, *, worse_in_first: float = 0.0) -> list[PairedSample]:
    """Independent A/A draws in cohorts of a few speakers, and all of them together."""
    rng = np.random.default_rng(seed)
    speakers = []
    for index in range(cohorts):
        rate = float(rng.uniform(0.05, 0.2))
        worse = worse_in_first if index == 0 else 0.0
        speakers.append(noisy(rng, metric, speakers=10, calls=6, rate=rate, worse=worse))
    everyone = sample(metric, [calls for group in speakers for calls in group])
    width = 10 * 6
    return [everyone] + [
        replace(everyone, cohort=accent(f"a{i:02}"), pairs=everyone.pairs[i * width : (i + 1) * width])
        for i in range(cohorts)
    ]


def outcomes(verdicts: Sequence[Verdict]) -> set[Outcome]:
    return {verdict.outcome for verdict in verdicts}


@pytest.mark.parametrize("metric", [WER, TASK], ids=lambda metric: metric.name)
def test_independent_draws_of_one_agent_block_at_most_at_the_nominal_rate(metric: MetricInfo) -> None:
    runs = 200
    judge = gate({metric.name: MARGINS[metric.name]}).judge
    blocked = sum(Outcome.REGRESSED in outcomes(judge(a_run(seed, 12, metric))) for seed in range(runs))
    # 5 % of 200 runs and three standard errors: 19.
    assert blocked <= 19


def test_one_cohort_that_got_much_worse_is_found_among_twelve() -> None:
    judge = gate({"wer": "+2pp"}).judge
    found = [judge(a_run(seed, 12, WER, worse_in_first=0.10))[0] for seed in range(40)]
    regressed = [verdict for verdict in found if verdict.outcome is Outcome.REGRESSED]
    assert len(regressed) >= 36
    assert {verdict.cohort for verdict in regressed} <= {accent("a00"), EVERYONE}


def test_a_worsening_of_the_whole_margin_is_rarely_passed() -> None:
    judge, rng = gate({"wer": "+2pp"}).judge, np.random.default_rng(11)
    passed = 0
    for _ in range(200):
        drawn = sample(WER, noisy(rng, WER, speakers=12, calls=20, rate=0.1, worse=0.02))
        passed += judge([drawn])[0].outcome in (Outcome.PASSED, Outcome.IMPROVED)
    assert passed <= 19


@given(st.integers(min_value=0, max_value=10_000), st.sampled_from([WER, TASK]), st.integers(1, 20))
@settings(derandomize=True, deadline=None, max_examples=40)
def test_identical_draws_are_never_regressed_nor_improved(
    seed: int, metric: MetricInfo, speakers: int
) -> None:
    rng = np.random.default_rng(seed)
    drawn = sample(metric, noisy(rng, metric, speakers=speakers, calls=3, rate=0.2))
    same = replace(drawn, pairs=tuple(replace(pair, candidate=pair.baseline) for pair in drawn.pairs))
    verdict = judge_one(same)
    assert verdict.outcome in (Outcome.PASSED, Outcome.INCONCLUSIVE)
    if isinstance(verdict.estimate, Estimate):
        interval = verdict.estimate.interval
        assert interval.lower < 0 < interval.upper


@pytest.mark.parametrize("metric", [WER, TASK], ids=lambda metric: metric.name)
@pytest.mark.parametrize("worse", [0.0, 0.15, 0.3])
def test_swapping_the_arms_flips_signs_and_swaps_improved_and_regressed(
    metric: MetricInfo, worse: float
) -> None:
    rng = np.random.default_rng(6)
    drawn = sample(metric, noisy(rng, metric, speakers=16, calls=8, rate=0.1, worse=worse))
    one, other = judge_one(drawn), judge_one(swapped(drawn))
    here, there = estimate_of(one), estimate_of(other)
    assert here.difference == pytest.approx(-there.difference)
    assert (here.interval.lower, here.interval.upper) == pytest.approx(
        (-there.interval.upper, -there.interval.lower)
    )
    assert here.p_worse == pytest.approx(1 - there.p_worse)
    assert (one.outcome is Outcome.REGRESSED) == (other.outcome is Outcome.IMPROVED) == (worse > 0)


def test_no_order_of_pairs_or_cohorts_changes_a_byte() -> None:
    samples = a_run(5, 6, WER) + a_run(6, 6, TASK)
    reference = repr(gate(MARGINS).judge(samples))
    rng = np.random.default_rng(0)
    for _ in range(3):
        mixed = [samples[i] for i in rng.permutation(len(samples))]
        mixed = [replace(s, pairs=tuple(s.pairs[i] for i in rng.permutation(len(s.pairs)))) for s in mixed]
        assert repr(gate(MARGINS).judge(mixed)) == reference


def test_a_cell_has_the_same_figures_alone_and_in_a_run_but_for_the_adjustment() -> None:
    samples = a_run(9, 8, WER)
    together = {verdict.cohort: estimate_of(verdict) for verdict in gate().judge(samples)}
    for each in samples:
        alone = estimate_of(judge_one(each))
        assert replace(together[each.cohort], p_adjusted=0.0) == replace(alone, p_adjusted=0.0)


@pytest.mark.parametrize("metric", [WER, TASK], ids=lambda metric: metric.name)
def test_duplicated_repeats_change_nothing_but_the_counts(metric: MetricInfo) -> None:
    for calls in (1, 4):
        rng = np.random.default_rng(12)
        drawn = sample(metric, noisy(rng, metric, speakers=14, calls=calls, rate=0.2))
        copies = [replace(p, planned=replace(p.planned, trial=1)) for p in drawn.pairs]
        once, twice = judge_one(drawn), judge_one(replace(drawn, pairs=(*drawn.pairs, *copies)))
        assert (once.outcome, once.reason) == (twice.outcome, twice.reason)
        assert once.estimate == twice.estimate


def test_duplicated_speakers_narrow_the_interval_by_about_the_root_of_two() -> None:
    rng = np.random.default_rng(13)
    drawn = sample(WER, noisy(rng, WER, speakers=40, calls=5, rate=0.2))
    copies = [
        replace(p, planned=replace(p.planned, speaker="twin " + p.planned.speaker)) for p in drawn.pairs
    ]
    once, twice = (
        estimate_of(judge_one(each)).interval
        for each in (drawn, replace(drawn, pairs=(*drawn.pairs, *copies)))
    )
    ratio = (once.upper - once.lower) / (twice.upper - twice.lower)
    assert ratio == pytest.approx(np.sqrt(2), rel=0.02)


def test_utterances_of_few_speakers_do_not_pass_for_independent_ones() -> None:
    # One of eight speakers got much worse in every call: 800 utterances would prove what 8 speakers cannot.
    calls = [[((1, 10), (4 if speaker == 0 else 1, 10))] * 100 for speaker in range(8)]
    verdict = judge_one(sample(WER, calls), "+1pp")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert estimate_of(verdict).p_worse > 0.1


def test_the_import_of_the_gate_leaves_the_heavy_packages_alone() -> None:
    heavy = ("scipy", "statsmodels", "pandas")
    code = f"import sys, voiceeval.gate; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
