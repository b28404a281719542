"""What a stage's result depends on, as one digest.

Equal fingerprints promise equal results for equal input, so a fingerprint covers the component, its own
version number, its options, the content of the files it reads, the versions of the packages that do the
work, and the kind of processor: floating-point code may round differently on another one.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from voiceeval.errors import InputError
from voiceeval.extras import installed_version
from voiceeval.scenario import content_digest

_BLOCK = 1 << 20


def fingerprint(
    component: str,
    *,
    version: int,
    options: Mapping[str, JsonValue],
    contents: Mapping[str, str] | None = None,
    distributions: tuple[str, ...] = (),
) -> str:
    """Hex SHA-256 over everything the component's results depend on.

    Args:
        component: The registered name.
        version: The component's own number, raised when its code gives other results.
        options: Its options, paths left out.
        contents: What it reads, by option -> digest of the content.
        distributions: The packages that do the work; their installed versions are looked up.
    """
    return content_digest(
        {
            "component": component,
            "version": version,
            "options": dict(options),
            "contents": dict(contents or {}),
            "packages": {name: installed_version(name) for name in distributions},
            "machine": platform.machine(),
        }
    )


def file_digest(path: Path, *, key: str) -> str:
    """Hex SHA-256 of a file; kept in memory until the file's size or time of change differs.

    Raises:
        InputError: there is no such file, or it cannot be read; ``key`` names the option.
    """
    try:
        facts = path.stat()
        return _digest(path, facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{key}: cannot read '{path}' ({error.strerror})") from None


@functools.lru_cache(maxsize=256)
def _digest(path: Path, _size: int, _changed_ns: int) -> str:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            content.update(block)
    return content.hexdigest()
