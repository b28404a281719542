"""A baseline that was blessed: its calls, and a fingerprint of what must be the same to compare with them.

    fingerprint.json     what was run, and a digest of the other files; written last
    plan.json            the planned calls
    scenarios.json       the scenarios
    calls/<sha>.json     the blessed arm's calls, as calls of the baseline
    audio/               their clips, only where they were asked for

A folder that is absent or damaged, and one that was made under other conditions, is never a reason to place
the baseline's calls after all, or to go on without them: the run is invalid and says what differs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import JsonValue, TypeAdapter, ValidationError

from voiceeval.agents import Agent, Reference
from voiceeval.call import Arm
from voiceeval.errors import HarnessError, RunFolderError
from voiceeval.experiment import Experiment
from voiceeval.run_fingerprint import (
    FINGERPRINT_JSON,
    SCHEMA_VERSION,
    AgentPrint,
    Fingerprint,
    caller_clips,
    differences,
    fingerprint_of,
    first_problem,
    joined,
)
from voiceeval.run_folder import RunFolder

FINGERPRINT = "fingerprint.json"
CONTENT = ("plan.json", "scenarios.json", "calls")
"""Beside the fingerprint and ``audio``: all there is in the folder."""
NOTE = "stored_baseline.json"
"""In a run's folder: the fingerprint it was compared with, and why it could not be."""


_NOTE: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBaseline:
    """A stored baseline that can be read."""

    path: Path
    fingerprint: Fingerprint

    @property
    def agent(self) -> Agent:
        """The blessed agent's description."""
        return StoredAgent.of(self.fingerprint.agent)

    @property
    def folder(self) -> RunFolder:
        """Its calls and clips."""
        return RunFolder(self.path)

    def take_over(self, run: RunFolder) -> None:
        """Add its calls to a run, as if they had been placed there.

        Raises:
            RunFolderError: A call is damaged or absent, or its audio is not what the fingerprint says.
        """
        calls = self.folder.calls()
        for planned, clips in self.fingerprint.audio.items():
            call = calls.get(f"{planned}/{Arm.BASELINE}")
            if call is None or caller_clips(call) != clips:
                raise RunFolderError(f"{self.path}: call {planned} is not the one that was blessed")
            run.add(call, audio=self.folder.audio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """There is no stored baseline to compare with, and this is why."""

    reason: str

    @property
    def agent(self) -> Agent:
        """Stands for an agent that nobody knows."""
        return StoredAgent.of(
            AgentPrint(
                name="stored baseline",
                model_version="unknown",
                release_date="unknown",
                parts={},
                described={},
            )
        )


class _NotPlaced:
    """Stands for every part of an agent, or of a reference, whose calls were placed in another run."""

    fingerprint = ""

    def _refuse(self, *_: object) -> Any:
        raise HarnessError("this is known by its description alone: no call can be placed with it")

    transcribe = reply = synthesize = speech = wait_ms = __call__ = _refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAgent(Agent):
    """An agent known by its description alone."""

    stated: AgentPrint

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", self.stated.parts)

    def deterministic(self, part: str) -> bool:
        """Never: it ran in another process, perhaps on another machine, so that equal parts prove nothing."""
        del part
        return False

    @classmethod
    def of(cls, stated: AgentPrint) -> StoredAgent:
        """The agent of that description."""
        none = _NotPlaced()
        return cls(
            name=stated.name,
            model_version=stated.model_version,
            release_date=stated.release_date,
            recognizer=none,
            dialogue=none,
            synthesizer=none,
            endpointer=none,
            tool_backend=none,
            described=stated.described,
            stated=stated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedReference(Reference):
    """The reference of a finished run: it has heard all it was to hear, and is known by its fingerprint."""

    stated: str

    @property
    def fingerprint(self) -> str:
        """As the run's manifest has it, whatever became of the reference's files since."""
        return self.stated

    @classmethod
    def of(cls, stated: str) -> StatedReference:
        """The reference with that fingerprint."""
        none = _NotPlaced()
        return cls(recognizer=none, synthesizer=none, stated=stated)


def open_stored(path: Path) -> StoredBaseline | Unusable:
    """The stored baseline in a folder, or why there is none that can be used."""
    file = path / FINGERPRINT
    try:
        fingerprint = FINGERPRINT_JSON.validate_json(file.read_bytes())
    except FileNotFoundError:
        return Unusable(
            reason=f"there is no stored baseline in {path.name!r}: it holds no {FINGERPRINT}; "
            "make one with 'voiceeval bless RUN'"
        )
    except (OSError, ValidationError) as failure:
        what = first_problem(failure) if isinstance(failure, ValidationError) else str(failure.strerror)
        return Unusable(reason=f"the stored baseline is damaged: {path.name}/{FINGERPRINT}: {what}")
    if fingerprint.schema_version != SCHEMA_VERSION:
        return Unusable(
            reason=f"the stored baseline has schema_version {fingerprint.schema_version}, this version of "
            f"voiceeval reads {SCHEMA_VERSION}; bless a run of this version"
        )
    if content_of(path) != fingerprint.content:
        return Unusable(
            reason=f"the stored baseline is damaged: the files in {path.name!r} are not those that were "
            "blessed; take it from version control again, or bless a run"
        )
    return StoredBaseline(path=path, fingerprint=fingerprint)


def content_of(path: Path) -> str:
    """Hex SHA-256 over the names and bytes of a stored baseline's plan, scenarios and calls."""
    found = hashlib.sha256()
    files = [path / CONTENT[0], path / CONTENT[1], *sorted((path / CONTENT[2]).glob("*.json"))]
    for file in files:
        content = file.read_bytes() if file.is_file() else b"absent"
        found.update(f"{file.relative_to(path).as_posix()} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def write_stored(run: RunFolder, arm: Arm, path: Path, *, with_audio: bool) -> Fingerprint:
    """Write one arm of a finished run as a stored baseline.

    Args:
        run: The run; whether it deserves it was decided before.
        arm: Whose calls are kept, from now on as the baseline's.
        path: An absent or empty folder.
        with_audio: Keep the clips too.

    Raises:
        RunFolderError: The run's manifest is incomplete, or the folder holds files.
    """
    calls = run.calls()
    stored = RunFolder.prepare(path, planned=run.planned, scenarios=run.scenarios)
    audio = {}
    for planned in run.planned:
        call = calls[f"{planned.id}/{arm}"]
        audio[planned.id] = caller_clips(call)
        key = replace(call.key, arm=Arm.BASELINE)
        stored.add(replace(call, key=key), audio=run.audio if with_audio else None)
    fingerprint = fingerprint_of(run, arm, run.planned, audio=audio, content=content_of(path))
    stored.write(FINGERPRINT, FINGERPRINT_JSON.dump_python(fingerprint, mode="json"))
    return fingerprint


def against(stored: StoredBaseline | Unusable, experiment: Experiment) -> Experiment:
    """The experiment with the stored baseline's calls for one arm, or with the reason why it cannot be."""
    if isinstance(stored, Unusable):
        why, content = stored.reason, "none"
    else:
        why, content = joined(differences(stored.fingerprint, experiment)), stored.fingerprint.content
    facts = {**experiment.facts, "stored_baseline": content}
    return replace(experiment, stored=True, not_comparable=why, facts=facts)


class OfRun(NamedTuple):
    """What a run was compared with, as its folder remembers it."""

    baseline: StoredBaseline | Unusable
    not_comparable: str


def note(run: RunFolder, stored: StoredBaseline | Unusable, not_comparable: str) -> None:
    """Remember in a run's folder what it is compared with: tomorrow another baseline may be stored."""
    fingerprint = None
    if isinstance(stored, StoredBaseline):
        fingerprint = FINGERPRINT_JSON.dump_python(stored.fingerprint, mode="json")
    run.write(NOTE, {"fingerprint": fingerprint, "not_comparable": not_comparable})


def noted(run: RunFolder) -> OfRun | None:
    """What `note` wrote; ``None`` for a run that placed both arms."""
    if not (run.path / NOTE).exists():
        return None
    found = run.read(NOTE, _NOTE)
    why = str(found["not_comparable"])
    if found["fingerprint"] is None:
        return OfRun(Unusable(reason=why), why)
    try:
        fingerprint = FINGERPRINT_JSON.validate_python(found["fingerprint"])
    except ValidationError as failure:
        raise RunFolderError(f"{run.path / NOTE}: fingerprint: {first_problem(failure)}") from None
    return OfRun(StoredBaseline(path=run.path, fingerprint=fingerprint), why)
