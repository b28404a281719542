from __future__ import annotations

import numpy as np
import pytest

from voiceeval.statistics.agreement import Scale, cohen_kappa, krippendorff_alpha

SCALES: tuple[Scale, ...] = ("nominal", "ordinal", "interval", "ratio")


def labels(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 5, 30)
    noisy = np.where(rng.random((3, 30)) < 0.3, rng.integers(1, 5, (3, 30)), truth)
    return noisy.astype(np.float64), rng.random((3, 30)) < 0.85


def test_kappa_and_its_interval_are_those_of_statsmodels() -> None:
    rater = pytest.importorskip("statsmodels.stats.inter_rater")
    for table in ([[20, 5], [10, 15]], [[94, 3], [2, 1]], [[11, 3, 1], [1, 9, 4], [0, 2, 13]]):
        found, theirs = cohen_kappa(table), rater.cohens_kappa(np.array(table))
        assert found.value == pytest.approx(theirs.kappa)
        assert (found.lower, found.upper) == pytest.approx((theirs.kappa_low, theirs.kappa_upp))


def test_perfect_blind_and_opposed_judges() -> None:
    assert cohen_kappa([[7, 0], [0, 5]]).value == 1.0
    assert cohen_kappa([[4, 4], [4, 4]]).value == 0.0
    assert cohen_kappa([[0, 5], [5, 0]]).value == -1.0


def test_the_judges_and_the_labels_may_change_places() -> None:
    table = np.array([[11, 3, 1], [1, 9, 4], [0, 2, 13]])
    order = [2, 0, 1]
    assert cohen_kappa(table.T) == pytest.approx(cohen_kappa(table))
    assert cohen_kappa(table[np.ix_(order, order)]) == pytest.approx(cohen_kappa(table))


@pytest.mark.parametrize("scale", SCALES)
def test_alpha_is_one_where_all_agree_and_about_zero_where_labels_are_shuffled(scale: Scale) -> None:
    values = np.tile([1.0, 2.0, 3.0, 5.0, 2.0], (3, 1))
    assert krippendorff_alpha(values, np.ones(values.shape, dtype=np.bool_), scale) == 1.0
    shuffled = np.random.default_rng(2).integers(1, 4, (4, 3000)).astype(np.float64)
    found = krippendorff_alpha(shuffled, np.ones(shuffled.shape, dtype=np.bool_), scale)
    assert found == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("scale", SCALES)
def test_alpha_knows_neither_the_order_of_judges_nor_of_items(scale: Scale) -> None:
    values, present = labels()
    order = np.random.default_rng(3).permutation(30)
    expected = krippendorff_alpha(values, present, scale)
    assert krippendorff_alpha(values[::-1], present[::-1], scale) == pytest.approx(expected)
    assert krippendorff_alpha(values[:, order], present[:, order], scale) == pytest.approx(expected)


def test_what_stands_in_for_a_missing_label_is_not_looked_at() -> None:
    values, present = labels()
    for filler in (np.nan, -1.0, 99.0):
        filled = np.where(present, values, filler)
        assert krippendorff_alpha(filled, present, "ratio") == krippendorff_alpha(values, present, "ratio")


def test_an_item_with_one_label_says_nothing() -> None:
    values, present = labels()
    more = np.concatenate([values, [[4.0], [1.0], [1.0]]], axis=1)
    lonely = np.concatenate([present, [[True], [False], [False]]], axis=1)
    for scale in SCALES:
        assert krippendorff_alpha(more, lonely, scale) == krippendorff_alpha(values, present, scale)


def test_scales_read_the_labels_as_they_should() -> None:
    values, present = labels()
    assert krippendorff_alpha(values * 10 + 3, present, "interval") == pytest.approx(
        krippendorff_alpha(values, present, "interval")
    )
    assert krippendorff_alpha(values * 10, present, "ratio") == pytest.approx(
        krippendorff_alpha(values, present, "ratio")
    )
    assert krippendorff_alpha(values**3, present, "ordinal") == pytest.approx(
        krippendorff_alpha(values, present, "ordinal")
    )
    assert krippendorff_alpha(5 - values, present, "nominal") == pytest.approx(
        krippendorff_alpha(values, present, "nominal")
    )


def test_labels_that_show_no_agreement_are_refused() -> None:
    both = np.ones((2, 3), dtype=np.bool_)
    for table, words in (
        ([[1, 2, 3]], "square"),
        ([[0, 0], [0, 0]], "one item"),
        ([[1, -1], [0, 2]], "whole numbers"),
        ([[5, 0], [0, 0]], "same label"),
    ):
        with pytest.raises(ValueError, match=words):
            cohen_kappa(table)
    with pytest.raises(ValueError, match="level"):
        cohen_kappa([[1, 0], [0, 1]], level=0.0)
    with pytest.raises(ValueError, match="one shape"):
        krippendorff_alpha(np.ones((2, 4)), both, "nominal")
    with pytest.raises(ValueError, match="every label is the same"):
        krippendorff_alpha(np.ones((2, 3)), both, "nominal")
    with pytest.raises(ValueError, match="labelled twice"):
        krippendorff_alpha(np.ones((2, 3)), np.array([[True] * 3, [False] * 3]), "nominal")
    with pytest.raises(ValueError, match="mark it as not present"):
        krippendorff_alpha(np.array([[1, 2, np.nan], [1, 2, 3]]), both, "nominal")
    with pytest.raises(ValueError, match="no negative"):
        krippendorff_alpha(np.array([[-1.0, 2, 3], [1, 2, 3]]), both, "ratio")
    with pytest.raises(ValueError, match="known: interval, nominal, ordinal, ratio"):
        krippendorff_alpha(np.array([[1.0, 2, 3], [1, 2, 3]]), both, "likert")  # type: ignore[arg-type]
