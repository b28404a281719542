from __future__ import annotations

import itertools

import numpy as np
import pytest
from gate_samples import cluster_sums

from voiceeval.statistics.sign_flip import exact_sign_flip_p


@pytest.mark.parametrize("clusters", [3, 4, 5, 6, 8, 10])
def test_the_smallest_p_is_one_swap_in_all(clusters: int) -> None:
    sums = cluster_sums([1] * clusters, list(range(2, clusters + 2)), [40] * clusters)
    assert exact_sign_flip_p(sums) == 0.5**clusters
    assert exact_sign_flip_p(sums, alternative="two-sided") == 0.5 ** (clusters - 1)


def test_it_is_the_enumeration_of_all_signs_where_the_arms_share_denominators() -> None:
    rng = np.random.default_rng(2)
    x_b, x_c, n = rng.integers(0, 9, 7), rng.integers(0, 9, 7), rng.integers(20, 60, 7)
    d = x_c - x_b
    sums = [sum(sign * value for sign, value in zip(signs, d, strict=True)) for signs in flips(7)]
    expected = np.mean(np.array(sums) >= d.sum())
    assert exact_sign_flip_p(cluster_sums(x_b.tolist(), x_c.tolist(), n.tolist())) == expected


def flips(clusters: int) -> list[tuple[int, ...]]:
    return list(itertools.product((1, -1), repeat=clusters))


def test_nothing_differs_means_that_every_swap_is_as_bad() -> None:
    assert exact_sign_flip_p(cluster_sums([2, 1, 0, 4, 3], [2, 1, 0, 4, 3], [9] * 5)) == 1.0


def test_arms_with_denominators_of_their_own_are_swapped_whole() -> None:
    rising = cluster_sums([1, 1, 1, 1, 1], [6, 7, 5, 8, 6], [50] * 5, [55, 61, 52, 58, 50])
    assert exact_sign_flip_p(rising) == 1 / 32


def test_what_cannot_be_enumerated_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 16 clusters, got 17"):
        exact_sign_flip_p(cluster_sums([1] * 17, [2] * 17, [9] * 17))
    with pytest.raises(ValueError, match="NaN or infinity"):
        exact_sign_flip_p(cluster_sums([np.nan, 1], [1, 1], [9, 9]))
    with pytest.raises(ValueError, match="no denominator"):
        exact_sign_flip_p(cluster_sums([1, 1], [1, 1], [0, 0]))
