"""What was measured of a suite's lines, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from voiceeval.channel.line_check import Proof
from voiceeval.reports.terminal_style import grid, print_anywhere
from voiceeval.reports.wording import counted, one_line

HEADINGS = ("line", "condition", "stated", "measured", "tolerance", "reached")
_ASCII = str.maketrans({"×": "x", "−": "-", "±": "+-", "…": "~", "–": "-", "µ": "u"})


def render(proofs: Sequence[Proof], console: Console) -> None:
    """Print a row per condition, and a sentence."""
    print_anywhere(console, lambda: _print(proofs, console), ascii_signs=_ASCII)


def _print(proofs: Sequence[Proof], console: Console) -> None:
    table = grid()
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    previous = ""
    for proof in proofs:
        table.add_row(
            Text("" if proof.line == previous else one_line(proof.line)),
            Text(proof.condition),
            Text(proof.stated),
            Text(proof.measured),
            Text(proof.tolerance),
            Text("yes" if proof.reached else "NO", style="green" if proof.reached else "bold red"),
        )
        previous = proof.line
    console.print(table)
    console.print(Text(f"\n{sentence(proofs)}"))


def sentence(proofs: Sequence[Proof]) -> str:
    """What it comes to."""
    lines, missed = {proof.line for proof in proofs}, [proof for proof in proofs if not proof.reached]
    if not missed:
        return f"Every condition of {counted(len(lines), 'line')} reaches the audio."
    named = "; ".join(f"{one_line(proof.line)}: {proof.condition}" for proof in missed)
    return f"{counted(len(missed), 'condition')} did not reach the audio: {named}."
