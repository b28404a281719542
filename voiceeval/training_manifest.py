"""Reads a training set's manifest: CSV or JSON lines with a text, a recording or its digest in each line."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from voiceeval.audio import AudioClip
from voiceeval.contamination import TrainingSet
from voiceeval.errors import AudioError, ManifestError
from voiceeval.outcome_files import RawTable, read_columns
from voiceeval.toml_files import nearest, shortened

COLUMNS = ("text", "audio_sha256", "audio")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def read_manifest(path: Path) -> TrainingSet:
    """Read a training manifest; other columns are allowed and not looked at.

    ``text`` is a transcript. ``audio`` is a recording's path, relative to the manifest: the file is hashed
    here, by its bytes and, where it is a mono recording, by its decoded samples. ``audio_sha256`` is either
    of these two digests, for recordings that are elsewhere. A text may be empty; a line may not be.

    Raises:
        InputError: The file is absent or malformed, has none of the columns, or a line is wrong; the message
            names file, line and column, and quotes no transcript.
    """
    table = read_columns(path)
    if not any(name in table.columns for name in COLUMNS):
        hints = "".join(dict.fromkeys(nearest(name, table.columns) for name in COLUMNS))
        raise ManifestError(f"{path}: none of the columns {', '.join(COLUMNS)}; one is needed.{hints}")
    texts: dict[str, list[int]] = defaultdict(list)
    sounds: dict[str, list[int]] = defaultdict(list)
    recordings = bytes_only = 0
    nothing = [None] * len(table.numbers)
    for row, line in enumerate(table.numbers):
        text, stated, named = (_cell(table, row, name) for name in COLUMNS)
        if not (stated or named) and table.columns.get("text", nothing)[row] is None:
            raise ManifestError(f"{table.place(row)}: names nothing; allowed: {', '.join(COLUMNS)}")
        if text:
            texts[text].append(line)
        hashed = _hashed(path.parent / named, table.place(row, "audio")) if named else ()
        for digest in {*hashed, *_stated(stated, table.place(row, "audio_sha256"))}:
            sounds[digest].append(line)
        recordings += bool(stated or named)
        bytes_only += len(hashed) == 1
    if not texts and not sounds:
        raise ManifestError(f"{path}: all of it is empty, so that nothing could be compared")
    return TrainingSet(
        texts={text: tuple(lines) for text, lines in texts.items()},
        sounds={digest: tuple(lines) for digest, lines in sounds.items()},
        recordings=recordings,
        bytes_only=bytes_only,
    )


def _cell(table: RawTable, row: int, name: str) -> str:
    """A cell's text; empty where the line or the table has none."""
    value: Any = table.columns[name][row] if name in table.columns else None
    if value is None:
        return ""
    if not isinstance(value, str):
        kind = "a number" if isinstance(value, int | float) else type(value).__name__
        raise ManifestError(f"{table.place(row, name)}: given {kind}; allowed: a text in quotes")
    return value


def _stated(digest: str, where: str) -> tuple[str, ...]:
    if not digest:
        return ()
    if not _SHA256.fullmatch(digest):
        raise ManifestError(f"{where}: given {len(digest)} characters; allowed: 64 hexadecimal digits")
    return (digest.lower(),)


def _hashed(file: Path, where: str) -> tuple[str, ...]:
    """Digest of the file's bytes, and of its sound where that is a mono recording."""
    if "\0" in str(file):
        raise ManifestError(f"{where}: holds a zero byte; allowed: a path")
    try:
        data = file.read_bytes()
    except OSError as failure:
        raise ManifestError(
            f"{where}: {shortened(str(file))} cannot be read ({failure.strerror}); "
            "paths are relative to the manifest"
        ) from None
    of_bytes = hashlib.sha256(data).hexdigest()
    try:
        return of_bytes, AudioClip.decode(data, name="").digest()
    except AudioError:
        return (of_bytes,)
