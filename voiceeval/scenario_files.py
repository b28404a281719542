"""Loads a suite: a folder with ``suite.toml``, its scenarios, callers, lines, tools and recordings.

Whatever is wrong is a ScenarioError whose message names the file and the key. A suite reads nothing outside
its own folder, so that it can be copied, digested and trusted as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from voiceeval.channel.line_files import named_files
from voiceeval.errors import ScenarioError
from voiceeval.scenario import Caller, Id, Line, Scenario, TagValue, Tool, Written, content_digest
from voiceeval.scenario_checks import problems
from voiceeval.scenario_recordings import RecordingKey, inside, recordings, sound_digest
from voiceeval.toml_files import Problem, read_model, read_toml, refusal, shortened, validated

SUITE_FILE = "suite.toml"


class SuiteFile(Written):
    """``suite.toml``: which files make up the suite, and how scenarios, callers and lines are combined."""

    name: Id
    scenarios: Annotated[tuple[str, ...], Field(min_length=1)]
    """Patterns of scenario files, relative to this file, such as ``"banking/*.toml"``."""
    callers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Files (or patterns of files) with ``[[callers]]``."""
    lines: Annotated[tuple[str, ...], Field(min_length=1)]
    """Files (or patterns of files) with ``[[lines]]``."""
    matrix: Literal["block", "full"] = "block"
    """``full``: every caller speaks every scenario on every line. ``block``: a balanced part of that."""
    scenarios_per_caller: Annotated[int, Field(ge=1)] = 1
    """In a block matrix, how many scenarios each caller speaks on each line."""
    expect: Mapping[Id, Annotated[tuple[TagValue, ...], Field(min_length=1)]] | None = None
    """Values that tags must have in a run of this suite, in place of those that the settings expect."""


class CallersFile(Written):
    """A file with ``[[callers]]``."""

    callers: Annotated[tuple[Caller, ...], Field(min_length=1)]


class LinesFile(Written):
    """A file with ``[[lines]]``."""

    lines: Annotated[tuple[Line, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> Self:
        """A line that was meant to be noisy would be clean, and all that it states would reach the audio."""
        for index, line in enumerate(self.lines):
            stated = line.model_fields_set
            if "snr_db" in stated and line.noise == "none":
                raise ValueError(
                    f'lines[{index}].snr_db: given {line.snr_db:g}; allowed: with a noise other than "none"'
                )
            if "opus_kbps" in stated and line.codec != "opus":
                raise ValueError(
                    f'lines[{index}].opus_kbps: given {line.opus_kbps:g}; allowed: with codec = "opus"'
                )
        return self


class ToolsFile(Written):
    """A file with ``[[tools]]``, which scenarios name in ``tool_files``."""

    tools: Annotated[tuple[Tool, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Everything that decides what is said in a run, read and checked. Mappings are sorted by id."""

    folder: Path
    name: str
    scenarios: Mapping[str, Scenario]
    """With the tools of their ``tool_files`` merged in."""
    callers: Mapping[str, Caller]
    lines: Mapping[str, Line]
    recordings: Mapping[RecordingKey, Path]
    recording_digests: Mapping[RecordingKey, str]
    """Digest of each recording's sound; the same in whatever file format."""
    matrix: Literal["block", "full"]
    scenarios_per_caller: int
    line_files: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    """By line and key (``noise_file``, ``room.file``): the recordings that lines name."""
    line_file_digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Digest of each one's sound."""
    expect: Mapping[str, tuple[str, ...]] | None = None
    """By tag: values that must occur; None where the project's settings say."""

    @property
    def scenario_digests(self) -> Mapping[str, str]:
        """Hex SHA-256 per scenario, over its words, its tools and its recordings."""
        return {
            name: content_digest([scenario.digest(), self._recorded(name)])
            for name, scenario in self.scenarios.items()
        }

    def digest(self) -> str:
        """Hex SHA-256 of all that decides what is said; where files lie and what they are named does not."""
        return content_digest(
            {
                "scenarios": self.scenario_digests,
                "callers": {name: caller.model_dump(mode="json") for name, caller in self.callers.items()},
                "lines": {name: self._line(name) for name in self.lines},
                "matrix": self.matrix,
                "scenarios_per_caller": self.scenarios_per_caller,
            }
        )

    def _line(self, name: str) -> dict[str, Any]:
        """What a line states, with the sound of its files instead of their names."""
        stated = self.lines[name].model_dump(mode="json", exclude={"noise_file": True, "room": {"file"}})
        return stated | {"sounds": dict(self.line_file_digests.get(name, {}))}

    def can_speak(self, caller: str, scenario: str) -> bool:
        """Whether the caller has the scenario's language, and a voice or a recording for all that is said.

        Locales match by language: a caller from India (``en-IN``) speaks an ``en-US`` scenario.
        """
        speaker, script = self.callers[caller], self.scenarios[scenario]
        return language(speaker.locale) == language(script.locale) and (
            bool(speaker.voice) or not self._unrecorded(script, caller)
        )

    def _unrecorded(self, scenario: Scenario, caller: str) -> list[int]:
        """The turns for which a caller without a voice lacks a recording; repairs and such need a voice."""
        unrecordable = scenario.impatience is not None or any(aside.text for aside in scenario.asides)
        return [
            index
            for index, turn in enumerate(scenario.turns)
            if turn.text
            and (
                unrecordable
                or turn.repairs
                or turn.objection
                or turn.afterthought
                or not any((scenario.id, owner, index) in self.recordings for owner in (caller, ""))
            )
        ]

    def _recorded(self, scenario: str) -> list[tuple[str, int, str]]:
        return sorted(
            (caller, turn, digest)
            for (owner, caller, turn), digest in self.recording_digests.items()
            if owner == scenario
        )


def language(locale: str) -> str:
    """The language of a locale: ``en`` for ``en-IN``."""
    return locale.partition("-")[0]


def load_suite(path: Path) -> Suite:
    """Load and check a suite.

    Args:
        path: The suite's folder, which holds a ``suite.toml``, or another suite file in it.

    Raises:
        ScenarioError: A file is absent, malformed or contradicts another; the message names file and key.
    """
    folder, source = (path.parent, path) if path.suffix == ".toml" else (path, path / SUITE_FILE)
    if not source.is_file():
        raise ScenarioError(f"{source}: no such file; a suite is a folder with a {SUITE_FILE}")
    written = read_model(source, SuiteFile, error=ScenarioError)
    caller_files = _matching(folder, written.callers, "callers")
    line_files = _matching(folder, written.lines, "lines")
    callers = _by_id(
        (file, caller)
        for file in caller_files
        for caller in read_model(file, CallersFile, error=ScenarioError).callers
    )
    lines = _by_id(
        (file, line) for file in line_files for line in read_model(file, LinesFile, error=ScenarioError).lines
    )
    others = {source, *caller_files, *line_files}
    scenario_files = [
        file for file in _matching(folder, written.scenarios, "scenarios") if file not in others
    ]
    shared: dict[Path, tuple[Tool, ...]] = {}
    scenarios = _by_id(
        (file, scenario) for file in scenario_files for scenario in _read_scenario(folder, file, shared)
    )
    if not scenarios:
        raise ScenarioError(f"{source}: scenarios: the files found hold no scenario; allowed: one or more")
    found = dict(recordings(folder, scenarios, callers))
    sounds = {name: dict(_line_files(folder, file, line)) for name, (file, line) in lines.items()}
    suite = Suite(
        folder=folder,
        name=written.name,
        scenarios={name: scenario for name, (_, scenario) in scenarios.items()},
        callers={name: caller for name, (_, caller) in callers.items()},
        lines={name: line for name, (_, line) in lines.items()},
        recordings={key: file for key, (file, _) in found.items()},
        recording_digests={key: digest for key, (_, digest) in found.items()},
        matrix=written.matrix,
        scenarios_per_caller=written.scenarios_per_caller,
        expect=written.expect,
        line_files={name: {key: path for key, (path, _) in named.items()} for name, named in sounds.items()},
        line_file_digests={
            name: {key: digest for key, (_, digest) in named.items()} for name, named in sounds.items()
        },
    )
    for name, (file, _) in scenarios.items():
        _require_a_speaker(suite, name, file)
    return suite


Named = TypeVar("Named", Scenario, Caller, Line)


def _by_id(found: Iterator[tuple[Path, Named]]) -> dict[str, tuple[Path, Named]]:
    """Sorted by id, which no two may share."""
    named: dict[str, tuple[Path, Named]] = {}
    for file, item in found:
        if item.id in named:
            raise ScenarioError(
                f"{file}: id: {shortened(item.id)} is also the id of a {type(item).__name__.lower()} "
                f"in {named[item.id][0]}; allowed: an id of its own"
            )
        named[item.id] = (file, item)
    return dict(sorted(named.items()))


def _matching(folder: Path, patterns: Sequence[str], key: str) -> list[Path]:
    """The files of the suite that match any of the patterns; each pattern must match one at least."""
    source = folder / SUITE_FILE
    matching: set[Path] = set()
    for index, pattern in enumerate(patterns):
        where = f"{source}: {key}[{index}]: {shortened(pattern)}"
        if not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise ScenarioError(f"{where} leaves the suite's folder; allowed: files in {folder}")
        files = sorted(file for file in folder.glob(pattern) if file.is_file())
        if not files:
            raise ScenarioError(f"{where} matches no file; paths are relative to {source}")
        for file in files:
            if not file.resolve().is_relative_to(folder.resolve()):
                raise ScenarioError(f"{where} leads out of the suite's folder; allowed: files in {folder}")
        matching.update(files)
    return sorted(matching)


def _read_scenario(folder: Path, file: Path, shared: dict[Path, tuple[Tool, ...]]) -> Iterator[Scenario]:
    """The file's scenario; none in a file of tools, which a pattern may well match.

    ``shared`` collects the tools by file, so that each file is read once.
    """
    document = read_toml(file, error=ScenarioError)
    if document.keys() == {"tools"}:
        return
    named = {"id": file.stem, **document}
    scenario = validated(named, Scenario, where=str(file), error=ScenarioError)
    if scenario.tool_files:
        tools: list[Tool] = []
        for index, given in enumerate(scenario.tool_files):
            key = f"tool_files[{index}]"
            source = inside(folder, file, key, given)
            if not source.is_file():
                raise ScenarioError(
                    f"{file}: {key}: no file {shortened(given)}; paths are relative to the scenario"
                )
            if source.resolve() not in shared:
                shared[source.resolve()] = read_model(source, ToolsFile, error=ScenarioError).tools
            tools += shared[source.resolve()]
        # Without validation: what it would find, the checks below find too, and they name the key.
        scenario = scenario.model_copy(update={"tools": (*tools, *scenario.tools), "tool_files": ()})
    found = problems(scenario)
    if found:
        raise refusal(str(file), found, error=ScenarioError)
    yield scenario


def _line_files(folder: Path, file: Path, line: Line) -> Iterator[tuple[str, tuple[Path, str]]]:
    """The recordings that a line of the file names, by key, with the digests of their sound."""
    for key, given in named_files(line):
        where = f"line {shortened(line.id)}: {key}"
        path = inside(folder, file, where, given)
        yield key, (path, sound_digest(path, f"{file}: {where}", given))


def _require_a_speaker(suite: Suite, scenario_id: str, file: Path) -> None:
    if any(suite.can_speak(caller, scenario_id) for caller in suite.callers):
        return
    scenario = suite.scenarios[scenario_id]
    spoken = language(scenario.locale)
    fluent = [name for name, caller in suite.callers.items() if language(caller.locale) == spoken]
    if not fluent:
        known = ", ".join(sorted({language(caller.locale) for caller in suite.callers.values()}))
        raise ScenarioError(
            f"{file}: locale: given {scenario.locale!r}, which no caller speaks; allowed: a locale of {known}"
        )
    turn = min(suite._unrecorded(scenario, name)[0] for name in fluent)
    raise refusal(
        str(file),
        [
            Problem(
                f"turns[{turn}]",
                "text that nobody can speak: no audio, and no caller of the language with a voice "
                "or a recording; repairs, objections, afterthoughts, impatience and words of asides need "
                "a voice",
            )
        ],
        error=ScenarioError,
    )
