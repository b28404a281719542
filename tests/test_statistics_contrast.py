from __future__ import annotations

import numpy as np
import pytest
from gate_samples import cluster_sums
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceeval.statistics.contrast import (
    ClusterSums,
    Contrast,
    clustered_contrast,
    t_bounds,
    t_p_above,
)

counts = st.integers(min_value=0, max_value=40)
clusters = st.lists(
    st.tuples(counts, counts, st.integers(min_value=1, max_value=200)), min_size=3, max_size=20
)


def some_cells(seed: int, cells: int, per_cell: int) -> ClusterSums:
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 200, cells * per_cell).astype(float)
    x_b, x_c = rng.poisson(0.1 * n).astype(float), rng.poisson(0.12 * n).astype(float)
    return ClusterSums(x_b, n, x_c, n + rng.integers(0, 5, len(n)), np.repeat(np.arange(cells), per_cell))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("seed", range(3))
def test_with_shared_denominators_it_is_the_clustered_weighted_least_squares_of_statsmodels(
    seed: int,
) -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(9), 11)
    n = rng.integers(3, 25, len(speaker)).astype(float)
    x_b, x_c = rng.binomial(3, 0.3, len(n)), rng.binomial(3, 0.4, len(n))
    fit = statsmodels.WLS((x_c - x_b) / n, np.ones(len(n)), weights=n).fit(
        cov_type="cluster", cov_kwds={"groups": speaker}, use_t=True
    )
    by_speaker = [np.bincount(speaker, weights=column) for column in (x_b, x_c, n)]
    found = clustered_contrast(cluster_sums(*by_speaker))
    assert found.estimate[0] == pytest.approx(fit.params[0], rel=1e-12)
    assert found.se[0] == pytest.approx(fit.bse[0], rel=1e-12)
    assert 2 * min(t_p_above(found)[0], 1 - t_p_above(found)[0]) == pytest.approx(fit.pvalues[0], rel=1e-9)


def test_the_pooled_rate_is_a_ratio_of_sums_and_not_a_mean_of_ratios() -> None:
    found = clustered_contrast(cluster_sums([1, 0], [1, 0], [1, 9]))
    assert found.baseline[0] == 0.1


@given(clusters)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_swapping_the_arms_flips_the_sign_and_keeps_the_error(rows: list[tuple[int, int, int]]) -> None:
    x_b, x_c, n = (list(column) for column in zip(*rows, strict=True))
    one, other = clustered_contrast(cluster_sums(x_b, x_c, n)), clustered_contrast(cluster_sums(x_c, x_b, n))
    assert one.estimate[0] == -other.estimate[0]
    assert one.se[0] == pytest.approx(other.se[0], rel=1e-9, abs=1e-15)


@given(clusters)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_duplicated_repeats_change_nothing(rows: list[tuple[int, int, int]]) -> None:
    x_b, x_c, n = (np.array(column) for column in zip(*rows, strict=True))
    once = clustered_contrast(cluster_sums(x_b, x_c, n), correction="CR2")
    twice = clustered_contrast(cluster_sums(2 * x_b, 2 * x_c, 2 * n), correction="CR2")
    for one, other in zip(once, twice, strict=True):
        np.testing.assert_array_equal(one, other)


def test_twice_the_clusters_shrink_the_error_by_the_root_of_two() -> None:
    x_b, x_c, n = [4, 1, 9, 3, 6, 2, 8, 5], [5, 1, 8, 7, 6, 4, 9, 9], [50, 40, 60, 45, 55, 50, 48, 52]
    once, twice = (clustered_contrast(cluster_sums(x_b * k, x_c * k, n * k)) for k in (1, 2))
    assert twice.estimate[0] == pytest.approx(once.estimate[0])
    assert once.se[0] / twice.se[0] == pytest.approx(np.sqrt(2) * np.sqrt(15 / 14))


def test_with_equal_clusters_the_small_sample_correction_changes_nothing() -> None:
    sums = cluster_sums([4, 1, 9, 3, 6], [5, 1, 8, 7, 6], [50] * 5)
    plain, corrected = clustered_contrast(sums), clustered_contrast(sums, correction="CR2")
    assert corrected.se[0] == pytest.approx(plain.se[0], rel=1e-12)
    assert corrected.df[0] == pytest.approx(4)


def test_with_unequal_clusters_the_small_sample_correction_brings_false_alarms_to_nominal() -> None:
    rng = np.random.default_rng(7)
    trials, clusters = 6000, 8
    size = np.round(np.exp(rng.normal(0, 1, trials * clusters)) * 200) + 1
    x_b, x_c = rng.poisson(0.1 * size).astype(float), rng.poisson(0.1 * size).astype(float)
    sums = ClusterSums(x_b, size, x_c, size, np.repeat(np.arange(trials), clusters))
    alarms = {
        correction: float(np.mean(t_p_above(clustered_contrast(sums, trials, correction=correction)) < 0.05))
        for correction in ("G-1", "CR2")
    }
    assert alarms["G-1"] > 0.06
    assert 0.03 < alarms["CR2"] < 0.055


def test_a_cell_comes_out_the_same_beside_any_other_cells() -> None:
    together = some_cells(3, cells=40, per_cell=10)
    all_at_once = clustered_contrast(together, 40, correction="CR2")
    for cell in (0, 17, 39):
        mine = together.cell == cell
        x_b, n_b, x_c, n_c = (array[mine] for array in together[:4])
        alone = clustered_contrast(cluster_sums(x_b, x_c, n_b, n_c), correction="CR2")
        assert [float(array[cell]) for array in all_at_once] == [float(array[0]) for array in alone]


def test_a_relative_margin_is_a_factor_on_the_baseline_and_its_error_counts() -> None:
    sums = cluster_sums([5, 15, 9, 12, 7], [6, 17, 9, 13, 9], [100, 110, 90, 100, 100])
    plain, relative = clustered_contrast(sums), clustered_contrast(sums, factor=1.5)
    assert relative.estimate[0] == pytest.approx(plain.candidate[0] - 1.5 * plain.baseline[0])
    absolute = clustered_contrast(sums, shift=0.5 * float(plain.baseline[0]))
    assert absolute.estimate[0] == pytest.approx(relative.estimate[0])
    assert relative.se[0] > absolute.se[0] == plain.se[0]


def test_the_bounds_are_the_estimate_plus_and_minus_the_t_quantile() -> None:
    found = clustered_contrast(cluster_sums([4, 1, 9], [5, 1, 8], [50, 50, 50]))
    low, high = t_bounds(found, 0.90)
    assert (high[0] - found.estimate[0]) / found.se[0] == pytest.approx(2.919986, rel=1e-6)
    assert low[0] + high[0] == pytest.approx(2 * found.estimate[0])


def test_one_cluster_holding_all_denominators_gives_a_wide_interval_and_no_error() -> None:
    found = clustered_contrast(cluster_sums([2, 0], [3, 1], [50, 0]), correction="CR2")
    assert np.isfinite(found.se[0])
    assert found.se[0] > 0


@pytest.mark.parametrize(
    ("sums", "cells", "message"),
    [
        (cluster_sums([1, np.nan], [1, 2], [5, 5]), 1, "x_baseline holds NaN"),
        (cluster_sums([1, 1], [1, 2], [5, -5]), 1, "denominator is negative"),
        (cluster_sums([1], [1], [5]), 1, "has 1 cluster"),
        (cluster_sums([1, 1], [1, 2], [0, 0]), 1, "no denominator in one arm"),
        (cluster_sums([1, 1], [1, 2], [5, 5])._replace(cell=np.array([0, 3])), 2, "cell 3 is named"),
        (cluster_sums([1, 1], [1, 2], [5, 5])._replace(cell=np.array([0])), 1, "need one length"),
    ],
)
def test_sums_that_have_no_contrast_are_refused(sums: ClusterSums, cells: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clustered_contrast(sums, cells)


def test_a_standard_error_of_zero_has_no_t_test() -> None:
    found: Contrast = clustered_contrast(cluster_sums([1, 1], [1, 1], [5, 5]))
    with pytest.raises(ValueError, match="no t test"):
        t_p_above(found)


@pytest.mark.parametrize("factor", [0.5, 1.2, 2.0, 5.0])
def test_a_factor_of_the_baseline_is_a_baseline_so_many_times_as_bad(factor: float) -> None:
    drawn = some_cells(7, 3, 9)
    same = drawn._replace(n_candidate=drawn.n_baseline)
    scaled = clustered_contrast(same, 3, factor=factor, correction="CR2")
    worse = clustered_contrast(
        same._replace(x_baseline=factor * same.x_baseline), 3, factor=1.0, correction="CR2"
    )
    for one, other in ((scaled.estimate, worse.estimate), (scaled.se, worse.se), (scaled.df, worse.df)):
        assert one == pytest.approx(other, rel=1e-12)
