from __future__ import annotations

from dataclasses import replace

import pytest
from gate_samples import LATENCY, TASK, WER, judge_one, sample

from voiceeval.errors import ConfigError
from voiceeval.gate import Margin, parse_margins
from voiceeval.score import Direction, MetricInfo
from voiceeval.verdict import Outcome

PRICE = MetricInfo(
    name="price",
    version=1,
    title="Price",
    definition="per call",
    unit="currency",
    direction=Direction.LOWER_IS_BETTER,
)


@pytest.mark.parametrize(
    ("text", "written", "amount", "unit"),
    [
        ("+2pp", "+2pp", 0.02, "share"),
        (" 2.5 pp ", "+2.5pp", 0.025, "share"),
        ("+10%", "+10%", 0.1, "relative"),
        ("+80ms", "+80ms", 80.0, "ms"),
        ("+0.02eur", "+0.02eur", 0.02, "currency"),
        ("+.5 $", "+.5$", 0.5, "currency"),
    ],
)
def test_margins_are_read_as_people_write_them(text: str, written: str, amount: float, unit: str) -> None:
    margin = Margin.parse(text)
    assert (margin.written, margin.unit) == (written, unit)
    assert margin.amount == pytest.approx(amount)


@pytest.mark.parametrize("text", ["", "2", "-2pp", "+2 sheep", "two pp", "+nanpp", "+1e3ms", "+2pp +1pp"])
def test_what_is_no_margin_is_refused_with_the_key_and_examples(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^margins\.wer: .* is not a margin; write \+2pp .*\+80ms"):
        parse_margins({"wer": text}, [WER])


def test_a_margin_of_nothing_is_refused_because_nothing_could_certify_it() -> None:
    with pytest.raises(ConfigError, match=r"margins\.wer: '\+0pp' tolerates nothing"):
        parse_margins({"wer": "+0pp"}, [WER])
    with pytest.raises(ValueError, match="above 0"):
        Margin(written="+0pp", amount=0, unit="share")


@pytest.mark.parametrize(
    ("metric", "text", "message"),
    [
        (WER, "+80ms", r"'\+80ms' is in ms, but wer is measured as share; write \+2pp or \+10%"),
        (LATENCY, "+2pp", r"is in percentage points, but latency is measured as ms; write \+80ms"),
        (PRICE, "+2pp", r"but price is measured as currency; write \+0.02eur"),
    ],
)
def test_a_margin_in_another_unit_is_refused(metric: MetricInfo, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_margins({metric.name: text}, [metric])


def test_a_margin_for_an_unknown_metric_names_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"margins\.were: no metric is named 'were'. Did you mean 'wer'\?"):
        parse_margins({"were": "+2pp"}, [WER, TASK])


def test_a_relative_margin_is_part_of_the_baselines_rate() -> None:
    speakers = [[((10, 100), (12, 100)), ((10, 100), (10, 100))], [((10, 100), (11, 100))] * 2] * 6
    verdict = judge_one(sample(WER, speakers), "+30%")
    assert verdict.outcome is Outcome.PASSED
    assert verdict.flags == ("worse within margin",)
    assert "margin +30% (3.0 pp here)" in verdict.reason
    assert judge_one(sample(WER, speakers), "+5%").outcome is Outcome.REGRESSED


def test_a_relative_margin_on_next_to_nothing_is_invalid_and_says_pp() -> None:
    wer = judge_one(sample(WER, [[((1, 200), (2, 200))]] * 12), "+10%")
    assert wer.outcome is Outcome.INVALID
    assert wer.reason.endswith(
        "relative to a baseline rate of 0.50 %; under 1 % it would tolerate next to nothing: write it in pp"
    )
    task = judge_one(sample(TASK, [[((1, 1), (1, 1))]] * 12), "+10%")
    assert "a baseline share of failures of 0.00 %" in task.reason
    latency = judge_one(sample(LATENCY, [[((0, 1), (5, 1))]] * 12), "+10%")
    assert latency.reason == "the margin +10% is relative to a baseline of 0"


def test_a_relative_margin_where_more_is_better_and_has_no_complement_is_on_the_worse_side() -> None:
    talk = MetricInfo(
        name="talk",
        version=1,
        title="Talk",
        definition="ms",
        unit="ms",
        direction=Direction.HIGHER_IS_BETTER,
    )
    speakers = [[((1000 + 9 * g, 1), (960 + 9 * g + g % 3, 1))] for g in range(12)]
    assert judge_one(sample(talk, speakers), "+10%").flags == ("worse within margin",)
    assert judge_one(sample(talk, speakers), "+2%").outcome is Outcome.REGRESSED


@pytest.mark.parametrize("text", ["+100%", "+200%", "+350%"])
def test_a_margin_of_everything_is_refused_where_more_is_better_and_has_no_complement(text: str) -> None:
    saved = replace(PRICE, name="saved", direction=Direction.HIGHER_IS_BETTER)
    lost = sample(saved, [[((10 + g % 3, 1), (g % 2, 1))] * 2 for g in range(12)])
    with pytest.raises(ConfigError, match=r"saved is better where it is higher.*write less than \+100%"):
        judge_one(lost, text)
    assert judge_one(lost, "+99%").outcome is not Outcome.REGRESSED
    assert judge_one(sample(PRICE, [[((1, 1), (1 + g % 2, 1))] for g in range(12)]), text).margin == text
