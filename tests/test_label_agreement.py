from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from labelled import said

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort, PlannedCall
from voiceeval.label_agreement import Agreement, Bounds, Crossed, Kappa, MetricAgreement, Untold, agreement
from voiceeval.labels import Said
from voiceeval.score import Gap, NotScored, Ratio, Score, Scored
from voiceeval.statistics.agreement import skew

WORDS = ("yes", "no", "unclear")
WHY = (["random sample"], ["newly failing"], ["newly failing", "random sample"])


def planned(count: int) -> tuple[PlannedCall, ...]:
    return tuple(
        PlannedCall(
            scenario=f"s{number}",
            caller="c",
            line="l",
            trial=0,
            speaker="c",
            tags={"accent": "welsh" if number % 2 else "scottish"},
        )
        for number in range(count)
    )


def scores(done: dict[str, bool], metric: str = "task_completion") -> dict[tuple[str, str], Score]:
    return {(id_, metric): Scored(observations=(Ratio(int(value), 1),)) for id_, value in done.items()}


def judged(labels: list[Said], found: dict[tuple[str, str], Score], calls: int = 60) -> Agreement:
    return agreement(labels, found, planned(calls), [EVERYONE, Cohort((("accent", "welsh"),))])


def row(found: Agreement, arm: str = "baseline", which: str = "all labelled calls") -> MetricAgreement:
    return next(
        each for each in found.metrics if (each.question, each.arm, each.which) == ("task_done", arm, which)
    )


def crossed_run(both: int, people: int, metric: int, neither: int, why: str = "newly failing") -> Agreement:
    """A run in which people and the metric meet so often, in that order of calls."""
    words = (
        [(True, True)] * both
        + [(True, False)] * people
        + [(False, True)] * metric
        + [(False, False)] * neither
    )
    labels = [
        said(call=f"s{number}/c/l/0", task_done="yes" if word else "no", why=[why])
        for number, (word, _) in enumerate(words)
    ]
    found = {f"s{number}/c/l/0/baseline": value for number, (_, value) in enumerate(words)}
    return judged(labels, scores(found))


def test_the_example_of_every_textbook() -> None:
    """Two readers of 50 grant proposals: 20 both yes, 15 both no; (0.70 − 0.50) / (1 − 0.50) = 0.40."""
    crossed = row(crossed_run(20, 5, 10, 15)).crossed
    kappa = crossed.kappa
    assert (crossed.agreed, crossed.compared, crossed.rates) == (35, 50, (0.5, 0.6))
    assert isinstance(kappa, Kappa)
    assert kappa.value == pytest.approx(0.4)
    assert isinstance(kappa.interval, Bounds)
    # Worked by hand after Fleiss, Cohen & Everitt: the standard error is 0.126996.
    assert (kappa.interval.lower, kappa.interval.upper) == pytest.approx(
        (0.4 - 1.959964 * 0.126996, 0.4 + 1.959964 * 0.126996), abs=1e-5
    )


def test_the_interval_is_that_of_statsmodels() -> None:
    rater = pytest.importorskip("statsmodels.stats.inter_rater")
    for table in ((20, 5, 10, 15), (31, 2, 4, 7), (3, 9, 8, 12)):
        crossed = row(crossed_run(*table)).crossed
        theirs = rater.cohens_kappa([list(line) for line in crossed.table])
        kappa = crossed.kappa
        assert isinstance(kappa, Kappa)
        assert isinstance(kappa.interval, Bounds)
        assert kappa.value == pytest.approx(theirs.kappa)
        assert (kappa.interval.lower, kappa.interval.upper) == pytest.approx(
            (theirs.kappa_low, theirs.kappa_upp)
        )


def test_prevalence_and_bias_worked_by_hand() -> None:
    """(80 − 5)/100, (10 − 5)/100 and 2 · 85/100 − 1."""
    found = skew([[80, 10], [5, 5]])
    assert found == pytest.approx((0.75, 0.05, 0.70))
    assert skew([[5, 5], [10, 80]]).prevalence == pytest.approx(-found.prevalence)
    assert skew([[80, 5], [10, 5]]).bias == pytest.approx(-found.bias)


def test_without_prevalence_and_bias_kappa_is_the_adjusted_one() -> None:
    kappa = Crossed(both=15, first=5, second=5, neither=15).kappa
    assert isinstance(kappa, Kappa)
    assert kappa.value == pytest.approx(skew([[15, 5], [5, 15]]).adjusted)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ((0, 0, 0, 0), "nothing to compare"),
        ((30, 0, 0, 0), "both give every call the same answer"),
        ((0, 0, 0, 30), "both give every call the same answer"),
    ],
)
def test_where_kappa_is_not_defined_it_is_said(table: tuple[int, int, int, int], words: str) -> None:
    kappa = Crossed(both=table[0], first=table[1], second=table[2], neither=table[3]).kappa
    assert kappa == Untold(reason=words)


def test_no_interval_is_made_of_few_labels_or_of_none_that_differ() -> None:
    few, alike = (Crossed(both=n, first=0, second=0, neither=10).kappa for n in (5, 30))
    assert isinstance(few, Kappa)
    assert isinstance(alike, Kappa)
    assert few.interval == Untold(reason="15 labels; an interval takes 20")
    assert isinstance(alike.interval, Untold)
    some = Crossed(both=9, first=1, second=0, neither=10).kappa
    assert isinstance(some, Kappa)
    assert isinstance(some.interval, Bounds)


def test_what_is_unclear_split_or_not_scored_is_counted_and_not_forced() -> None:
    labels = [
        said("AB", call="s0/c/l/0", task_done="unclear"),
        said("AB", call="s1/c/l/0", task_done="yes"),
        said("CD", call="s1/c/l/0", task_done="no"),
        said("AB", call="s2/c/l/0", task_done="yes"),
        said("AB", call="s3/c/l/0", task_done="not given"),
        said("AB", call="s4/c/l/0", task_done="no"),
    ]
    failed = {("s2/c/l/0/baseline", "task_completion"): NotScored(gap=Gap.HARNESS_FAILED, reason="ours")}
    found = row(judged(labels, {**scores({f"s{n}/c/l/0/baseline": False for n in (0, 1, 3, 4)}), **failed}))
    assert (found.unclear, found.split, found.unscored) == (1, 1, 1)
    assert found.crossed == Crossed(both=0, first=0, second=0, neither=1)


def test_most_reviewers_decide_and_the_unclear_have_no_vote() -> None:
    for votes, expected in (
        (("yes", "yes", "no"), (1, 0)),
        (("yes", "unclear", "unclear"), (1, 0)),
        (("no", "unclear", "no"), (0, 1)),
    ):
        labels = [
            said(name, call="s0/c/l/0", task_done=vote) for name, vote in zip("ABC", votes, strict=True)
        ]
        crossed = row(judged(labels, scores({"s0/c/l/0/baseline": True}))).crossed
        assert (crossed.both, crossed.second) == expected


def test_arms_and_reasons_add_up() -> None:
    rng = np.random.default_rng(4)
    labels = [
        said(
            call=f"s{n}/c/l/0",
            arm=arm,
            task_done=WORDS[rng.integers(3)],
            why=WHY[rng.integers(3)],
        )
        for n, arm in product(range(60), Arm)
    ]
    found = judged(
        labels, scores({f"s{n}/c/l/0/{arm}": bool(rng.random() < 0.6) for n, arm in product(range(60), Arm)})
    )
    for which in ("random sample", "all labelled calls"):
        parts = [row(found, arm, which).crossed for arm in Arm]
        whole = row(found, "both", which).crossed
        for name in ("both", "first", "second", "neither"):
            assert getattr(whole, name) == sum(getattr(part, name) for part in parts)
        assert whole.compared + row(found, "both", which).unclear == sum(
            which != "random sample" or "random sample" in each.label.why for each in labels
        )
    assert row(found, "both", "random sample").crossed.compared < row(found, "both").crossed.compared
    backwards = judged(labels[::-1], scores({}))
    assert [each.labels for each in backwards.reviewers] == [120]


def test_only_calls_of_the_random_sample_speak_for_the_run() -> None:
    assert row(crossed_run(5, 1, 2, 3), which="random sample").crossed.compared == 0
    assert row(crossed_run(5, 1, 2, 3, why="random sample"), which="random sample").crossed.compared == 11


def test_people_are_compared_on_calls_that_both_labelled_pair_by_pair() -> None:
    labels = [said("AB", call=f"s{n}/c/l/0", task_done="yes" if n < 6 else "no") for n in range(10)]
    labels += [said("CD", call=f"s{n}/c/l/0", task_done="yes" if n < 8 else "no") for n in range(2, 12)]
    labels += [said("EF", call="s3/c/l/0", task_done="unclear")]
    found = [each for each in judged(labels, {}).people if each.question == "task_done"]
    assert [each.reviewers for each in found] == [("AB", "CD"), ("AB", "EF"), ("CD", "EF")]
    assert found[0].crossed == Crossed(both=4, first=0, second=2, neither=2)
    assert (found[1].crossed.compared, found[1].unclear) == (0, 1)


def test_ratings_are_averaged_by_call_cohort_and_arm() -> None:
    labels = [
        said("AB", call="s0/c/l/0", tone=1),
        said("CD", call="s0/c/l/0", tone=3),
        said("AB", call="s1/c/l/0", tone=5),
        said("AB", call="s3/c/l/0", tone="not given"),
    ]
    means = {(each.cohort.name, each.rating): (each.mean, each.calls) for each in judged(labels, {}).ratings}
    assert means == {("overall", "tone"): (3.5, 2), ("accent=welsh", "tone"): (5.0, 1)}


def test_a_contradiction_names_the_call_the_arm_and_both_words() -> None:
    labels = [said(call="s0/c/l/0", arm="candidate", task_done="no", note="hung up"), said(call="s1/c/l/0")]
    found = judged(labels, scores({"s0/c/l/0/candidate": True, "s1/c/l/0/baseline": True})).contradictions
    (one,) = found
    assert (one.call, one.arm, one.question) == ("s0/c/l/0", Arm.CANDIDATE, "task_done")
    assert (one.people, one.metric, one.noted) == (False, True, True)


def test_blind_labels_are_counted_by_reviewer() -> None:
    labels = [said("AB", call=f"s{n}/c/l/0", blind=n < 3) for n in range(5)]
    labels += [said("CD", call="s0/c/l/0", why=["chosen"])]
    found = judged(labels, {}).reviewers
    assert [(each.reviewer, each.labels, each.blind, each.random) for each in found] == [
        ("AB", 5, 3, 5),
        ("CD", 1, 1, 0),
    ]


def test_an_emptied_label_counts_for_nothing() -> None:
    emptied = dict.fromkeys(("task_done", "tools_right", "tone", "clarity"), "not given")
    assert judged([said(call="s0/c/l/0", **emptied)], {}) == judged([], {})
    assert judged([said(call="s0/c/l/0", **{**emptied, "note": "odd"})], {}).reviewers[0].labels == 1


def test_alpha_takes_calls_that_were_rated_twice() -> None:
    labels = [
        said(name, call=f"s{n}/c/l/0", tone=1 + n % 5, clarity=1 + n % 5 if n < 4 else "not given")
        for n in range(25)
        for name in ("AB", "CD")
    ]
    tone, clarity = judged(labels, {}).alphas
    assert (tone.rating, tone.calls, tone.alpha) == ("tone", 25, 1.0)
    assert (clarity.calls, isinstance(clarity.alpha, Untold)) == (4, True)
