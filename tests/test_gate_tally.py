from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from gate_samples import (
    ABSENT,
    AGENT,
    HARNESS,
    LATENCY,
    NOT_RUN,
    TASK,
    WER,
    Side,
    Sides,
    pair,
    sample,
)

from voiceeval.cohort import PairedSample
from voiceeval.pair_table import columns_of
from voiceeval.score import MetricInfo, Ratio, Scored
from voiceeval.statistics.contrast import ClusterSums
from voiceeval.tally import Tally, tally


def tallies(samples: Sequence[PairedSample]) -> list[tuple[Tally, ClusterSums]]:
    """Every cell with the sums of its own speakers."""
    found = tally(*columns_of(samples, log_scale=False))
    cells = []
    for number, cell in enumerate(found.cells):
        mine = found.sums.cell == number
        cells.append((cell, ClusterSums(*(array[mine] for array in found.sums))))
    return cells


def tally_of(metric: MetricInfo, *calls: Sides) -> Tally:
    ((found, _),) = tallies([sample(metric, [calls])])
    return found


def totals(metric: MetricInfo, *calls: Sides) -> tuple[float, ...]:
    ((_, sums),) = tallies([sample(metric, [calls])])
    return tuple(float(array.sum()) for array in sums[:4])


def test_a_call_that_only_the_candidate_failed_counts_in_full_against_it() -> None:
    found = tally_of(WER, ((1, 8), AGENT))
    assert totals(WER, ((1, 8), AGENT)) == (1, 8, 8, 8)
    assert found.counts.agent_failed == {"baseline": 0, "candidate": 1}


def test_a_call_that_only_the_baseline_failed_counts_in_full_against_it() -> None:
    assert totals(TASK, (AGENT, (1, 1))) == (1, 1, 0, 1)


def test_a_call_that_both_failed_is_a_failure_of_both_where_a_call_is_one_outcome() -> None:
    assert totals(TASK, (AGENT, AGENT)) == (1, 1, 1, 1)
    assert totals(WER, (AGENT, AGENT)) == (0, 0, 0, 0)
    assert tally_of(WER, (AGENT, AGENT)).counts.scored == 0


def test_a_failed_call_has_no_duration_and_is_left_out_and_counted() -> None:
    calls: tuple[Sides, Sides] = (((400, 2), AGENT), ((400, 2), (500, 2)))
    found = tally_of(LATENCY, *calls)
    assert totals(LATENCY, *calls) == (400, 2, 500, 2)
    assert (found.counts.scored, found.counts.agent_failed["candidate"]) == (1, 1)


@pytest.mark.parametrize("other", [(1, 8), AGENT, ABSENT, HARNESS])
def test_a_harness_failure_takes_the_whole_pair_out(other: Side) -> None:
    found = tally_of(WER, (other, HARNESS))
    assert totals(WER, (other, HARNESS)) == (0, 0, 0, 0)
    assert found.counts.harness_failed["candidate"] == 1
    assert found.harness_alone == ((0, 0) if other is HARNESS else (0, 1))


def test_a_metric_that_applies_to_one_arm_only_leaves_the_pair_out_and_says_so() -> None:
    found = tally_of(WER, ((1, 8), ABSENT), (ABSENT, ABSENT), ((0, 0), (0, 0)))
    assert found.counts.not_applicable == 3
    assert found.one_arm_only == 1


def test_a_call_that_was_not_run_is_counted_before_anything_else() -> None:
    found = tally_of(WER, (NOT_RUN, HARNESS), (NOT_RUN, AGENT))
    assert found.counts.not_run == 2


def test_higher_shares_are_turned_into_failures_and_other_units_are_negated() -> None:
    assert totals(TASK, ((1, 1), (0, 1))) == (0, 1, 1, 1)


def test_repeats_turns_and_scenarios_of_a_speaker_are_one_cluster() -> None:
    turns = Scored(observations=(Ratio(1, 5), Ratio(0, 7)))
    first = pair(0, 0, ((1, 5), (1, 5)))
    second = type(first)(planned=first.planned, baseline=turns, candidate=turns)
    both = PairedSample(metric=WER, cohort=sample(WER, []).cohort, pairs=(first, second))
    ((found, sums),) = tallies([both])
    assert found.counts.clusters == 1
    assert [list(array) for array in sums[:4]] == [[2], [17], [2], [17]]


def test_sums_are_the_same_bytes_in_any_order_of_pairs() -> None:
    rng = np.random.default_rng(1)
    pairs = [pair(g % 7, g, ((rng.random(), 3), (rng.random(), 3))) for g in range(200)]
    cohort = sample(WER, []).cohort
    reference = None
    for _ in range(4):
        mixed = tuple(pairs[i] for i in rng.permutation(len(pairs)))
        ((_, sums),) = tallies([PairedSample(metric=WER, cohort=cohort, pairs=mixed)])
        bytes_now = b"".join(array.tobytes() for array in sums)
        assert reference in (None, bytes_now)
        reference = bytes_now


def test_pairs_shared_between_cohorts_are_counted_in_each() -> None:
    pairs = tuple(pair(g, 0, ((1, 8), (2, 8))) for g in range(4))
    cohort = sample(WER, []).cohort
    found = tallies([PairedSample(metric=WER, cohort=cohort, pairs=p) for p in (pairs, pairs[:2], ())])
    assert [each.counts.clusters for each, _ in found] == [4, 2, 0]
    assert [float(sums.x_candidate.sum()) for _, sums in found] == [8, 4, 0]


@pytest.mark.parametrize(
    ("sides", "unchanged"),
    [
        (((1, 8), (1, 8)), True),
        ((AGENT, AGENT), True),
        (((1, 8), (2, 8)), False),
        (((0, 8), (0, 9)), False),
        (((1, 1), AGENT), False),
    ],
)
def test_unchanged_means_that_not_one_pair_differs_in_anything(sides: Sides, unchanged: bool) -> None:
    assert tally_of(WER, ((3, 9), (3, 9)), sides).unchanged is unchanged


def test_nothing_compared_is_not_unchanged() -> None:
    assert not tally_of(WER, (ABSENT, ABSENT)).unchanged


def test_a_failed_call_has_no_price_either() -> None:
    price = replace(LATENCY, name="price", unit="currency")
    assert totals(price, ((0.1, 1), AGENT), ((0.1, 1), (0.2, 1))) == (0.1, 1, 0.2, 1)
    assert tally_of(price, ((0.1, 1), AGENT)).lost_by_candidate == 1
