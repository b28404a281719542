"""How ``voiceeval compare`` judges two tables: settings of a file, the command line's in their place."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from voiceeval.config import project_table
from voiceeval.errors import ConfigError, unknown_name
from voiceeval.gate import CohortGate
from voiceeval.gate_settings import expected_cohorts, facts_of_the_gate, own_margins, waivers
from voiceeval.margins import Margin
from voiceeval.metrics import BUNDLED
from voiceeval.scenario import Written
from voiceeval.score import Direction, MetricInfo
from voiceeval.settings import TABLE, Part, Settings
from voiceeval.statistics.looks import pocock_nominal
from voiceeval.table_comparison import TableGate
from voiceeval.toml_files import read_toml, validated

MOST_LOOKS = 2
LEVEL = 0.90
"""Of the two-sided intervals at a single look, as the gate's."""
PYPROJECT = "pyproject.toml"
_DIRECTIONS: Mapping[str, Direction] = {
    "lower": Direction.LOWER_IS_BETTER,
    "higher": Direction.HIGHER_IS_BETTER,
}
_METRIC_FORM = "name:unit:direction or name:share:direction:yes_no, such as csat:share:higher:yes_no"


class DeclaredMetric(Written):
    """A metric of the tables' own, as ``[metrics.NAME]`` says."""

    unit: Literal["share", "ms", "currency"]
    direction: Literal["lower", "higher"]
    """Which way is better."""
    yes_no: bool = False
    """One 0 or 1 per call."""
    title: str = ""
    """In reports; empty: the name."""

    def info(self, name: str, *, where: str) -> MetricInfo:
        """The metric it declares; ConfigError where the name is taken or yes/no is not a share."""
        if name in BUNDLED:
            raise ConfigError(f"{where}: {name!r} is a bundled metric; allowed: a name of its own")
        if self.yes_no and self.unit != "share":
            raise ConfigError(f"{where}: yes_no is measured as {self.unit}; allowed: share")
        return MetricInfo(
            name=name,
            version=1,
            title=self.title or name.replace("_", " ").capitalize(),
            definition="as the tables' own runner measures it",
            unit=self.unit,
            direction=_DIRECTIONS[self.direction],
            yes_no=self.yes_no,
        )


class _Declared(Written):
    metrics: Mapping[str, DeclaredMetric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says; what it does not say comes from the settings."""

    metrics: Sequence[str] = ()
    """``csat:share:higher:yes_no``."""
    margins: Sequence[str] = ()
    """``wer=+2pp``; in place of all margins of the settings."""
    cohorts: Sequence[str] = ()
    """``accent,line``; in place of all cohorts of the settings, reported ones too. Everyone always is one."""
    report_cohorts: Sequence[str] = ()
    policy: str = ""
    alpha: float | None = None
    min_clusters: int | None = None
    paired: bool = True
    standardise: str = ""
    looks: int = 1
    look: int = 1


def table_gate(settings: Path | None, given: Given, *, today: date) -> TableGate:
    """Everything that judging two tables takes.

    Args:
        settings: a pyproject.toml with ``[tool.voiceeval]``, or a file of the same keys and
            ``[metrics.NAME]``; ``None``: the pyproject.toml here, if it has any.
        given: what the command line says.
        today: against which waivers and cohort margins expire.

    Raises:
        ConfigError: a file, key, name or option is wrong.
    """
    where, written, declared = _read(settings)
    plain = validated({**written, **_plain(given)}, Settings, where=where, error=ConfigError)
    if plain.policy == "release":
        written = {**written, **written.get("release", {})}
    found = validated({**written, **_plain(given)}, Settings, where=where, error=ConfigError)
    metrics = {
        **_bundled(),
        **_of_project(found, str((settings or Path(PYPROJECT)).resolve().parent)),
        **declared,
        **_declared_options(given.metrics),
    }
    if given.standardise and given.paired:
        raise ConfigError("--standardise: paired calls are of one mix already; allowed: with --unpaired")
    found = found.model_copy(update=_cohorts(found, given))
    margins = _margins(given.margins, found, metrics, where)
    gate = _gate(found, given, margins, today=today)
    return TableGate(
        gate=gate,
        metrics=metrics,
        cohorts=found.cohorts,
        report_cohorts=found.report_cohorts,
        # Cohorts of the command line stand in for the settings', and with them what those expect.
        expect=() if given.cohorts else tuple(found.expect),
        paired=given.paired,
        standardise=_tags(given.standardise, key="--standardise"),
        waivers=waivers(found),
        today=today,
        explore_depth=found.explore_depth,
        facts={
            "alpha": found.alpha,
            "looks": given.looks,
            "look": given.look,
            "alpha_of_this_look": gate.alpha,
            **facts_of_the_gate(found, margins),
        },
    )


def _cohorts(found: Settings, given: Given) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The slicings by setting; everyone together always gates."""
    told = found.model_fields_set
    gating = _slicings(given.cohorts, found.cohorts, key="--cohort", told="cohorts" in told)
    reported = _slicings(
        given.report_cohorts,
        found.report_cohorts,
        key="--report-cohort",
        told="report_cohorts" in told and not given.cohorts,
    )
    return {"cohorts": tuple(dict.fromkeys([(), *gating])), "report_cohorts": tuple(reported)}


def _gate(found: Settings, given: Given, margins: Mapping[str, Margin], *, today: date) -> CohortGate:
    alpha, level = _levels(found.alpha, looks=given.looks, look=given.look)
    return CohortGate(
        margins,
        policy=found.policy,
        alpha=alpha,
        level=level,
        min_clusters=found.min_clusters,
        own_margins=own_margins(found),
        declared=expected_cohorts(found),
        today=today,
        undecided_blocks=found.inconclusive != "allow",
    )


def _read(settings: Path | None) -> tuple[str, dict[str, Any], dict[str, MetricInfo]]:
    """Where the settings are from, the settings, and the metrics they declare."""
    path = settings or Path(PYPROJECT)
    if settings is None and not path.is_file():
        return "options", {}, {}
    if path.name == PYPROJECT:
        return f"{path}: {TABLE}", project_table(path), {}
    written = read_toml(path, error=ConfigError)
    declared = validated(
        {"metrics": written.pop("metrics", {})}, _Declared, where=str(path), error=ConfigError
    ).metrics
    infos = {name: each.info(name, where=f"{path}: metrics.{name}") for name, each in declared.items()}
    return str(path), written, infos


def _plain(given: Given) -> dict[str, Any]:
    options = {"policy": given.policy or None, "alpha": given.alpha, "min_clusters": given.min_clusters}
    return {key: value for key, value in options.items() if value is not None}


def _bundled() -> dict[str, MetricInfo]:
    made = [make().info for make in BUNDLED.values()]
    return {info.name: info for info in made}


def _of_project(settings: Settings, folder: str) -> dict[str, MetricInfo]:
    """What the project's own metrics measure; bundled ones with options may have names of their own."""
    own = tuple(part for part in settings.metrics if isinstance(part, Part) or part not in BUNDLED)
    if not own:
        return {}
    from voiceeval.assembly import score_with

    # As where a run is put together: metrics of the project itself are importable from its folder.
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return {metric.info.name: metric.info for metric in score_with(own)}


def _declared_options(written: Sequence[str]) -> dict[str, MetricInfo]:
    found = {}
    for text in written:
        name, *parts = text.split(":")
        if not name or len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] != "yes_no"):
            raise ConfigError(f"--metric: {text!r} is not a metric; write {_METRIC_FORM}")
        document = {"unit": parts[0], "direction": parts[1], "yes_no": len(parts) == 3}
        where = f"--metric {name}"
        found[name] = validated(document, DeclaredMetric, where=where, error=ConfigError).info(
            name, where=where
        )
    return found


def _margins(
    written: Sequence[str], settings: Settings, metrics: Mapping[str, MetricInfo], where: str
) -> dict[str, Margin]:
    texts, key = dict(settings.margins), f"{where}: margins"
    if written:
        key = "--margin"
        pairs = [text.partition("=") for text in written]
        for name, equals, text in pairs:
            if not (name and equals and text):
                raise ConfigError(f"--margin: {name + equals + text!r} is not a margin; write wer=+2pp")
        texts = {name: text for name, _, text in pairs}
        if len(texts) < len(pairs):
            raise ConfigError("--margin: one metric is given two margins; keep one")
    if not texts and not settings.cohort_margins:
        raise ConfigError(
            "no metric has a margin, so that nothing could fail; say how much worse is tolerated, such as "
            "--margin wer=+2pp, or in [margins] of the settings"
        )
    found = {}
    for name, text in texts.items():
        if name not in metrics:
            raise ConfigError(f"{key}.{name}: {unknown_name('metric', name, metrics)}")
        found[name] = Margin.parse(text, key=f"{key}.{name}")
        found[name].check(metrics[name], key=f"{key}.{name}")
    return found


def _slicings(
    given: Sequence[str], settings: tuple[tuple[str, ...], ...], *, key: str, told: bool
) -> tuple[tuple[str, ...], ...]:
    """The command line's slicings, else the settings'; the defaults of suites are not those of tables."""
    if given:
        return tuple(dict.fromkeys(_tags(text, key=key) for text in given))
    return settings if told else ()


def _tags(text: str, *, key: str) -> tuple[str, ...]:
    tags = tuple(tag.strip() for tag in text.split(",")) if text.strip() else ()
    if not all(tags) or len(set(tags)) < len(tags):
        raise ConfigError(f"{key}: {text!r} is not a list of tags; write accent or accent,line")
    return tags


def _levels(alpha: float, *, looks: int, look: int) -> tuple[float, float]:
    """The level of this look's tests and of its two-sided intervals.

    Every look may stop the comparison, so that each is held to Pocock's level: .0294 for two at .05.
    """
    if not 1 <= looks <= MOST_LOOKS:
        raise ConfigError(f"--looks: given {looks}; allowed: 1, or 2 when they were declared beforehand")
    if not 1 <= look <= looks:
        raise ConfigError(f"--look: given {look}; allowed: 1 to {looks}, the looks that were declared")
    if looks == 1:
        return alpha, LEVEL
    return pocock_nominal(looks, alpha), 1 - 2 * pocock_nominal(looks, (1 - LEVEL) / 2)
