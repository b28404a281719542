"""The search of undeclared intersections: what it finds, how rarely it errs, what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from gate_samples import TASK, WER

from voiceeval.cohort import Cohort
from voiceeval.exploration import RATE, explore
from voiceeval.pair_table import COMPARED, PairTable
from voiceeval.verdict import Exploration

Tags = list[Mapping[str, str]]


def drawn(seed: int, *, worse: float = 0.0, speakers: int = 96) -> tuple[PairTable, Tags]:
    """Four calls of each speaker; accent by speaker, line and device by call. Calls of ``accent=c × line=b``
    are worse by ``worse``."""
    rng = np.random.default_rng(seed)
    calls = 6 * speakers
    speaker = np.repeat(np.arange(speakers), 6)
    tags: Tags = [
        {"accent": "abcd"[s % 4], "line": "ab"[i % 2], "device": "xyz"[i % 3], "one": "same", "locale": "en"}
        for i, s in enumerate(speaker.tolist())
    ]
    shift = np.array([worse if (t["accent"], t["line"]) == ("c", "b") else 0.0 for t in tags])
    words = np.full(calls, 20.0)
    table = PairTable(
        metric=WER,
        kind=np.full(calls, COMPARED),
        values=np.column_stack([rng.binomial(20, 0.1, calls), words, rng.binomial(20, 0.1 + shift), words]),
        speaker=speaker,
        scenario=np.zeros(calls, dtype=np.int64),
        critical=np.zeros(calls, dtype=np.bool_),
        gaps=np.zeros((calls, 2, 3), dtype=np.bool_),
        scenarios=("s",),
    )
    return table, tags


def searched(seed: int, *, declared: list[tuple[str, ...]] | None = None, **more: float) -> Exploration:
    table, tags = drawn(seed, **more)  # type: ignore[arg-type] # worse is a float
    return explore([(table, tags)], declared=declared or [()], depth=3, min_clusters=8)


def test_a_hidden_regression_of_an_intersection_stands_out_first() -> None:
    found = searched(1, worse=0.10)
    assert found.found[0].cohort == Cohort((("accent", "c"), ("line", "b")))
    assert found.found[0].q_value < RATE
    assert 0 < found.found[0].shrunken < found.found[0].estimate.worse_by


def test_without_a_change_hardly_any_search_finds_anything() -> None:
    runs = 120
    with_finds = sum(bool(searched(seed).found) for seed in range(runs))
    # Where nothing is true, the false discovery rate is the chance of any find: 12 of 120 and three
    # standard errors.
    assert with_finds <= 22


def test_declared_intersections_and_single_tags_are_not_searched() -> None:
    every = searched(1, worse=0.10)
    rest = searched(1, worse=0.10, declared=[(), ("line", "accent")])
    assert all(len(each.cohort.tags) > 1 for each in every.found)
    assert ("accent", "line") not in {each.cohort.tags for each in rest.found}
    assert rest.tested == every.tested - 8


def test_an_intersection_with_the_very_calls_of_a_wider_cohort_is_not_tested_again() -> None:
    table, tags = drawn(2)
    nested = [{**each, "dialect": each["accent"] * 2} for each in tags]
    found = explore([(table, tags)], declared=[()], depth=2, min_clusters=8)
    again = explore([(table, nested)], declared=[()], depth=2, min_clusters=8)
    # accent × dialect is accent once more, and dialect × line has the calls of accent × line.
    assert again.tested == found.tested


def test_intersections_of_few_speakers_are_left_out() -> None:
    table, tags = drawn(3, speakers=24)
    assert explore([(table, tags)], declared=[()], depth=2, min_clusters=8).tested == 6
    assert explore([(table, tags)], declared=[()], depth=2, min_clusters=6).tested == 26


def test_depth_0_searches_nothing() -> None:
    table, tags = drawn(1, worse=0.1)
    assert explore([(table, tags)], declared=[], depth=0, min_clusters=8) == Exploration(rate=RATE)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_tags_and_tables_changes_nothing(seed: int) -> None:
    table, tags = drawn(seed, worse=0.08)
    other = PairTable(
        metric=TASK, kind=table.kind, values=table.values, speaker=table.speaker, scenario=table.scenario,
        critical=table.critical, gaps=table.gaps, scenarios=table.scenarios,
    )  # fmt: skip
    turned = [dict(reversed(list(each.items()))) for each in tags]
    one = explore([(table, tags), (other, tags)], declared=[("line",), ()], depth=3, min_clusters=8)
    two = explore([(other, turned), (table, turned)], declared=[(), ("line",)], depth=3, min_clusters=8)
    assert one.found == two.found


def test_a_difference_that_all_speakers_share_is_bounded_by_a_cent_and_not_by_a_whole_coin() -> None:
    table, tags = drawn(4)
    price = replace(WER, name="price", unit="currency")
    calls = len(table.kind)
    ones, cost = np.ones(calls), np.full(calls, 0.10)
    dearer = replace(table, metric=price, values=np.column_stack([cost, ones, cost + 0.05, ones]))
    found = explore([(dearer, tags)], declared=[()], depth=2, min_clusters=8).found
    assert found
    for each in found:
        half = (each.estimate.interval.upper - each.estimate.interval.lower) / 2
        speakers = each.counts.clusters
        calls_each = each.counts.scored / speakers
        # z²/(G + z²) of the speakers, each by a cent in one of their calls.
        assert half == pytest.approx(2.7055 / (speakers + 2.7055) * 0.01 / calls_each, rel=1e-3)
