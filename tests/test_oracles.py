"""Worked examples with published or independently computed numbers, each reproduced by a named test.

The numbers are written out here, so that a checkout alone tests them; where the project's shared folder lies
beside the checkout, ``test_the_written_numbers_are_those_of_the_oracle_file`` holds them against it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gate_samples import TASK, WER, Sides, cluster_sums, estimate_of, gate, judge_one, pair, sample
from rapidfuzz.distance import Levenshtein

from voiceeval.cohort import EVERYONE, PairedSample
from voiceeval.statistics.contrast import ClusterSums, clustered_contrast, t_p_above
from voiceeval.statistics.multiplicity import holm
from voiceeval.statistics.paired_test import paired_test
from voiceeval.statistics.power import clusters_needed, clusters_without_discordance, smallest_detectable
from voiceeval.statistics.proportions import mcnemar_midp, tango_interval, undiscordant_half_width
from voiceeval.statistics.sign_flip import exact_sign_flip_p
from voiceeval.verdict import Outcome

ORACLES = Path(__file__).resolve().parents[1].parent / "shared" / "oracles"
needs_oracles = pytest.mark.skipif(
    not ORACLES.is_dir(), reason="the shared oracles are not beside the checkout"
)

BENJAMINI_HOCHBERG = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1.0),
]


def oracle(name: str) -> dict[str, Any]:
    entries = json.loads((ORACLES / "statistics.json").read_text(encoding="utf-8"))
    (entry,) = [entry for entry in entries if entry["id"] == name]
    found: dict[str, Any] = entry
    return found


def trn(name: str) -> dict[str, list[str]]:
    """A NIST trn file: words, then the utterance's id in brackets."""
    lines = (ORACLES / "mapsswe" / name).read_text(encoding="utf-8").splitlines()
    parts = (line.rstrip(")").rpartition("(") for line in lines if line)
    return {utterance: words.split() for words, _, utterance in parts}


def mapsswe_sums() -> ClusterSums:
    """Word errors per speaker of systems A (baseline) and B (candidate)."""
    reference, a, b = trn("ref.trn"), trn("sysA.trn"), trn("sysB.trn")
    speakers = sorted({utterance[:5] for utterance in reference})
    sums = np.zeros((3, len(speakers)))
    for utterance, words in reference.items():
        errors = (Levenshtein.distance(words, system[utterance]) for system in (a, b))
        sums[:, speakers.index(utterance[:5])] += (*errors, len(words))
    return cluster_sums(*sums)


@needs_oracles
def test_the_written_numbers_are_those_of_the_oracle_file() -> None:
    assert oracle("bh1995")["inputs"] == BENJAMINI_HOCHBERG
    assert oracle("mcn-bentur")["expected"]["midp"] == 0.0390625
    assert oracle("tango-bentur")["expected"] == {"low": -0.51723, "high": -0.026}
    assert oracle("holm4")["expected"] == [0.03, 0.06, 0.06, 0.02]
    assert oracle("boot-enum")["expected"]["linearised_se"] == 0.0866025
    assert oracle("tango-zero")["expected"]["half"] == 0.0495
    assert oracle("signflip-min")["inputs"]["G"] == [3, 4, 5, 6, 8, 10]
    assert oracle("miller-n")["expected"]["n"] == 969
    assert oracle("ratio-vs-mean")["expected"]["corpus"] == 0.1


@needs_oracles
def test_mapsswe_data_give_the_clustered_figures() -> None:
    expected = oracle("mapsswe-synth")["expected"]
    sums = mapsswe_sums()
    found = clustered_contrast(sums)
    totals = [int(array.sum()) for array in (sums.n_baseline, sums.x_baseline, sums.x_candidate)]
    assert totals == [expected["words"], expected["errA"], expected["errB"]] == [3345, 336, 432]
    assert len(sums.cell) == 12
    assert found.estimate[0] == pytest.approx(expected["cluster_ratio_diff"], abs=5e-5)
    assert found.se[0] == pytest.approx(expected["cluster_se"], abs=5e-6)
    assert found.estimate[0] / found.se[0] == pytest.approx(expected["cluster_t"], abs=5e-4)
    assert 2 * t_p_above(found)[0] == pytest.approx(expected["cluster_p"], abs=5e-5)
    assert exact_sign_flip_p(sums, alternative="two-sided") == pytest.approx(
        expected["exact_signflip_p"], abs=5e-6
    )


@needs_oracles
def test_mapsswe_data_are_judged_regressed_with_nearly_the_uncorrected_figures() -> None:
    sums = mapsswe_sums()
    speakers: list[list[Sides]] = [
        [((x_b, n), (x_c, n))]
        for x_b, x_c, n in zip(sums.x_baseline, sums.x_candidate, sums.n_baseline, strict=True)
    ]
    verdict = judge_one(sample(WER, speakers))
    assert verdict.outcome is Outcome.REGRESSED
    assert estimate_of(verdict).p_worse == pytest.approx(0.0128 / 2, abs=2e-4)
    assert "exact sign-flip p 0.0068" in estimate_of(verdict).method


def test_bentur_mcnemar_mid_p() -> None:
    assert 2 * float(mcnemar_midp(7, 1)) == pytest.approx(0.0390625)


@pytest.mark.parametrize(("b", "c", "exact"), [(1, 7, 0.0703125), (12, 2, 0.012939), (150, 86, 3.7159e-5)])
def test_mcnemar_mid_p_stays_below_the_exact_p_of_bentur_armitage_and_agresti(
    b: int, c: int, exact: float
) -> None:
    two_sided = 2 * min(float(mcnemar_midp(b, c)), float(mcnemar_midp(c, b)))
    assert exact / 2 < two_sided < exact


def test_bentur_tango_interval() -> None:
    low, high = tango_interval(1, 7, 21, level=0.95)
    assert float(low) == pytest.approx(-0.51723, abs=1e-5)
    assert float(high) == pytest.approx(-0.026, abs=1e-5)


def test_tango_without_discordance() -> None:
    assert float(undiscordant_half_width(52)) == pytest.approx(0.0495, abs=5e-5)
    assert [int(g) for g in clusters_without_discordance([0.05, 0.02])] == [52, 133]


def test_newcombe_example_lies_inside_its_better_known_interval() -> None:
    # Newcombe's method 10 gives 0.0569 to 0.3404 for (36, 12, 2, 0); Tango's is close to it.
    low, high = tango_interval(12, 2, 50, level=0.95)
    assert float(low) == pytest.approx(0.0569, abs=0.01)
    assert float(high) == pytest.approx(0.3404, abs=0.01)


def test_benjamini_hochberg_data_adjusted_by_holm() -> None:
    adjusted = holm(BENJAMINI_HOCHBERG)
    np.testing.assert_allclose(adjusted[:5], [0.0015, 0.0056, 0.0247, 0.114, 0.2211], atol=1e-12)
    assert int(np.sum(adjusted <= 0.05)) == 3


def test_holm_of_four() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_a_nan_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        holm([0.01, float("nan"), 0.03])


def test_the_enumerated_bootstrap_has_the_linearised_error() -> None:
    found = clustered_contrast(cluster_sums([0, 0, 0], [1, 0, 3], [10, 20, 10]))
    assert found.estimate[0] == pytest.approx(0.1)
    assert found.se[0] == pytest.approx(0.0866025, abs=5e-8)


def test_corpus_rate_is_not_the_mean_of_utterance_rates() -> None:
    speakers: list[list[Sides]] = [[((1, 1), (1, 1)), ((0, 9), (0, 9))], [((1, 1), (1, 1)), ((0, 9), (0, 9))]]
    assert estimate_of(judge_one(sample(WER, speakers))).baseline == 0.1


@pytest.mark.parametrize(
    ("clusters", "p"),
    [(3, 0.125), (4, 0.0625), (5, 0.03125), (6, 0.015625), (8, 0.00390625), (10, 0.0009765625)],
)
def test_the_smallest_exact_sign_flip_p(clusters: int, p: float) -> None:
    assert exact_sign_flip_p(cluster_sums([0] * clusters, [1] * clusters, [9] * clusters)) == p


def test_miller_sample_size() -> None:
    detectable = smallest_detectable(np.sqrt(0.1111111111111111 / 50), np.inf, alpha=0.025)
    assert int(clusters_needed(detectable, 0.03, 50)) == 969


def test_an_empty_hypothesis_is_all_deletions_and_an_empty_reference_counts_its_insertions() -> None:
    # jiwer-empty: a reference of no words and a hypothesis of two has two insertions.
    speakers: list[list[Sides]] = [[((0, 5), (5, 5)), ((0, 0), (2, 0))]] * 2
    assert estimate_of(judge_one(sample(WER, speakers))).candidate == 1.4


def test_three_segments_that_a_z_test_calls_significant_are_not_so_by_t() -> None:
    # mapsswe-base: mean 0.667, sd 0.577, Z 2.0 over 3 segments; t gives p 0.18.
    found = clustered_contrast(cluster_sums([0, 0, 0], [1, 1, 0], [1, 1, 1]))
    assert found.estimate[0] / found.se[0] == pytest.approx(2.0)
    assert 2 * t_p_above(found)[0] == pytest.approx(0.1835, abs=5e-5)


def test_an_airway_study_judged_as_a_task_uses_both_paired_tests() -> None:
    kinds: list[Sides] = [((0, 1), (0, 1)), ((1, 1), (0, 1)), ((0, 1), (1, 1)), ((1, 1), (1, 1))]
    sides = [kind for kind, count in zip(kinds, (1, 7, 1, 12), strict=True) for _ in range(count)]
    pairs = tuple(pair(speaker, 0, each) for speaker, each in enumerate(sides))
    (verdict,) = gate({"task": "+2pp"}, level=0.95).judge(
        [PairedSample(metric=TASK, cohort=EVERYONE, pairs=pairs)]
    )
    found = estimate_of(verdict)
    assert 2 * found.p_worse == pytest.approx(0.0390625)
    assert (found.interval.lower, found.interval.upper) == pytest.approx((-0.51723, -0.026), abs=1e-5)
    assert verdict.outcome is Outcome.REGRESSED


def test_the_paired_test_of_one_cell_is_that_of_the_same_cell_among_others() -> None:
    one = cluster_sums([1, 4, 2, 0, 3, 1], [2, 4, 5, 1, 3, 2], [30, 28, 33, 31, 29, 30])
    two = ClusterSums(*(np.concatenate([array, array]) for array in one))
    two = two._replace(cell=np.repeat([0, 1], 6))
    assert paired_test(two, 2, yes_no=False) == paired_test(one, 1, yes_no=False) * 2
