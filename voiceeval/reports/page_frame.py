"""What every page of a report has: its files of style and script, and the policy that allows just those.

Pages are read over ``file://`` too, where scripts cannot fetch: everything is loaded by elements of the page.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

POLICY = (
    "default-src 'none'; style-src 'self' file:{inline}; script-src 'self' file:; media-src 'self' file:; "
    "frame-src 'self' file:; base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded from elsewhere, and no script or event handler that stands in a page runs."""
STYLE_HASHES = {"call": "sha256-Txpp2hh5OoXvJGhUxJbFyEnnoWJBIRJRY/mg0M3HqKc="}
"""By page, the one style element that its script makes: wavesurfer.js puts it beside every waveform.

Another version of it, or another height of a lane, takes another digest; the browser's complaint tells which.
"""


def page_frame(name: str, *, root: str = "", inline_styles: bool = False) -> dict[str, Any]:
    """The values that ``macros.head`` needs.

    Args:
        name: the page's own files in ``assets``: ``<name>.css``, and ``<name>.js`` where there is one.
        root: from the page to the report's folder: ``../`` for a page in ``calls``.
        inline_styles: allow style elements that a chart library puts into its drawings.
    """
    have = {item.name for item in _assets().iterdir()}
    allowed = (
        "'unsafe-inline'" if inline_styles else f"'{STYLE_HASHES[name]}'" if name in STYLE_HASHES else ""
    )
    return {
        "policy": POLICY.format(inline=f" {allowed}" if allowed else ""),
        "styles": [f"{root}assets/{file}" for file in ("base.css", f"{name}.css") if file in have],
        "scripts": [f"{root}assets/{file}" for file in (f"{name}.js",) if file in have],
    }


def copy_assets(folder: Path) -> None:
    """Put the scripts and styles of all pages, and the licences of what they hold, into ``folder/assets``."""
    target = folder / "assets"
    target.mkdir(parents=True, exist_ok=True)
    for item in _assets().iterdir():
        (target / item.name).write_bytes(item.read_bytes())


def _assets() -> Traversable:
    return files("voiceeval.reports").joinpath("assets")
