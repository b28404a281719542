from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gate_samples import ABSENT, LATENCY, TASK, WER, accent, noisy, sample
from numpy.random import Generator, default_rng
from scipy.stats import nct

from voiceeval.cohort import EVERYONE, Cohort, PairedSample
from voiceeval.errors import ConfigError
from voiceeval.margins import Margin
from voiceeval.pair_table import columns_of
from voiceeval.planning.additions import Suite
from voiceeval.planning.cells import Cell, Unknown, cells_of
from voiceeval.planning.noise import (
    Design,
    Goal,
    Noise,
    Tolerance,
    chance_to_certify,
    chance_to_find,
    repeats_to_certify,
    speakers_to_certify,
)
from voiceeval.planning.plan import Plan, Wish, plan_of
from voiceeval.planning.release import choose_release
from voiceeval.planning.stated import read_stated, stated_cells, stated_design
from voiceeval.planning.steps import certifiable, doubled, margin_of
from voiceeval.settings import Settings
from voiceeval.statistics.contrast import ClusterSums, clustered_contrast
from voiceeval.statistics.paired_test import MarginTerms, PairedResult, paired_test
from voiceeval.statistics.variance import linearised_differences, variance_parts

GOAL = Goal()
SUITE = Suite(speakers=36, calls=216, trials=1, speaker_tags=frozenset({"accent"}))


def noise(speakers: int = 20, se: float = 0.01, correlation: float = 0.0, **given: object) -> Noise:
    return Noise(
        speakers=speakers,
        calls=6 * speakers,
        variance=(se**2, 0.0, 0.0),
        df=speakers - 1.0,
        correlation=correlation,
        **given,  # type: ignore[arg-type] # fields are named where they are used
    )


def yes_no(speakers: int, discordant: float, calls: int = 1) -> Noise:
    """Independent yes/no calls of which a share differs between the arms."""
    se = math.sqrt(discordant / (speakers * calls))
    differing = discordant if calls == 1 else _differing(discordant, calls)
    return replace(
        noise(speakers, se, yes_no=True, one_outcome=calls == 1, differing=differing), calls=calls * speakers
    )


def _differing(discordant: float, calls: int) -> float:
    draws = default_rng(1).multinomial(calls, [discordant / 2, discordant / 2, 1 - discordant], size=200_000)
    return float(np.mean(draws[:, 0] != draws[:, 1]))


KINDS = {
    "ratios": noise(),
    "between speakers only": noise(correlation=1.0),
    "yes/no, one call each": yes_no(40, 0.2),
    "yes/no, six calls each": yes_no(20, 0.1, calls=6),
    "nothing seen to differ": noise(60, 0.01, yes_no=True, clean=True, differing=0.01),
}


@pytest.mark.parametrize("given", KINDS.values(), ids=KINDS)
def test_more_speakers_and_wider_margins_have_more_power(given: Noise) -> None:
    margins = (0.02, 0.05, 0.1, 0.2)
    by_margin = [chance_to_certify(given, Tolerance(margin), GOAL) for margin in margins]
    assert by_margin == sorted(by_margin)
    assert by_margin[0] < by_margin[-1]
    # The score tests of counts go up and down by a hair from one number of speakers to the next.
    by_speakers = [
        chance_to_certify(given, Tolerance(0.05), GOAL, Design(times * given.speakers))
        for times in (1, 2, 4, 8)
    ]
    assert by_speakers == sorted(by_speakers)
    assert by_speakers[0] < by_speakers[-1]


@pytest.mark.parametrize("given", KINDS.values(), ids=KINDS)
def test_speakers_needed_give_the_power_and_are_the_fewest_that_the_search_saw(given: Noise) -> None:
    needed = speakers_to_certify(given, Tolerance(0.03), GOAL)
    assert needed is not None
    assert chance_to_certify(given, Tolerance(0.03), GOAL, Design(needed)) >= GOAL.power
    assert chance_to_certify(given, Tolerance(0.03), GOAL, Design(needed - 1)) < GOAL.power


def test_the_chance_to_certify_is_that_of_the_non_central_t() -> None:
    for speakers, se, margin in ((8, 0.01, 0.02), (12, 0.016, 0.05), (36, 0.008, 0.02)):
        df = speakers - 1
        expected = nct.cdf(nct.ppf(0.05, df, 0), df, -margin / se)
        assert chance_to_certify(noise(speakers, se), Tolerance(margin), GOAL) == pytest.approx(
            float(expected), abs=5e-4
        )


def _simulated(
    rng: Generator, draws: np.ndarray[tuple[int, int, int], np.dtype[np.float64]], *, yes: bool, margin: float
) -> tuple[PairedResult, ...]:
    """The gate's results for ``draws``: baseline and candidate sums of shape (2, cells, speakers)."""
    _, cells, speakers = draws.shape
    size = np.full(cells * speakers, 1.0 if yes else 60.0)
    cell = np.repeat(np.arange(cells), speakers)
    sums = ClusterSums(draws[0].ravel(), size, draws[1].ravel(), size, cell)
    return paired_test(sums, cells, yes_no=yes, margin=MarginTerms(1.0, margin))


def _within(found: Sequence[bool], expected: float) -> None:
    """The share of successes is what was computed, within four Monte-Carlo errors."""
    error = math.sqrt(max(expected * (1 - expected), 1e-3) / len(found))
    assert abs(float(np.mean(found)) - expected) < 4 * error


def test_chances_for_ratios_are_those_of_the_gates_own_test() -> None:
    rng, cells, speakers, rate, margin = default_rng(7), 3000, 20, 0.2, 0.02
    spread = 0.015  # over speakers, of each arm's own rate
    se = math.sqrt((2 * spread**2 + 2 * rate * (1 - rate) / 60) / speakers)
    given = noise(speakers, se)
    for worse in (0.0, 0.04):
        means = np.stack([np.full((cells, speakers), rate), np.full((cells, speakers), rate + worse)])
        rates = np.clip(means + rng.normal(0, spread, means.shape), 0, 1)
        results = _simulated(rng, rng.binomial(60, rates).astype(float), yes=False, margin=margin)
        if worse:
            expected = chance_to_find(given, worse, margin, alpha=0.05, goal=GOAL)
            _within([found.p_worse < 0.05 and found.excess > 0 for found in results], expected)
        else:
            expected = chance_to_certify(given, Tolerance(margin), GOAL)
            _within([found.excess_upper < 0 for found in results], expected)
        assert 0.1 < expected < 0.95


def test_chances_for_one_yes_no_call_per_speaker_are_exact() -> None:
    rng, cells, speakers, share, margin = default_rng(8), 3000, 60, 0.15, 0.1
    given = yes_no(speakers, share)
    for worse in (0.0, 0.14):
        both = rng.choice(3, size=(cells, speakers), p=[1 - share, (share - worse) / 2, (share + worse) / 2])
        draws = np.stack([both == 1, both == 2]).astype(float)
        draws[:, :, 0][:, both[:, 0] == 0] = 0.0
        results = _simulated(rng, draws, yes=True, margin=margin)
        if worse:
            expected = chance_to_find(given, worse, margin, alpha=0.05, goal=GOAL)
            _within([found.p_worse < 0.05 and found.excess > 0 for found in results], expected)
        else:
            expected = chance_to_certify(given, Tolerance(margin), GOAL)
            _within([found.excess_upper < 0 for found in results], expected)
        assert 0.1 < expected < 0.95


def test_few_speakers_who_differ_certify_as_little_as_the_gate_lets_them() -> None:
    # Three calls each, one in 25 discordant: mostly two or three of 20 speakers differ.
    rng, cells, speakers, share, margin = default_rng(9), 3000, 20, 0.04, 0.08
    both = rng.multinomial(3, [share / 2, share / 2, 1 - share], size=(cells, speakers))
    size = np.full(cells * speakers, 3.0)
    cell = np.repeat(np.arange(cells), speakers)
    failed = [both[..., arm].ravel().astype(float) for arm in (0, 1)]
    results = paired_test(
        ClusterSums(failed[0], size, failed[1], size, cell),
        cells,
        yes_no=True,
        margin=MarginTerms(1.0, margin),
    )
    found = float(np.mean([each.excess_upper < 0 for each in results]))
    given = yes_no(speakers, share, calls=3)
    unfloored = chance_to_certify(replace(given, yes_no=False), Tolerance(margin), GOAL)
    assert abs(chance_to_certify(given, Tolerance(margin), GOAL) - found) < 0.1
    assert unfloored > 0.8
    assert found < 0.3


def test_clean_speakers_certify_what_a_clean_record_of_theirs_does() -> None:
    # 52 clean speakers certify 5 pp and 133 certify 2 pp (Tango without a discordant pair).
    for fewest, margin in ((52, 0.05), (133, 0.02)):
        clean = noise(fewest, 0.001, yes_no=True, clean=True, differing=1e-4)
        assert chance_to_certify(clean, Tolerance(margin), GOAL) > 0.99
        assert chance_to_certify(clean, Tolerance(margin), GOAL, Design(fewest - 1)) < 0.01


def test_sample_sizes_are_those_of_the_literature() -> None:
    # Miller 2024, arXiv 2411.00640: 969 independent differences of variance 1/9 show 3 pp at two-sided 5 %.
    given = Noise(speakers=100, calls=100, variance=(1 / 900, 0, 0), df=99.0, correlation=1.0)
    assert speakers_to_certify(given, Tolerance(0.03), Goal(alpha=0.025)) == pytest.approx(969, abs=4)
    # G*Power's exact one-sided McNemar, odds ratio 0.25, 40 % discordant, 50 pairs: 0.8394; mid-p has more.
    found = chance_to_find(yes_no(50, 0.4), 0.24, 0.0, alpha=0.05, goal=GOAL)
    assert 0.839357 < found < 0.90


def test_a_stricter_level_finds_less_and_a_larger_worsening_is_found_more_often() -> None:
    for given in KINDS.values():
        found = [
            chance_to_find(given, effect, 0.02, alpha=alpha, goal=GOAL)
            for alpha in (0.05 / 60, 0.05)
            for effect in (0.0, 0.05, 0.15)
        ]
        assert found[:3] == sorted(found[:3])
        assert all(strict <= plain for strict, plain in zip(found[:3], found[3:], strict=True))
        assert found[3] <= 0.05 + 1e-3


def test_repeats_bring_within_speaker_noise_down_and_between_speaker_noise_not() -> None:
    tolerance = Tolerance(0.02)
    assert repeats_to_certify(noise(12, 0.015), tolerance, GOAL) == 4
    assert repeats_to_certify(noise(12, 0.015, correlation=1.0), tolerance, GOAL) is None
    half = noise(12, 0.02, correlation=0.5)
    assert half.spread(Design(12, 1e9))[0] == pytest.approx(half.between_se)
    assert half.spread(Design(12))[0] == pytest.approx(0.02)
    assert half.spread(Design(48))[0] == pytest.approx(0.01)


def test_too_few_speakers_or_calls_conclude_nothing() -> None:
    assert chance_to_certify(noise(7, 0.0001), Tolerance(0.5), GOAL) == 0
    assert chance_to_find(noise(7, 0.0001), 0.5, 0.1, alpha=0.05, goal=GOAL) == 0
    tail = noise(20, 0.0001, fewest_calls=299)
    assert chance_to_certify(tail, Tolerance(0.5), GOAL) == 0
    assert chance_to_certify(tail, Tolerance(0.5), GOAL, Design(20, 3)) > 0.99


def _cells(samples: Sequence[PairedSample], margin: str, **own: Margin) -> tuple[Cell, ...]:
    metric, limit = samples[0].metric, Margin.parse(margin)
    table = columns_of(samples, log_scale=limit.on_log_scale(metric))
    theirs = {(metric.name, accent(name)): each for name, each in own.items()}
    return cells_of([table], {metric.name: limit}, own=theirs)


def _noise_of(cell: Cell) -> Noise:
    assert isinstance(cell.noise, Noise)
    return cell.noise


def test_a_cells_noise_is_the_gates_standard_error_whatever_the_order_of_its_pairs() -> None:
    rng = default_rng(3)
    judged = sample(WER, noisy(rng, WER, speakers=12, calls=6, rate=0.3))
    (cell,) = _cells([judged], "+2pp")
    given = _noise_of(cell)
    totals = np.zeros((12, 2))
    for pair in judged.pairs:
        for side, score in enumerate((pair.baseline, pair.candidate)):
            totals[int(pair.planned.speaker.removeprefix("speaker")), side] += score.total.numerator  # type: ignore[union-attr] # all are scored
    size = np.full(12, 72.0)
    sums = ClusterSums(totals[:, 0], size, totals[:, 1], size, np.zeros(12, dtype=np.int64))
    for factor in (1.0, 1.1):
        expected = float(clustered_contrast(sums, factor=factor, correction="CR2").se[0])
        assert given.spread(Design(12), factor)[0] == pytest.approx(expected)
    assert (given.speakers, given.calls, given.one_outcome, given.clean) == (12, 72, False, False)
    turned = replace(judged, pairs=judged.pairs[::-1])
    assert _cells([turned], "+2pp") == (cell,)


def test_calls_of_one_speaker_are_as_alike_as_they_were_made() -> None:
    rng, speakers, calls = default_rng(12), 300, 4
    for spread, expected in ((0.0, 0.0), (0.05, 0.5)):
        # Per call the difference has a variance of 0.05 ** 2 beside what the speaker adds to it.
        own = rng.normal(0, spread, (speakers, 1)) + rng.normal(0, 0.05, (speakers, calls))
        sides = [[((0.5, 1.0), (0.5 + d, 1.0)) for d in row] for row in own.tolist()]
        names = [accent(name) for name in ("high", "low", "mid")]
        judged = [sample(WER, sides[100 * i : 100 * i + 100], name) for i, name in enumerate(names)]
        cells = _cells([sample(WER, sides), *judged], "+2pp")
        for cell in cells:
            assert _noise_of(cell).correlation == pytest.approx(expected, abs=0.06)
        # Three cohorts of one slicing have one figure between them.
        assert len({_noise_of(cell).correlation for cell in cells}) == 2
    (alone,) = _cells([sample(WER, [row[:1] for row in sides])], "+2pp")
    assert (_noise_of(alone).correlation, _noise_of(alone).separable) == (1.0, False)


def test_the_correlation_of_a_cell_alone_is_that_of_the_variance_parts() -> None:
    rng = default_rng(13)
    speakers = [[((x, 10), (y, 10)) for x, y in rng.poisson(2, (n, 2)).tolist()] for n in (3, 4, 5, 6) * 5]
    (cell,) = _cells([sample(WER, speakers)], "+2pp")
    rows = [(*b, *c, g) for g, calls in enumerate(speakers) for b, c in calls]
    x_b, n_b, x_c, n_c, group = np.array(rows, dtype=np.float64).T
    everyone = np.zeros(len(rows), dtype=np.int64)
    values = linearised_differences(x_b, n_b, x_c, n_c, everyone, 1)
    parts = variance_parts(values, group.astype(np.int64), everyone)
    assert _noise_of(cell).correlation == pytest.approx(float(parts.correlation[0]))


def test_a_relative_margin_is_a_part_of_the_failures() -> None:
    judged = sample(TASK, noisy(default_rng(4), TASK, speakers=20, calls=5, rate=0.3))
    (cell,) = _cells([judged], "+10%")
    tolerance = cell.tolerance()
    assert tolerance.amount == pytest.approx(0.1 * (1 - cell.baseline))
    assert tolerance.factor == 1.1
    assert cell.baseline == pytest.approx(0.7, abs=0.1)


def test_durations_on_a_log_scale_are_planned_as_factors_and_said_in_ms() -> None:
    rng = default_rng(5)
    timing = replace(LATENCY, timing=True)
    speakers = [[((x, 1), (y, 1)) for x, y in rng.lognormal(7, 0.1, (4, 2)).tolist()] for _ in range(20)]
    (cell,) = _cells([sample(timing, speakers)], "+10%")
    assert cell.log_scale
    assert cell.tolerance().amount == pytest.approx(math.log(1.1))
    assert cell.baseline == pytest.approx(math.exp(7), rel=0.05)
    assert _noise_of(cell).se == pytest.approx(0.1 * math.sqrt(2 / 80), rel=0.4)
    assert cell.in_unit(math.log(1.1)) == pytest.approx(0.1 * cell.baseline)


def test_nothing_is_planned_for_a_cell_that_nothing_is_known_of() -> None:
    alone = sample(WER, noisy(default_rng(6), WER, speakers=1, calls=5, rate=0.3))
    (cell,) = _cells([alone], "+2pp")
    assert isinstance(cell.noise, Unknown)
    plan = plan_of([cell], SUITE, basis="a test", goal=GOAL)
    assert plan.figures == ()
    assert plan.unplanned == (cell,)
    assert plan.release.cohorts == ()
    assert "nothing could be measured" in plan.advice


def test_a_metric_that_suits_no_cohort_is_named_and_one_that_suits_some_is_planned_for_those() -> None:
    calls = noisy(default_rng(14), WER, speakers=10, calls=3, rate=0.3)
    absent = [[(ABSENT, ABSENT)] * 3] * 10
    some = _cells([sample(WER, calls, accent("high")), sample(WER, absent, accent("low"))], "+2pp")
    assert [cell.cohort for cell in some] == [accent("high")]
    (none,) = _cells([sample(WER, absent)], "+2pp")
    assert none.noise == Unknown(reason="no pair of it could be compared")
    (nobody,) = _cells([replace(sample(WER, calls, accent("high")), pairs=())], "+2pp")
    assert isinstance(nobody.noise, Unknown)


def _suite_cells(**se: float) -> tuple[Cell, ...]:
    """Everyone and three accents: the same noise per call, but for the accents named."""
    names = ("high", "low", "mid")
    sizes = [(EVERYONE, 36, 0.004), *((accent(name), 12, se.get(name, 0.007)) for name in names)]
    return tuple(
        Cell(
            metric=WER,
            cohort=cohort,
            margin=Margin.parse("+2pp"),
            pairs=6 * speakers,
            baseline=0.2,
            noise=noise(speakers, error),
        )
        for cohort, speakers, error in sizes
    )


def _plan(cells: Sequence[Cell], **wish: object) -> Plan:
    return plan_of(cells, SUITE, basis="a test", goal=GOAL, wish=Wish(**wish))  # type: ignore[arg-type] # named where used


def test_a_release_gates_by_what_certifies_and_reaches_the_joint_probability() -> None:
    release = _plan(_suite_cells()).release
    assert release.cohorts == ((), ("accent",))
    assert release.joint_bound >= GOAL.joint
    assert release.joint_bound <= release.joint_product
    assert release.joint_louder < release.joint_bound
    assert release.weakest >= GOAL.power
    assert release.margins["wer"].amount > 0.02
    narrower = margin_of(round(release.margins["wer"].amount / 0.005) - 1, Margin.parse("+2pp"))
    failing = sum(
        1 - chance_to_certify(_noise_of(cell), cell.tolerance(narrower), GOAL) for cell in _suite_cells()
    )
    assert failing > 1 - GOAL.joint


def test_a_loud_cohort_makes_its_slicing_report_and_no_other() -> None:
    release = _plan(_suite_cells(high=0.05)).release
    assert release.cohorts == ((),)
    assert release.report_cohorts == (("accent",),)
    assert any("accent only reports" in reason for reason in release.reasons)
    assert release.margins["wer"].written == "+2pp"
    assert _plan(_suite_cells(high=0.05), widest=20.0).release.cohorts == ((), ("accent",))


def test_an_unknown_cell_keeps_its_slicing_from_gating() -> None:
    first, *others = _suite_cells()
    hidden = replace(others[0], noise=Unknown(reason="no pair of it could be compared"))
    assert choose_release([first, hidden, *others[1:]], GOAL).cohorts == ((),)


def test_repeats_of_a_release_buy_smaller_margins() -> None:
    now, thrice = (_plan(_suite_cells(), trials=trials).release for trials in (1, 3))
    assert thrice.margins["wer"].amount < now.margins["wer"].amount
    assert "trials = 3" in thrice.settings()
    assert "trials" not in now.settings()


def test_margins_are_made_smaller_only_when_asked() -> None:
    quiet = tuple(replace(cell, noise=noise(12, 0.001)) for cell in _suite_cells())
    assert _plan(quiet).release.margins["wer"].written == "+2pp"
    assert _plan(quiet, tighten=True).release.margins["wer"].written == "+0.5pp"


def test_a_margin_of_a_cohorts_own_stays_as_it_is() -> None:
    judged = [
        sample(WER, noisy(default_rng(n), WER, speakers=20, calls=10, rate=0.2), accent(name))
        for n, name in enumerate(("high", "low"))
    ]
    cells = _cells(judged, "+2pp", high=Margin.parse("+9pp"))
    assert [(cell.margin.written, cell.own_margin) for cell in cells] == [("+9pp", True), ("+2pp", False)]
    release = _plan(cells).release
    loud = next(cell for cell in cells if not cell.own_margin)
    wanted = certifiable(loud, _noise_of(loud), GOAL)
    assert wanted is not None
    assert release.margins["wer"].amount >= wanted.amount


def test_the_settings_are_those_that_voiceeval_reads() -> None:
    release = _plan(_suite_cells(), trials=2, report=(("domain",),)).release
    written = tomllib.loads(release.settings())["tool"]["voiceeval"]
    settings = Settings.model_validate(written).release
    assert settings.cohorts == release.cohorts
    assert settings.report_cohorts == (("domain",),)
    assert settings.trials == 2
    assert settings.margins == {"wer": release.margins["wer"].written}


def _alike(cells: Sequence[Cell], correlation: float) -> tuple[Cell, ...]:
    return tuple(replace(cell, noise=replace(_noise_of(cell), correlation=correlation)) for cell in cells)


def test_what_to_add_follows_from_where_the_noise_is() -> None:
    cells = _suite_cells(high=0.012, low=0.011)
    within, between = (_plan(_alike(cells, correlation)) for correlation in (0.0, 1.0))
    for plan, least in ((within, -0.2), (between, 0.3)):
        repeats = next(each for each in plan.additions if "trials" in each.what)
        speakers = next(each for each in plan.additions if "spread" in each.what)
        assert speakers.expected - repeats.expected > least
        assert {each.calls for each in plan.additions} == {216}
    assert between.additions[-1].certified == 2
    assert between.figures[0].advice.startswith(
        "more calls per speaker cannot certify +2pp with 12 speakers: between-speaker noise alone is 1.2 pp"
    )
    assert "times the calls per speaker, or add" in within.figures[0].advice
    assert "not even 20 times the calls of each speaker" in between.advice
    assert "all 4 take 3 times the speakers" in between.advice


def test_speakers_of_the_loud_cohort_are_what_to_add() -> None:
    cells = _alike(_suite_cells(high=0.012, low=0.002, mid=0.002), 1.0)
    assert "all of accent=high" in " ".join(each.what for each in _plan(cells).additions)


def test_cells_farthest_from_their_margin_come_first() -> None:
    figures = _plan(_suite_cells(high=0.03, low=0.015)).figures
    assert [each.cell.cohort.name for each in figures[:2]] == ["accent=high", "accent=low"]
    assert figures[0].distance > figures[1].distance > 1
    assert figures[-1].cell.cohort == EVERYONE
    assert figures[0].speakers_needed is not None
    assert figures[0].calls_needed == 6 * figures[0].speakers_needed


def test_a_margin_is_rounded_up_to_what_people_would_write() -> None:
    for written, step in (("+2pp", 0.005), ("+80ms", 10.0), ("+10%", 0.01), ("+0.02eur", 0.001)):
        margin = Margin.parse(written)
        assert margin_of(3, margin).amount == pytest.approx(3 * step)
        assert margin_of(3, margin).unit == margin.unit
        assert doubled(margin).amount == pytest.approx(2 * margin.amount)
    cell = _suite_cells()[0]
    found = certifiable(cell, _noise_of(cell), GOAL)
    assert found is not None
    below = margin_of(round(found.amount / 0.005) - 1, found)
    assert chance_to_certify(_noise_of(cell), Tolerance(found.amount), GOAL) >= GOAL.power
    assert chance_to_certify(_noise_of(cell), Tolerance(below.amount), GOAL) < GOAL.power


STATED = """
speakers = {speakers}
calls_per_speaker = {calls}
cohorts = 3
[metrics.wer]
rate = 0.10
words_per_call = 12
between_sd = 0.015
margin = "+2pp"
[metrics.task]
rate = 0.7
discordant = 0.2
icc = 0.1
margin = "+5pp"
"""


def _stated(path: Path, speakers: int, calls: int) -> dict[tuple[str, Cohort], Cell]:
    file = path / "plan.toml"
    file.write_text(STATED.format(speakers=speakers, calls=calls))
    cells = stated_cells(read_stated(file), [WER, TASK], where="plan.toml")
    return {(cell.metric.name, cell.cohort): cell for cell in cells}


def test_the_anchors_hold_with_speakers_who_differ_by_a_point_and_a_half(
    tmp_path: Path,
) -> None:
    # WER 10 %, 2 pp: 30 speakers x 20 utterances have 95 % power, 8 x 10 have 33 %; with 12 words per
    # utterance, independent arms, and 1.5 pp between speakers.
    for speakers, calls, power in ((30, 20, 0.95), (8, 10, 0.33)):
        cells = _stated(tmp_path, speakers, calls)
        cell = next(each for (name, cohort), each in cells.items() if name == "wer" and cohort != EVERYONE)
        assert chance_to_certify(_noise_of(cell), cell.tolerance(), GOAL) == pytest.approx(power, abs=0.02)


def test_stated_variances_follow_their_formulas(tmp_path: Path) -> None:
    cells = _stated(tmp_path, 12, 6)
    wer, task = (_noise_of(cells[name, EVERYONE]) for name in ("wer", "task"))
    assert wer.se == pytest.approx(math.sqrt((0.015**2 + 2 * 0.1 * 0.9 / 12 / 6) / 36))
    assert task.se == pytest.approx(math.sqrt(0.2 * (1 + 5 * 0.1) / (36 * 6)))
    assert task.correlation == pytest.approx(0.1)
    # Beside a factor of the baseline both arms' own variances count: 1 - k apart they are the whole of it.
    alone, _ = task.spread(Design(36), factor=0.0)
    assert alone**2 == pytest.approx(0.7 * 0.3 / 216 + 0.02 / 36)
    stated = read_stated(tmp_path / "plan.toml")
    assert stated_design(stated).calls == 216
    plan = plan_of(list(cells.values()), stated_design(stated), basis="a test", goal=GOAL)
    assert plan.family == 8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("words_per_call = 12", "", "metrics.wer: words_per_call is missing; reference words per call"),
        ("words_per_call = 12", "words_per_call = 12\nicc = 0.2", "metrics.wer.icc: says nothing of wer"),
        ("discordant = 0.2", "", "metrics.task: discordant is missing; the share of calls that end diff"),
        ("discordant = 0.2", "discordant = 0.7", "metrics.task.discordant: given 0.7; allowed: at most 0.6"),
        ("rate = 0.7", "rate = 70", "metrics.task.rate: given 70; allowed: a share between 0 and 1"),
        ('margin = "+5pp"', 'margin = "+5ms"', "metrics.task.margin: '+5ms' is in ms"),
        ("cohorts = 3", "cohorts = 0", "cohorts: given 0; allowed: at least 1"),
        ("cohorts = 3", "cohort = 3", "cohort: unknown key"),
    ],
)
def test_what_is_wrong_with_stated_rates_is_said(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "plan.toml"
    text = STATED.format(speakers=12, calls=6)
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as raised:
        stated_cells(read_stated(file), [WER, TASK], where="plan.toml")
    assert message in str(raised.value)


@pytest.mark.parametrize("rate", [0.002, 0.01])
def test_a_stated_share_of_turns_certifies_as_rarely_as_the_gate_does_where_few_turns_are_slow(
    tmp_path: Path, rate: float
) -> None:
    slow = replace(WER, name="slow", yes_no_per_turn=True)
    file = tmp_path / "plan.toml"
    file.write_text(
        f"speakers = 20\ncalls_per_speaker = 6\n[metrics.slow]\nrate = {rate}\n"
        'words_per_call = 4\nmargin = "+5pp"\n'
    )
    (cell,) = stated_cells(read_stated(file), [slow], where="plan.toml")
    runs, turns = 600, 24
    wrong = default_rng(1).binomial(turns, rate, (2, runs * 20)).astype(np.float64)
    n = np.full(runs * 20, float(turns))
    sums = ClusterSums(wrong[0], n, wrong[1], n, np.repeat(np.arange(runs), 20))
    found = paired_test(sums, runs, yes_no=True, margin=MarginTerms(1.0, 0.05))
    certified = np.mean([each.excess_upper < 0 for each in found])
    assert chance_to_certify(_noise_of(cell), cell.tolerance(), GOAL) == pytest.approx(certified, abs=0.05)
