"""Simulated runs judged end to end by ``CohortGate``, to show that the vectorised rule says the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gates_compared import MARGINS, MIN_CLUSTERS, Judged, judge_drawn
from numpy.random import Generator
from simulated_suites import SPREAD, Draw, Suite

from voiceeval.cohort import EVERYONE, Cohort, Pair, PairedSample, PlannedCall
from voiceeval.gate import CohortGate
from voiceeval.margins import Margin
from voiceeval.score import Direction, MetricInfo, Ratio, Scored
from voiceeval.verdict import Outcome

METRICS = {
    "wer": MetricInfo(
        name="wer",
        version=1,
        title="Word error rate",
        definition="errors per reference word",
        unit="share",
        direction=Direction.LOWER_IS_BETTER,
    ),
    "task": MetricInfo(
        name="task",
        version=1,
        title="Task completion",
        definition="completed tasks",
        unit="share",
        direction=Direction.HIGHER_IS_BETTER,
        yes_no=True,
    ),
}
SUITE = Suite(
    accents=(13, 9, 8, 6), lines=2, utterances=13, task=True, sigma=0.5, interaction=SPREAD, worse=0.0
)


def check_agreement(runs: int, rng: Generator) -> str:
    """Judge so many runs both ways, a third of them unchanged; raise if an outcome differs."""
    gate = CohortGate(
        {name: Margin.parse(f"+{100 * margin:g}pp") for name, margin in MARGINS.items()},
        min_clusters=MIN_CLUSTERS,
    )
    compared = regressed = passed = 0
    for index in range(runs):
        suite = replace(SUITE, worse=(0.0, 0.05, 0.08)[index % 3], sigma=(0.5, 0.0)[index % 2])
        drawn = suite.draw(rng, 1)
        fast = judge_drawn(suite, drawn, rng, bootstrapped=1, resamples=9)
        verdicts = gate.judge([sample for name in drawn for sample in samples(suite, name, drawn[name])])
        found = {(verdict.metric.name, verdict.cohort): verdict.outcome for verdict in verdicts}
        for key, outcome in expected(suite, fast).items():
            said = found.pop(key)
            if said is Outcome.IMPROVED:
                said = Outcome.PASSED
            if said is not outcome:
                raise AssertionError(f"run {index}, {key}: the gate says {said}, the benchmark {outcome}")
            compared += 1
            regressed += outcome is Outcome.REGRESSED
            passed += outcome is Outcome.PASSED
        if set(found.values()) - {Outcome.INCONCLUSIVE}:
            raise AssertionError(f"run {index}: a cell under {MIN_CLUSTERS} speakers was decided")
    return (
        f"{runs} runs were judged by `CohortGate` from paired calls as well: "
        f"all {compared:,} gating cells ({regressed} regressed, {passed} passed) have the same outcome."
    )


def expected(suite: Suite, fast: Judged) -> dict[tuple[str, Cohort], Outcome]:
    """By metric and cohort, the outcome that follows from the vectorised rule."""
    cohorts = {cell.name: cohort for cell, cohort in zip(suite.cells(), cohorts_of(suite), strict=True)}
    outcomes = {}
    for i, (metric, name) in enumerate(fast.names):
        outcome = Outcome.PASSED if fast.passed[0, i] else Outcome.INCONCLUSIVE
        outcomes[metric, cohorts[name]] = Outcome.REGRESSED if fast.cohort_gate[0, i] else outcome
    return outcomes


def cohorts_of(suite: Suite) -> tuple[Cohort, ...]:
    """The cohorts as the product names them, in the order of ``suite.cells()``."""
    found = []
    for cell in suite.cells():
        everywhere = cell.lines.stop - cell.lines.start == suite.lines
        accent = () if cell.name.startswith("overall") else (("accent", cell.name.split(" × ")[0]),)
        line = () if everywhere else (("line", str(cell.lines.start)),)
        found.append(Cohort((*accent, *line)) if accent or line else EVERYONE)
    return tuple(found)


def samples(suite: Suite, metric: str, draw: Draw) -> list[PairedSample]:
    """The first run as paired calls: one with all words of a speaker on a line, or each yes/no call."""
    pairs = {
        (speaker, line): tuple(calls(metric, speaker, line, draw))
        for speaker in range(suite.speakers)
        for line in range(suite.lines)
    }
    return [
        PairedSample(
            metric=METRICS[metric],
            cohort=cohort,
            pairs=tuple(
                pair
                for speaker in range(cell.speakers.start, cell.speakers.stop)
                for line in range(cell.lines.start, cell.lines.stop)
                for pair in pairs[speaker, line]
            ),
        )
        for cell, cohort in zip(suite.cells(), cohorts_of(suite), strict=True)
    ]


def calls(metric: str, speaker: int, line: int, draw: Draw) -> Iterator[Pair]:
    """Pairs whose sums are the drawn ones."""
    x_b, n_b, x_c, n_c = (float(array[0, speaker, line]) for array in draw)
    if metric == "wer":
        yield pair(speaker, line, 0, Ratio(x_b, n_b), Ratio(x_c, n_c))
        return
    for call in range(int(n_b)):
        # Task completion counts what succeeded; the draw counts failures.
        yield pair(speaker, line, call, Ratio(float(call >= x_b), 1.0), Ratio(float(call >= x_c), 1.0))


def pair(speaker: int, line: int, call: int, baseline: Ratio, candidate: Ratio) -> Pair:
    """One call, placed with both arms."""
    name = f"speaker{speaker:03}"
    planned = PlannedCall(
        scenario=f"scenario{call:03}",
        caller=name,
        line=f"line{line}",
        trial=0,
        speaker=name,
        tags={},
    )
    return Pair(
        planned=planned,
        baseline=Scored(observations=(baseline,)),
        candidate=Scored(observations=(candidate,)),
    )
