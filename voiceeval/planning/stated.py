"""Plans before the first call: a suite and its rates as people state them, in a TOML file.

How the variance of a difference follows from what is stated, with m calls per speaker and G speakers:

=================  ==================================================================================
error rates        per call and arm v = rate·(1 − rate)·overdispersion / words_per_call (binomial with an
                   overdispersion factor: McCullagh & Nelder, Generalized Linear Models, 1989, §4.5), and
                   2·v·(1 − arm_correlation) for the difference
yes/no outcomes    per call ``discordant``: a pair that differs counts ±1 (McNemar; Connor, Biometrics 43,
                   1987), times 1 + (m − 1)·icc for m calls of one speaker (Kish, Survey Sampling, 1965,
                   §5.4; Donner & Klar, Cluster Randomization Trials, 2000)
anything else      per call ``difference_sd``²
speakers           ``between_sd``² beside it, which no number of calls per speaker averages out:
                   SE² = (between_sd² + per call / m) / G
=================  ==================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.errors import ConfigError
from voiceeval.margins import LEAST_RELATIVE_BASELINE, Margin
from voiceeval.planning.additions import Suite
from voiceeval.planning.cells import Cell, Unknown
from voiceeval.planning.noise import Noise
from voiceeval.scenario import Written
from voiceeval.score import Direction, MetricInfo
from voiceeval.toml_files import read_model

COHORT = "cohort"
"""The tag that stated cohorts differ in."""


class StatedMetric(Written):
    """What is believed of one metric. Shares are parts of 1, durations milliseconds."""

    rate: Annotated[float, Field(ge=0)]
    """Of the baseline, as people read it: the share of completed tasks, the word error rate."""
    margin: Annotated[str, Field(min_length=1)]
    """How much worse is tolerated, such as ``"+2pp"``."""
    words_per_call: Annotated[float, Field(gt=0)] | None = None
    """Error rates: reference words (or whatever is counted, such as turns) per call."""
    overdispersion: Annotated[float, Field(ge=1)] = 1.0
    """Error rates: variance of a call's errors over the binomial one, because errors come in bursts."""
    arm_correlation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Error rates: of the two arms' errors in one call; 0 errs on the safe side."""
    discordant: Annotated[float, Field(gt=0, le=1)] | None = None
    """Yes/no outcomes: the share of calls that end differently in the two arms although nothing changed."""
    icc: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Yes/no outcomes: how alike the differences of one speaker's calls are."""
    difference_sd: Annotated[float, Field(gt=0)] | None = None
    """Anything else: standard deviation of one call's difference between the arms, in the metric's unit."""
    between_sd: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation over speakers of the true difference, in the metric's unit."""


class StatedSuite(Written):
    """A suite that is thought of, and the rates it is thought to have."""

    speakers: Annotated[int, Field(ge=2, le=20_000)]
    """In each cohort."""
    calls_per_speaker: Annotated[int, Field(ge=1, le=10_000)]
    """Per arm."""
    cohorts: Annotated[int, Field(ge=1, le=1000)] = 1
    """All alike, and of different speakers; with more than one, everyone together is a cell as well."""
    metrics: Annotated[Mapping[str, StatedMetric], Field(min_length=1)]
    """By metric name."""


def read_stated(path: Path) -> StatedSuite:
    """The file as a suite; ConfigError names the key, what was given and what is allowed."""
    return read_model(path, StatedSuite, error=ConfigError)


def stated_design(stated: StatedSuite) -> Suite:
    """The design as the plan takes it."""
    speakers = stated.speakers * stated.cohorts
    return Suite(
        speakers=speakers,
        calls=speakers * stated.calls_per_speaker,
        trials=1,
        speaker_tags=frozenset({COHORT}),
        copies=stated.cohorts,
    )


def stated_cells(stated: StatedSuite, metrics: Iterable[MetricInfo], *, where: str) -> tuple[Cell, ...]:
    """One cell per metric for everyone, and one that stands for all cohorts.

    Args:
        stated: the suite.
        metrics: of the names that the suite states rates for.
        where: the file, for messages.

    Raises:
        ConfigError: a margin that cannot be read, a rate that cannot be, or figures that the metric has no
            use for.
    """
    cells = []
    for metric in metrics:
        key = f"{where}: metrics.{metric.name}"
        given = stated.metrics[metric.name]
        _check(metric, given, key)
        margin = Margin.parse(given.margin, key=f"{key}.margin")
        margin.check(metric, key=f"{key}.margin")
        if margin.on_log_scale(metric):
            raise ConfigError(
                f"{key}.margin: given {margin.written!r}; allowed: an amount in ms, such as +80ms"
            )
        sizes = [(EVERYONE, stated.speakers * stated.cohorts, 1)]
        if stated.cohorts > 1:
            name = Cohort.of({COHORT: f"any of {stated.cohorts}"})
            sizes.append((name, stated.speakers, stated.cohorts))
        for cohort, speakers, copies in sizes:
            noise = _noise(metric, given, speakers, stated.calls_per_speaker)
            rate = 1 - given.rate if _share_of_successes(metric) else given.rate
            least = LEAST_RELATIVE_BASELINE if metric.unit == "share" else 0.0
            nothing = margin.relative and rate <= least
            reason = f"the margin {margin.written} is relative to a baseline of next to nothing; say it in pp"
            cells.append(
                Cell(
                    metric=metric,
                    cohort=cohort,
                    margin=margin,
                    pairs=speakers * stated.calls_per_speaker,
                    baseline=given.rate,
                    noise=Unknown(reason=reason) if nothing else noise,
                    copies=copies,
                )
            )
    return tuple(cells)


def _noise(metric: MetricInfo, given: StatedMetric, speakers: int, calls: int) -> Noise:
    """The noise of one cell; ``variance`` holds each arm's own and what they share."""
    between, own, shared = given.between_sd**2, 0.0, 0.0
    differing, per_call = 1.0, 0.0
    if given.discordant is not None:
        between += given.icc * given.discordant
        per_call = given.discordant * (1 - given.icc)
        own = given.rate * (1 - given.rate)
        effective = calls / (1 + (calls - 1) * given.icc)
        differing = _differs(given.discordant, effective)
    elif given.words_per_call is not None:
        own = given.rate * (1 - given.rate) * given.overdispersion / given.words_per_call
        per_call = 2 * own * (1 - given.arm_correlation)
        if metric.is_proportion:
            turn = 2 * given.rate * (1 - given.rate) * (1 - given.arm_correlation)
            differing = _differs(turn, calls * given.words_per_call / given.overdispersion)
    elif given.difference_sd is not None:
        per_call = given.difference_sd**2
        own = per_call / 2
    shared = own - per_call / 2
    total = speakers * calls
    return Noise(
        speakers=speakers,
        calls=total,
        variance=(between / speakers + own / total, -2 * shared / total, own / total),
        df=speakers - 1.0,
        correlation=between / (between + per_call),
        separable=True,
        yes_no=metric.is_proportion,
        fewest_calls=metric.fewest_calls,
        one_outcome=metric.yes_no and calls == 1,
        differing=differing,
    )


def _differs(discordant: float, calls: float) -> float:
    """P(a speaker's rates differ): not as many calls newly fail as newly succeed."""
    from scipy.special import gammaln, xlog1py, xlogy

    most = int(calls // 2)
    alike = 0.0
    for k in range(most + 1):
        log_p = gammaln(calls + 1) - 2 * gammaln(k + 1) - gammaln(calls - 2 * k + 1)
        log_p += xlogy(2 * k, discordant / 2) + xlog1py(calls - 2 * k, -discordant)
        alike += math.exp(float(log_p))
    return min(max(1 - alike, 0.0), 1.0)


def _check(metric: MetricInfo, given: StatedMetric, key: str) -> None:
    """The figures that the kind of metric needs, and no others."""
    wanted = (
        "discordant" if metric.yes_no else "words_per_call" if metric.unit == "share" else "difference_sd"
    )
    theirs = {
        "words_per_call": ("overdispersion", "arm_correlation"),
        "discordant": ("icc",),
        "difference_sd": (),
    }
    if metric.unit == "share" and not metric.is_proportion and given.difference_sd is not None:
        wanted = "difference_sd"
    if getattr(given, wanted) is None:
        raise ConfigError(f"{key}: {wanted} is missing; {_why(wanted)}")
    for kind, others in theirs.items():
        for name in (kind, *others):
            if kind != wanted and name in given.model_fields_set:
                raise ConfigError(f"{key}.{name}: says nothing of {metric.name}; it has {wanted}")
    if metric.unit == "share" and not 0 < given.rate < 1:
        raise ConfigError(f"{key}.rate: given {given.rate:g}; allowed: a share between 0 and 1, such as 0.1")
    if given.discordant is not None and given.discordant > 2 * min(given.rate, 1 - given.rate) + 1e-12:
        most = 2 * min(given.rate, 1 - given.rate)
        raise ConfigError(
            f"{key}.discordant: given {given.discordant:g}; allowed: at most {most:g}, because two arms that "
            f"both reach {given.rate:g} cannot differ more often"
        )


def _why(wanted: str) -> str:
    return {
        "discordant": "the share of calls that end differently in two runs of the same agent, such as 0.2",
        "words_per_call": "reference words per call, such as 8 (of a share of turns: turns per call)",
        "difference_sd": "the standard deviation of one call's difference between the arms",
    }[wanted]


def _share_of_successes(metric: MetricInfo) -> bool:
    return metric.direction is Direction.HIGHER_IS_BETTER and metric.unit == "share"
