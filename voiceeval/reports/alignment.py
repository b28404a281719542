"""What was said against what was heard, word by word, for reading.

It shows where a transcript went wrong. It is not the score: metrics align after their own normalisation, and
their evidence stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

MOST_WORDS = 1500
"""Longer texts are shown without an alignment: its cost grows with the product of the lengths."""

_EDGES = re.compile(r"^\W+|\W+$")


class Edit(StrEnum):
    """What became of a word."""

    SAME = "same"
    SUBSTITUTED = "substituted"
    DELETED = "deleted"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One step of the alignment; the side that has no word is empty."""

    edit: Edit
    said: str
    heard: str


@dataclass(frozen=True, slots=True)
class Unaligned:
    """Too long to align; the texts themselves are still shown."""

    said: str
    heard: str


Alignment = tuple[AlignedWord, ...] | Unaligned


def align(said: str, heard: str) -> Alignment:
    """The shortest edit from what was said to what was heard; case and outer punctuation do not count.

    >>> [step.edit.value for step in align("block my card", "Block my cart please")]
    ['same', 'same', 'substituted', 'inserted']
    """
    if len(said) + len(heard) > 20 * MOST_WORDS:
        return Unaligned(said, heard)
    left, right = said.split(), heard.split()
    if len(left) + len(right) > MOST_WORDS:
        return Unaligned(said, heard)
    return tuple(_steps(left, right))


def _steps(left: list[str], right: list[str]) -> Iterator[AlignedWord]:
    from rapidfuzz.distance import Levenshtein

    for code in Levenshtein.opcodes([_key(word) for word in left], [_key(word) for word in right]):
        if code.tag == "delete":
            yield from (AlignedWord(Edit.DELETED, word, "") for word in left[code.src_start : code.src_end])
        elif code.tag == "insert":
            yield from (
                AlignedWord(Edit.INSERTED, "", word) for word in right[code.dest_start : code.dest_end]
            )
        else:
            edit = Edit.SAME if code.tag == "equal" else Edit.SUBSTITUTED
            pairs = zip(
                left[code.src_start : code.src_end], right[code.dest_start : code.dest_end], strict=True
            )
            yield from (AlignedWord(edit, one, other) for one, other in pairs)


def _key(word: str) -> str:
    return _EDGES.sub("", word.casefold()) or word
