"""Worked examples with published or independently computed numbers, each reproduced by a named test.

``oracle_figures.py`` has the numbers, so that a checkout alone tests them; where the project's shared folder
lies beside the checkout, the table is held against its file. A test names what it reproduces with
``@reproduces``, and no example may go without one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import jiwer
import numpy as np
import pytest
from gate_samples import TASK, WER, Sides, cluster_sums, estimate_of, gate, judge_one, pair, sample
from numpy.typing import NDArray
from oracle_figures import EXPECTED, INPUTS, MAPSSWE_SEGMENTS, MAPSSWE_SPEAKERS, MAPSSWE_UTTERANCES
from rapidfuzz.distance import Levenshtein
from scipy.stats import (
    DegenerateDataWarning,
    binomtest,
    bootstrap,
    false_discovery_control,
    norm,
    rankdata,
    wilcoxon,
)
from word_segments import segment_errors, weighted_alignment

from voiceeval.cohort import EVERYONE, PairedSample
from voiceeval.metrics.alignment import align, distance
from voiceeval.statistics.agreement import Scale, cohen_kappa, krippendorff_alpha
from voiceeval.statistics.contrast import ClusterSums, clustered_contrast, t_p_above
from voiceeval.statistics.independent import wilson_interval
from voiceeval.statistics.looks import pocock_critical, repeated_look_alpha
from voiceeval.statistics.multiplicity import benjamini_hochberg, holm
from voiceeval.statistics.paired_test import paired_test
from voiceeval.statistics.power import clusters_needed, clusters_without_discordance, smallest_detectable
from voiceeval.statistics.proportions import mcnemar_midp, tango_interval, undiscordant_half_width
from voiceeval.statistics.repeats import pass_at_k, pass_hat_k
from voiceeval.statistics.sample_size import (
    calls_needed,
    mcnemar_exact_power,
    mcnemar_pairs_needed,
    mcnemar_power,
    sign_test_pairs_needed,
)
from voiceeval.statistics.sign_flip import exact_sign_flip_p
from voiceeval.statistics.tails import fewest_for_quantile
from voiceeval.verdict import Outcome

ORACLES = Path(__file__).resolve().parents[1].parent / "shared" / "oracles"
needs_oracles = pytest.mark.skipif(
    not ORACLES.is_dir(), reason="the shared oracles are not beside the checkout"
)
Test = TypeVar("Test", bound=Callable[..., None])
REPRODUCED: dict[str, list[str]] = {}


def reproduces(*examples: str) -> Callable[[Test], Test]:
    """Say which worked examples a test reproduces."""

    def claim(test: Test) -> Test:
        for example in examples:
            REPRODUCED.setdefault(example, []).append(test.__name__)
        return test

    return claim


def trn(name: str) -> dict[str, list[str]]:
    """A NIST trn file: words, then the utterance's id in brackets."""
    lines = (ORACLES / "mapsswe" / name).read_text(encoding="utf-8").splitlines()
    parts = (line.rstrip(")").rpartition("(") for line in lines if line)
    return {utterance: words.split() for words, _, utterance in parts}


def mapsswe_sums() -> ClusterSums:
    """Word errors per speaker of systems A (baseline) and B (candidate)."""
    return cluster_sums(*(MAPSSWE_SPEAKERS[name] for name in ("errors_a", "errors_b", "words")))


def test_every_worked_example_is_reproduced_by_a_test() -> None:
    assert REPRODUCED.keys() == EXPECTED.keys() == INPUTS.keys()


@needs_oracles
def test_the_written_numbers_are_those_of_the_oracle_file() -> None:
    entries: list[dict[str, Any]] = json.loads((ORACLES / "statistics.json").read_text(encoding="utf-8"))
    assert {entry["id"]: entry["expected"] for entry in entries} == EXPECTED
    assert {entry["id"]: entry["inputs"] for entry in entries} == INPUTS
    assert len(entries) == len(EXPECTED)


# Paired yes/no outcomes.


@reproduces("mcn-bentur", "mcn-armitage", "mcn-agresti")
@pytest.mark.parametrize("name", ["mcn-bentur", "mcn-armitage", "mcn-agresti"])
def test_mcnemar_tables(name: str) -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    b, c, expected = INPUTS[name]["b"], INPUTS[name]["c"], EXPECTED[name]
    exact_p = expected.get("exact_p", expected.get("exact_cond_p"))
    two_sided = 2 * min(float(mcnemar_midp(b, c)), float(mcnemar_midp(c, b)))
    if "midp" in expected:
        assert two_sided == pytest.approx(expected["midp"], abs=1e-12)
    # The exact p counts the observed table in full, the mid-p half of it, in either direction.
    point = float(binomtest(b, b + c).pvalue) - two_sided
    assert two_sided + point == pytest.approx(exact_p, rel=1e-4)
    assert 0 < point < exact_p / 2
    table = [[0, b], [c, 0]]
    for corrected, statistic, p in ((False, "chi2", "p"), (True, "chi2_cc", "p_cc")):
        theirs = tables.mcnemar(table, exact=False, correction=corrected)
        for key, value in ((statistic, theirs.statistic), (p, theirs.pvalue)):
            written = expected.get(key, expected.get(f"asymptotic_{key}"))
            assert written is None or value == pytest.approx(written, rel=3e-3)


@reproduces("tango-bentur")
def test_bentur_tango_interval() -> None:
    low, high = tango_interval(1, 7, 21, level=0.95)
    assert float(low) == pytest.approx(EXPECTED["tango-bentur"]["low"], abs=1e-5)
    assert float(high) == pytest.approx(EXPECTED["tango-bentur"]["high"], abs=1e-5)


@reproduces("tango-zero")
def test_tango_without_discordance() -> None:
    assert float(undiscordant_half_width(INPUTS["tango-zero"]["n"])) == pytest.approx(
        EXPECTED["tango-zero"]["half"], abs=5e-5
    )
    assert [int(g) for g in clusters_without_discordance([0.05, 0.02])] == [52, 133]


def newcombe_paired(a: int, b: int, c: int, d: int) -> tuple[float, float]:
    """Newcombe (Statistics in Medicine 1998;17:2635), method 10: two Wilson intervals and a correlation."""
    n = a + b + c + d
    first, second = (a + b) / n, (a + c) / n
    (l1, u1), (l2, u2) = wilson_interval(a + b, n, 0.95), wilson_interval(a + c, n, 0.95)
    product_difference = a * d - b * c
    # Continuity-corrected where it is positive.
    numerator = max(product_difference - n / 2, 0.0) if product_difference > 0 else product_difference
    phi = numerator / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    below, above = first - l1, u2 - second
    further, nearer = u1 - first, second - l2
    lower = first - second - np.sqrt(below**2 - 2 * phi * below * above + above**2)
    upper = first - second + np.sqrt(further**2 - 2 * phi * further * nearer + nearer**2)
    return float(lower), float(upper)


@reproduces("newcombe10")
def test_newcombes_paired_interval_is_near_tangos() -> None:
    expected = (EXPECTED["newcombe10"]["low"], EXPECTED["newcombe10"]["high"])
    table = INPUTS["newcombe10"]
    assert newcombe_paired(**table) == pytest.approx(expected, abs=5e-5)
    low, high = tango_interval(table["b"], table["c"], sum(table.values()), level=0.95)
    assert (float(low), float(high)) == pytest.approx(expected, abs=0.01)


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


# Many cells, and p-values that are none.


@reproduces("bh1995")
def test_benjamini_hochberg_data_adjusted_both_ways() -> None:
    p_values, expected = INPUTS["bh1995"], EXPECTED["bh1995"]
    np.testing.assert_allclose(holm(p_values)[:5], expected["holm_adj_first5"], atol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p_values)[:5], expected["bh_adj_first5"], atol=1e-12)
    rejected = expected["reject_05"]
    assert int(np.sum(holm(p_values) <= 0.05)) == rejected["holm"]
    assert int(np.sum(benjamini_hochberg(p_values) <= 0.05)) == rejected["fdr_bh"]
    assert int(np.sum(np.array(p_values) * len(p_values) <= 0.05)) == rejected["bonferroni"]
    theirs = pytest.importorskip("statsmodels.stats.multitest").multipletests
    for method, there in (("simes-hochberg", "hochberg"), ("fdr_by", "fdr_by")):
        assert int(theirs(p_values, method=method)[0].sum()) == rejected[there]


@reproduces("holm4")
def test_holm_of_four() -> None:
    np.testing.assert_allclose(holm(INPUTS["holm4"]), EXPECTED["holm4"])


@reproduces("nan-trap")
def test_a_nan_p_value_is_refused() -> None:
    p_values = [np.nan if p is None else p for p in INPUTS["nan-trap"]]
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match="NaN"):
            adjust(p_values)


@reproduces("nan-trap")
def test_nothing_differing_is_neither_significant_nor_certain() -> None:
    expected = EXPECTED["nan-trap"]
    assert 2 * float(mcnemar_midp(0, 0)) == expected["mcnemar_exact_b0c0"]
    low, high = tango_interval(0, 0, 10)
    assert float(low) < 0 < float(high)


@reproduces("nan-trap")
def test_other_libraries_still_let_nan_and_certainty_through() -> None:
    # Why their functions are not used here; a library that changed may be looked at again.
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    p_values = [0.01, np.nan, 0.03]
    np.testing.assert_allclose(multitest.multipletests(p_values, method="holm")[1], [0.03, np.nan, 0.06])
    assert bool(np.all(np.isnan(multitest.multipletests(p_values, method="fdr_bh")[1])))
    with pytest.raises(ValueError, match="0 and 1"):
        false_discovery_control(p_values)
    with pytest.warns(RuntimeWarning, match="divide|invalid"):
        assert tables.mcnemar([[5, 0], [0, 5]], exact=False).pvalue == 0.0
    assert tables.mcnemar([[5, 0], [0, 5]], exact=True).pvalue == 1.0
    zeros = (np.zeros(10),)
    interval = bootstrap(zeros, np.mean, n_resamples=99, method="percentile", rng=1).confidence_interval
    assert (interval.low, interval.high) == (0.0, 0.0)
    with pytest.warns(DegenerateDataWarning), np.errstate(all="ignore"):
        interval = bootstrap(zeros, np.mean, n_resamples=99, method="BCa", rng=1).confidence_interval
    assert bool(np.isnan(interval.low) and np.isnan(interval.high))


# Planning.


@reproduces("gpower-mcn")
def test_exact_mcnemar_power() -> None:
    given, expected = INPUTS["gpower-mcn"], EXPECTED["gpower-mcn"]
    psi, n, alpha = given["pdisc"], given["n"], given["alpha"]
    better = psi * given["OR"] / (1 + given["OR"])
    found = mcnemar_exact_power(psi - better, better, n, alpha=alpha)
    assert found == pytest.approx(expected["power"], abs=5e-7)
    level = mcnemar_exact_power(psi / 2, psi / 2, n, alpha=alpha)
    assert level == pytest.approx(expected["actual_alpha"], abs=5e-8)


@reproduces("connor1987")
def test_connors_sample_size() -> None:
    given = INPUTS["connor1987"]
    found = mcnemar_pairs_needed(
        given["p01"], given["p10"], alpha=given["alpha"], power=1 - given["beta"], sides=given["sides"]
    )
    assert found == EXPECTED["connor1987"]["n"]


@reproduces("connor-155")
def test_a_calculators_sample_size_and_its_power() -> None:
    given, expected = INPUTS["connor-155"], EXPECTED["connor-155"]
    worse, better = (given["pd"] + given["delta"]) / 2, (given["pd"] - given["delta"]) / 2
    assert worse / better == pytest.approx(given["OR"])
    assert mcnemar_pairs_needed(worse, better) == expected["n"]
    assert float(mcnemar_power(worse, better, expected["n"])) == pytest.approx(expected["power"], abs=5e-4)


@reproduces("sign-n")
def test_discordant_pairs_of_the_sign_test() -> None:
    wins, expected = INPUTS["sign-n"]["win"], EXPECTED["sign-n"]
    assert [sign_test_pairs_needed(win) for win in wins] == expected["n"]
    assert [sign_test_pairs_needed(win, sides=2) for win in wins] == expected["two_sided"]


@reproduces("miller-n")
def test_miller_sample_size() -> None:
    w2, delta = INPUTS["miller-n"]["w2"], INPUTS["miller-n"]["delta"]
    assert int(calls_needed(w2, delta)) == EXPECTED["miller-n"]["n"]
    detectable = smallest_detectable(np.sqrt(w2 / 50), np.inf, alpha=0.025)
    assert int(clusters_needed(detectable, delta, 50)) == EXPECTED["miller-n"]["n"]


@reproduces("pocock")
def test_pocock_critical_values() -> None:
    expected = EXPECTED["pocock"]
    found = [pocock_critical(looks, expected["overall"]) for looks in INPUTS["pocock"]["K"]]
    assert found == pytest.approx(expected["crit"], abs=5e-4)


@reproduces("armitage-looks")
def test_the_cost_of_looking_again() -> None:
    found = [repeated_look_alpha(looks) for looks in INPUTS["armitage-looks"]["K"]]
    assert found == pytest.approx(EXPECTED["armitage-looks"]["alpha"], abs=5e-4)


@reproduces("quantile-n")
def test_calls_that_bound_a_quantile() -> None:
    assert [fewest_for_quantile(q) for q in INPUTS["quantile-n"]["q"]] == EXPECTED["quantile-n"]


# Agreement and repeats.


@reproduces("kripp")
@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval", "ratio"])
def test_krippendorffs_four_observers(scale: Scale) -> None:
    data = INPUTS["kripp"]["data"]
    present = np.array([[label is not None for label in row] for row in data])
    labels = np.array([[-99 if label is None else label for label in row] for row in data])
    found = krippendorff_alpha(labels, present, scale)
    assert found == pytest.approx(EXPECTED["kripp"][scale], abs=5e-5)


@reproduces("kappa")
def test_kappa_of_fifty_grants() -> None:
    assert cohen_kappa(INPUTS["kappa"]).value == pytest.approx(EXPECTED["kappa"])


@reproduces("kappa-paradox")
def test_kappa_is_low_where_nearly_all_labels_are_one() -> None:
    found = cohen_kappa(INPUTS["kappa-paradox"])
    assert found.value == pytest.approx(EXPECTED["kappa-paradox"], abs=5e-5)
    assert found.observed == pytest.approx(0.95)
    assert found.by_chance > 0.93


@reproduces("passk")
def test_pass_hat_k_is_below_its_plugged_in_power() -> None:
    n, c, k = (INPUTS["passk"][name] for name in ("n", "c", "k"))
    assert float(pass_hat_k(n, c, k)) == pytest.approx(EXPECTED["passk"]["unbiased"], abs=5e-7)
    assert float(pass_hat_k(n, c, 1)) ** k == pytest.approx(EXPECTED["passk"]["naive_plugin"], abs=5e-7)


@reproduces("passatk")
def test_pass_at_k_of_two_hundred_attempts() -> None:
    n, c, k = (INPUTS["passatk"][name] for name in ("n", "c", "k"))
    assert float(pass_at_k(n, c, k)) == pytest.approx(EXPECTED["passatk"], abs=5e-7)


# Words and their alignment.


@reproduces("jiwer-doc")
def test_two_sentences_of_jiwers_guide() -> None:
    expected = EXPECTED["jiwer-doc"]
    references, heard = INPUTS["jiwer-doc"]["ref"], INPUTS["jiwer-doc"]["hyp"]
    found = [align(tuple(r.split()), tuple(h.split())) for r, h in zip(references, heard, strict=True)]
    s, d, i, n = (
        sum(getattr(each, name) for each in found)
        for name in ("substitutions", "deletions", "insertions", "length")
    )
    hits = n - s - d
    assert (s, d, i, hits) == tuple(expected[kind] for kind in "SDIH")
    assert (s + d + i) / n == pytest.approx(expected["wer"], abs=5e-5)
    theirs = jiwer.process_words(references, heard)
    assert theirs.wer == (s + d + i) / n
    assert theirs.mer == pytest.approx(expected["mer"], abs=5e-5)
    assert theirs.wil == pytest.approx(expected["wil"], abs=5e-5)
    assert theirs.wip == pytest.approx(expected["wip"], abs=5e-5)


@reproduces("jiwer-empty")
def test_an_empty_reference_counts_its_insertions() -> None:
    given, expected = INPUTS["jiwer-empty"], EXPECTED["jiwer-empty"]
    found = align(tuple(given["ref"].split()), tuple(given["hyp"].split()))
    assert found.insertions == found.errors == expected["insertions"]
    assert found.length == 0
    assert jiwer.wer(given["ref"], given["hyp"]) == expected["wer"]


def test_an_empty_hypothesis_is_all_deletions_and_counts_beside_an_empty_reference() -> None:
    speakers: list[list[Sides]] = [[((0, 5), (5, 5)), ((0, 0), (2, 0))]] * 2
    assert estimate_of(judge_one(sample(WER, speakers))).candidate == 1.4


@reproduces("ratio-vs-mean")
def test_corpus_rate_is_not_the_mean_of_utterance_rates() -> None:
    given, expected = INPUTS["ratio-vs-mean"], EXPECTED["ratio-vs-mean"]
    found = [
        align(tuple(r.split()), tuple(h.split())).ratio
        for r, h in zip(given["ref"], given["hyp"], strict=True)
    ]
    assert np.mean([each.numerator / each.denominator for each in found]) == expected["mean_of_utt"]
    sides = [(float(each.numerator), float(each.denominator)) for each in found]
    calls: list[Sides] = [(side, side) for side in sides]
    assert estimate_of(judge_one(sample(WER, [calls, calls]))).baseline == expected["corpus"]


@reproduces("sclite-vs-lev")
def test_sclites_weights_count_more_errors_than_levenshtein() -> None:
    given, expected = INPUTS["sclite-vs-lev"], EXPECTED["sclite-vs-lev"]
    reference, heard = given["ref"].split(), given["hyp"].split()
    found = weighted_alignment(reference, heard)
    wrong, inserted = int(found.wrong.sum()), int(found.inserted.sum())
    csdi = [len(reference) - wrong, found.substituted, wrong - found.substituted, inserted]
    assert csdi == expected["sclite_CSDI"]
    assert found.total == expected["sclite_errors"]
    assert distance(tuple(reference), tuple(heard)) == expected["levenshtein"]
    assert align(tuple(reference), tuple(heard)).errors == expected["levenshtein"]


# Clustered contrasts.


@reproduces("mapsswe-base")
def test_three_segments_that_a_z_test_calls_significant_are_not_so_by_t() -> None:
    expected = EXPECTED["mapsswe-base"]
    found = clustered_contrast(cluster_sums([0, 0, 0], [1, 1, 0], [1, 1, 1]))
    z = found.estimate[0] / found.se[0]
    assert int(found.clusters[0]) == expected["segs"]
    assert found.estimate[0] == pytest.approx(expected["mean"], abs=5e-4)
    assert found.se[0] * np.sqrt(3) == pytest.approx(expected["sd"], abs=5e-4)
    assert z == pytest.approx(expected["Z"])
    assert 2 * norm.sf(z) == pytest.approx(expected["z_p"], abs=5e-5)
    assert 2 * t_p_above(found)[0] == pytest.approx(expected["t_p_2sided"], abs=5e-5)


@reproduces("mapsswe-synth")
def test_mapsswe_speakers_give_the_clustered_figures() -> None:
    expected = EXPECTED["mapsswe-synth"]
    sums = mapsswe_sums()
    found = clustered_contrast(sums)
    totals = [int(array.sum()) for array in (sums.n_baseline, sums.x_baseline, sums.x_candidate)]
    assert totals == [expected["words"], expected["errA"], expected["errB"]]
    assert found.estimate[0] == pytest.approx(expected["cluster_ratio_diff"], abs=5e-5)
    assert found.se[0] == pytest.approx(expected["cluster_se"], abs=5e-6)
    assert found.estimate[0] / found.se[0] == pytest.approx(expected["cluster_t"], abs=5e-4)
    assert 2 * t_p_above(found)[0] == pytest.approx(expected["cluster_p"], abs=5e-5)
    assert exact_sign_flip_p(sums, alternative="two-sided") == pytest.approx(
        expected["exact_signflip_p"], abs=5e-6
    )


@reproduces("mapsswe-synth")
def test_mapsswe_segments_utterances_and_ranks_give_nists_figures_but_for_its_mcnemar() -> None:
    expected = EXPECTED["mapsswe-synth"]
    more = np.repeat(list(MAPSSWE_SEGMENTS), list(MAPSSWE_SEGMENTS.values()))
    segments = clustered_contrast(cluster_sums(np.zeros(len(more)), more, np.ones(len(more))))
    assert int(segments.clusters[0]) == expected["segs"]
    assert segments.estimate[0] == pytest.approx(expected["mean"])
    assert segments.se[0] * np.sqrt(len(more)) == pytest.approx(expected["sd"], abs=5e-4)
    assert segments.estimate[0] / segments.se[0] == pytest.approx(expected["Z"], abs=5e-4)
    b, c = MAPSSWE_UTTERANCES
    assert (b, c) == (expected["mcn_b"], expected["mcn_c"])
    assert binomtest(b, b + c).pvalue == pytest.approx(expected["true_mcn_exact_p"], abs=5e-5)
    sums = mapsswe_sums()
    worse = (sums.x_candidate - sums.x_baseline) / sums.n_baseline
    assert wilcoxon(worse).pvalue == pytest.approx(expected["wilcoxon_scipy_p"], abs=5e-6)
    # NIST keeps the speaker without a difference: in the ranks, and on the side of the fewer.
    better_ranks = float(rankdata(np.abs(worse))[worse < 0].sum())
    n = len(worse)
    z = (better_ranks - n * (n + 1) / 4) / np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    assert z == pytest.approx(expected["wilcoxon_sctk_Z"], abs=5e-3)
    up, down = int(np.sum(worse > 0)), int(np.sum(worse < 0))
    assert binomtest(up, n).pvalue == pytest.approx(expected["sign_sctk_p"], abs=5e-4)
    assert binomtest(up, up + down).pvalue == pytest.approx(expected["sign_drop_zero_p"], abs=5e-5)


@needs_oracles
def test_the_written_speakers_segments_and_utterances_are_those_of_the_nist_files() -> None:
    reference, a, b = trn("ref.trn"), trn("sysA.trn"), trn("sysB.trn")
    speakers = sorted({utterance[:5] for utterance in reference})
    by_speaker = np.zeros((3, len(speakers)), dtype=np.int64)
    more: dict[int, int] = {}
    right = [0, 0]
    for utterance, words in reference.items():
        errors = [Levenshtein.distance(words, system[utterance]) for system in (a, b)]
        by_speaker[:, speakers.index(utterance[:5])] += (*errors, len(words))
        found = weighted_alignment(words, a[utterance]), weighted_alignment(words, b[utterance])
        right[0] += found[0].total == 0 < found[1].total
        right[1] += found[1].total == 0 < found[0].total
        for errors_a, errors_b in segment_errors(*found):
            more[errors_a - errors_b] = more.get(errors_a - errors_b, 0) + 1
    assert by_speaker.tolist() == list(MAPSSWE_SPEAKERS.values())
    assert more == MAPSSWE_SEGMENTS
    assert tuple(right) == MAPSSWE_UTTERANCES


@reproduces("mapsswe-synth")
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


@reproduces("boot-enum")
def test_the_enumerated_bootstrap_is_centred_on_the_contrast_but_narrower_than_its_error() -> None:
    expected = EXPECTED["boot-enum"]
    differences, words = np.array([1, 0, 3]), np.array([10, 20, 10])
    found = clustered_contrast(cluster_sums([0, 0, 0], differences, words))
    assert found.estimate[0] == pytest.approx(expected["theta"])
    assert found.se[0] == pytest.approx(expected["linearised_se"], abs=5e-8)
    drawn = [np.array(draw) for draw in product(range(3), repeat=3)]
    resampled = np.round([differences[draw].sum() / words[draw].sum() for draw in drawn], 6)
    values, counts = np.unique(resampled, return_counts=True)
    np.testing.assert_allclose(values, expected["values"], atol=5e-7)
    assert counts.tolist() == expected["counts"]
    # Without G/(G − 1), three clusters give themselves 18 % less spread than they have.
    assert resampled.std() < found.se[0]


@reproduces("wls-identity")
def test_the_clustered_error_is_that_of_weighted_least_squares() -> None:
    api = pytest.importorskip("statsmodels.api")
    assert EXPECTED["wls-identity"]["identity"].endswith("df=G-1 with use_t")
    rng = np.random.default_rng(1)
    speaker = np.repeat(np.arange(9), rng.integers(2, 6, 9))
    n = rng.integers(5, 30, len(speaker)).astype(np.float64)
    difference = rng.normal(0.5, 2.0, len(speaker))
    fit = api.WLS(difference / n, np.ones(len(n)), weights=n).fit(
        cov_type="cluster", cov_kwds={"groups": speaker}, use_t=True
    )
    per_speaker: list[NDArray[np.float64]] = [
        np.asarray(np.bincount(speaker, weights=array), dtype=np.float64) for array in (difference, n)
    ]
    found = clustered_contrast(cluster_sums(np.zeros(9), *per_speaker))
    assert found.estimate[0] == pytest.approx(fit.params[0], rel=1e-12)
    assert found.se[0] == pytest.approx(fit.bse[0], rel=1e-12)
    assert 2 * min(t_p_above(found)[0], 1 - t_p_above(found)[0]) == pytest.approx(fit.pvalues[0], rel=1e-9)


@reproduces("signflip-min")
def test_the_smallest_exact_sign_flip_p() -> None:
    found = [
        exact_sign_flip_p(cluster_sums([0] * clusters, [1] * clusters, [9] * clusters))
        for clusters in INPUTS["signflip-min"]["G"]
    ]
    assert found == EXPECTED["signflip-min"]


def test_the_paired_test_of_one_cell_is_that_of_the_same_cell_among_others() -> None:
    one = cluster_sums([1, 4, 2, 0, 3, 1], [2, 4, 5, 1, 3, 2], [30, 28, 33, 31, 29, 30])
    two = ClusterSums._make(np.concatenate([array, array]) for array in one)
    two = two._replace(cell=np.repeat([0, 1], 6))
    assert paired_test(two, 2, yes_no=False) == paired_test(one, 1, yes_no=False) * 2
