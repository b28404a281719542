"""Known regressions: who answers for them until when, and when that fails the run."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from gate_samples import TASK, WER, accent, gate, sample

from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.errors import ConfigError
from voiceeval.verdict import Outcome, Verdict, Waiver
from voiceeval.waivers import waive

TODAY = date(2026, 11, 21)
SPEAKERS = 12


def regressed(cohort: Cohort = EVERYONE) -> Verdict:
    """Every speaker got worse, by a little more or less."""
    calls = [[((1, 20), (6 + g % 3, 20))] for g in range(SPEAKERS)]
    (verdict,) = gate().judge([sample(WER, calls, cohort)])
    assert verdict.outcome is Outcome.REGRESSED
    return verdict


def passed() -> Verdict:
    calls = [[((2, 20), (2 + g % 2, 20))] for g in range(SPEAKERS)]
    (verdict,) = gate({"wer": "+90pp"}).judge([sample(WER, calls)])
    assert verdict.outcome is Outcome.PASSED
    return verdict


def waiver(**changes: object) -> Waiver:
    written = {"metric": "wer", "cohort": EVERYONE, "owner": "maria", "reason": "a known accent model"}
    return Waiver(**{**written, "expires": TODAY, **changes})  # type: ignore[arg-type] # named where used


def test_a_waived_regression_stays_regressed_and_does_not_block() -> None:
    found = waive([regressed()], [waiver()], today=TODAY)
    (verdict,) = found.verdicts
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.waiver == waiver()
    assert not verdict.blocks("pr")
    assert not verdict.blocks("release")
    assert found.faults == ()


def test_a_waiver_holds_on_its_last_day_and_not_on_the_next() -> None:
    found = waive([regressed()], [waiver()], today=date(2026, 11, 22))
    assert found.verdicts[0].waiver is None
    assert found.verdicts[0].blocks("pr")
    assert found.faults == (
        "the waiver of wer[overall] (owner maria) expired on 2026-11-21; mend the regression, or renew it "
        "with a reason",
    )


def test_an_expired_waiver_is_a_fault_even_where_the_regression_is_gone() -> None:
    assert len(waive([passed()], [waiver()], today=date(2027, 1, 1)).faults) == 1


def test_a_waiver_that_nothing_needs_is_a_fault_and_says_what_the_cell_is() -> None:
    found = waive([passed()], [waiver()], today=TODAY)
    assert found.faults == (
        "the waiver of wer[overall] (owner maria) is not needed: the cell is passed; remove it",
    )


def test_a_waiver_of_a_cell_that_is_not_there_is_a_fault_unless_only_a_part_was_run() -> None:
    other = waiver(cohort=accent("scottish"))
    assert "no gating cell" in waive([regressed()], [other], today=TODAY).faults[0]
    assert waive([regressed()], [other], today=TODAY, partial=True).faults == ()


def test_what_could_not_be_judged_cannot_be_waived_and_needs_no_second_complaint() -> None:
    invalid = replace(regressed(), outcome=Outcome.INVALID)
    found = waive([invalid], [waiver()], today=TODAY)
    assert found.verdicts[0].blocks("pr")
    assert found.faults == ()


@pytest.mark.parametrize("outcome", [Outcome.INCONCLUSIVE, Outcome.INVALID])
def test_only_a_regression_can_be_waived(outcome: Outcome) -> None:
    found = waive([replace(regressed(), outcome=outcome)], [waiver()], today=TODAY)
    assert found.verdicts[0].waiver is None


def test_a_waiver_covers_its_own_metric_and_cohort_alone() -> None:
    task = replace(regressed(), metric=TASK)
    scottish = regressed(accent("scottish"))
    found = waive([regressed(), scottish, task], [waiver()], today=TODAY)
    assert [verdict.waiver is not None for verdict in found.verdicts] == [True, False, False]


def test_two_waivers_of_one_verdict_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"wer\[overall\] is waived twice"):
        waive([regressed()], [waiver(), waiver(owner="li")], today=TODAY)
