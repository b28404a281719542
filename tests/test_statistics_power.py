from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, t

from voiceeval.statistics.power import (
    clusters_needed,
    clusters_without_discordance,
    detectable_without_discordance,
    smallest_detectable,
)
from voiceeval.statistics.proportions import mcnemar_midp, undiscordant_half_width


def test_the_detectable_effect_is_two_quantiles_of_t_times_the_error() -> None:
    expected = (t.ppf(0.95, 11) + t.ppf(0.80, 11)) * 0.01
    assert float(smallest_detectable(0.01, 11)) == pytest.approx(expected, rel=1e-9)


def test_the_sample_size_is_that_of_the_evaluation_paper() -> None:
    # Miller 2024, arXiv 2411.00640: n = (z_a/2 + z_b)^2 w^2 / d^2 with w^2 = 1/9, d = 3 pp.
    for at_hand in (100, 400):
        detectable = smallest_detectable(np.sqrt(1 / 9 / at_hand), np.inf, alpha=0.025)
        assert int(clusters_needed(detectable, 0.03, at_hand)) == 969


def test_a_margin_equal_to_what_is_detectable_takes_what_is_at_hand() -> None:
    assert int(clusters_needed(0.02, 0.02, 12)) == 12
    assert int(clusters_needed(0.04, 0.02, 12)) == 48


def test_clean_clusters_needed_are_the_documented_ones_and_the_fewest() -> None:
    for share, clusters in ((0.05, 52), (0.02, 133)):
        assert int(clusters_without_discordance(share)) == clusters
        assert (
            float(undiscordant_half_width(clusters)) <= share < float(undiscordant_half_width(clusters - 1))
        )


def test_without_discordance_the_detectable_share_gives_the_mid_p_its_power() -> None:
    for clusters in (8, 12, 52):
        share = float(detectable_without_discordance(clusters))
        assert binom.sf(3, clusters, share) == pytest.approx(0.80)
    assert float(mcnemar_midp(4, 0)) < 0.05 < float(mcnemar_midp(3, 0))
    assert float(detectable_without_discordance(3)) == 1.0


def test_figures_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN, infinite or negative"):
        smallest_detectable(np.nan, 5)
    with pytest.raises(ValueError, match="degrees of freedom must be positive"):
        smallest_detectable(0.1, 0)
    with pytest.raises(ValueError, match="margins above 0"):
        clusters_needed(0.1, 0.0, 5)
    with pytest.raises(ValueError, match="share must be above 0"):
        clusters_without_discordance(0.0)
