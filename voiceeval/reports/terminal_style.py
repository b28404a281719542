"""How the parts of the terminal report look alike: colours, indents, headings and grids."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from voiceeval.verdict import Outcome, Verdict

LOG_COLUMNS = 120
"""How wide tables are where nobody says how wide the screen is, as in the log of a CI job."""
_STYLES = {
    Outcome.INVALID: "bold magenta",
    Outcome.REGRESSED: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.PASSED: "green",
    Outcome.IMPROVED: "bold cyan",
}


def style(verdict: Verdict) -> str:
    """The colour of a verdict; nothing is told by it alone."""
    return "red" if verdict.waiver else _STYLES[verdict.outcome]


def indented(text: Text, columns: int) -> Padding:
    """A paragraph whose every line starts ``columns`` to the right."""
    return Padding(text, (0, 0, 0, columns))


def heading(title: str) -> Text:
    """A section's first line, after an empty one."""
    return Text.assemble("\n", (title, "bold underline"))


def grid() -> Table:
    """An empty table with a rule under its head and nothing else drawn."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)


def print_anywhere(console: Console, draw: Callable[[], None], *, ascii_signs: Mapping[int, str]) -> None:
    """Print on any terminal: where its encoding lacks our signs, others stand for them.

    Args:
        console: where.
        draw: prints on ``console``.
        ascii_signs: what stands for which character, as ``str.translate`` takes it; whatever else is lacking
            becomes a question mark.
    """
    if console.encoding.lower().startswith("utf"):
        draw()
        return
    with console.capture() as capture:
        draw()
    plain = capture.get().translate(ascii_signs)
    console.file.write(plain.encode(console.encoding, "replace").decode(console.encoding))


def console_width() -> int | None:
    """The columns of a console on standard output; ``None``: as many as the screen has."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else LOG_COLUMNS
