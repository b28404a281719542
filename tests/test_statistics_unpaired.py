from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import ArrayLike
from scipy.stats import binom, fisher_exact, hypergeom, ttest_ind

from voiceeval.statistics.contrast import ClusterSums
from voiceeval.statistics.independent import fisher_midp, wilson_interval
from voiceeval.statistics.paired_test import MarginTerms, PairedResult
from voiceeval.statistics.proportions import undiscordant_half_width
from voiceeval.statistics.single_arm import welch_df
from voiceeval.statistics.unpaired import detectable_without_failures, unpaired_test


def arms(x_b: ArrayLike, n_b: ArrayLike, x_c: ArrayLike, n_c: ArrayLike, cell: int = 0) -> ClusterSums:
    """Clusters of the baseline, then those of the candidate."""
    xb, nb, xc, nc = (np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in (x_b, n_b, x_c, n_c))
    nb, nc = np.broadcast_to(nb, xb.shape), np.broadcast_to(nc, xc.shape)
    none_b, none_c = np.zeros(len(xb)), np.zeros(len(xc))
    return ClusterSums(
        np.concatenate([xb, none_c]),
        np.concatenate([nb, none_c]),
        np.concatenate([none_b, xc]),
        np.concatenate([none_b, nc]),
        np.full(len(xb) + len(xc), cell, dtype=np.int64),
    )


def joined(first: ClusterSums, second: ClusterSums) -> ClusterSums:
    return ClusterSums._make(np.concatenate(pair) for pair in zip(first, second, strict=True))


def swapped(sums: ClusterSums) -> ClusterSums:
    return ClusterSums(sums.x_candidate, sums.n_candidate, sums.x_baseline, sums.n_baseline, sums.cell)


def one(sums: ClusterSums, *, yes_no: bool = False, **more: object) -> PairedResult:
    (found,) = unpaired_test(sums, 1, yes_no=yes_no, **more)  # type: ignore[arg-type]
    return found


def words(rng: Generator, clusters: int, mean: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    n = rng.integers(15, 60, clusters).astype(np.float64)
    return rng.poisson(mean * n / 30).astype(np.float64), n


@pytest.fixture
def typical() -> ClusterSums:
    rng = np.random.default_rng(1)
    return arms(*words(rng, 14), *words(rng, 11, 4.0))


def test_equal_clusters_give_welchs_t_test_to_the_last_digits() -> None:
    rng = np.random.default_rng(2)
    b, c = rng.normal(1.0, 0.2, 9), rng.normal(1.1, 0.5, 14)
    found = one(arms(b, 1.0, c, 1.0), level=0.95)
    expected = ttest_ind(c, b, equal_var=False, alternative="greater")
    interval = ttest_ind(c, b, equal_var=False).confidence_interval(0.95)
    assert found.p_worse == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert f"{expected.df:.1f} df" in found.method


def test_swapping_the_arms_flips_the_signs(typical: ClusterSums) -> None:
    there, back = one(typical), one(swapped(typical))
    assert (back.worse_by, back.lower, back.upper) == (-there.worse_by, -there.upper, -there.lower)
    assert back.p_worse == pytest.approx(1 - there.p_worse)


@pytest.mark.parametrize(
    "failures", [([0] * 9, [0] * 9), ([1] + [0] * 8, [0] * 12), ([1] * 4 + [0] * 9, [1] * 9)]
)
@pytest.mark.parametrize("calls", [1, 3])
def test_swapping_the_arms_flips_the_signs_of_yes_no_cells(
    failures: tuple[list[int], list[int]], calls: int
) -> None:
    # With three calls per cluster and one failure in some, the outcome per cluster is no longer one.
    sums = arms(failures[0], calls, failures[1], calls)
    there, back = one(sums, yes_no=True), one(swapped(sums), yes_no=True)
    assert (back.worse_by, back.lower, back.upper) == (-there.worse_by, -there.upper, -there.lower)
    assert back.p_worse == pytest.approx(1 - there.p_worse)


def test_duplicating_the_clusters_shrinks_the_error_by_the_square_root_of_two(typical: ClusterSums) -> None:
    doubled = joined(typical, typical)
    before, after = one(typical), one(doubled)
    assert after.worse_by == pytest.approx(before.worse_by)
    assert (before.upper - before.lower) / (after.upper - after.lower) == pytest.approx(np.sqrt(2), rel=0.1)


def test_the_order_of_clusters_and_other_cells_change_nothing(typical: ClusterSums) -> None:
    order = np.random.default_rng(3).permutation(len(typical.cell))
    shuffled = one(ClusterSums._make(array[order] for array in typical))
    assert shuffled.upper == pytest.approx(one(typical).upper, rel=1e-12)
    other = arms([1, 2, 3], 30, [3, 3, 1], 30, cell=1)
    both = joined(typical, other)
    assert unpaired_test(both, 2, yes_no=False)[0] == one(typical)


def test_one_outcome_per_speaker_gives_newcombes_interval_and_fishers_mid_p() -> None:
    # Newcombe, Statistics in Medicine 1998;17:873, example (a) 56/70 against 48/80, method 10.
    found = one(arms([1] * 48 + [0] * 32, 1, [1] * 56 + [0] * 14, 1), yes_no=True, level=0.95)
    assert (found.lower, found.upper) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    above = fisher_exact(np.array([[56, 14], [48, 32]]), alternative="greater").pvalue
    assert found.p_worse == pytest.approx(above - hypergeom.pmf(56, 150, 104, 70) / 2)
    assert "Fisher mid-p and Newcombe" in found.method


@pytest.mark.parametrize(
    ("sample", "interval"),
    [
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
    ],
)
def test_newcombes_worked_table(sample: tuple[int, int, int, int], interval: tuple[float, float]) -> None:
    x_c, n_c, x_b, n_b = sample
    sums = arms([1] * x_b + [0] * (n_b - x_b), 1, [1] * x_c + [0] * (n_c - x_c), 1)
    found = one(sums, yes_no=True, level=0.95)
    assert (found.lower, found.upper) == pytest.approx(interval, abs=5e-5)


def test_nothing_failing_anywhere_has_the_clean_bounds_and_no_p_below_a_half() -> None:
    for calls in (1, 4):
        found = one(arms([0] * 20, calls, [0] * 30, calls), yes_no=True, margin=MarginTerms(1.0, 0.1))
        assert found.upper == pytest.approx(float(undiscordant_half_width(30)))
        assert found.lower == pytest.approx(-float(undiscordant_half_width(20)))
        assert found.p_worse == pytest.approx(0.5)
        assert found.excess_upper < 0


@pytest.mark.parametrize("calls", [1, 2, 5])
@pytest.mark.parametrize(("worse", "better"), [(1, 0), (0, 1), (2, 1), (1, 3)])
def test_a_few_failures_never_narrow_the_far_side(calls: int, worse: int, better: int) -> None:
    sums = arms([1] * better + [0] * (20 - better), calls, [1] * worse + [0] * (20 - worse), calls)
    clean = float(undiscordant_half_width(20))
    found = one(sums, yes_no=True, margin=MarginTerms(1.0, 0.05))
    assert found.lower <= -clean or found.lower > 0
    assert found.upper >= clean or found.upper < 0
    assert found.excess_upper == pytest.approx(found.upper - 0.05)


def test_a_ratio_that_never_varies_has_the_width_of_its_smallest_step() -> None:
    sums = arms([0] * 10, 30, [0] * 10, 30)
    found = one(sums)
    # Either arm may be off by as much, in either direction.
    assert found.upper == pytest.approx(np.sqrt(2) * float(undiscordant_half_width(10)) / 30)
    assert found.upper == -found.lower
    assert one(sums, step=2.0).upper == pytest.approx(2 * found.upper)


def test_an_arm_that_never_varies_widens_the_interval_of_the_other() -> None:
    failing = [0, 1, 0, 2, 1, 0, 1, 3, 0, 1]
    sums = arms([0] * 10, 5, failing, 5)
    found = one(sums, yes_no=True)
    alone = ttest_ind(np.asarray(failing) / 5, np.zeros(10), equal_var=False).pvalue / 2
    assert found.p_worse > alone
    assert "nothing varies in baseline" in found.method


def test_a_relative_margin_scales_the_baselines_part() -> None:
    rng = np.random.default_rng(4)
    b, c = rng.normal(1.0, 0.2, 12), rng.normal(1.05, 0.2, 12)
    found = one(arms(b, 1.0, c, 1.0), margin=MarginTerms(1.1, 0.0), level=0.90)
    interval = ttest_ind(c, 1.1 * b, equal_var=False).confidence_interval(0.90)
    assert found.excess_upper == pytest.approx(interval.high, rel=1e-9)
    assert found.excess == pytest.approx(c.mean() - 1.1 * b.mean())
    assert found.tolerated == pytest.approx(0.1 * b.mean())


def test_every_cell_may_have_a_margin_of_its_own(typical: ClusterSums) -> None:
    margins = [MarginTerms(1.0, 0.02), MarginTerms(1.1, 0.0)]
    together = MarginTerms(*(np.array(terms) for terms in zip(*margins, strict=True)))
    both = joined(typical, typical._replace(cell=typical.cell + 1))
    assert unpaired_test(both, 2, yes_no=False, margin=together) == tuple(
        one(typical, margin=margin) for margin in margins
    )


def test_the_clusters_needed_certify_the_margin_when_there_is_no_failure() -> None:
    found = one(arms([0] * 20, 1, [0] * 20, 1), yes_no=True, margin=MarginTerms(1.0, 0.05))
    assert found.clusters_needed == 52
    enough = one(arms([0] * 52, 1, [0] * 52, 1), yes_no=True, margin=MarginTerms(1.0, 0.05))
    assert enough.excess_upper <= 0


@pytest.mark.parametrize(("clusters", "sigma"), [((8, 8), 0.0), ((12, 6), 0.8), ((25, 10), 0.8)])
def test_the_false_alarm_rate_is_near_the_nominal_one(clusters: tuple[int, int], sigma: float) -> None:
    rng = np.random.default_rng(5)
    cells = 4000
    parts = []
    for size in clusters:
        n = np.ceil(40 * np.exp(sigma * rng.normal(size=(cells, size))))
        rate = rng.gamma(4.0, 0.1 / 4.0, (cells, size))
        parts.append((rng.poisson(rate * n).astype(np.float64), n))
    per_side = [np.repeat(np.arange(cells), size) for size in clusters]
    none = [np.zeros(cells * size) for size in clusters]
    sums = ClusterSums(
        np.concatenate([parts[0][0].ravel(), none[1]]),
        np.concatenate([parts[0][1].ravel(), none[1]]),
        np.concatenate([none[0], parts[1][0].ravel()]),
        np.concatenate([none[0], parts[1][1].ravel()]),
        np.concatenate(per_side),
    )
    found = unpaired_test(sums, cells, yes_no=False)
    alarms = np.mean([result.p_worse < 0.05 for result in found])
    missed = np.mean([result.upper < 0 for result in found])
    assert 0.02 < alarms < 0.065
    assert 0.02 < missed < 0.075


def test_yes_no_cells_alarm_no_more_often_than_they_may() -> None:
    rng = np.random.default_rng(6)
    for share in (0.02, 0.1, 0.4):
        cells, size = 1500, 25
        b, c = rng.binomial(1, share, (2, cells, size)).astype(np.float64)
        none = np.zeros(cells * size)
        ones = np.ones(cells * size)
        cell = np.repeat(np.arange(cells), size)
        sums = ClusterSums(
            np.concatenate([b.ravel(), none]),
            np.concatenate([ones, none]),
            np.concatenate([none, c.ravel()]),
            np.concatenate([none, ones]),
            np.concatenate([cell, cell]),
        )
        found = unpaired_test(sums, cells, yes_no=True)
        assert np.mean([result.p_worse < 0.05 for result in found]) < 0.065
        assert np.mean([result.upper < 0 for result in found]) < 0.065


def test_without_failures_the_detectable_share_gives_fishers_mid_p_its_power() -> None:
    for candidate, baseline, fewest in ((20, 20, 4), (10, 40, 2), (40, 10, 10)):
        share = float(detectable_without_failures(candidate, baseline))
        assert binom.sf(fewest - 1, candidate, share) == pytest.approx(0.80)
        assert float(fisher_midp(fewest, candidate, 0, baseline)) < 0.05
        assert float(fisher_midp(fewest - 1, candidate, 0, baseline)) >= 0.05
    assert float(detectable_without_failures(2, 2)) == 1.0
    found = one(arms([0] * 20, 1, [0] * 20, 1), yes_no=True)
    assert found.detectable == float(detectable_without_failures(20, 20))


def test_cells_without_a_rate_or_an_error_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"cell 0: the candidate has 1 cluster\(s\)"):
        one(arms([1, 2, 3], 9, [1], 9))
    with pytest.raises(ValueError, match="cell 0: the baseline has no denominator"):
        one(arms([1, 2, 3], 0, [1, 2], 9))
    with pytest.raises(ValueError, match="has calls in both arms"):
        one(ClusterSums(np.ones(3), np.ones(3), np.ones(3), np.ones(3), np.zeros(3, dtype=np.int64)))
    with pytest.raises(ValueError, match="x_candidate holds NaN"):
        one(arms([1, 2], 9, [1, np.nan], 9))
    with pytest.raises(ValueError, match="negative"):
        one(arms([1, 2], 9, [1, 2], -9))
    with pytest.raises(ValueError, match="one length"):
        one(arms([1, 2], 9, [1, 2], 9)._replace(cell=np.zeros(3, dtype=np.int64)))
    with pytest.raises(ValueError, match="cell 1 is named"):
        one(arms([1, 2], 9, [1, 2], 9, cell=1))


def test_welchs_degrees_of_freedom_lie_between_the_smaller_ones_and_their_sum() -> None:
    df = np.array([[4.0], [9.0]])
    for ratio in (0.01, 0.3, 1.0, 40.0):
        assert 4 <= float(welch_df(np.array([[1.0], [ratio]]), df)[0]) <= 13
    assert np.isinf(welch_df(np.zeros((2, 1)), df)[0])
    assert float(welch_df(np.array([[0.0], [2.0]]), df)[0]) == pytest.approx(9.0)


def test_fishers_mid_p_of_no_or_all_failures_is_a_half_and_counts_are_checked() -> None:
    assert float(fisher_midp(0, 9, 0, 4)) == pytest.approx(0.5)
    assert float(fisher_midp(9, 9, 4, 4)) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="more failures"):
        fisher_midp(3, 2, 0, 4)
    with pytest.raises(ValueError, match="whole numbers"):
        fisher_midp(0.5, 2, 0, 4)
    with pytest.raises(ValueError, match="no more failures than calls"):
        wilson_interval(3, 2)
    with pytest.raises(ValueError, match="level"):
        wilson_interval(1, 2, level=1.0)
