from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from voiceeval.statistics.repeats import pass_at_k, pass_hat_k


def test_one_attempt_passes_as_often_as_attempts_pass() -> None:
    passed = np.arange(9)
    np.testing.assert_allclose(pass_hat_k(8, passed, 1), passed / 8, atol=1e-15)
    np.testing.assert_allclose(pass_at_k(8, passed, 1), passed / 8, atol=1e-15)


def test_more_attempts_pass_together_less_often_and_one_of_them_more_often() -> None:
    k = np.arange(1, 9)
    assert bool(np.all(np.diff(pass_hat_k(8, 5, k)) <= 0))
    assert bool(np.all(np.diff(pass_at_k(8, 5, k)) >= 0))
    assert float(pass_hat_k(8, 5, 6)) == 0.0
    assert float(pass_at_k(8, 5, 4)) == 1.0


def test_both_are_the_shares_of_all_subsets() -> None:
    outcomes = (1, 0, 1, 1, 0, 1, 0)
    for k in range(1, 8):
        subsets = list(combinations(outcomes, k))
        assert float(pass_hat_k(7, 4, k)) == pytest.approx(np.mean([all(each) for each in subsets]))
        assert float(pass_at_k(7, 4, k)) == pytest.approx(np.mean([any(each) for each in subsets]))


def test_both_are_unbiased_and_the_plugged_in_power_is_not() -> None:
    n, k, p = 6, 3, 0.6
    weights = np.array([comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)])
    passed = np.arange(n + 1)
    assert weights @ pass_hat_k(n, passed, k) == pytest.approx(p**k)
    assert weights @ pass_at_k(n, passed, k) == pytest.approx(1 - (1 - p) ** k)
    assert weights @ (passed / n) ** k > p**k + 0.05


def test_two_hundred_attempts_agree_with_whole_number_arithmetic() -> None:
    for passed, k in ((10, 10), (199, 100), (120, 64), (3, 200)):
        assert float(pass_hat_k(200, passed, k)) == pytest.approx(comb(passed, k) / comb(200, k), rel=1e-12)
        exact = (comb(200, k) - comb(200 - passed, k)) / comb(200, k)
        assert float(pass_at_k(200, passed, k)) == pytest.approx(exact, rel=1e-12)


def test_arguments_broadcast() -> None:
    found = pass_hat_k(np.array([[4], [8]]), np.array([1, 2, 4]), 2)
    assert found.shape == (2, 3)
    assert found[0, 2] == 1.0


@pytest.mark.parametrize(
    ("attempts", "passed", "k", "words"),
    [
        (3, 2, 4, "as many fresh attempts"),
        (3, 2, 0, "k must be 1"),
        (3, 4, 2, "more passes"),
        (3, -1, 2, "whole numbers"),
        (3.5, 1, 2, "whole numbers"),
        (np.nan, 1, 2, "whole numbers"),
    ],
)
def test_counts_that_cannot_be_are_refused(attempts: float, passed: float, k: float, words: str) -> None:
    for estimator in (pass_hat_k, pass_at_k):
        with pytest.raises(ValueError, match=words):
            estimator(attempts, passed, k)
