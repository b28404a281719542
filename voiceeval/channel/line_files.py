"""The recordings that a line names: noise of the user's own, and a room's measured response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from voiceeval.audio import AudioClip
from voiceeval.errors import ScenarioError
from voiceeval.scenario import Line

NOISE_FILE, ROOM_FILE = "noise_file", "room.file"
NO_FILES: Mapping[str, Path] = MappingProxyType({})


def named_files(line: Line) -> Iterator[tuple[str, str]]:
    """Key and path, as written, of every file that a line names."""
    if line.noise_file:
        yield NOISE_FILE, line.noise_file
    if line.room is not None and line.room.file:
        yield ROOM_FILE, line.room.file


def sound_of(line: Line, key: str, files: Mapping[str, Path]) -> AudioClip:
    """The recording that the line names under a key.

    Raises:
        ScenarioError: It is not among the files.
    """
    if key not in files:
        raise ScenarioError(
            f"line {line.id!r}: {key}: names a file that was not given; load the line's suite"
        )
    return decoded(files[key])


def decoded(path: Path) -> AudioClip:
    """A recording, read once per process unless the file changes.

    Raises:
        ScenarioError: It cannot be read any more.
    """
    try:
        state = path.stat()
        return _decoded(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise ScenarioError(f"{path.name}: cannot be read: {error.strerror}") from error


@lru_cache(maxsize=16)
def _decoded(path: Path, _changed_ns: int, _size: int) -> AudioClip:
    return AudioClip.decode(path.read_bytes(), name=path.name)
