from __future__ import annotations

import numpy as np
import pytest
from gate_samples import cluster_sums

from voiceeval.statistics.contrast import ClusterSums
from voiceeval.statistics.paired_test import MarginTerms, PairedResult, paired_test
from voiceeval.statistics.proportions import tango_interval, undiscordant_half_width


def measured(sums: ClusterSums, *, yes_no: bool = False, margin: MarginTerms | None = None) -> PairedResult:
    (result,) = paired_test(sums, 1, yes_no=yes_no, margin=margin)
    return result


def test_yes_no_outcomes_with_one_call_per_speaker_use_tango_and_mid_p() -> None:
    result = measured(cluster_sums([0] * 20, [1] * 6 + [0] * 14, [1] * 20), yes_no=True)
    low, high = tango_interval(6, 0, 20)
    assert (result.lower, result.upper) == (float(low), float(high))
    assert result.p_worse == 0.5**7
    assert result.method == "McNemar mid-p and Tango interval, 6 discordant of 20 speakers"


def test_duplicated_repeats_of_yes_no_outcomes_change_nothing() -> None:
    x_b, x_c = np.array([0, 1, 0, 0, 1, 0, 0, 0]), np.array([1, 1, 0, 1, 0, 1, 0, 0])
    once = measured(cluster_sums(x_b, x_c, np.ones(8)), yes_no=True)
    assert measured(cluster_sums(3 * x_b, 3 * x_c, np.full(8, 3)), yes_no=True) == once


@pytest.mark.parametrize("calls", [1, 2, 30])
def test_clean_yes_no_cells_have_the_bound_of_their_speakers_however_many_calls(calls: int) -> None:
    result = measured(cluster_sums([0] * 12, [0] * 12, [calls] * 12), yes_no=True)
    assert result.upper == pytest.approx(float(undiscordant_half_width(12)))
    assert result.lower == -result.upper
    assert result.p_worse == 0.5


def test_calls_that_differ_and_cancel_within_every_speaker_still_have_a_bound() -> None:
    result = measured(cluster_sums([1] * 12, [1] * 12, [4] * 12), yes_no=True)
    assert result.upper == pytest.approx(float(undiscordant_half_width(12)))
    assert result.method == "no speaker differs; bound from Tango with n = 12"


def test_a_clean_ratio_cell_is_bounded_by_one_error_in_one_speaker_and_never_by_zero() -> None:
    words = 250
    result = measured(cluster_sums([9] * 10, [9] * 10, [words] * 10))
    assert result.upper == pytest.approx(float(undiscordant_half_width(10)) / words)
    assert result.lower == -result.upper
    assert result.p_worse == 0.5


def test_the_bound_of_a_clean_ratio_cell_is_below_that_of_one_error_more() -> None:
    clean = measured(cluster_sums([9] * 10, [9] * 10, [250] * 10))
    one_more = measured(cluster_sums([9] * 10, [10] + [9] * 9, [250] * 10))
    assert clean.upper < one_more.upper


def test_one_new_failure_never_certifies_more_than_a_clean_record() -> None:
    for changed in range(1, 5):
        worse = [1] * changed + [0] * (20 - changed)
        result = measured(cluster_sums([0] * 20, worse, [30] * 20), yes_no=True)
        assert result.upper >= float(undiscordant_half_width(20))
    better = measured(cluster_sums([1, 0, 0] * 7, [0] * 21, [30] * 21), yes_no=True)
    assert better.upper < 0


def test_speakers_that_all_moved_alike_have_an_interval_and_the_exact_p() -> None:
    worse = measured(cluster_sums([1] * 9, [6] * 9, [100] * 9))
    assert worse.worse_by == pytest.approx(0.05)
    assert worse.lower < worse.worse_by < worse.upper
    assert worse.p_worse == 0.5**9
    assert worse.method == (
        "all speakers moved alike; bound from the smallest resolvable step; exact sign-flip p 0.0020"
    )
    better = measured(cluster_sums([6] * 9, [1] * 9, [100] * 9))
    assert better.p_worse == 1.0
    assert (better.lower, better.upper) == (-worse.upper, -worse.lower)


def test_rounding_is_not_taken_for_variation() -> None:
    n = np.array([3.0, 7.0, 11.0, 13.0, 17.0, 19.0])
    result = measured(cluster_sums(n * 0.1, n * 0.3, n))
    assert result.upper - result.lower > 0.01
    assert "all speakers moved alike" in result.method


def test_yes_no_bounds_stay_within_the_scale() -> None:
    result = measured(cluster_sums([0] * 8, [3, 4, 4, 4, 4, 4, 4, 4], [4] * 8), yes_no=True)
    assert result.upper == 1.0


def test_a_relative_margin_is_certified_against_both_errors() -> None:
    rng = np.random.default_rng(4)
    n = np.full(60, 400.0)
    sums = cluster_sums(rng.binomial(400, 0.1, 60), rng.binomial(400, 0.1, 60), n)
    result = measured(sums, margin=MarginTerms(1.2, 0.0))
    assert result.tolerated == pytest.approx(0.2 * result.baseline)
    assert result.excess == pytest.approx(result.candidate - 1.2 * result.baseline)
    assert result.upper - result.tolerated < result.excess_upper < 0


def test_a_relative_margin_on_a_clean_cell_needs_the_clean_bound_as_well() -> None:
    failures = [1] * 10 + [0] * 10
    result = measured(cluster_sums(failures, failures, [1] * 20), yes_no=True, margin=MarginTerms(1.1, 0.0))
    assert result.excess_upper == pytest.approx(float(undiscordant_half_width(20)) - 0.05)


def test_clusters_needed_follow_the_margin() -> None:
    sums = cluster_sums([10, 12, 9, 14, 8, 11, 13, 10], [12, 12, 8, 15, 9, 10, 13, 12], [100] * 8)
    wide, narrow = (measured(sums, margin=MarginTerms(1.0, m)).clusters_needed for m in (0.02, 0.01))
    assert wide < narrow
    assert measured(sums).clusters_needed == 0
    clean = cluster_sums([0] * 8, [0] * 8, [1] * 8)
    assert measured(clean, yes_no=True, margin=MarginTerms(1.0, 0.05)).clusters_needed == 52


@pytest.mark.parametrize(("n_b", "n_c"), [(200, 50), (50, 200)])
def test_a_clean_cell_is_bounded_by_one_error_in_the_arm_that_has_less_to_score(n_b: int, n_c: int) -> None:
    result = measured(cluster_sums([0] * 12, [0] * 12, [n_b] * 12, [n_c] * 12))
    assert result.upper == -result.lower == pytest.approx(float(undiscordant_half_width(12)) / 50)
