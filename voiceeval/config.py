"""``[tool.voiceeval]`` of a project's pyproject.toml and the options of a run, as one checked value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from voiceeval.errors import ConfigError
from voiceeval.scenario import Id, Written
from voiceeval.toml_files import read_toml, validated
from voiceeval.verdict import Policy

DEFAULT_FOLDER = ".voiceeval"
"""Beside pyproject.toml: kept results and runs, unless told otherwise."""
TABLE = "[tool.voiceeval]"


class Part(Written, extra="allow"):
    """A component and its options, as in an agent's file."""

    use: str
    """A registered name, or ``package.module:Attr``."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Everything but ``use``."""
        return dict(self.model_extra or {})


class Settings(Written):
    """``[tool.voiceeval]`` as people write it. Paths are relative to the pyproject.toml."""

    suite: Annotated[str, Field(min_length=1)] = "scenarios"
    """The suite's folder, or its suite.toml."""
    baseline: str = ""
    """The agent in production: a TOML file, or ``package.module:attr``."""
    candidate: str = ""
    """The agent that wants to ship."""
    policy: Policy = "pr"
    """``pr``: what is not decided does not block. ``release``: it does."""
    seed: Annotated[int, Field(ge=0)] = 1
    trials: Annotated[int, Field(ge=1, le=100)] = 1
    """How often every planned call is placed with each arm."""
    matrix: Literal["full", "block", "suite"] = "suite"
    """Which callers speak which scenarios; ``suite``: as the suite.toml says."""
    metrics: tuple[str, ...] = ()
    """Bundled names or ``package.module:Attr``; empty: all bundled ones."""
    margins: Mapping[str, str] = Field(default_factory=dict)
    """By metric: how much worse is tolerated, such as ``"+2pp"``. A metric without one is only reported."""
    cohorts: tuple[tuple[Id, ...], ...] = ((), ("accent",), ("line",), ("accent", "line"))
    """Tags to slice by, in cohorts that may fail the run; ``[]`` is everyone together."""
    report_cohorts: tuple[tuple[Id, ...], ...] = (("domain",), ("call_type",))
    """The same for cohorts that are reported and never fail the run."""
    min_clusters: Annotated[int, Field(ge=2)] = 8
    """Speakers a cohort needs before anything is concluded from it."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Chance of a false alarm that is accepted."""
    reference: Mapping[str, JsonValue] = Field(default_factory=dict)
    """The fixed recognizer that listens to both agents, and the voice that gives its error floor."""
    caller_voice: Part = Part(use="espeak")
    """The synthesizer of synthetic callers; each caller's voice, rate_wpm and pitch are given to it."""
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Processes that place calls; 0: none but pytest's own. ``auto``: one per usable CPU."""
    call_limit_s: Annotated[float, Field(gt=0)] = 120.0
    """How long one call may take on the wall clock before it is given up."""
    cache: Annotated[str, Field(min_length=1)] = f"{DEFAULT_FOLDER}/cache"
    """Where results of deterministic stages are kept between runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings with the options applied, and the folder their paths start from."""

    settings: Settings
    folder: Path
    """Where pyproject.toml is, absolute."""
    independent_arms: bool = False
    """The baseline against itself, each side with draws of its own."""
    keep_results: bool = True

    @property
    def suite(self) -> Path:
        """The suite's folder, or its suite.toml."""
        return self.folder / self.settings.suite

    @property
    def baseline(self) -> str:
        """Where the baseline comes from; ConfigError when nobody said."""
        return self._agent("baseline", self.settings.baseline)

    @property
    def candidate(self) -> str:
        """Where the candidate comes from; the baseline itself in an A/A check."""
        return self.baseline if self.independent_arms else self._agent("candidate", self.settings.candidate)

    @property
    def cache(self) -> Path:
        """The folder of kept results."""
        return self.folder / self.settings.cache

    @property
    def runs(self) -> Path:
        """The folder of runs that were not put elsewhere."""
        return self.folder / DEFAULT_FOLDER / "runs"

    @property
    def workers(self) -> int:
        """How many processes place calls."""
        given = self.settings.workers
        return len(os.sched_getaffinity(0)) if given == "auto" else given

    def document(self) -> dict[str, Any]:
        """As JSON, for a run's manifest; `restored` reads it."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "folder": str(self.folder),
            "independent_arms": self.independent_arms,
        }

    @classmethod
    def restored(cls, document: Mapping[str, Any], *, where: str) -> Config:
        """The settings a run was made with."""
        return cls(
            settings=validated(document["settings"], Settings, where=where, error=ConfigError),
            folder=Path(document["folder"]),
            independent_arms=bool(document["independent_arms"]),
        )

    def _agent(self, arm: str, source: str) -> str:
        if not source:
            raise ConfigError(
                f"{self.folder / 'pyproject.toml'}: {TABLE} {arm}: not set; name the {arm}'s file there, "
                f"or with --voice-{arm}"
            )
        return str(self.folder / source) if source.endswith(".toml") else source


def load_config(
    folder: Path,
    options: Mapping[str, object],
    *,
    from_folder: Path,
    independent_arms: bool = False,
    keep_results: bool = True,
) -> Config:
    """Settings of the pyproject.toml in ``folder``, if it has any, with ``options`` in their place.

    Args:
        folder: The project's folder.
        options: Settings given for this run, by name.
        from_folder: Where the paths among them start from: the current folder.
        independent_arms: The baseline against itself.
        keep_results: Whether kept results of other runs are used, and this run's kept.

    Raises:
        ConfigError: A key is unknown or its value is not allowed; the message names file and key.
    """
    path = folder / "pyproject.toml"
    written = _table(path) if path.is_file() else {}
    validated(written, Settings, where=f"{path}: {TABLE}", error=ConfigError)
    given = {key: _from(from_folder, key, value) for key, value in options.items()}
    settings = validated({**written, **given}, Settings, where="options", error=ConfigError)
    return Config(
        settings=settings, folder=folder, independent_arms=independent_arms, keep_results=keep_results
    )


def _table(path: Path) -> dict[str, Any]:
    found: Any = read_toml(path, error=ConfigError).get("tool", {}).get("voiceeval", {})
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: {TABLE}: given {type(found).__name__}; allowed: a table")
    return found


def _from(folder: Path, key: str, value: object) -> object:
    is_path = key in {"suite", "cache"} or (key in {"baseline", "candidate"} and str(value).endswith(".toml"))
    return str(folder / str(value)) if is_path else value
