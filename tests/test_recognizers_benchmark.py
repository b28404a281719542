from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import page_trend_test, spearmanr

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark, imported as its script does."""
    pytest.importorskip("pocketsphinx")
    from importlib import import_module

    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("recognizers")


def sweep(bench: Any, errors: list[list[int]], words: list[int] | None = None) -> Any:
    return bench.Sweep(
        recognizer="r",
        what="w",
        errors=np.array(errors),
        words=np.array(words or [4] * len(errors)),
    )


def test_rates_are_pooled_over_words_and_not_averaged_over_sentences(bench: Any) -> None:
    rates = sweep(bench, [[0, 1], [0, 9]], [1, 9]).rates()
    assert list(rates) == [0, 1]
    assert list(sweep(bench, [[1, 1], [0, 3]], [1, 9]).rates()) == [0.1, 0.4]


def test_the_curve_is_correlated_as_scipy_has_it(bench: Any) -> None:
    errors = np.random.default_rng(3).integers(0, 4, (6, 5))
    found = bench.along_the_curve(sweep(bench, errors.tolist()))
    assert found == pytest.approx(spearmanr(range(5), errors.sum(axis=0)).statistic)


def test_within_sentences_a_hard_sentence_is_no_relation(bench: Any) -> None:
    """Sentences that rise from different heights: perfect within, although the pooled ranks overlap."""
    assert bench.within_sentences(sweep(bench, [[0, 1, 2], [7, 8, 9]])) == pytest.approx(1)
    assert bench.within_sentences(sweep(bench, [[0, 1, 2], [9, 8, 7]])) == pytest.approx(0)


def test_within_sentences_is_pages_trend_on_another_scale(bench: Any) -> None:
    """Without ties, ρ is linear in Page's L: (12 L / (n k (k² − 1))) − 3 (k + 1) / (k − 1)."""
    rng = np.random.default_rng(4)
    errors = np.array([rng.permutation(5) for _ in range(8)])
    page = page_trend_test(errors).statistic
    sentences, levels = errors.shape
    expected = 12 * page / (sentences * levels * (levels**2 - 1)) - 3 * (levels + 1) / (levels - 1)
    assert bench.within_sentences(sweep(bench, errors.tolist())) == pytest.approx(expected)


def test_errors_that_never_change_have_no_correlation(bench: Any) -> None:
    constant = sweep(bench, [[1, 1, 1], [2, 2, 2]])
    assert bench.along_the_curve(constant) is None
    assert bench.within_sentences(constant) is None
    assert bench._shown(constant, bench.within_sentences) == "never changes"


def test_an_interval_narrows_with_sentences_and_covers_its_figure(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "RESAMPLES", 200)
    rng = np.random.default_rng(5)
    few, many = (sweep(bench, (rng.integers(0, 5, (count, 5)) + np.arange(5)).tolist()) for count in (6, 96))
    widths = []
    for each in (few, many):
        low, high = bench.interval(each, bench.within_sentences)
        assert low <= bench.within_sentences(each) <= high
        widths.append(high - low)
    assert widths[1] < 0.7 * widths[0]


def test_a_sentence_under_the_same_noise_differs_by_level_alone(bench: Any) -> None:
    pytest.importorskip("espeakng_loader")
    text = bench.SENTENCES[0]
    clean = bench.said("en-us+f3", text)
    quiet, loud = (bench.carried(clean, text, noise="pink", snr_db=snr_db) for snr_db in (20, 0))
    tail = slice(-2_000, None)  # after the words: noise alone
    assert np.corrcoef(quiet.samples[tail], loud.samples[tail])[0, 1] > 0.99
    ratio = np.std(loud.as_float()[tail]) / np.std(quiet.as_float()[tail])
    assert 20 * np.log10(ratio) == pytest.approx(20, abs=0.5)


def test_the_plot_draws_every_curve_and_is_well_formed(bench: Any) -> None:
    curves = [(name, what, np.array([0.1, 0.5, 2.0])) for name in ("a", "b") for what in ("x", "y")]
    root = ET.fromstring(bench.draw_plot(curves, curves[:1], ["0", "½", "1"], ["clean", "10", "0"]))  # noqa: S314
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 5
    tops = [float(line.attrib["points"].split()[-1].split(",")[1]) for line in lines]
    assert min(tops) >= 50  # a WER of 200 % stays inside its panel
