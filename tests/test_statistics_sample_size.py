from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, nct

from voiceeval.statistics.power import smallest_detectable
from voiceeval.statistics.sample_size import (
    calls_needed,
    mcnemar_exact_power,
    mcnemar_pairs_needed,
    mcnemar_power,
    power_of_test,
    power_to_certify,
    sign_test_pairs_needed,
)


@pytest.mark.parametrize("df", [4.0, 11.0, 200.0, np.inf])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_smallest_detectable_effect_is_found_with_its_power(df: float, power: float) -> None:
    effect = smallest_detectable(0.3, df, power=power)
    assert float(power_of_test(effect, 0.3, df)) == pytest.approx(power, abs=1e-9)


def test_no_effect_is_found_as_often_as_the_level_says() -> None:
    assert float(power_of_test(0.0, 1.0, 9)) == pytest.approx(0.05)
    assert float(power_to_certify(0.02, 0.005, 9, true_effect=0.02)) == pytest.approx(0.05)


def test_the_approximation_is_near_the_non_central_t() -> None:
    for df, effect in ((10, 2.0), (10, 3.0), (30, 2.5)):
        exact = nct.sf(float(smallest_detectable(1.0, df, power=0.5)), df, effect)
        assert float(power_of_test(effect, 1.0, df)) == pytest.approx(exact, abs=0.03)


def test_certifying_a_margin_is_finding_what_is_left_of_it() -> None:
    assert float(power_to_certify(0.05, 0.01, 12, true_effect=0.02)) == pytest.approx(
        float(power_of_test(0.03, 0.01, 12)), rel=1e-9
    )


def test_calls_needed_fall_with_the_square_of_the_effect() -> None:
    assert int(calls_needed(1 / 9, 0.03)) == 969
    assert int(calls_needed(1.0, 0.01)) == pytest.approx(4 * int(calls_needed(1.0, 0.02)), abs=4)
    assert int(calls_needed(1.0, -0.1)) == int(calls_needed(1.0, 0.1))
    assert int(calls_needed(1.0, 0.1, sides=1)) < int(calls_needed(1.0, 0.1))


def test_mcnemar_pairs_have_their_power_and_one_fewer_has_not() -> None:
    for worse, better in ((0.3, 0.15), (0.1, 0.02), (0.05, 0.2)):
        pairs = mcnemar_pairs_needed(worse, better)
        assert float(mcnemar_power(worse, better, pairs)) >= 0.8
        assert float(mcnemar_power(worse, better, pairs - 1)) < 0.8


def test_exact_power_is_that_of_every_table_added_up() -> None:
    worse, better, pairs = 0.25, 0.1, 12
    found = 0.0
    for w in range(pairs + 1):
        for b in range(pairs + 1 - w):
            if binom.sf(w - 1, w + b, 0.5) <= 0.05:
                found += binom.pmf(w + b, pairs, worse + better) * binom.pmf(
                    w, w + b, worse / (worse + better)
                )
    assert mcnemar_exact_power(worse, better, pairs) == pytest.approx(found, rel=1e-9)


def test_an_exact_test_of_no_difference_stays_below_its_level() -> None:
    for pairs in (5, 20, 100):
        assert 0 <= mcnemar_exact_power(0.2, 0.2, pairs) <= 0.05


@pytest.mark.parametrize(("win", "pairs"), [(0.6, 158), (0.9, 8)])
def test_the_fewest_discordant_pairs_are_the_first_with_the_power(win: float, pairs: int) -> None:
    assert sign_test_pairs_needed(win) == pairs

    def power(d: int) -> float:
        rejecting = [w for w in range(d + 1) if binom.sf(w - 1, d, 0.5) <= 0.05]
        return float(sum(binom.pmf(w, d, win) for w in rejecting))

    assert power(pairs) >= 0.8
    assert max(power(d) for d in range(1, pairs)) < 0.8


def test_assumptions_that_cannot_be_are_refused() -> None:
    for effect, se, df in ((np.nan, 1.0, 5), (1.0, 0.0, 5), (1.0, 1.0, 0)):
        with pytest.raises(ValueError, match="finite effect"):
            power_of_test(effect, se, df)
    with pytest.raises(ValueError, match="variance must not be negative"):
        calls_needed(-1.0, 0.1)
    with pytest.raises(ValueError, match="effect not 0"):
        calls_needed(1.0, 0.0)
    for worse, better in ((0.2, 0.2), (-0.1, 0.2), (0.8, 0.3)):
        with pytest.raises(ValueError, match="must differ"):
            mcnemar_pairs_needed(worse, better)
    with pytest.raises(ValueError, match="left to chance"):
        mcnemar_power(1.0, 0.0, 10)
    with pytest.raises(ValueError, match="shares of discordant pairs"):
        mcnemar_exact_power(0.0, 0.0, 10)
    for win in (0.5, 1.1):
        with pytest.raises(ValueError, match="above one half"):
            sign_test_pairs_needed(win)
    with pytest.raises(ValueError, match="more than 20000"):
        sign_test_pairs_needed(0.501)
