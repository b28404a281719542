from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from voiceeval.statistics.tails import fewest_for_quantile, quantile, quantile_lower, quantile_upper


@pytest.mark.parametrize(("q", "fewest"), [(0.95, 59), (0.99, 299), (0.9, 29), (0.5, 5)])
def test_the_fewest_values_that_bound_a_quantile(q: float, fewest: int) -> None:
    assert fewest_for_quantile(q) == fewest
    assert 1 - q**fewest >= 0.95 > 1 - q ** (fewest - 1)


def test_the_quantile_is_numpys_inverted_distribution() -> None:
    values = np.random.default_rng(1).normal(size=37)
    for q in (0.01, 0.1, 0.5, 0.75, 0.95, 0.99, 1.0):
        assert quantile(values, q) == np.quantile(values, q, method="inverted_cdf")


def test_the_quantile_of_logarithms_is_the_logarithm_of_the_quantile() -> None:
    values = np.random.default_rng(2).gamma(3.0, 100.0, 50)
    assert quantile(np.log(values), 0.95) == np.log(quantile(values, 0.95))


def test_with_the_fewest_values_the_largest_is_the_upper_bound_and_the_smallest_the_lower() -> None:
    values = np.arange(59.0)
    assert quantile_upper(values, 0.95) == 58.0
    assert quantile_lower(values, 0.05) == 0.0
    with pytest.raises(ValueError, match=r"upper bound of the 0\.95-quantile takes 59 values, got 58"):
        quantile_upper(values[:58], 0.95)
    with pytest.raises(ValueError, match=r"lower bound of the 0\.05-quantile takes 59 values, got 58"):
        quantile_lower(values[:58], 0.05)


def test_the_bounds_have_their_confidence_and_no_order_statistic_nearer_has() -> None:
    for n, q in ((59, 0.95), (100, 0.95), (100, 0.5), (300, 0.99), (13, 0.5)):
        ranks = np.arange(1.0, n + 1)
        upper, lower = quantile_upper(ranks, q), quantile_lower(ranks, q)
        # X_(r) is at or above the quantile unless r values or more are below it.
        assert binom.cdf(upper - 1, n, q) >= 0.95 > binom.cdf(upper - 2, n, q)
        assert binom.sf(lower - 1, n, q) >= 0.95 > binom.sf(lower, n, q)
        assert lower <= quantile(ranks, q) <= upper


def test_turning_the_values_over_turns_the_bounds_over() -> None:
    values = np.random.default_rng(3).normal(size=80)
    assert quantile_upper(values, 0.9) == -quantile_lower(-values, 1 - 0.9)


def test_values_and_shares_that_are_none_are_refused() -> None:
    for values in ([], [1.0, np.nan], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="one row of values"):
            quantile(values, 0.5)
    with pytest.raises(ValueError, match="q must be in"):
        quantile([1.0], 0.0)
    with pytest.raises(ValueError, match="q and level must be in"):
        fewest_for_quantile(1.0)
