"""English numbers as people say them, read as the digits they stand for.

``four one two nine``, ``forty one twenty nine`` and ``4129`` are the same digits; ``twenty third`` and
``23rd`` the same ordinal. Digits are never added up across numbers and leading zeros stay: ``0 0 1 2`` is
four digits, a card number and not twelve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_UNITS = {
    word: str(value)
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    )
} | {"nought": "0"}
_TEENS = {
    word: value
    for value, word in enumerate(
        [
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ],
        start=10,
    )
}
_UNDER_TWENTY = {word: int(digit) for word, digit in _UNITS.items()} | _TEENS
_TENS = {
    word: value
    for value, word in zip(
        range(20, 100, 10),
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"],
        strict=True,
    )
} | {"fourty": 40}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_UNIT_ORDINALS = {
    word: value
    for value, word in enumerate(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"], start=1
    )
}
_ORDINALS = (
    _UNIT_ORDINALS
    | {
        word: value
        for value, word in enumerate(
            [
                "tenth",
                "eleventh",
                "twelfth",
                "thirteenth",
                "fourteenth",
                "fifteenth",
                "sixteenth",
                "seventeenth",
                "eighteenth",
                "nineteenth",
            ],
            start=10,
        )
    }
    | {word[:-1] + "ieth": value for word, value in _TENS.items()}
)
_ORDINAL_SCALES = {"hundredth": 100, "thousandth": 10**3, "millionth": 10**6}
_TIMES = {"double": 2, "triple": 3, "treble": 3}


class Number(NamedTuple):
    """A number as said in one breath."""

    digits: str
    ordinal: bool = False

    def tokens(self) -> tuple[str, ...]:
        """Its digits one by one; an ordinal's last digit carries the suffix, so that 3rd is not 3."""
        if not self.ordinal:
            return tuple(self.digits)
        return (*self.digits[:-1], self.digits[-1] + _suffix(self.digits))


def _suffix(digits: str) -> str:
    if digits[-2:-1] == "1":
        return "th"
    return {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th")


def read_numbers(words: Sequence[str]) -> list[str | Number]:
    """Lower-case words with every number among them read; all other words stay as they are.

    >>> read_numbers("room four oh two on the twenty third".split())[1:4]
    [Number(digits='4', ordinal=False), Number(digits='0', ordinal=False), Number(digits='2', ordinal=False)]
    """
    return [item for place in read_places(words) for item in place.items]


class Place(NamedTuple):
    """Words ``start`` to ``end``, and what they are read as."""

    items: tuple[str | Number, ...]
    """One word that is no number; or numbers, of which ``double four`` has two."""
    start: int
    end: int


def read_places(words: Sequence[str]) -> list[Place]:
    """What `read_numbers` reads, with the words that each number was read from.

    >>> [(place.start, place.end) for place in read_places("my double four twenty one".split())]
    [(0, 1), (1, 3), (3, 5)]
    """
    read: list[Place] = []
    at = 0
    while at < len(words):
        after_number = bool(read) and isinstance(read[-1].items[-1], Number)
        numbers, end = _numbers_at(words, at, after_number=after_number)
        if end == at:
            read.append(Place((words[at],), at, at + 1))
            at += 1
        else:
            read.append(Place(tuple(numbers), at, end))
            at = end
    return read


def _numbers_at(words: Sequence[str], at: int, *, after_number: bool) -> tuple[list[Number], int]:
    word = words[at]
    if _is_zero_letter(words, at, after_number=after_number):
        return [Number("0")], at + 1
    if word in _TIMES and at + 1 < len(words):
        digit = "0" if words[at + 1] in {"oh", "o"} else _single_digit(words[at + 1])
        if digit:
            return [Number(digit)] * _TIMES[word], at + 2
    written = _written(word)
    if written and not (not written.ordinal and _word(words, at + 1) in {*_SCALES, "hundred"}):
        return [written], at + 1
    value, ordinal, end = _spoken(words, at)
    if end == at:
        return [], at
    return [Number(str(value), ordinal)], end


def _is_zero_letter(words: Sequence[str], at: int, *, after_number: bool) -> bool:
    """``oh`` is a zero after a number or before two; the letter ``o`` (as in CO 2) only between two."""
    if words[at] == "oh":
        two_follow = bool(_single_digit(_word(words, at + 1)) and _single_digit(_word(words, at + 2)))
        return after_number or two_follow
    return words[at] == "o" and after_number and _starts_number(_word(words, at + 1))


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _single_digit(word: str) -> str:
    return word if len(word) == 1 and word.isdecimal() else _UNITS.get(word, "")


def _starts_number(word: str) -> bool:
    return word in _UNDER_TWENTY or word in _TENS or _written(word) is not None


def _written(word: str) -> Number | None:
    """A word that begins with digits: ``4129``, ``0012``, ``23rd``."""
    if word.isdecimal():
        return Number(word)
    if len(word) > 2 and word[:-2].isdecimal() and word[-2:] in {"st", "nd", "rd", "th"}:
        return Number(word[:-2], ordinal=True)
    return None


def _spoken(words: Sequence[str], at: int) -> tuple[int, bool, int]:
    """Value, whether it is an ordinal, and where the number ends; ``end == at`` where there is none."""
    total, end, ceiling = 0, at, 10**12
    while True:
        start = _past_and(words, end) if end > at else at
        value, ordinal, after = _under_thousand(words, start)
        if after == start:
            return total, False, end
        scale = 1 if ordinal else _SCALES.get(_word(words, after), 1)
        # Zero adds nothing to a number, and parts only get smaller: what does not is a number of its own.
        if end > at and (value == 0 or max(scale, value if scale == 1 else 0) >= ceiling):
            return total, False, end
        total += value * scale
        if scale == 1:
            return total, ordinal, after
        end, ceiling = after + 1, scale


def _past_and(words: Sequence[str], at: int) -> int:
    """Past the ``and`` of ``two thousand and six``, where a smaller number follows it."""
    following = _word(words, at + 1)
    if _word(words, at) == "and" and any(following in group for group in (_UNDER_TWENTY, _TENS, _ORDINALS)):
        return at + 1
    return at


def _under_thousand(words: Sequence[str], at: int) -> tuple[int, bool, int]:
    value, ordinal, end = _under_hundred(words, at)
    if end == at:
        following = _word(words, at + 1)
        if _word(words, at) == "a" and (following in _SCALES or following in {"hundred", "hundredth"}):
            value, end = 1, at + 1
        elif _word(words, at).isdecimal() and (following in _SCALES or following == "hundred"):
            value, end = int(words[at]), at + 1
        else:
            return 0, False, at
    if ordinal:
        return value, True, end
    follows = _word(words, end)
    if follows in _ORDINAL_SCALES and value:
        return value * _ORDINAL_SCALES[follows], True, end + 1
    if follows != "hundred" or not value:
        return value, False, end
    rest_at = _past_and(words, end + 1)
    rest, ordinal, rest_end = _under_hundred(words, rest_at)
    if rest_end == rest_at or (rest == 0 and not ordinal):
        return value * 100, False, end + 1
    return value * 100 + rest, ordinal, rest_end


def _under_hundred(words: Sequence[str], at: int) -> tuple[int, bool, int]:
    word = _word(words, at)
    if word in _ORDINALS:
        return _ORDINALS[word], True, at + 1
    if word in _UNDER_TWENTY:
        return _UNDER_TWENTY[word], False, at + 1
    if word not in _TENS:
        return 0, False, at
    tens, following = _TENS[word], _word(words, at + 1)
    if following in _UNIT_ORDINALS:
        return tens + _UNIT_ORDINALS[following], True, at + 2
    if following in _UNITS and _UNITS[following] != "0":
        return tens + int(_UNITS[following]), False, at + 2
    return tens, False, at + 1
