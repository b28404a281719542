"""How far people and automatic metrics agree on a run's calls, and people among themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from voiceeval.call import Arm
from voiceeval.cohort import Cohort, PlannedCall
from voiceeval.labels import NOT_GIVEN, RANDOM, Label, Said
from voiceeval.score import Score, Scored
from voiceeval.statistics.agreement import Skew, cohen_kappa, krippendorff_alpha, skew

Question = Literal["task_done", "tools_right"]
Rating = Literal["tone", "clarity"]
Which = Literal["random sample", "all labelled calls"]

FEWEST = 20
"""Labels without which κ gets no interval: its standard error holds for tens of items, not for a handful."""
LEVEL = 0.95
"""Of every interval."""
METRICS: Mapping[Question, str] = {"task_done": "task_completion", "tools_right": "tool_path"}
"""What a person is asked, and the automatic metric that answers the same."""
RATINGS: tuple[Rating, ...] = ("tone", "clarity")
_WHICH: tuple[Which, ...] = ("random sample", "all labelled calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """An interval for κ at `LEVEL`."""

    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """There is no such figure, and this is why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Cohen's κ, and its interval where it can be trusted."""

    value: float
    interval: Bounds | Untold


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """Two judges' yes and no on the same calls."""

    both: int
    """Both say yes."""
    first: int
    """Only the first does."""
    second: int
    neither: int

    @property
    def compared(self) -> int:
        """On how many calls both say yes or no."""
        return self.both + self.first + self.second + self.neither

    @property
    def agreed(self) -> int:
        """On how many they say the same."""
        return self.both + self.neither

    @property
    def table(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows: the first judge's yes and no; columns: the second's."""
        return (self.both, self.first), (self.second, self.neither)

    @property
    def rates(self) -> tuple[float, float] | Untold:
        """The share of calls on which each says yes."""
        if not self.compared:
            return Untold(reason="nothing to compare")
        return (self.both + self.first) / self.compared, (self.both + self.second) / self.compared

    @property
    def skew(self) -> Skew | Untold:
        """Prevalence and bias, which say why κ is low where nearly all agree."""
        return skew(self.table) if self.compared else Untold(reason="nothing to compare")

    @property
    def kappa(self) -> Kappa | Untold:
        """Agreement beyond chance."""
        if not self.compared:
            return Untold(reason="nothing to compare")
        rates = self.rates
        if isinstance(rates, tuple) and rates in ((1.0, 1.0), (0.0, 0.0)):
            return Untold(reason="both give every call the same answer")
        found = cohen_kappa(self.table, level=LEVEL)
        interval: Bounds | Untold = Bounds(lower=found.lower, upper=found.upper)
        if self.compared < FEWEST:
            interval = Untold(reason=f"{self.compared} labels; an interval takes {FEWEST}")
        elif found.lower == found.upper:
            # The large-sample error is 0 there, which is no knowledge of what the next call brings.
            interval = Untold(reason="nothing varies, so that no error can be estimated")
        return Kappa(value=found.value, interval=interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAgreement:
    """People against the metric that answers the same question. The first judge is people."""

    question: Question
    metric: str
    arm: str
    """``baseline``, ``candidate`` or ``both``."""
    which: Which
    crossed: Crossed
    unclear: int
    """Calls that people say are unclear."""
    split: int
    """Calls on which as many people say yes as say no."""
    unscored: int
    """Calls on which people say yes or no and the metric has no score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleAgreement:
    """Two reviewers on the calls that both labelled."""

    question: Question
    reviewers: tuple[str, str]
    crossed: Crossed
    unclear: int
    """Calls that at least one of them says are unclear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingAgreement:
    """How alike people rate, whoever they are: Krippendorff's α, ratings being ranks."""

    rating: Rating
    calls: int
    """Calls and arms that two people or more rated."""
    alpha: float | Untold


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanRating:
    """What people think of how an arm speaks, in a cohort."""

    rating: Rating
    cohort: Cohort
    arm: Arm
    calls: int
    mean: float
    """Over calls, each the mean of its reviewers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A call on which people and a metric say the opposite."""

    call: str
    arm: Arm
    question: Question
    people: bool
    metric: bool
    noted: bool
    """A reviewer wrote a note on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerCount:
    """How much one person labelled."""

    reviewer: str
    labels: int
    blind: int
    random: int
    """On calls of the random sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Everything that labels say of a run."""

    reviewers: tuple[ReviewerCount, ...]
    metrics: tuple[MetricAgreement, ...]
    people: tuple[PeopleAgreement, ...]
    alphas: tuple[RatingAgreement, ...]
    ratings: tuple[MeanRating, ...]
    contradictions: tuple[Contradiction, ...]


class _Place(NamedTuple):
    call: str
    arm: Arm


def agreement(
    said: Sequence[Said],
    scores: Mapping[tuple[str, str], Score],
    planned: Sequence[PlannedCall],
    cohorts: Iterable[Cohort],
) -> Agreement:
    """Set labels beside the scores of the same calls.

    People have one word on a call's arm: what most of those say who say yes or no. Who says that it is
    unclear has no vote; where nobody has one, the call is unclear.

    Args:
        said: labels, one for each reviewer, call and arm at most.
        scores: by ``CallKey.id`` and metric name.
        planned: the run's planned calls.
        cohorts: those for which ratings are averaged.
    """
    said = [each for each in said if each.label.says_something]
    by_place: dict[_Place, list[Said]] = {}
    for each in sorted(said, key=lambda item: (item.label.call, item.label.arm, item.reviewer)):
        by_place.setdefault(_Place(each.label.call, Arm(each.label.arm)), []).append(each)
    return Agreement(
        reviewers=tuple(_counts(said)),
        metrics=tuple(_against_metrics(by_place, scores)),
        people=tuple(_among_people(by_place)),
        alphas=tuple(_alphas(by_place)),
        ratings=tuple(_mean_ratings(by_place, planned, cohorts)),
        contradictions=tuple(_contradictions(by_place, scores)),
    )


def _counts(said: Sequence[Said]) -> Iterator[ReviewerCount]:
    for reviewer in sorted({each.reviewer for each in said}):
        labels = [each.label for each in said if each.reviewer == reviewer]
        yield ReviewerCount(
            reviewer=reviewer,
            labels=len(labels),
            blind=sum(label.blind for label in labels),
            random=sum(RANDOM in label.why for label in labels),
        )


def _word(said: Iterable[Said], question: Question) -> str:
    """What people say together: ``yes``, ``no``, ``split``, ``unclear``, or that nobody answered."""
    votes = Counter(getattr(each.label, question) for each in said)
    if votes["yes"] or votes["no"]:
        return "split" if votes["yes"] == votes["no"] else "yes" if votes["yes"] > votes["no"] else "no"
    return "unclear" if votes["unclear"] else NOT_GIVEN


def _scored(scores: Mapping[tuple[str, str], Score], place: _Place, question: Question) -> bool | Untold:
    """What the metric says; as the pages say ``task done``."""
    score = scores.get((f"{place.call}/{place.arm}", METRICS[question]))
    if not isinstance(score, Scored) or not score.total.denominator:
        return Untold(reason="not scored")
    return score.total.numerator >= score.total.denominator


def _crossed(pairs: Iterable[tuple[bool, bool]]) -> Crossed:
    counts = Counter(pairs)
    return Crossed(
        both=counts[True, True],
        first=counts[True, False],
        second=counts[False, True],
        neither=counts[False, False],
    )


def _against_metrics(
    by_place: Mapping[_Place, Sequence[Said]], scores: Mapping[tuple[str, str], Score]
) -> Iterator[MetricAgreement]:
    for question, metric in METRICS.items():
        for arm in (*map(str, Arm), "both"):
            for which in _WHICH:
                chosen = {
                    place: said
                    for place, said in by_place.items()
                    if arm in (place.arm, "both") and (which != RANDOM or _is_random(said))
                }
                words = {place: _word(said, question) for place, said in chosen.items()}
                told = {place: word == "yes" for place, word in words.items() if word in ("yes", "no")}
                scored = {place: _scored(scores, place, question) for place in told}
                yield MetricAgreement(
                    question=question,
                    metric=metric,
                    arm=arm,
                    which=which,
                    crossed=_crossed(
                        (told[place], found) for place, found in scored.items() if isinstance(found, bool)
                    ),
                    unclear=sum(word == "unclear" for word in words.values()),
                    split=sum(word == "split" for word in words.values()),
                    unscored=sum(isinstance(found, Untold) for found in scored.values()),
                )


def _is_random(said: Iterable[Said]) -> bool:
    return any(RANDOM in each.label.why for each in said)


def _among_people(by_place: Mapping[_Place, Sequence[Said]]) -> Iterator[PeopleAgreement]:
    met: dict[tuple[str, str], list[tuple[Label, Label]]] = {}
    for said in by_place.values():
        for one, other in combinations(said, 2):
            met.setdefault((one.reviewer, other.reviewer), []).append((one.label, other.label))
    for reviewers in sorted(met):
        for question in METRICS:
            words = [(getattr(one, question), getattr(other, question)) for one, other in met[reviewers]]
            given = [pair for pair in words if NOT_GIVEN not in pair]
            yield PeopleAgreement(
                question=question,
                reviewers=reviewers,
                crossed=_crossed(
                    (one == "yes", other == "yes") for one, other in given if "unclear" not in (one, other)
                ),
                unclear=sum("unclear" in pair for pair in given),
            )


def _alphas(by_place: Mapping[_Place, Sequence[Said]]) -> Iterator[RatingAgreement]:
    reviewers = sorted({each.reviewer for said in by_place.values() for each in said})
    row = {reviewer: place for place, reviewer in enumerate(reviewers)}
    for rating in RATINGS:
        values = np.zeros((len(reviewers), len(by_place)))
        for column, said in enumerate(by_place.values()):
            for each in said:
                given = getattr(each.label, rating)
                values[row[each.reviewer], column] = 0 if given == NOT_GIVEN else given
        twice = int(((values > 0).sum(axis=0) >= 2).sum())
        if not twice:
            continue
        try:
            alpha: float | Untold = krippendorff_alpha(values, values > 0, "ordinal")
        except ValueError as failure:
            alpha = Untold(reason=str(failure))
        if twice < FEWEST:
            alpha = Untold(reason=f"{twice} calls were rated twice; α takes {FEWEST}")
        yield RatingAgreement(rating=rating, calls=twice, alpha=alpha)


def _mean_ratings(
    by_place: Mapping[_Place, Sequence[Said]], planned: Sequence[PlannedCall], cohorts: Iterable[Cohort]
) -> Iterator[MeanRating]:
    tags, asked = {call.id: call.tags for call in planned}, sorted(set(cohorts))
    for rating in RATINGS:
        means: dict[_Place, float] = {}
        for place, said in by_place.items():
            given = [value for each in said if (value := getattr(each.label, rating)) != NOT_GIVEN]
            if given:
                means[place] = sum(given) / len(given)
        for cohort in asked:
            for arm in Arm:
                inside = [
                    mean
                    for place, mean in means.items()
                    if place.arm is arm
                    and all(tags[place.call].get(tag) == value for tag, value in cohort.parts)
                ]
                if inside:
                    yield MeanRating(
                        rating=rating,
                        cohort=cohort,
                        arm=arm,
                        calls=len(inside),
                        mean=sum(inside) / len(inside),
                    )


def _contradictions(
    by_place: Mapping[_Place, Sequence[Said]], scores: Mapping[tuple[str, str], Score]
) -> Iterator[Contradiction]:
    for question in METRICS:
        for place, said in by_place.items():
            word, scored = _word(said, question), _scored(scores, place, question)
            if word in ("yes", "no") and isinstance(scored, bool) and (word == "yes") != scored:
                yield Contradiction(
                    call=place.call,
                    arm=place.arm,
                    question=question,
                    people=word == "yes",
                    metric=scored,
                    noted=any(each.label.note for each in said),
                )
