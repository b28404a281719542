"""Files that appear whole or not at all, and audio kept by the digest of its sound."""

from __future__ import annotations

import contextlib
import os
from enum import Enum
from pathlib import Path
from typing import Final
from uuid import uuid4

from voiceeval.audio import AudioClip
from voiceeval.errors import AudioError, RunFolderError


class Missing(Enum):
    """The type of `MISSING`: nothing usable is kept."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a kill at any instant, finds all of it or none of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{uuid4().hex[:8]}.tmp")
    try:
        try:
            partial.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


class FlacStore:
    """Clips in ``<folder>/ab/<digest>.flac``; any number of processes may add at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the clip with that digest is kept, whether or not it is."""
        return self.folder / digest[:2] / f"{digest}.flac"

    def put(self, clip: AudioClip) -> str:
        """Keep a clip and return its digest; keeping it twice costs nothing."""
        digest = clip.digest()
        path = self.path(digest)
        if not path.exists():
            write_whole(path, clip.encode("flac"))
        return digest

    def find(self, digest: str) -> AudioClip | Missing:
        """The clip, or MISSING; a file that no longer sounds like its name is removed and missing."""
        path = self.path(digest)
        try:
            clip = AudioClip.decode(path.read_bytes(), name=path.name)
        except FileNotFoundError:
            return MISSING
        except AudioError:
            path.unlink(missing_ok=True)
            return MISSING
        if clip.digest() != digest:
            path.unlink(missing_ok=True)
            return MISSING
        return clip

    def get(self, digest: str) -> AudioClip:
        """The clip with that digest; raises RunFolderError when there is none, or only a damaged one."""
        clip = self.find(digest)
        if clip is MISSING:
            raise RunFolderError(f"{self.folder}: no audio with digest {digest[:16]}…")
        return clip

    def link_from(self, other: FlacStore, digest: str) -> None:
        """Take over a clip of another store: a hard link where the file system allows it, else a copy."""
        path = self.path(digest)
        if path.exists():
            return
        source = other.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, path)
        except FileExistsError:
            return
        except OSError:
            # Another file system, or no audio kept under that digest: the latter stays absent and is
            # reported when someone asks for it.
            with contextlib.suppress(FileNotFoundError):
                write_whole(path, source.read_bytes())
