"""Durations against a margin in %: geometric means, judged on the log scale and told in milliseconds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from gate_samples import LATENCY, Sides, estimate_of, gate, pair
from scipy import stats

from voiceeval.cohort import EVERYONE, Pair, PairedSample
from voiceeval.pair_table import LEAST_MS
from voiceeval.score import Ratio, Score, Scored
from voiceeval.verdict import Outcome

TIMED = replace(LATENCY, timing=True)


def timed(speaker: int, call: int, baseline_ms: list[float], candidate_ms: list[float]) -> Pair:
    nothing: Sides = ((1, 1), (1, 1))
    turns = [Scored(observations=tuple(Ratio(ms, 1) for ms in side)) for side in (baseline_ms, candidate_ms)]
    return replace(pair(speaker, call, nothing), baseline=turns[0], candidate=turns[1])


def waits(side: Score) -> tuple[Ratio, ...]:
    assert isinstance(side, Scored)
    return side.observations


def stretched(one: Pair, factor: float) -> Pair:
    sides = [
        Scored(observations=tuple(Ratio(factor * wait.numerator, 1) for wait in waits(side)))
        for side in (one.baseline, one.candidate)
    ]
    return replace(one, baseline=sides[0], candidate=sides[1])


def latencies(factor: float, speakers: int = 16, turns: int = 4, seed: int = 1) -> PairedSample:
    """Log-normal waits with a few very long ones; the candidate takes ``factor`` times as long."""
    rng = np.random.default_rng(seed)
    pairs = []
    for speaker in range(speakers):
        waits = np.exp(rng.normal(6.5, 0.8, turns))
        slower = waits * factor * np.exp(rng.normal(0, 0.05, turns))
        pairs.append(timed(speaker, 0, waits.tolist(), slower.tolist()))
    return PairedSample(metric=TIMED, cohort=EVERYONE, pairs=tuple(pairs))


def test_equal_turns_per_speaker_make_it_the_t_test_of_mean_log_ratios() -> None:
    drawn = latencies(1.05)
    (verdict,) = gate({"latency": "+10%"}).judge([drawn])
    ratios = [
        np.mean([math.log(c.numerator / b.numerator) for b, c in zip(*map(waits, sides), strict=True)])
        for sides in ((each.baseline, each.candidate) for each in drawn.pairs)
    ]
    estimate = estimate_of(verdict)
    assert estimate.p_worse == pytest.approx(stats.ttest_1samp(ratios, 0, alternative="greater").pvalue)
    low, high = stats.t.interval(0.9, len(ratios) - 1, np.mean(ratios), stats.sem(ratios))
    assert estimate.interval.lower == pytest.approx(estimate.baseline * math.expm1(low))
    assert estimate.interval.upper == pytest.approx(estimate.baseline * math.expm1(high))
    assert estimate.candidate / estimate.baseline == pytest.approx(math.exp(np.mean(ratios)))
    assert "log-ratios" in estimate.method


@pytest.mark.parametrize(
    ("factor", "outcome"), [(1.25, Outcome.REGRESSED), (1.03, Outcome.PASSED), (0.8, Outcome.IMPROVED)]
)
def test_a_factor_is_found_however_skewed_the_waits_are(factor: float, outcome: Outcome) -> None:
    (verdict,) = gate({"latency": "+10%"}).judge([latencies(factor)])
    assert verdict.outcome is outcome


def test_the_unit_of_the_waits_changes_no_verdict() -> None:
    for factor in (1.0, 1.08, 1.2):
        drawn = latencies(factor)
        slower = replace(drawn, pairs=tuple(stretched(each, 7) for each in drawn.pairs))
        (one,), (other,) = (gate({"latency": "+10%"}).judge([each]) for each in (drawn, slower))
        assert one.outcome is other.outcome
        assert estimate_of(one).p_worse == pytest.approx(estimate_of(other).p_worse)
        assert 7 * estimate_of(one).difference == pytest.approx(estimate_of(other).difference)


def test_one_very_long_wait_moves_the_mean_and_not_the_geometric_one() -> None:
    drawn = latencies(1.0)
    first = drawn.pairs[0]
    long = replace(first, candidate=Scored(observations=(Ratio(10_000, 1), *waits(first.candidate)[1:])))
    moved = replace(drawn, pairs=(long, *drawn.pairs[1:]))
    (by_mean,), (by_ratio,) = (gate({"latency": margin}).judge([moved]) for margin in ("+10000ms", "+10%"))
    mean, geometric = estimate_of(by_mean), estimate_of(by_ratio)
    assert mean.difference / mean.baseline > 2 * geometric.difference / geometric.baseline


def test_a_reply_before_the_caller_has_finished_counts_as_one_frame() -> None:
    pairs = tuple(timed(speaker, 0, [0.0], [LEAST_MS / 2]) for speaker in range(12))
    (verdict,) = gate({"latency": "+10%"}).judge([PairedSample(metric=TIMED, cohort=EVERYONE, pairs=pairs)])
    assert estimate_of(verdict).baseline == pytest.approx(LEAST_MS)
    assert estimate_of(verdict).difference == 0


def test_swapping_the_arms_turns_the_factor_around() -> None:
    drawn = latencies(1.3)
    swapped = replace(
        drawn, pairs=tuple(replace(p, baseline=p.candidate, candidate=p.baseline) for p in drawn.pairs)
    )
    (worse,), (better,) = (gate({"latency": "+10%"}).judge([each]) for each in (drawn, swapped))
    assert (worse.outcome, better.outcome) == (Outcome.REGRESSED, Outcome.IMPROVED)
    there, back = (estimate_of(v).candidate / estimate_of(v).baseline for v in (worse, better))
    assert there * back == pytest.approx(1)


def test_a_margin_in_percent_is_a_factor_and_not_a_difference_of_logarithms() -> None:
    # 45 % slower is beyond +40 %, and log 1.45 is below 0.40.
    (verdict,) = gate({"latency": "+40%"}).judge([latencies(1.45)])
    assert verdict.outcome is Outcome.REGRESSED
