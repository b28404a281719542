from __future__ import annotations

import pytest

from voiceeval.statistics.looks import pocock_critical, pocock_nominal, repeated_look_alpha


@pytest.mark.parametrize(
    ("looks", "alpha"), [(1, 0.05), (2, 0.083), (3, 0.107), (4, 0.126), (5, 0.142), (10, 0.193), (20, 0.248)]
)
def test_repeated_looks_cost_what_was_published_in_1969(looks: int, alpha: float) -> None:
    assert repeated_look_alpha(looks) == pytest.approx(alpha, abs=5e-4)


@pytest.mark.parametrize(("looks", "critical"), [(2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413), (10, 2.555)])
def test_pococks_constants(looks: int, critical: float) -> None:
    assert pocock_critical(looks) == pytest.approx(critical, abs=5e-4)


def test_pococks_looks_cost_the_overall_level_together() -> None:
    for looks in (1, 2, 5):
        for alpha in (0.01, 0.05, 0.1):
            assert repeated_look_alpha(looks, pocock_nominal(looks, alpha)) == pytest.approx(alpha, abs=1e-9)
    assert pocock_nominal(2) == pytest.approx(0.0294, abs=5e-5)
    assert pocock_nominal(1) == pytest.approx(0.05, abs=1e-12)


def test_a_constant_boundary_costs_less_than_bonferroni_and_more_than_one_look() -> None:
    for looks in (2, 3, 8):
        assert 0.05 / looks < pocock_nominal(looks) < 0.05


def test_looks_and_levels_that_are_none_are_refused() -> None:
    for looks in (0, 21):
        with pytest.raises(ValueError, match="looks must be 1 to 20"):
            pocock_critical(looks)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="a level must be in"):
            repeated_look_alpha(2, level)
