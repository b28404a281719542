"""What was said against what was heard, token by token, for reading.

Tokens are those of the locale's normaliser, the same that the error rates count: what is marked here is what
was counted there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voiceeval.normalizers import normalizer_for
from voiceeval.reports.wording import shortened

MOST_TOKENS = 2000
"""Longer texts are shown without an alignment: its cost grows with the product of the lengths."""
LONGEST_TEXT = 4000
"""Characters of one text that a page shows; how many more there are is said."""


class Edit(StrEnum):
    """What became of a token."""

    SAME = "same"
    SUBSTITUTED = "substituted"
    DELETED = "deleted"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class AlignedToken:
    """One step of an alignment; the side that has no token is empty."""

    edit: Edit
    said: str
    heard: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """A transcript as it was written, and where it is wrong."""

    text: str
    tokens: tuple[AlignedToken, ...]
    aligned: bool
    """False for texts that were not aligned; ``tokens`` is then empty."""
    why_not: str = ""
    """Why a text was not aligned, where a reader would expect it."""

    @property
    def errors(self) -> int:
        """Tokens that are wrong, missing or added."""
        return sum(token.edit is not Edit.SAME for token in self.tokens)


def hear(said: str, heard: str, *, locale: str) -> Hearing:
    """Align a transcript with what was said, with the fewest edits.

    >>> [token.edit.value for token in hear("block my card now", "Block my cart, now", locale="en").tokens]
    ['same', 'same', 'substituted', 'same']
    """
    text = shortened(heard, limit=LONGEST_TEXT)
    too_long = Hearing(text=text, tokens=(), aligned=False, why_not="too long to align")
    if max(len(said), len(heard)) > 10 * MOST_TOKENS:
        return too_long
    normalizer = normalizer_for(locale)
    left, right = normalizer.tokens(said), normalizer.tokens(heard)
    if len(left) + len(right) > MOST_TOKENS:
        return too_long
    return Hearing(text=text, tokens=tuple(_steps(left, right)), aligned=True)


def unaligned(heard: str) -> Hearing:
    """A transcript by itself: a part of a turn, or of sounds in which no words were due."""
    return Hearing(text=shortened(heard, limit=LONGEST_TEXT), tokens=(), aligned=False)


def _steps(left: Sequence[str], right: Sequence[str]) -> Iterator[AlignedToken]:
    from rapidfuzz.distance import Levenshtein

    for code in Levenshtein.opcodes(left, right):
        said, heard = left[code.src_start : code.src_end], right[code.dest_start : code.dest_end]
        if code.tag == "delete":
            yield from (AlignedToken(Edit.DELETED, token, "") for token in said)
        elif code.tag == "insert":
            yield from (AlignedToken(Edit.INSERTED, "", token) for token in heard)
        else:
            edit = Edit.SAME if code.tag == "equal" else Edit.SUBSTITUTED
            yield from (AlignedToken(edit, one, other) for one, other in zip(said, heard, strict=True))
