"""Pairs, samples and metrics to judge, written down in a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from voiceeval.cohort import EVERYONE, Cohort, Pair, PairedSample, PlannedCall
from voiceeval.gate import CohortGate, Margin
from voiceeval.score import Direction, Gap, MetricInfo, NotScored, Ratio, Score, Scored
from voiceeval.statistics.contrast import ClusterSums
from voiceeval.verdict import Estimate, Verdict

WER = MetricInfo(
    name="wer",
    version=1,
    title="Word error rate",
    definition="errors per reference word",
    unit="share",
    direction=Direction.LOWER_IS_BETTER,
)
TASK = MetricInfo(
    name="task",
    version=1,
    title="Task completion",
    definition="completed tasks",
    unit="share",
    direction=Direction.HIGHER_IS_BETTER,
    yes_no=True,
)
LATENCY = MetricInfo(
    name="latency",
    version=1,
    title="Response latency",
    definition="milliseconds per turn",
    unit="ms",
    direction=Direction.LOWER_IS_BETTER,
)
AGENT, HARNESS = Gap.AGENT_FAILED, Gap.HARNESS_FAILED
ABSENT, NOT_RUN = Gap.NOT_APPLICABLE, Gap.NOT_RUN

Side = tuple[float, float] | Gap
Sides = tuple[Side, Side]


def score(side: Side) -> Score:
    if isinstance(side, Gap):
        return NotScored(gap=side, reason="a test says so")
    return Scored(observations=(Ratio(*side),))


def pair(
    speaker: int, call: int, sides: Sides, *, scenario: str = "", trial: int = 0, critical: bool = False
) -> Pair:
    name = f"speaker{speaker:03}"
    planned = PlannedCall(
        scenario=scenario or f"scenario{call:03}",
        caller=name,
        line="clean",
        trial=trial,
        speaker=name,
        tags={},
        critical=critical,
    )
    return Pair(planned=planned, baseline=score(sides[0]), candidate=score(sides[1]))


def sample(
    metric: MetricInfo, speakers: Iterable[Sequence[Sides]], cohort: Cohort = EVERYONE, *, same: bool = False
) -> PairedSample:
    """One sample from, for each speaker, the two sides of each call."""
    pairs = [pair(g, i, sides) for g, calls in enumerate(speakers) for i, sides in enumerate(calls)]
    return PairedSample(metric=metric, cohort=cohort, pairs=tuple(pairs), same_by_construction=same)


def noisy(
    rng: Generator, metric: MetricInfo, *, speakers: int, calls: int, rate: float, worse: float = 0.0
) -> list[list[Sides]]:
    """Independent draws for both arms: 12 words or one yes/no per call, the candidate worse by ``worse``."""
    size = 1 if metric.yes_no else 12
    failed = rng.binomial(size, [[[rate, rate + worse]] * calls] * speakers)
    wrong = failed.tolist()
    higher = metric.direction is Direction.HIGHER_IS_BETTER
    return [
        [((size - b if higher else b, size), (size - c if higher else c, size)) for b, c in speaker]
        for speaker in wrong
    ]


def swapped(original: PairedSample) -> PairedSample:
    """The same sample with the arms exchanged."""
    pairs = tuple(Pair(planned=p.planned, baseline=p.candidate, candidate=p.baseline) for p in original.pairs)
    return PairedSample(
        metric=original.metric,
        cohort=original.cohort,
        pairs=pairs,
        same_by_construction=original.same_by_construction,
    )


def accent(name: str) -> Cohort:
    return Cohort((("accent", name),))


def gate(margins: Mapping[str, str] | None = None, **settings: object) -> CohortGate:
    written = {"wer": "+2pp"} if margins is None else margins
    return CohortGate({name: Margin.parse(text) for name, text in written.items()}, **settings)  # type: ignore[arg-type] # settings are named where they are used


def judge_one(judged: PairedSample, margin: str = "+2pp", **settings: object) -> Verdict:
    (verdict,) = gate({judged.metric.name: margin}, **settings).judge([judged])
    return verdict


def estimate_of(verdict: Verdict) -> Estimate:
    assert isinstance(verdict.estimate, Estimate)
    return verdict.estimate


def cluster_sums(
    x_baseline: ArrayLike,
    x_candidate: ArrayLike,
    n: ArrayLike,
    n_candidate: ArrayLike | None = None,
) -> ClusterSums:
    """One cell; the arms share their denominators unless said otherwise."""
    return ClusterSums(
        np.array(x_baseline, dtype=np.float64),
        np.array(n, dtype=np.float64),
        np.array(x_candidate, dtype=np.float64),
        np.array(n if n_candidate is None else n_candidate, dtype=np.float64),
        np.zeros(len(np.asarray(n)), dtype=np.int64),
    )
