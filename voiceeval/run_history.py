"""Finished runs → how each metric and cohort went from release to release.

A run says two things of a metric in a cohort: the level of its baseline and that of its candidate. Put in the
order of the agents' release dates they are a trend. Nothing is tested here: whether a candidate may ship is
its own run's verdict, and who looks along many releases has looked many times.

Levels are put into one line only where they were measured alike: the same suite and matrix, the same version
of the metric, the same engine and reference, and the whole suite rather than a selection of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.errors import RunFolderError, unknown_name
from voiceeval.run_folder import RunFolder, find_run
from voiceeval.score import Direction, MetricInfo
from voiceeval.verdict import Outcome

UNDATED = "undated"
_MOST_DIGITS = 18
"""What is longer is no number that counts versions, and perhaps none that Python reads."""
_READABLE = range(2, 4)
"""Schema versions of ``gate.json`` that say what is read here in the same words."""


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """An agent as it was at one time. Ordered by date, undated ones last, then by version and name."""

    date: str
    """As the agent's file says, e.g. ``2026-11-16``, or `UNDATED`."""
    version: tuple[tuple[int, str], ...]
    """The version in parts that sort: 2.10 comes after 2.9."""
    name: str
    model_version: str
    fingerprint: str
    """Of all its parts: another one with the same name and version is another release."""

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.model_version}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One metric in one cohort, as one run measured it for one of its arms."""

    value: float
    """In the metric's own unit."""
    run: str
    """Name of the run's folder."""
    arm: Arm
    alike: str
    """Digest of how it was measured; levels with the same one can be put into one line."""
    speakers: int
    calls: int
    verdict: Outcome | None
    """Of the candidate against the run's baseline; a baseline has none."""
    blocks: bool
    """Whether that verdict kept it from shipping."""
    difference: float
    """Candidate minus the run's baseline; 0 for a baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One metric in one cohort over the releases."""

    metric: MetricInfo
    cohort: Cohort
    gated: bool
    """Whether any of the runs gated it."""
    levels: Mapping[Release, tuple[Level, ...]]
    """By release: every run's level, in the order of the runs. A release without one is absent."""

    def shown(self, release: Release) -> tuple[Level, ...]:
        """The level that stands for a release, or nothing.

        That of its newest run as a candidate, because there it has a verdict; else of its newest run.
        """
        levels = self.levels.get(release, ())
        judged = [level for level in levels if level.arm is Arm.CANDIDATE]
        return ((judged or list(levels))[-1],) if levels else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Runs put together."""

    releases: tuple[Release, ...]
    """Oldest first."""
    trends: tuple[Trend, ...]
    """Gated ones first; then by metric, overall first, then by cohort."""
    runs: tuple[str, ...]
    skipped: tuple[str, ...]
    """Why folders in a folder of runs are not in it, a sentence each."""


class _Model(BaseModel):
    """Just the keys that are read; a newer version may write more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Metric(_Model):
    name: str
    version: int
    title: str
    unit: Literal["share", "ms", "currency", "count"]
    direction: Direction


class _Cohort(_Model):
    tags: Mapping[str, str]


class _Estimate(_Model):
    kind: Literal["estimate", "none"]
    baseline: float = 0.0
    candidate: float = 0.0
    difference: float = 0.0


class _Counts(_Model):
    scored: int
    speakers: int


class _Verdict(_Model):
    metric: _Metric
    cohort: _Cohort
    outcome: Outcome
    gating: bool
    blocks: bool
    estimate: _Estimate
    counts: _Counts


class _Arm(_Model):
    name: str
    model_version: str = ""
    release_date: str = ""
    parts: Mapping[str, str] = Field(default_factory=dict)


class _Manifest(_Model):
    arms: Mapping[Arm, _Arm]
    suite_digest: str = ""
    matrix: str = ""
    """Which callers speak which scenarios of the suite."""
    engine: str = ""
    reference: str = ""


class _Gate(_Model):
    partial: bool
    manifest: _Manifest
    verdicts: tuple[_Verdict, ...]


def history(paths: Sequence[Path]) -> History:
    """Put runs together.

    Args:
        paths: run folders, or folders that hold run folders. Of the latter, what cannot be read is skipped
            and told in `History.skipped`; a run that is named itself has to be readable.

    Raises:
        RunFolderError: nothing to read, a run that was not judged, or one of another schema.
    """
    gates: dict[str, _Gate] = {}
    skipped: list[str] = []
    for path in paths:
        for folder, named in _folders(path):
            try:
                gates[_unused(folder, gates)] = _gate(folder)
            except RunFolderError as error:
                if named:
                    raise
                skipped.append(str(error))
    if not gates:
        told = "; ".join([", ".join(map(str, paths)), *skipped[:3]])
        raise RunFolderError(f"no judged run here: {told}")
    trends = _trends(gates)
    releases = {release for trend in trends for release in trend.levels}
    return History(releases=tuple(sorted(releases)), trends=trends, runs=tuple(gates), skipped=tuple(skipped))


def _folders(path: Path) -> list[tuple[Path, bool]]:
    """The run folders meant by a path, and whether each was named itself."""
    if not path.is_dir():
        raise RunFolderError(f"{path}: no such folder")
    if (path / "manifest.json").is_file():
        return [(path, True)]
    found = sorted(item for item in path.iterdir() if item.is_dir() and not item.is_symlink())
    runs = [(item, False) for item in found if (item / "manifest.json").is_file()]
    if not runs:
        pointed = find_run(path)
        raise RunFolderError(f"{pointed}: no run here, nor in a folder of it: none holds a manifest.json")
    return runs


def _unused(folder: Path, taken: Mapping[str, _Gate]) -> str:
    """The folder's name; with its parent's where another run has that name already."""
    name = folder.resolve().name
    return name if name not in taken else str(folder.resolve())


def _gate(folder: Path) -> _Gate:
    RunFolder.open(folder)
    path = folder / "gate.json"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise RunFolderError(
            f"{path}: absent: the run was not judged; 'voiceeval report {folder}' judges it"
        ) from None
    try:
        version = _Schema.model_validate_json(text).schema_version
        if version not in _READABLE:
            allowed = " or ".join(map(str, _READABLE))
            raise RunFolderError(
                f"{path}: schema_version: {version} was written by another version of voiceeval; allowed: "
                f"{allowed}. 'voiceeval report {folder}' writes it anew"
            )
        return _Gate.model_validate_json(text)
    except ValidationError as failure:
        first = failure.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunFolderError(f"{path}: damaged: {first['type']} at '{where}'") from None


class _Schema(_Model):
    schema_version: int


def _trends(gates: Mapping[str, _Gate]) -> tuple[Trend, ...]:
    found: dict[tuple[str, Cohort], dict[Release, list[Level]]] = {}
    metrics: dict[str, MetricInfo] = {}
    gated: set[tuple[str, Cohort]] = set()
    for run, gate in gates.items():
        releases = {arm: _release(said) for arm, said in gate.manifest.arms.items()}
        for verdict in gate.verdicts:
            key = verdict.metric.name, Cohort.of(verdict.cohort.tags)
            # The newest run's words for a metric are the ones to show.
            metrics[verdict.metric.name] = _metric_info(verdict.metric)
            if verdict.gating:
                gated.add(key)
            if verdict.estimate.kind == "none":
                continue
            for arm, release in releases.items():
                level = _level(run, gate, verdict, arm)
                found.setdefault(key, {}).setdefault(release, []).append(level)
    trends = [
        Trend(
            metric=metrics[name],
            cohort=cohort,
            gated=(name, cohort) in gated,
            levels={release: tuple(levels) for release, levels in sorted(by_release.items())},
        )
        for (name, cohort), by_release in found.items()
    ]
    return tuple(sorted(trends, key=_place))


def _place(trend: Trend) -> tuple[bool, str, bool, int, Cohort]:
    cohort = trend.cohort
    return not trend.gated, trend.metric.name, cohort != EVERYONE, len(cohort.parts), cohort


def _level(run: str, gate: _Gate, verdict: _Verdict, arm: Arm) -> Level:
    judged = arm is Arm.CANDIDATE
    estimate = verdict.estimate
    return Level(
        value=estimate.candidate if judged else estimate.baseline,
        run=run,
        arm=arm,
        alike=_alike(run, gate, verdict.metric),
        speakers=verdict.counts.speakers,
        calls=verdict.counts.scored,
        verdict=verdict.outcome if judged else None,
        blocks=judged and verdict.blocks,
        difference=estimate.difference if judged else 0.0,
    )


def _alike(run: str, gate: _Gate, metric: _Metric) -> str:
    manifest = gate.manifest
    parts = [
        manifest.suite_digest,
        manifest.matrix,
        manifest.engine,
        manifest.reference,
        metric.name,
        str(metric.version),
    ]
    # A selection is like nothing but itself: who was selected is not told by a digest of the suite.
    parts.append(run if gate.partial or not manifest.suite_digest else "")
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]


def _release(said: _Arm) -> Release:
    parts = "\x1f".join(f"{name}={digest}" for name, digest in sorted(said.parts.items()))
    return Release(
        date=said.release_date or UNDATED,
        version=_sortable(said.model_version),
        name=said.name,
        model_version=said.model_version,
        fingerprint=hashlib.sha256(parts.encode()).hexdigest()[:12],
    )


def _sortable(version: str) -> tuple[tuple[int, str], ...]:
    """Numbers by value, everything else as text.

    >>> _sortable("2.10") > _sortable("2.9")
    True
    """
    words = "".join(sign if sign.isdecimal() else f" {sign} " for sign in version).split()
    numbers = [word.isdecimal() and word.isascii() and len(word) <= _MOST_DIGITS for word in words]
    return tuple(
        (int(word), "") if number else (-1, word) for word, number in zip(words, numbers, strict=True)
    )


def _metric_info(said: _Metric) -> MetricInfo:
    return MetricInfo(
        name=said.name,
        version=said.version,
        title=said.title,
        definition="",
        unit=said.unit,
        direction=said.direction,
    )


def chosen(
    trends: Iterable[Trend], *, metrics: Sequence[str] = (), cohorts: Sequence[Cohort] = ()
) -> tuple[Trend, ...]:
    """The trends to show: those of the given metrics and cohorts; of all that was gated where none is given.

    Raises:
        RunFolderError: a metric or cohort that none of the runs has.
    """
    every = tuple(trends)
    _known("metric", metrics, {trend.metric.name for trend in every})
    _known("cohort", [cohort.name for cohort in cohorts], {trend.cohort.name for trend in every})
    return tuple(
        trend
        for trend in every
        if (not metrics or trend.metric.name in metrics)
        and (not cohorts or trend.cohort in cohorts)
        and (trend.gated or metrics or cohorts)
    )


def cohort_named(name: str) -> Cohort:
    """A cohort as people write it on a command line.

    >>> cohort_named("line=telephone,accent=scottish").name
    'accent=scottish × line=telephone'

    Raises:
        RunFolderError: it is written otherwise.
    """
    if name == EVERYONE.name:
        return EVERYONE
    parts = [part.split("=", maxsplit=1) for part in re.split("[,×]", name)]
    if any(len(part) != 2 or not all(word.strip() for word in part) for part in parts):
        raise RunFolderError(
            f"cohort: {name!r} is not written as 'tag=value', 'tag=value,tag=value' or 'overall'"
        )
    return Cohort.of({tag.strip(): value.strip() for tag, value in parts})


def _known(kind: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise RunFolderError(unknown_name(f"{kind} of these runs", name, known))
