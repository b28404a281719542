from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from voiceeval.statistics.contrast import ClusterSums, t_bounds, t_p_above
from voiceeval.statistics.standardised import standardised
from voiceeval.statistics.unpaired import unpaired_test

Arm = list[tuple[int, float, float]]
"""Stratum, errors and words of each cluster."""


def two_arms(baseline: Arm, candidate: Arm) -> tuple[ClusterSums, np.ndarray]:
    rows = np.array([(s, x, n, 0, 0) for s, x, n in baseline] + [(s, 0, 0, x, n) for s, x, n in candidate])
    columns = [rows[:, i].astype(np.float64) for i in range(1, 5)]
    sums = ClusterSums(*columns, rows[:, 0].astype(np.int64))  # type: ignore[call-arg, arg-type]
    return sums, np.arange(len(rows))


def draw(rng: Generator, counts: tuple[int, int], rates: tuple[float, float]) -> Arm:
    return [
        (stratum, float(rng.poisson(rate * 40)), 40.0)
        for stratum, (count, rate) in enumerate(zip(counts, rates, strict=True))
        for _ in range(count)
    ]


def test_one_stratum_is_the_unpaired_test() -> None:
    rng = np.random.default_rng(1)
    sums, cluster = two_arms(draw(rng, (9, 0), (0.1, 0.0)), draw(rng, (12, 0), (0.15, 0.0)))
    found = standardised(sums, cluster, 1)
    (plain,) = unpaired_test(sums, 1, yes_no=False)
    lower, upper = t_bounds(found)
    assert (lower[0], upper[0]) == pytest.approx((plain.lower, plain.upper), rel=1e-12)
    assert t_p_above(found)[0] == pytest.approx(plain.p_worse, rel=1e-9)


def test_a_changed_mix_alone_is_no_change() -> None:
    # The same two rates in both arms; the candidate has three times as many of the harder calls.
    easy: Arm = [(0, 1, 20), (0, 3, 20)]
    hard: Arm = [(1, 7, 20), (1, 9, 20)]
    sums, cluster = two_arms(easy * 3 + hard, easy + hard * 3)
    found = standardised(sums, cluster, 2)
    (crude,) = unpaired_test(sums._replace(cell=np.zeros_like(sums.cell)), 1, yes_no=False)
    assert crude.worse_by == pytest.approx(0.15)
    assert found.estimate[0] == pytest.approx(0.0, abs=1e-15)
    assert found.baseline[0] == pytest.approx(crude.baseline)


def test_weights_and_variance_worked_by_hand() -> None:
    # Baseline 60 and 20 words: shares 3/4 and 1/4. Candidate rates 0.2 and 0.4, clusters of equal size.
    baseline: Arm = [(0, 2, 30), (0, 4, 30), (1, 3, 10), (1, 5, 10)]
    candidate: Arm = [(0, 1, 10), (0, 3, 10), (1, 12, 30), (1, 6, 15), (1, 6, 15)]
    sums, cluster = two_arms(baseline, candidate)
    found = standardised(sums, cluster, 2)
    assert found.baseline[0] == pytest.approx(0.75 * 0.1 + 0.25 * 0.4)
    assert found.candidate[0] == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)
    # Two equal clusters at rates r ± e have the variance e² of their mean; equal rates have none.
    expected = 0.75**2 * (1 / 30) ** 2 + 0.25**2 * 0.1**2 + 0.75**2 * 0.1**2
    assert found.se[0] == pytest.approx(np.sqrt(expected))


def test_a_cluster_in_two_strata_counts_as_one() -> None:
    baseline: Arm = [(0, 1, 10), (0, 3, 10), (1, 1, 10), (1, 3, 10)]
    sums, apart = two_arms(baseline, baseline)
    together = np.array([0, 1, 0, 1, 2, 3, 2, 3])
    crossed, nested = standardised(sums, together, 2), standardised(sums, apart, 2)
    assert crossed.se[0] == pytest.approx(np.sqrt(2) * nested.se[0])
    assert (crossed.df[0], nested.df[0]) == pytest.approx((2.0, 4.0))


def test_rows_in_another_order_and_strata_under_other_numbers_change_nothing() -> None:
    rng = np.random.default_rng(2)
    sums, cluster = two_arms(draw(rng, (5, 7), (0.1, 0.3)), draw(rng, (8, 4), (0.1, 0.3)))
    found = standardised(sums, cluster, 2)
    order = rng.permutation(len(cluster))
    other = ClusterSums._make(array[order] for array in sums)
    other = other._replace(cell=1 - other.cell)
    again = standardised(other, cluster[order], 2)
    for mine, theirs in zip(found, again, strict=True):
        assert mine[0] == pytest.approx(theirs[0], rel=1e-12)


def test_the_false_alarm_rate_is_near_the_nominal_one_whatever_the_mix() -> None:
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(1000):
        baseline = draw(rng, (12, 4), (0.05, 0.3))
        sums, cluster = two_arms(baseline, draw(rng, (5, 11), (0.05, 0.3)))
        alarms += bool(t_p_above(standardised(sums, cluster, 2))[0] < 0.05)
    assert 0.02 < alarms / 1000 < 0.075


def test_a_stratum_that_only_the_candidate_has_weighs_nothing_and_one_it_lacks_is_refused() -> None:
    easy: Arm = [(0, 1, 20), (0, 3, 20)]
    hard: Arm = [(1, 7, 20), (1, 9, 20)]
    sums, cluster = two_arms(easy, easy + hard)
    assert standardised(sums, cluster, 2).estimate[0] == 0.0
    with pytest.raises(ValueError, match=r"stratum 1: the candidate has 0 cluster\(s\) there"):
        standardised(*two_arms(easy + hard, easy), 2)
    with pytest.raises(ValueError, match=r"stratum 1: the baseline has 1 cluster\(s\) there"):
        standardised(*two_arms(easy + hard[:1], easy + hard), 2)


def test_rows_that_make_no_sense_are_refused() -> None:
    easy: Arm = [(0, 1, 20), (0, 3, 20)]
    sums, cluster = two_arms(easy, easy)
    with pytest.raises(ValueError, match="cluster 0 has calls in both arms"):
        standardised(sums, np.array([0, 1, 0, 2]), 1)
    with pytest.raises(ValueError, match="one length"):
        standardised(sums, cluster[1:], 1)
    with pytest.raises(ValueError, match="x_baseline holds NaN"):
        standardised(sums._replace(x_baseline=sums.x_baseline * np.nan), cluster, 1)
    with pytest.raises(ValueError, match="negative"):
        standardised(sums._replace(n_candidate=-sums.n_candidate), cluster, 1)
    with pytest.raises(ValueError, match="no mix"):
        standardised(sums._replace(n_baseline=sums.n_baseline * 0), cluster, 1)
