"""Metrics of turn-taking in the gate: margins in their units, crashes, and counts of words."""

from __future__ import annotations

import pytest
from gate_samples import AGENT, Sides, noisy, sample

from voiceeval.errors import ConfigError
from voiceeval.gate import CohortGate
from voiceeval.holdout_answer import Rounded
from voiceeval.margins import Margin, parse_margins
from voiceeval.metrics import BUNDLED
from voiceeval.reasons import amount
from voiceeval.reports.wording import difference, level
from voiceeval.score import MetricInfo
from voiceeval.verdict import Outcome

INFOS = [make().info for make in BUNDLED.values()]
WORDS = BUNDLED["words_per_reply"]().info
EXAMPLES = {"share": "+2pp", "ms": "+80ms", "currency": "+0.02eur", "count": "+10%"}


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_every_metric_can_be_given_a_margin_and_is_judged(info: MetricInfo) -> None:
    margins = parse_margins({info.name: EXAMPLES[info.unit]}, INFOS)
    worse = 0 if info.direction.value.startswith("lower") else 1
    bad, good = (float(1 - worse), 1.0), (float(worse), 1.0)
    if not info.is_proportion:
        bad, good = (400.0 * bad[0] + 100, 1.0), (400.0 * good[0] + 100, 1.0)
    speakers: list[list[Sides]] = [[(good, bad)] * 30 for _ in range(12)]
    gate = CohortGate(margins=margins)
    (verdict,) = gate.judge([sample(info, speakers)])
    assert verdict.outcome is Outcome.REGRESSED
    (verdict,) = gate.judge([sample(info, [[(bad, good)] * 30 for _ in range(12)])])
    assert verdict.outcome is Outcome.IMPROVED


def test_a_metric_without_a_margin_is_reported_and_blocks_nothing() -> None:
    import numpy as np

    info = BUNDLED["response_rate"]().info
    worse = noisy(np.random.default_rng(1), info, speakers=12, calls=30, rate=0.05, worse=0.5)
    (verdict,) = CohortGate(margins={}).judge([sample(info, worse)])
    assert not verdict.gating
    assert verdict.outcome is not Outcome.REGRESSED


def test_a_candidate_that_crashes_answers_nobody() -> None:
    info = BUNDLED["response_rate"]().info
    crashes: list[list[Sides]] = [[((4.0, 4.0), AGENT)] * 5 for _ in range(12)]
    (verdict,) = CohortGate(margins=parse_margins({info.name: "+2pp"}, INFOS)).judge([sample(info, crashes)])
    assert verdict.outcome is Outcome.REGRESSED


def test_counts_have_relative_margins_alone() -> None:
    Margin.parse("+10%").check(WORDS)
    with pytest.raises(ConfigError, match=r"words_per_reply is measured as count; write \+10%"):
        Margin.parse("+2pp").check(WORDS)


def test_counts_are_shown_as_counts() -> None:
    assert level(WORDS, 12.3456) == "12.35"
    assert difference(WORDS, -1.5) == "−1.50"
    assert amount(1.5, WORDS, signed=True) == "+1.50"
    assert Rounded.of(WORDS, -0.123, 0.456).words == "-13 to +46 hundredths"
