from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from voiceeval.statistics.proportions import mcnemar_midp, tango_interval, undiscordant_half_width


def test_the_mid_p_of_the_airway_data_is_the_published_one() -> None:
    assert 2 * float(mcnemar_midp(7, 1)) == pytest.approx(0.0390625)
    assert float(mcnemar_midp(1, 7)) == pytest.approx(1 - 0.0390625 / 2)


@pytest.mark.parametrize(("worse", "better"), [(7, 1), (12, 2), (150, 86), (3, 3), (5, 0)])
def test_the_mid_p_is_the_exact_one_less_half_the_probability_of_what_was_seen(
    worse: int, better: int
) -> None:
    exact = binomtest(worse, worse + better, alternative="greater").pvalue
    seen = binom.pmf(worse, worse + better, 0.5)
    assert float(mcnemar_midp(worse, better)) == pytest.approx(exact - seen / 2, rel=1e-10)


def test_without_a_discordant_pair_the_mid_p_is_a_half_and_never_zero() -> None:
    assert float(mcnemar_midp(0, 0)) == 0.5


def test_the_tango_interval_of_the_airway_data_is_the_published_one() -> None:
    low, high = tango_interval(1, 7, 21, level=0.95)
    assert float(low) == pytest.approx(-0.51723, abs=1e-5)
    assert float(high) == pytest.approx(-0.026, abs=1e-5)


@pytest.mark.parametrize("n", [1, 8, 12, 24, 52, 1000])
def test_without_a_discordant_pair_tango_is_the_closed_form(n: int) -> None:
    low, high = tango_interval(0, 0, n)
    assert float(high) == pytest.approx(float(undiscordant_half_width(n)), abs=1e-12)
    assert float(low) == pytest.approx(-float(high), abs=1e-12)


@pytest.mark.parametrize(("clusters", "points"), [(8, 25), (12, 18), (24, 10), (52, 5), (133, 2)])
def test_clean_clusters_certify_the_documented_margins(clusters: int, points: int) -> None:
    assert round(100 * float(undiscordant_half_width(clusters))) == points


def test_tango_flips_with_the_arms_and_holds_the_estimate() -> None:
    rng = np.random.default_rng(5)
    n = rng.integers(5, 80, 200)
    worse = rng.binomial(n, 0.2)
    better = rng.binomial(n - worse, 0.3)
    low, high = tango_interval(worse, better, n)
    back_low, back_high = tango_interval(better, worse, n)
    np.testing.assert_allclose(low, -back_high, atol=1e-12)
    np.testing.assert_allclose(high, -back_low, atol=1e-12)
    assert bool(np.all((low <= (worse - better) / n) & ((worse - better) / n <= high)))


@pytest.mark.parametrize(("worse", "better"), [(9, 0), (0, 9)])
def test_a_candidate_that_always_differs_gives_a_bound_at_the_end_of_the_scale(
    worse: int, better: int
) -> None:
    low, high = tango_interval(worse, better, 9)
    outer = max(abs(float(low)), abs(float(high)))
    assert outer == pytest.approx(1)
    assert float(high) - float(low) > 0.1


def test_more_of_the_candidate_failing_only_raises_the_interval() -> None:
    lows, highs = tango_interval(np.arange(30), 3, 40)
    assert bool(np.all(np.diff(lows) > 0))
    assert bool(np.all(np.diff(highs) > 0))


def test_counts_and_levels_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="worse must be whole numbers"):
        mcnemar_midp(np.nan, 0)
    with pytest.raises(ValueError, match="better must be whole numbers"):
        mcnemar_midp(1, 0.5)
    with pytest.raises(ValueError, match="more discordant pairs than pairs"):
        tango_interval(4, 4, 7)
    with pytest.raises(ValueError, match="at least one pair"):
        tango_interval(0, 0, 0)
    with pytest.raises(ValueError, match="level must be in"):
        tango_interval(0, 0, 5, level=1.0)
