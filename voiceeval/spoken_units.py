"""The words and numbers of a text with their places in it, read alike however they are written or said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from voiceeval.spoken_numbers import Number, read_places

DIGIT_RUN_MAY_BEGIN = re.compile(
    r"\d|[〇零一二三四五六七八九]|\b(?:zero|nought|oh?|one|two|three|fou?r|five|six|seven|eight|nine|ten|eleven"
    r"|twelve|double|triple|treble|hundred|thousand|[mb]illion|\w+(?:teen|ty)(?:one|two|three|four|five|six"
    r"|seven|eight|nine)?)\b",
    re.IGNORECASE,
)
"""Whatever can stand for a digit or more."""

_UNHEARD = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
_TOKEN = re.compile(
    rf"\d(?:[{_UNHEARD}]*\d)*|[^\W\d_](?:[{_UNHEARD}'’\u0300-\u036f]*[^\W\d_])*",
)
_GAP = re.compile(rf"[\s.,;/_()*+#|•·…‐-―−\-{_UNHEARD}\u0300-\u036f]{{0,12}}")
"""What may stand between two digits of one number; a colon separates hours from minutes."""
_FILLERS = frozenset(
    {
        "uh",
        "uhm",
        "um",
        "umm",
        "erm",
        "er",
        "eh",
        "hm",
        "hmm",
        "mm",
        "dash",
        "hyphen",
        "space",
        "comma",
        "then",
    }
)
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])")
_ISO_DATE = re.compile(r"(?<![\d-])(?:\d{4}-)?(\d\d)-(\d\d)(?![\d-])")
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)


class Unit(NamedTuple):
    """A word or a number, and where it stands in the text."""

    value: str
    """The word in lower case without accents, or the digits of the number."""
    start: int
    end: int
    is_number: bool = False
    joined: bool = False
    """Nothing but what separates the groups of a number stands before it."""
    in_id: bool = False
    """Letters touch it, as in ``a94f4111``."""
    is_fraction: bool = False
    """It follows a decimal point."""


class _Token(NamedTuple):
    value: str
    start: int
    end: int
    joined: bool


@lru_cache(maxsize=4096)
def spoken_units(text: str) -> tuple[Unit, ...]:
    """The text's units in order; hesitations, and words for separators, are none.

    >>> [unit.value for unit in spoken_units("It's 41 double-two, café!")]
    ['its', '41', '22', 'cafe']
    """
    tokens = list(_tokens(text))
    ids = [found.span() for found in _UUID.finditer(text) if re.search("[A-Za-z]", found[0])]
    units: list[Unit] = []
    for place in read_places([token.value for token in tokens]):
        words = tokens[place.start : place.end]
        start, end = words[0].start, words[-1].end
        numbers = [item for item in place.items if isinstance(item, Number)]
        if not numbers:
            units.append(Unit(words[0].value, start, end, joined=words[0].joined))
        elif numbers[0].ordinal:
            units.append(Unit("".join(numbers[0].tokens()), start, end, joined=words[0].joined))
        else:
            units.append(
                Unit(
                    "".join(number.digits for number in numbers),
                    start,
                    end,
                    is_number=True,
                    joined=words[0].joined,
                    in_id=_is_in_id(text, start, end) or any(low <= start < high for low, high in ids),
                    is_fraction=_is_fraction(text, start, end),
                )
            )
    return tuple(units)


def digit_runs(units: Sequence[Unit], *, ids: bool = False) -> Iterator[list[Unit]]:
    """Numbers that stand next to each other, with nothing between them but ``and`` and separators.

    Args:
        units: those of a text, in order.
        ids: take digits that letters touch for numbers too.
    """
    run: list[Unit] = []
    bridged = True
    for unit in units:
        if unit.is_number and (ids or not unit.in_id):
            if run and not (unit.joined and bridged):
                yield run
                run = []
            run.append(unit)
            bridged = True
        elif run and unit.value == "and" and unit.joined:
            continue
        else:
            bridged = False
    if run:
        yield run


def iso_dates(text: str) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Where ``2026-03-23``, ``03-23`` and the like stand, with month and day as ``m3`` and ``d23``."""
    for found in _ISO_DATE.finditer(text):
        yield found.start(), found.end(), frozenset({f"m{int(found[1])}", f"d{int(found[2])}"})


def _tokens(text: str) -> Iterator[_Token]:
    end, joined = 0, True
    for found in _TOKEN.finditer(text):
        joined = joined and _GAP.fullmatch(text, end, found.start()) is not None
        end = found.end()
        value = _folded(found[0])
        if value in _FILLERS:
            continue
        if _WITHOUT_SPACES.search(found[0]):
            for place, character in enumerate(found[0], start=found.start()):
                yield _Token(_digit_or_letter(character), place, place + 1, joined)
                joined = True
        elif value:
            yield _Token(value, found.start(), end, joined)
        joined = True


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower().replace("'", "")
    if word[0].isdecimal():
        return "".join(str(unicodedata.decimal(each)) for each in word if each.isdecimal())
    plain = unicodedata.normalize("NFKD", word).casefold()
    return "".join(each for each in plain if each.isalnum())


def _digit_or_letter(character: str) -> str:
    number = unicodedata.numeric(character, -1)
    return str(int(number)) if number in range(10) else character.casefold()


def _is_in_id(text: str, start: int, end: int) -> bool:
    """Letters after it, or a letter or two before it; a whole word may be run together with a number."""
    if text[end : end + 1].isalpha() and text[start].isdecimal():
        return not _WITHOUT_SPACES.match(text[end])
    before = re.search(r"[^\W_]*$", text[max(0, start - 40) : start])
    letters = before[0] if before and text[start].isdecimal() else ""
    return (
        bool(letters) and not (len(letters) > 2 and letters.isalpha()) and not _WITHOUT_SPACES.search(letters)
    )


def _is_fraction(text: str, start: int, end: int) -> bool:
    """The digits after the only point of a number."""
    if text[start - 1 : start] != "." or not text[max(0, start - 2) : start - 1].isdecimal():
        return False
    return not re.match(r"\.\d", text[end : end + 2]) and not re.search(
        r"\.\d+\.$", text[max(0, start - 40) : start]
    )
