"""The parts of cut replies as files beside the pages: what was not played cannot be heard there either."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from voiceeval.call_audio import Playing, played
from voiceeval.content_files import write_whole
from voiceeval.errors import RunFolderError
from voiceeval.protocols import AudioStore

_DIGEST = re.compile(r"[0-9A-Za-z_-]{3,128}")


@dataclass(frozen=True, slots=True)
class PlayedClips:
    """Writes what was played of a reply, and says where."""

    folder: Path
    """Of the report; the clips go into its folder ``audio``."""
    audio: AudioStore | None
    """Where the whole replies are; without it there are no parts."""

    def href(self, playing: Playing) -> str:
        """The file, as seen from a call's page; empty where all was played, and where no clip was kept."""
        digest = playing.started.audio
        if playing.whole or self.audio is None or not _DIGEST.fullmatch(digest):
            return ""
        length_ms = playing.end_ms - playing.started.at_ms
        name = f"{digest}.{playing.started.offset_ms}-{playing.started.offset_ms + length_ms}.flac"
        path = self.folder / "audio" / name
        if path.exists():
            # Named by its content, and written whole or not at all.
            return f"../audio/{name}"
        try:
            part = played(self.audio.get(digest), playing)
        except RunFolderError:
            return ""
        if not len(part.samples):
            return ""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, part.encode("flac"))
        return f"../audio/{name}"
