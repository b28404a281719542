from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voiceeval.statistics.multiplicity import holm
from voiceeval.statistics.proportions import mcnemar_midp

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark's modules, imported as its script does."""
    from importlib import import_module
    from types import SimpleNamespace

    monkeypatch.syspath_prepend(BENCHMARKS)
    names = ("simulated_suites", "gates_compared", "judged_alike", "calibration_tables", "single_cells")
    return SimpleNamespace(**{name: import_module(name) for name in (*names, "calibration_plot")})


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("metric", ["WER", "WER, own denominators", "yes/no", "rare yes/no"])
@pytest.mark.parametrize("pattern", ["none", "spread", "each arm", "a few better", "a few worse"])
def test_both_arms_have_the_rates_that_are_asked_for(
    parts: Any, rng: np.random.Generator, metric: str, pattern: str
) -> None:
    model = parts.simulated_suites
    interaction = model.Interaction(pattern=pattern, cv=0.5)
    if pattern == "a few worse" and "yes/no" in metric:
        with pytest.raises(ValueError, match="may pass 1"):
            model.cells(rng, metric, (4, 50), interaction=interaction)
        return
    draw = model.cells(rng, metric, (4000, 50), sigma=0.5, interaction=interaction, worse=0.02)
    baseline = draw.x_baseline.sum() / draw.n_baseline.sum()
    candidate = draw.x_candidate.sum() / draw.n_candidate.sum()
    assert baseline == pytest.approx(model.RATE[metric], abs=0.0008)
    assert candidate == pytest.approx(model.RATE[metric] + 0.02, abs=0.001)


def test_speakers_differ_by_the_correlation_that_is_stated(parts: Any, rng: np.random.Generator) -> None:
    model = parts.simulated_suites
    draw = model.cells(rng, "yes/no", (1000, 100), interaction=model.NONE)
    failures = draw.x_baseline
    # Two failures of one speaker: E[x(x − 1)] / (n(n − 1)) = mean² + ICC · mean · (1 − mean).
    twice = float(np.mean(failures * (failures - 1))) / (6 * 5)
    mean = float(np.mean(failures)) / 6
    assert (twice - mean**2) / (mean * (1 - mean)) == pytest.approx(model.SPEAKER_ICC, abs=0.005)


def test_outcomes_of_one_call_are_correlated_as_stated(parts: Any, rng: np.random.Generator) -> None:
    model = parts.simulated_suites
    rate, once = np.full((1, 200_000), 0.2), np.ones((1, 200_000))
    draw = model.outcomes(rng, rate, rate + 0.1, once)
    found = np.corrcoef(draw.x_baseline[0], draw.x_candidate[0])[0, 1]
    assert found == pytest.approx(model.PAIR_CORRELATION, abs=0.01)


def test_errors_come_in_bursts_that_both_arms_share(parts: Any, rng: np.random.Generator) -> None:
    model = parts.simulated_suites
    words, rate = np.full((1, 200_000), 8.0), np.full((1, 200_000), 0.11)
    draw = model.errors(rng, rate, rate, words)
    mean = 0.88
    extra = mean**2 / (8 * model.BURSTS)
    assert float(np.var(draw.x_baseline)) == pytest.approx(mean + extra, rel=0.03)
    assert float(np.cov(draw.x_baseline, draw.x_candidate)[0, 1]) == pytest.approx(extra, rel=0.04)
    assert float(np.mean(draw.x_baseline == 0)) == pytest.approx((1 + mean / 0.8) ** -0.8, abs=0.01)


def test_the_worsening_is_in_the_middle_accent_and_in_no_other(parts: Any, rng: np.random.Generator) -> None:
    model = parts.simulated_suites
    suite = model.Suite(accents=(30, 20, 10), lines=2, task=True, worse=0.05)
    drawn = suite.draw(rng, 500)
    shift = {}
    for cell in suite.cells():
        sums = model.within(drawn["wer"], cell)
        shift[cell.name] = (
            sums.x_candidate.sum() / sums.n_candidate.sum() - sums.x_baseline.sum() / sums.n_baseline.sum()
        )
        assert cell.touched == cell.name.startswith(("accent 1", "overall", "line")) or not cell.affected
    assert shift["accent 1"] == pytest.approx(0.05, abs=0.003)
    assert shift["accent 0"] == pytest.approx(0.0, abs=0.003)
    assert shift["overall"] == pytest.approx(0.05 / 3, abs=0.003)


def test_the_bootstrap_resamples_speakers(parts: Any, rng: np.random.Generator) -> None:
    # Three speakers, of whom only the first got worse: without it, (2/3)³ of the resamples show nothing.
    draw = parts.simulated_suites.Draw(
        np.array([[1.0, 1.0, 1.0]]),
        np.full((1, 3), 10.0),
        np.array([[3.0, 1.0, 1.0]]),
        np.full((1, 3), 10.0),
    )
    p = parts.gates_compared.bootstrap_p(rng, draw, 20_000)
    assert p[0] == pytest.approx((2 / 3) ** 3, abs=0.01)


def test_the_vectorised_test_is_the_published_one_where_each_speaker_has_one_call(
    parts: Any, rng: np.random.Generator
) -> None:
    draw = parts.simulated_suites.cells(rng, "yes/no, one call", (200, 20), worse=0.2)
    worse = ((draw.x_candidate - draw.x_baseline) > 0).sum(axis=1)
    better = ((draw.x_candidate - draw.x_baseline) < 0).sum(axis=1)
    found = parts.gates_compared.tested(draw, yes_no=True, margin=0.05)
    assert found.p == pytest.approx(mcnemar_midp(worse, better))
    assert found.excess == pytest.approx((worse - better) / 20 - 0.05)


def test_a_gate_needs_eight_speakers_and_more_than_the_margin(parts: Any, rng: np.random.Generator) -> None:
    suite = parts.simulated_suites.Suite(accents=(12, 7), worse=0.0)
    found = parts.gates_compared.judge(suite, rng, 300, bootstrapped=10, resamples=99)
    assert found.names == (("wer", "overall"), ("wer", "accent 0"))
    assert not np.any(found.cohort_gate & ~found.point_estimate)
    assert not np.any(found.cohort_gate & ~found.tests_alone)
    assert not np.any(found.overall_only[:, 1])
    assert parts.gates_compared.significant(np.array([[0.03, 0.03], [0.02, 0.9]])).tolist() == [
        [bool(p < 0.05) for p in holm(row)] for row in ([0.03, 0.03], [0.02, 0.9])
    ]


def test_the_product_gate_says_what_the_vectorised_rule_says(parts: Any, rng: np.random.Generator) -> None:
    said = parts.judged_alike.check_agreement(3, rng)
    assert "all 72 gating cells" in said


def test_a_wrong_rule_would_be_noticed(
    parts: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts.gates_compared.MARGINS, "wer", 0.2)
    monkeypatch.setattr(parts.judged_alike, "MARGINS", {"wer": 0.02, "task": 0.05})
    with pytest.raises(AssertionError, match="the gate says"):
        parts.judged_alike.check_agreement(3, rng)


def test_one_seed_gives_one_figure(parts: Any) -> None:
    single, quick = parts.single_cells, parts.calibration_tables.QUICK
    kind = single.PLOTTED
    found = [single.type_one(kind, 12, quick, np.random.default_rng(1)) for _ in range(2)]
    assert found[0] == found[1]
    assert 0.005 < found[0].cr2 < 0.12


def test_figures_go_between_their_markers_and_nowhere_else(parts: Any, tmp_path: Path) -> None:
    from importlib import import_module

    calibration = import_module("calibration")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\n<!-- facts -->\n<!-- /facts -->\nafter\n")
    section = parts.calibration_tables.Section("a", ("what", "%"), [("x", "5.0")])
    calibration.write(page, [section], "seen")
    assert page.read_text() == (
        "before\n<!-- a -->\n| what | % |\n| --- | --: |\n| x | 5.0 |\n<!-- /a -->\n"
        "<!-- facts -->\nseen\n<!-- /facts -->\nafter\n"
    )
    with pytest.raises(SystemExit, match="<!-- b -->"):
        calibration.write(page, [section._replace(marker="b")], "seen")


def test_the_page_has_every_marker_once() -> None:
    page = (BENCHMARKS.parent / "docs" / "calibration.md").read_text(encoding="utf-8")
    for marker in ("facts", "type-one", "passed", "coverage", "false-blocks", "power", "sensitivity"):
        assert page.count(f"<!-- {marker} -->\n") == page.count(f"<!-- /{marker} -->") == 1
