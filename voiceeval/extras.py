"""Packages that only some parts need: what to say when one is missing, and its version when it is there."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path

from voiceeval.errors import RegistryError


def require(package: str, *, extra: str, needed_by: str) -> Path:
    """The folder of an optional package, which is not imported yet; or the line that installs it.

    Raises:
        RegistryError: the package is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise RegistryError(
            f"{needed_by} needs the package {package!r}, which is not installed here; "
            f"install it with: pip install 'voiceeval[{extra}]'"
        )
    return Path(found.submodule_search_locations[0])


@cache
def installed_version(distribution: str) -> str:
    """The version of an installed distribution, or ``absent``."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
