"""Data for the pages as classic scripts: pages under ``file://`` can fetch nothing and load no modules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def data_script(name: str, value: object) -> str:
    r"""A script that sets ``globalThis.<name>``, all in ASCII.

    A text that is parsed as JSON is read several times faster than the same value as a literal. Whatever a
    text of the run holds (quotes, ``</script>``, line separators, lone surrogates), it arrives as it was.

    >>> print(data_script("found", ["it's", "</b>"]), end="")
    globalThis.found = JSON.parse('["it\'s","\\u003c/b>"]');
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    # "<" stands in strings only, where JSON may write it as an escape.
    text = text.replace("<", "\\u003c").replace("\\", "\\\\").replace("'", "\\'")
    return f"globalThis.{name} = JSON.parse('{text}');\n"


def write_data(folder: Path, file: str, name: str, value: Mapping[str, Any]) -> Path:
    """Write ``folder/file``, which sets ``globalThis.<name>``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    path.write_text(data_script(name, value), encoding="ascii", newline="\n")
    return path
