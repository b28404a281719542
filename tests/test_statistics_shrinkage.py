from __future__ import annotations

import numpy as np
import pytest

from voiceeval.statistics.shrinkage import shrink

EIGHT_SCHOOLS = ([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])
"""Rubin, Journal of Educational Statistics 6 (1981)."""

TUBERCULOSIS = [
    *((4, 123, 11, 139), (6, 306, 29, 303), (3, 231, 11, 220), (62, 13598, 248, 12867)),
    *((33, 5069, 47, 5808), (180, 1541, 372, 1451), (8, 2545, 10, 629), (505, 88391, 499, 88391)),
    *((29, 7499, 45, 7277), (17, 1716, 65, 1665), (5, 2498, 3, 2341), (186, 50634, 141, 27338)),
    (27, 16913, 29, 17854),
]
"""Colditz et al., JAMA 271 (1994): cases among the vaccinated, vaccinated, cases among the others, others."""


def test_the_eight_schools_differ_no_more_than_chance_and_all_shrink_to_their_mean() -> None:
    found = shrink(*EIGHT_SCHOOLS)
    assert found.between_variance == 0.0
    assert found.mean == pytest.approx(7.69, abs=5e-3)
    np.testing.assert_array_equal(found.values, np.full(8, found.mean))


def test_the_vaccine_trials_have_their_published_variance_and_mean() -> None:
    a, n1, c, n2 = np.array(TUBERCULOSIS, dtype=np.float64).T
    # Logarithms of the ratio of the two risks.
    found = shrink(np.log(a / n1 / (c / n2)), np.sqrt(1 / a - 1 / n1 + 1 / c - 1 / n2))
    assert found.between_variance == pytest.approx(0.3088, abs=2e-4)
    assert found.mean == pytest.approx(-0.7141, abs=2e-4)


def test_statsmodels_finds_the_same_mean_and_variance() -> None:
    meta = pytest.importorskip("statsmodels.stats.meta_analysis")
    rng = np.random.default_rng(1)
    for spread in (1.5, 3.0, 6.0):
        errors = rng.uniform(0.3, 1.5, 12)
        estimates = rng.normal(1.0, np.hypot(errors, spread))
        found = shrink(estimates, errors)
        theirs = meta.combine_effects(estimates, errors**2, method_re="chi2")
        assert found.between_variance == pytest.approx(theirs.tau2) != 0
        assert found.mean == pytest.approx(theirs.mean_effect_re)


def test_shrinking_keeps_every_cell_on_its_side_and_the_surest_ones_where_they_are() -> None:
    estimates, errors = np.array([0.0, 10.0, -5.0, 3.0]), np.array([0.1, 0.1, 4.0, 1.0])
    found = shrink(estimates, errors)
    assert bool(np.all((found.values - found.mean) * (estimates - found.mean) >= 0))
    assert bool(np.all(np.abs(found.values - found.mean) <= np.abs(estimates - found.mean)))
    assert found.kept[2] < found.kept[3] < found.kept[0] == found.kept[1] < 1


def test_units_and_order_do_not_matter() -> None:
    estimates, errors = np.array([1.0, 4.0, 2.5, 8.0]), np.array([0.5, 1.0, 0.2, 2.0])
    found = shrink(estimates, errors)
    np.testing.assert_allclose(shrink(estimates * 100 + 7, errors * 100).values, found.values * 100 + 7)
    np.testing.assert_allclose(shrink(estimates[::-1], errors[::-1]).values, found.values[::-1])


def test_cells_without_an_error_are_refused() -> None:
    with pytest.raises(ValueError, match="two cells"):
        shrink([1.0], [1.0])
    with pytest.raises(ValueError, match="an error for each"):
        shrink([1.0, 2.0], [1.0])
    for estimate, error in ((np.nan, 1.0), (1.0, 0.0), (1.0, np.inf)):
        with pytest.raises(ValueError, match="NaN or infinite, or a standard error"):
            shrink([estimate, 2.0], [error, 1.0])
