"""What a report must not show, and where it stands in a text: card numbers, and marked entities by type.

A card number is any run of 13 to 19 digits whose check digit is right (ISO/IEC 7812-1, annex B), written with
or without spaces and dashes, or spoken in English. Entities are compared as `spoken_units` reads them: case,
accents, punctuation and the way in which digits are written or said make no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from voiceeval.errors import ConfigError, unknown_name
from voiceeval.scenario import Entity, Scenario
from voiceeval.spoken_units import DIGIT_RUN_MAY_BEGIN, Unit, digit_runs, iso_dates, spoken_units

TEXT, AUDIO, NONE = "text", "audio", "none"
LEFT_OUT = "[text left out]"
MISHEARD = "misheard"
PART_OF_A_CARD = "[part of a card number]"
_FEWEST, _MOST = 13, 19
_TELLING_DIGITS = 5
"""Digits in a row that tell a card apart; its last four are shown anyway."""
_TELLING_LETTERS = 4
_LONG_SECRET = 6
"""A number so long is looked for inside longer ones too: +1 555 0100 contains 555 0100."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is left out of a report."""

    types: frozenset[str] = frozenset()
    """Types of marked entities."""
    text: bool = False
    """Everything said, heard and done."""
    audio: bool = False
    """All sounds."""
    cards: bool = True
    """Card numbers, wherever they stand."""

    @classmethod
    def of(cls, names: Iterable[str], known_types: Iterable[str], *, where: str) -> Redaction:
        """What names such as ``card``, ``text``, ``audio`` and ``none`` ask for.

        Raises:
            ConfigError: A name is neither of these nor the type of a marked entity.
        """
        asked = {name.strip() for name in names} - {""}
        known = {TEXT, AUDIO, NONE, *known_types}
        for name in sorted(asked - known):
            raise ConfigError(f"{where}: {unknown_name('name', name, known)}")
        return cls(
            types=frozenset(asked - {TEXT, AUDIO, NONE}),
            text=TEXT in asked,
            audio=AUDIO in asked,
            cards=NONE not in asked,
        )

    @property
    def told(self) -> str:
        """What is left out, in a sentence; empty where nothing is."""
        parts = [f"{name} of every call" for name, out in ((TEXT, self.text), (AUDIO, self.audio)) if out]
        parts += [f"entities of type {', '.join(sorted(self.types))}"] if self.types else []
        parts += ["card numbers but their last four digits"] if self.cards and not self.text else []
        return f"Left out of this report: {'; '.join(parts)}." if parts else ""


CARDS_ONLY = Redaction()
"""What reports leave out unless told otherwise."""


def entity_types(scenarios: Iterable[Scenario]) -> frozenset[str]:
    """The types of all entities that are marked in scenarios."""
    return frozenset(
        entity.type for scenario in scenarios for turn in scenario.turns for entity in turn.entities
    )


class Span(NamedTuple):
    """A piece of a text, and what stands there instead."""

    start: int
    end: int
    label: str


class Secret(NamedTuple):
    """A value to be found however it is written, and what stands there instead."""

    value: str
    """The units of the text one after the other: ``four one two nine`` is ``4129``."""
    label: str
    date: tuple[str, ...] = ()
    """Of a date: its figures and months, in which an ISO date is recognised."""


def canonical(entity: Entity, value: str) -> Secret | None:
    """A value that is a part of an entity's words, such as 45 of ``forty five dollars``; else none."""
    units, parts = spoken_units(entity.text), spoken_units(value)
    found = "".join(unit.value for unit in parts)
    if len(found) < (2 if any(unit.is_number for unit in parts) else _TELLING_LETTERS):
        return None
    whole = [unit.value for unit in units]
    part = [unit.value for unit in parts]
    inside = any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))
    return Secret(found, f"[{entity.type}]") if inside and not entity.text.startswith("[") else None


def secret_of(entity: Entity) -> Secret | None:
    """An entity as something to be looked for; none for one that is redacted already."""
    if entity.text.startswith(("[", "•")):
        return None
    label = f"[{entity.type}]"
    units = spoken_units(entity.text)
    value = "".join(unit.value for unit in units)
    dated = entity.type in ("date", "birthday")
    return Secret(value, label, tuple(unit.value for unit in units) if dated else ()) if value else None


@dataclass(frozen=True)
class Rules:
    """What to look for in the texts of one call."""

    cards: bool
    known_cards: frozenset[str] = frozenset()
    """Card numbers that are known to occur: what resembles one is masked too."""
    secrets: tuple[Secret, ...] = ()
    left_out: bool = False

    def spans(self, text: str) -> tuple[Span, ...]:
        """What must go, in order and apart from each other."""
        if not self._may_occur(text):
            return ()
        units = spoken_units(text)
        found = [span for secret in self.secrets for span in _occurrences(secret, text, units)]
        if self.cards:
            found += [
                Span(span.start, span.end, self._card_label(text, span)) for span in card_spans(text, units)
            ]
            found += self._resembling(text, units)
        return merged(found)

    def text(self, text: str) -> str:
        """The text without what must go; doing it again changes nothing."""
        for _ in range(4):
            redacted = replaced(text, self.spans(text))
            if redacted == text:
                break
            text = redacted
        return text

    def _may_occur(self, text: str) -> bool:
        if self.secrets:
            return True
        fewest = _TELLING_DIGITS if self.known_cards else _FEWEST
        # No word of a spoken number stands for more than seven digits.
        digits = sum(1 if found[0].isdecimal() else 7 for found in DIGIT_RUN_MAY_BEGIN.finditer(text))
        return self.cards and digits >= fewest

    def _card_label(self, text: str, span: Span) -> str:
        last = span.label
        if any(secret.value == last for secret in self.secrets):
            last = ""
        return card_label(text[span.start : span.end], last)

    def _resembling(self, text: str, units: Sequence[Unit]) -> list[Span]:
        """Parts of known cards, and what differs from one in a few digits."""
        found = []
        for run in digit_runs(units) if self.known_cards else ():
            digits = "".join(unit.value for unit in run)
            if any(_resembles(digits, card) for card in self.known_cards):
                start, end = run[0].start, run[-1].end
                label = marked(self._card_label(text, Span(start, end, digits[-4:])))
                is_part = len(digits) < _FEWEST and any(digits in card for card in self.known_cards)
                found.append(Span(start, end, PART_OF_A_CARD if is_part else label))
        return found


def card_label(written: str, last: str) -> str:
    """What stands in place of a card number: the form follows the way in which it was given."""
    if not last:
        return "[card number]"
    spoken = any(character.isalpha() for character in written)
    return f"[card ending {last}]" if spoken else f"•••• •••• •••• {last}"


def marked(label: str) -> str:
    """The label of something that was not heard, or not given, as it should have been."""
    return f"{label[:-1]}, {MISHEARD}]" if label.endswith("]") else f"[{label}, {MISHEARD}]"


def replaced(text: str, spans: Iterable[Span]) -> str:
    """The text with every span's label in its place."""
    parts, at = [], 0
    for span in spans:
        parts += [text[at : span.start], span.label]
        at = span.end
    return "".join([*parts, text[at:]])


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order, and apart from each other; of those that overlap the first tells the label."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if kept and span.start < kept[-1].end:
            kept[-1] = kept[-1]._replace(end=max(kept[-1].end, span.end))
        elif span.end > span.start:
            kept.append(span)
    return tuple(kept)


def card_spans(text: str, units: Sequence[Unit]) -> list[Span]:
    """Card numbers; the label of a span is the last four digits."""
    found: list[Span] = []
    for run in digit_runs(units):
        windows: list[tuple[int, int]] = []
        for first, last in _card_windows(text, run):
            if windows and first <= windows[-1][1]:
                windows[-1] = windows[-1][0], max(windows[-1][1], last)
            else:
                windows.append((first, last))
        for first, last in windows:
            digits = "".join(unit.value for unit in run[first : last + 1])
            found.append(Span(run[first].start, run[last].end, digits[-4:]))
    return found


def cards_in(text: str) -> frozenset[str]:
    """The digits of the card numbers in a text."""
    if not Rules(cards=True)._may_occur(text):
        return frozenset()
    units = spoken_units(text)
    return frozenset(
        "".join(unit.value for unit in units if span.start <= unit.start < span.end and unit.is_number)
        for span in card_spans(text, units)
    )


def _card_windows(text: str, run: Sequence[Unit]) -> Iterable[tuple[int, int]]:
    """First and last unit of everything in a run of digits that passes for a card number, in order."""
    digits = "".join(unit.value for unit in run)
    bounds = [0]
    for unit in run:
        bounds.append(bounds[-1] + len(unit.value))
    sums = _luhn_sums(digits)
    for first in range(len(run)):
        for last in range(first, len(run)):
            length = bounds[last + 1] - bounds[first]
            if length > _MOST:
                break
            if length < _FEWEST:
                continue
            odd = sums[(bounds[last + 1] - 1) % 2]
            total = odd[bounds[last + 1]] - odd[bounds[first]]
            number = digits[bounds[first] : bounds[last + 1]]
            if total and total % 10 == 0 and not _is_no_card(text, run[first : last + 1], number):
                yield first, last


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Running sums in which the digits at even places, or those at odd ones, are taken as they are."""
    sums: tuple[list[int], list[int]] = ([0], [0])
    for place, digit in enumerate(map(int, digits)):
        doubled = 2 * digit - 9 * (digit > 4)
        for parity in (0, 1):
            sums[parity].append(sums[parity][-1] + (digit if place % 2 == parity else doubled))
    return sums


_EPOCH = re.compile(r"1[2-9]\d{8}(?:\d{3}|\d{6}|\d{9})")
_COMPACT_DATE = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d\d*)?"
)


def _is_no_card(text: str, window: Sequence[Unit], digits: str) -> bool:
    """Moments in time, and numbers with a decimal point."""
    if len(window) == 1 and (_EPOCH.fullmatch(digits) or window[0].is_fraction):
        return True
    if len(digits) in (14, 17) and _COMPACT_DATE.fullmatch(digits):
        return True
    return len(window) == 2 and text[window[0].end : window[1].start] == "."


def _resembles(digits: str, card: str) -> bool:
    from rapidfuzz.distance import LCSseq

    if any(digits[at : at + _TELLING_DIGITS] in card for at in range(len(digits) - _TELLING_DIGITS + 1)):
        return True
    return len(digits) >= 9 and LCSseq.similarity(digits, card) >= 0.7 * min(len(digits), len(card))


def _occurrences(secret: Secret, text: str, units: Sequence[Unit]) -> Iterable[Span]:
    if secret.date:
        yield from _date_occurrences(secret, text, units)
    value = secret.value
    if value.isdecimal():
        yield from _number_occurrences(secret, text, units)
        return
    joined = "".join(unit.value for unit in units)
    at = joined.find(value)
    if at < 0:
        return
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    place = 0
    for index, unit in enumerate(units):
        begins[place] = index
        place += len(unit.value)
        ends[place] = index
    while at >= 0:
        if at in begins and at + len(value) in ends:
            yield Span(units[begins[at]].start, units[ends[at + len(value)]].end, secret.label)
        at = joined.find(value, at + 1)


def _number_occurrences(secret: Secret, text: str, units: Sequence[Unit]) -> Iterable[Span]:
    value = secret.value
    for run in digit_runs(units, ids=True):
        digits = "".join(unit.value for unit in run)
        at = digits.find(value)
        while at >= 0:
            first, last = _covering(run, at, at + len(value))
            exact = sum(len(unit.value) for unit in run[first : last + 1]) == len(value)
            if len(value) >= _LONG_SECRET or (exact and (len(value) > 2 or digits == value)):
                yield Span(run[first].start, run[last].end, secret.label)
            at = digits.find(value, at + 1)


def _covering(run: Sequence[Unit], start: int, end: int) -> tuple[int, int]:
    """The first and the last unit of a run that hold its digits from ``start`` to ``end``."""
    bounds = [0]
    for unit in run:
        bounds.append(bounds[-1] + len(unit.value))
    holding = [index for index, (low, high) in enumerate(pairwise(bounds)) if low < end and high > start]
    return holding[0], holding[-1]


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONGEST_DATE = 9
"""Units of a date in words, such as: the, 23rd, of, march, in, 2, 0, 2, 6."""


def _date_occurrences(secret: Secret, text: str, units: Sequence[Unit]) -> Iterable[Span]:
    """The same day in another order, or as an ISO date."""
    sought = _figures(secret.date)
    for start, end, figures in iso_dates(text):
        if figures <= sought:
            yield Span(start, end, secret.label)
    if not any(figure.startswith("m") for figure in sought):
        return
    for first in range(len(units)):
        for last in range(first + 1, min(first + _LONGEST_DATE, len(units))):
            window = units[first : last + 1]
            edges = {window[0].value, window[-1].value}
            if not edges & _DATE_FILLERS and _figures(tuple(unit.value for unit in window)) == sought:
                yield Span(window[0].start, window[-1].end, secret.label)


_DATE_FILLERS = frozenset({"the", "of", "on", "in"})


@lru_cache(maxsize=4096)
def _figures(date: tuple[str, ...]) -> frozenset[str]:
    """The month by its number, and everything else as digits; other words make it no date.

    >>> sorted(_figures(("the", "23", "rd", "of", "march")))
    ['d23', 'm3']
    """
    figures: set[str] = set()
    digits = ""
    for unit in date:
        number = re.match(r"\d+", unit)
        digits += number[0] if number else ""
        if number and unit == number[0] and len(number[0]) == 1:
            continue  # spoken digit by digit
        if digits:
            figures.add(f"d{int(digits)}")
            digits = ""
        if number or unit in _DATE_FILLERS or unit in ("st", "nd", "rd", "th"):
            continue
        figures.add(f"m{_MONTHS.index(unit[:3]) + 1}" if unit[:3] in _MONTHS else f"w{unit}")
    return frozenset(figures | ({f"d{int(digits)}"} if digits else set()))
