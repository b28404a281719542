from __future__ import annotations

import numpy as np
import pytest

from voiceeval.statistics.contrast import ClusterSums, clustered_contrast, per_cell
from voiceeval.statistics.variance import expected_se, linearised_differences, variance_parts

GROUPS = [[3.0, 5.0], [8.0], [1.0, 2.0, 6.0]]
"""Three speakers with 2, 1 and 3 calls, worked by hand below."""


def flat(groups: list[list[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.array([value for group in groups for value in group])
    speaker = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return values, speaker, np.zeros(len(values), dtype=np.int64)


def test_unequal_speakers_worked_by_hand() -> None:
    # Means 4, 8, 3; overall 25/6. Between: 2/36 + 529/36 + 3·49/36 = 678/36, over 2.
    # Within: 2 + 0 + 14, over 3.
    between_square, within_square = 678 / 36 / 2, 16 / 3
    n0 = (6 - 14 / 6) / 2
    found = variance_parts(*flat(GROUPS))
    assert found.within[0] == pytest.approx(within_square)
    assert found.between[0] == pytest.approx((between_square - within_square) / n0)
    assert found.correlation[0] == pytest.approx(found.between[0] / (found.between[0] + found.within[0]))
    assert (int(found.clusters[0]), int(found.calls[0])) == (3, 6)


def test_a_balanced_design_has_the_standard_error_of_the_clustered_contrast() -> None:
    rng = np.random.default_rng(1)
    speakers, calls = 9, 4
    speaker = np.repeat(np.arange(speakers), calls)
    cell = np.zeros(speakers * calls, dtype=np.int64)
    n = np.full(speakers * calls, 20.0)
    x_b = rng.poisson(2.0, n.shape).astype(np.float64)
    x_c = x_b + rng.normal(0, 1, speakers)[speaker] + rng.normal(0, 1, n.shape)
    differences = linearised_differences(x_b, n, x_c, n, cell, 1)
    parts = variance_parts(differences, speaker, cell)
    assert parts.between[0] > 0
    total_b, total_c, total = (per_cell(array, speaker, speakers) for array in (x_b, x_c, n))
    sums = ClusterSums(total_b, total, total_c, total, np.zeros(speakers, dtype=np.int64))
    found = clustered_contrast(sums)
    assert expected_se(parts, speakers, calls)[0] == pytest.approx(found.se[0], rel=1e-12)
    assert differences.sum() == pytest.approx(0.0, abs=1e-12)


def test_the_parts_are_recovered_from_many_unequal_speakers() -> None:
    rng = np.random.default_rng(2)
    speaker = np.repeat(np.arange(4000), rng.integers(1, 6, 4000))
    values = 0.5 * rng.normal(size=4000)[speaker] + rng.normal(size=len(speaker))
    found = variance_parts(values, speaker, np.zeros(len(speaker), dtype=np.int64))
    assert found.between[0] == pytest.approx(0.25, abs=0.03)
    assert found.within[0] == pytest.approx(1.0, abs=0.04)
    assert found.correlation[0] == pytest.approx(0.2, abs=0.02)


def test_speakers_who_are_more_alike_than_chance_have_no_variance_between_them() -> None:
    found = variance_parts(*flat([[-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]))
    assert (found.between[0], found.correlation[0]) == (0.0, 0.0)
    assert found.within[0] == pytest.approx(6 / 5)


def test_one_call_per_speaker_counts_as_variance_between_speakers() -> None:
    found = variance_parts(*flat([[1.0], [2.0], [6.0]]))
    assert not bool(found.separable[0])
    assert (found.between[0], found.within[0]) == (7.0, 0.0)
    assert expected_se(found, 3, 1)[0] == expected_se(found, 3, 50)[0]


def test_more_speakers_help_at_least_as_much_as_more_calls() -> None:
    found = variance_parts(*flat([[1.0, 2.0, 1.0], [4.0, 5.0, 6.0], [9.0, 7.0, 8.0]]))
    assert expected_se(found, 12, 3)[0] == pytest.approx(expected_se(found, 3, 3)[0] / 2)
    assert expected_se(found, 12, 3)[0] < expected_se(found, 3, 12)[0] < expected_se(found, 3, 3)[0]


def test_cells_are_apart_even_where_speakers_share_a_number() -> None:
    first, second = flat(GROUPS), flat([[1.0, 2.0, 1.0], [4.0, 5.0, 6.0]])
    values = np.concatenate([first[0], second[0]])
    speaker = np.concatenate([first[1], second[1]])
    cell = np.repeat([0, 1], [len(first[0]), len(second[0])])
    together = variance_parts(values, speaker, cell, 2)
    for i, alone in enumerate((variance_parts(*first), variance_parts(*second))):
        for mine, theirs in zip(together, alone, strict=True):
            assert mine[i] == theirs[0]


def test_calls_that_give_no_variance_are_refused() -> None:
    values, speaker, cell = flat(GROUPS)
    with pytest.raises(ValueError, match=r"cell 0 has 1 speaker\(s\)"):
        variance_parts(values, np.zeros_like(speaker), cell)
    with pytest.raises(ValueError, match="one length"):
        variance_parts(values[1:], speaker, cell)
    with pytest.raises(ValueError, match="a value is NaN"):
        variance_parts(values * np.nan, speaker, cell)
    with pytest.raises(ValueError, match="cell 0 has no denominator"):
        linearised_differences(values, values * 0, values, values, cell, 1)
    with pytest.raises(ValueError, match="calls hold NaN"):
        linearised_differences(values * np.nan, values, values, values, cell, 1)
    with pytest.raises(ValueError, match="one speaker and one call"):
        expected_se(variance_parts(values, speaker, cell), 0, 3)
