"""The recordings of a suite: found by name, decoded once, known by the digest of their sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from voiceeval.audio import AudioClip
from voiceeval.errors import AudioError, ScenarioError
from voiceeval.scenario import Caller, Scenario
from voiceeval.toml_files import nearest, shortened

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 192_000
_SUFFIXES = (".wav", ".flac", ".ogg")

RecordingKey = tuple[str, str, int]
"""Scenario, caller (empty: any caller) and index of the turn in the scenario's turns."""


def inside(folder: Path, file: Path, key: str, given: str) -> Path:
    """The path that a file of the suite names, which must lie in the suite's folder."""
    path = file.parent / given
    if Path(given).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise ScenarioError(
            f"{file}: {key}: {shortened(given)} leads out of the suite's folder; allowed: files in {folder}"
        )
    return path


def recordings(
    folder: Path,
    scenarios: Mapping[str, tuple[Path, Scenario]],
    callers: Mapping[str, tuple[Path, Caller]],
) -> Iterator[tuple[RecordingKey, tuple[Path, str]]]:
    """Every recording, with the digest of its sound."""
    for name, (file, scenario) in scenarios.items():
        for index, turn in enumerate(scenario.turns):
            if turn.audio:
                key = f"turns[{index}].audio"
                path = inside(folder, file, key, turn.audio)
                yield (name, "", index), (path, sound_digest(path, f"{file}: {key}", turn.audio))
    for name, (file, caller) in callers.items():
        if caller.recordings:
            yield from _recorded_by(folder, name, file, caller, scenarios)


def _recorded_by(
    folder: Path,
    caller_id: str,
    file: Path,
    caller: Caller,
    scenarios: Mapping[str, tuple[Path, Scenario]],
) -> Iterator[tuple[RecordingKey, tuple[Path, str]]]:
    where = f"{file}: caller {shortened(caller_id)}: recordings"
    spoken = inside(folder, file, f"caller {shortened(caller_id)}: recordings", caller.recordings)
    if not spoken.is_dir():
        raise ScenarioError(
            f"{where}: no folder {shortened(caller.recordings)}; paths are relative to {file}"
        )
    seen: dict[RecordingKey, Path] = {}
    for path in sorted(spoken.iterdir()):
        if path.suffix not in _SUFFIXES:
            continue
        scenario, _, turn = path.stem.rpartition(".")
        if scenario not in scenarios:
            hint = nearest(scenario, scenarios)
            raise ScenarioError(
                f"{where}: {shortened(path.name)} names no scenario of the suite.{hint} "
                f"Allowed: <scenario>.<turn>.wav"
            )
        turns = len(scenarios[scenario][1].turns)
        if not (turn.isdecimal() and int(turn) < turns):
            raise ScenarioError(
                f"{where}: {shortened(path.name)} names no turn of the scenario; allowed: 0 to {turns - 1}"
            )
        key = (scenario, caller_id, int(turn))
        if key in seen:
            raise ScenarioError(
                f"{where}: {shortened(path.name)} and {shortened(seen[key].name)} are the same turn; keep one"
            )
        seen[key] = path
        inside(folder, path, "recordings", path.name)
        yield key, (path, sound_digest(path, where, path.name))


def sound_digest(path: Path, where: str, given: str) -> str:
    """The digest of a recording that can be used."""
    if not path.is_file():
        raise ScenarioError(
            f"{where}: no file {shortened(given)}; paths are relative to the file that names it"
        )
    try:
        clip = AudioClip.decode(path.read_bytes(), name=shortened(given))
    except AudioError as error:
        raise ScenarioError(f"{where}: {error}") from None
    if not LOWEST_RATE_HZ <= clip.rate_hz <= HIGHEST_RATE_HZ:
        raise ScenarioError(
            f"{where}: {shortened(given)} has {clip.rate_hz} samples per second; "
            f"allowed: {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}"
        )
    return clip.digest()
