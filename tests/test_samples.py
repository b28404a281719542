"""From scores to samples: what may be called unchanged by construction."""

from __future__ import annotations

from dataclasses import replace

from gate_samples import WER, gate, pair

from voiceeval.cohort import EVERYONE
from voiceeval.samples import CohortCalls, MetricPairs, samples
from voiceeval.score import MetricInfo
from voiceeval.verdict import Outcome


def judged(metric: MetricInfo) -> Outcome:
    """The verdict on four speakers of whom none differs, from two agents with the same parts."""
    pairs = [pair(speaker, 0, ((1, 8), (1, 8))) for speaker in range(4)]
    (found,) = samples(
        [MetricPairs(metric, {each.planned.id: each for each in pairs})],
        [CohortCalls(EVERYONE, gates=True, planned=tuple(each.planned for each in pairs))],
        same_by_construction={metric.name: True},
    )
    (verdict,) = gate({metric.name: "+2pp"}).judge([found])
    return verdict.outcome


def test_a_metric_that_names_no_part_is_never_unchanged_by_construction() -> None:
    assert judged(replace(WER, depends_on=("recognizer",))) is Outcome.PASSED
    assert judged(WER) is Outcome.INCONCLUSIVE
