from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from voiceeval.statistics.multiplicity import benjamini_hochberg, holm


def test_the_textbook_example_of_holm_comes_out() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=40))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_holm_is_that_of_statsmodels_and_keeps_the_order(p_values: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    np.testing.assert_allclose(
        holm(p_values), multitest.multipletests(p_values, method="holm")[1], rtol=1e-12
    )


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=40))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_benjamini_hochberg_is_that_of_scipy_and_below_holm(p_values: list[float]) -> None:
    adjusted = benjamini_hochberg(p_values)
    np.testing.assert_allclose(adjusted, false_discovery_control(p_values), rtol=1e-12)
    assert bool(np.all(adjusted <= holm(p_values) * (1 + 1e-12)))


def test_an_empty_family_stays_empty() -> None:
    assert len(holm([])) == len(benjamini_hochberg([])) == 0


@pytest.mark.parametrize("p_values", [[0.01, np.nan, 0.03], [0.2, 1.2], [-0.1]])
def test_a_p_value_that_is_none_is_refused_and_not_counted(p_values: list[float]) -> None:
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match="NaN or outside"):
            adjust(p_values)


def test_a_table_of_p_values_is_refused() -> None:
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match="one row"):
            adjust([[0.1, 0.2]])
