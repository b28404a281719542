"""Margins of single cohorts, cohorts that must be there, and what a release may leave undecided."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from gate_samples import LATENCY, TASK, WER, accent, estimate_of, gate, noisy, sample

from voiceeval.cohort import EVERYONE, Cohort, PairedSample
from voiceeval.errors import ConfigError
from voiceeval.margins import Margin, OwnMargin
from voiceeval.verdict import Outcome

TODAY = date(2026, 11, 21)
SCOTTISH = accent("scottish")


def own(margin: str, metric: str = "wer", until: date = TODAY) -> OwnMargin:
    return OwnMargin(
        metric=metric, cohort=SCOTTISH, margin=Margin.parse(margin), reason="a hard accent", until=until
    )


def worse_by_4pp(cohort: Cohort = SCOTTISH) -> PairedSample:
    return sample(WER, [[((10, 100), (13 + g % 3, 100))] for g in range(20)], cohort)


def test_a_cohorts_own_margin_takes_the_place_of_the_metrics() -> None:
    strict = {verdict.cohort: verdict for verdict in gate().judge([worse_by_4pp(), worse_by_4pp(EVERYONE)])}
    assert {verdict.outcome for verdict in strict.values()} == {Outcome.REGRESSED}
    loose = {
        verdict.cohort: verdict
        for verdict in gate(own_margins=(own("+6pp"),), today=TODAY).judge(
            [worse_by_4pp(), worse_by_4pp(EVERYONE)]
        )
    }
    assert loose[SCOTTISH].outcome is Outcome.PASSED
    assert loose[SCOTTISH].margin == "+6pp"
    assert "own margin" in loose[SCOTTISH].flags
    assert loose[EVERYONE].outcome is Outcome.REGRESSED
    assert "own margin" not in loose[EVERYONE].flags


def test_an_own_margin_gates_a_metric_that_has_no_other() -> None:
    judge = gate({}, own_margins=(own("+6pp"),), today=TODAY).judge
    verdicts = judge([worse_by_4pp(), worse_by_4pp(EVERYONE)])
    assert {verdict.cohort: verdict.gating for verdict in verdicts} == {SCOTTISH: True, EVERYONE: False}


def test_an_expired_own_margin_leaves_the_cell_invalid_and_says_so() -> None:
    (verdict,) = gate(own_margins=(own("+6pp", until=date(2026, 11, 20)),), today=TODAY).judge(
        [worse_by_4pp()]
    )
    assert verdict.outcome is Outcome.INVALID
    assert verdict.reason.startswith("its own margin +6pp held until 2026-11-20; renew it")
    assert verdict.blocks("pr")


def test_an_own_margin_in_another_unit_or_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cohort_margins: wer\[accent=scottish\]: '\+80ms' is in ms"):
        gate(own_margins=(own("+80ms"),), today=TODAY).judge([worse_by_4pp()])
    timed = replace(LATENCY, timing=True)
    mixed = gate({"latency": "+10%"}, own_margins=(own("+80ms", "latency"),), today=TODAY)
    with pytest.raises(ConfigError, match="compared in ms or in %, not in both"):
        mixed.judge([sample(timed, [[((500, 1), (510, 1))]] * 12, SCOTTISH)])


def test_a_mixture_of_relative_and_absolute_margins_judges_each_cell_by_its_own() -> None:
    samples = [worse_by_4pp(), worse_by_4pp(EVERYONE)]
    both = {v.cohort: v for v in gate(own_margins=(own("+60%"),), today=TODAY).judge(samples)}
    alone = {v.cohort: v for v in gate({"wer": "+60%"}).judge(samples)}
    assert both[SCOTTISH].outcome is alone[SCOTTISH].outcome is Outcome.PASSED
    assert both[SCOTTISH].estimate == alone[SCOTTISH].estimate
    assert both[EVERYONE].outcome is Outcome.REGRESSED


def test_what_is_not_decided_blocks_a_release_unless_the_settings_say_otherwise() -> None:
    rng = np.random.default_rng(4)
    unclear = sample(TASK, noisy(rng, TASK, speakers=9, calls=2, rate=0.5))
    strict, lenient = (
        gate({"task": "+1pp"}, policy="release", undecided_blocks=blocks).judge([unclear])[0]
        for blocks in (True, False)
    )
    assert strict.outcome is lenient.outcome is Outcome.INCONCLUSIVE
    assert strict.blocks("release")
    assert not lenient.blocks("release")


def test_a_metric_of_a_tail_gates_from_its_number_of_calls_on() -> None:
    tail = replace(TASK, fewest_calls=59)
    few = sample(tail, [[((1, 1), (1, 1))] * 4 for _ in range(14)])
    (verdict,) = gate({"task": "+20pp"}).judge([few])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "too few calls" in verdict.flags
    assert "a verdict takes at least 59 calls" in verdict.reason
    enough = sample(tail, [[((1, 1), (1, 1))] * 5 for _ in range(14)])
    assert gate({"task": "+20pp"}).judge([enough])[0].outcome is Outcome.PASSED
    assert estimate_of(verdict).difference == 0
