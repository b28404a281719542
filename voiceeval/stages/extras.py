"""Packages that only some stages need: what to say when one is missing, and its version when it is there."""

from __future__ import annotations

import importlib
import importlib.metadata
from types import ModuleType

from voiceeval.errors import RegistryError


def require(module: str, *, extra: str, needed_by: str) -> ModuleType:
    """Import an optional module, or say what to install.

    Raises:
        RegistryError: the module, or something it needs, is not installed or does not load.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = getattr(error, "name", None) or module
        raise RegistryError(
            f"{needed_by} needs the package {missing!r}, which is not installed here; "
            f"install it with: pip install 'voiceeval[{extra}]'"
        ) from None


def installed_version(distribution: str) -> str:
    """The version of an installed distribution, or ``absent``."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
