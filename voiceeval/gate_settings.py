"""From the settings to what the gate is made of: margins, waivers, expected cohorts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise, product
from typing import Any

from voiceeval.cohort import Cohort
from voiceeval.errors import ConfigError, unknown_name
from voiceeval.gate import CohortGate
from voiceeval.margins import Margin, OwnMargin, parse_margins
from voiceeval.metrics import BUNDLED
from voiceeval.repeats import repeat_metrics
from voiceeval.score import MetricInfo
from voiceeval.settings import TABLE, Settings
from voiceeval.verdict import Waiver

DEFAULT_MARGINS: Mapping[str, str] = {
    "wer": "+2pp",
    "task_completion": "+5pp",
    "tool_path": "+5pp",
    "time_to_first_audio": "+100ms",
}
"""Tolerated where a project sets no margins of its own."""


def margins(
    settings: Settings, metrics: Iterable[MetricInfo], *, table: str = f"{TABLE} "
) -> dict[str, Margin]:
    """The margins by metric, checked before any call is placed for them.

    Args:
        settings: as they hold for the run.
        metrics: everything that gets a verdict.
        table: where they are written, for messages.

    Raises:
        ConfigError: an unknown metric, an unreadable margin or one in another unit, or no margin at all.
    """
    infos = {metric.name: metric for metric in metrics}
    written = dict(settings.margins) or {
        name: text for name, text in DEFAULT_MARGINS.items() if name in infos
    }
    found = parse_margins(written, infos.values(), key=f"{table}margins", kind="scored metric")
    if not found and not settings.cohort_margins:
        raise ConfigError(f"{table}margins: none of the scored metrics has one, so that nothing could fail")
    return found


def targets(settings: Settings, metrics: Iterable[MetricInfo]) -> dict[str, dict[str, float]]:
    """What durations aim at, by metric and quantile; reports show it and nothing is judged by it.

    Args:
        settings: as they hold for the run.
        metrics: those that are scored. A bundled one that this run does not score may have a target as well.

    Raises:
        ConfigError: an unknown metric, one that is no duration, or aims that contradict each other.
    """
    known = {name: make().info for name, make in BUNDLED.items()} | {info.name: info for info in metrics}
    durations = sorted(name for name, info in known.items() if info.unit == "ms")
    for name, aims in settings.targets.items():
        key = f"{TABLE} targets.{name}"
        if name not in known:
            raise ConfigError(f"{key}: {unknown_name('metric', name, durations)}")
        if known[name].unit != "ms":
            raise ConfigError(f"{key}: {name} is no duration; allowed: {', '.join(durations)}")
        for lower, higher in pairwise(sorted(aims)):
            if aims[lower] > aims[higher]:
                least = f"{aims[lower]:g}, as {lower} has"
                raise ConfigError(f"{key}.{higher}: given {aims[higher]:g}; allowed: at least {least}")
    return {
        name: {str(at): aims[at] for at in sorted(aims)} for name, aims in sorted(settings.targets.items())
    }


def own_margins(settings: Settings) -> tuple[OwnMargin, ...]:
    """The margins of single cohorts.

    Raises:
        ConfigError: an unreadable margin, or two of one metric and cohort.
    """
    found: dict[tuple[str, Cohort], OwnMargin] = {}
    for number, written in enumerate(settings.cohort_margins):
        key, cohort = f"{TABLE} cohort_margins[{number}]", Cohort.of(written.cohort)
        if (written.metric, cohort) in found:
            raise ConfigError(f"{key}: {written.metric}[{cohort.name}] has a margin of its own already")
        found[written.metric, cohort] = OwnMargin(
            metric=written.metric,
            cohort=cohort,
            margin=Margin.parse(written.margin, key=f"{key}.margin"),
            reason=written.reason,
            until=written.until,
        )
    return tuple(found.values())


def waivers(settings: Settings) -> tuple[Waiver, ...]:
    """The waivers, in the order in which they are written."""
    return tuple(
        Waiver(
            metric=written.metric,
            cohort=Cohort.of(written.cohort),
            owner=written.owner,
            reason=written.reason,
            expires=written.expires,
        )
        for written in settings.waivers
    )


def expected_cohorts(settings: Settings) -> tuple[Cohort, ...]:
    """Every gating cohort whose tags all have values that are expected to occur."""
    return tuple(
        Cohort(tuple(sorted(zip(tags, values, strict=True))))
        for tags in dict.fromkeys(tuple(dict.fromkeys(slicing)) for slicing in settings.cohorts)
        if tags and all(tag in settings.expect for tag in tags)
        for values in product(*(settings.expect[tag] for tag in tags))
    )


def vanished_values(settings: Settings, calls: Iterable[Mapping[str, str]]) -> tuple[Cohort, ...]:
    """Expected values that no call has, as cohorts, whether or not their tag is sliced by.

    Args:
        settings: as they hold for the run.
        calls: the tags of every call.
    """
    there: dict[str, set[str]] = {tag: set() for tag in settings.expect}
    for tags in calls:
        for tag, values in there.items():
            values.add(tags.get(tag, ""))
    return tuple(
        Cohort.of({tag: value})
        for tag, expected in settings.expect.items()
        for value in expected
        if value not in there[tag]
    )


def gate_of(
    settings: Settings, held: Mapping[str, Margin], calls: Sequence[Mapping[str, str]], *, today: date
) -> CohortGate:
    """The gate of a run.

    Args:
        settings: as they hold for the run.
        held: the margins by metric.
        calls: the tags of every planned call.
        today: against which margins of single cohorts expire.

    Raises:
        ConfigError: a setting that no gate can have, or an unreadable margin.
    """
    missing = (*expected_cohorts(settings), *vanished_values(settings, calls))
    return CohortGate(
        held,
        policy=settings.policy,
        alpha=settings.alpha,
        level=1 - 2 * settings.alpha,
        min_clusters=settings.min_clusters,
        declared=tuple(dict.fromkeys(missing)),
        own_margins=own_margins(settings),
        today=today,
        undecided_blocks=settings.inconclusive == "policy",
    )


def facts_of_the_gate(settings: Settings, held: Mapping[str, Margin]) -> dict[str, Any]:
    """What a run's manifest says of its gate; level and policy apart."""
    return {
        "min_clusters": settings.min_clusters,
        "margins": {name: margin.written for name, margin in sorted(held.items())},
        "cohort_margins": [entry.model_dump(mode="json") for entry in settings.cohort_margins],
        "expect": {tag: list(values) for tag, values in sorted(settings.expect.items())},
        "cohorts": [list(tags) for tags in settings.cohorts],
        "report_cohorts": [list(tags) for tags in settings.report_cohorts],
    }


def check_named_cells(
    settings: Settings, metrics: Iterable[str], cohorts: Sequence[Cohort], tags: Iterable[str]
) -> None:
    """Whether everything that settings name by metric, cohort or tag exists.

    Args:
        settings: as they hold for the run.
        metrics: names of what is judged.
        cohorts: those that gate, the expected ones included.
        tags: of the planned calls.

    Raises:
        ConfigError: a cohort margin or waiver of a cell that does not exist, or an expected tag that no call
            has; the message names the key and the nearest cell.
    """
    known_metrics, known_tags = sorted(metrics), sorted(tags)
    for tag in settings.expect:
        if tag not in known_tags:
            raise ConfigError(f"{TABLE} expect: {unknown_name('cohort tag', tag, known_tags)}")
    names = {cohort.name for cohort in cohorts}
    named = [
        *(
            (f"cohort_margins[{i}]", each.metric, each.cohort)
            for i, each in enumerate(settings.cohort_margins)
        ),
        *((f"waivers[{i}]", each.metric, each.cohort) for i, each in enumerate(settings.waivers)),
    ]
    for entry, metric, tags_given in named:
        if metric not in known_metrics:
            problem = unknown_name("scored metric", metric, known_metrics)
            raise ConfigError(f"{TABLE} {entry}.metric: {problem}")
        given = Cohort.of(tags_given).name
        if given not in names:
            near = difflib.get_close_matches(given, sorted(names), n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{TABLE} {entry}.cohort: no gating cohort is {given}.{hint}")


def check_release(settings: Settings, metrics: Sequence[MetricInfo], tags: Iterable[str]) -> None:
    """Whether a release could be judged by its settings: nobody should learn of a slip on the day of one.

    Args:
        settings: whatever the policy of the run.
        metrics: those that are scored.
        tags: of the planned calls.

    Raises:
        ConfigError: an unknown metric or tag, or an unreadable margin; the message names the key.
    """
    release, known = settings.release, sorted(tags)
    for key in ("cohorts", "report_cohorts"):
        for tag in (tag for slicing in getattr(release, key) or () for tag in slicing):
            if tag not in known:
                raise ConfigError(f"{TABLE} release.{key}: {unknown_name('cohort tag', tag, known)}")
    if release.margins is not None:
        trials = release.trials or settings.trials
        # A run may score fewer metrics than a release; a bundled one that is missing now is no slip.
        known_metrics = {name: make().info for name, make in BUNDLED.items()}
        known_metrics |= {info.name: info for info in metrics}
        repeated = repeat_metrics(trials, (), scored=set(known_metrics))
        margins(
            settings.model_copy(update={"margins": release.margins}),
            [*known_metrics.values(), *repeated],
            table=f"{TABLE} release.",
        )
