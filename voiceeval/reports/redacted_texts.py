"""Texts and values of a call without what a report must not show."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pydantic import JsonValue

from voiceeval.call import CallerStarted, Event, Transcribed
from voiceeval.redaction import (
    LEFT_OUT,
    PART_OF_A_CARD,
    Rules,
    Secret,
    Span,
    card_spans,
    cards_in,
    marked,
    merged,
)
from voiceeval.spoken_units import Unit, digit_runs, spoken_units

_MOST_UNITS = 3000
"""Longer texts are not aligned: all that was heard in place of such a turn is left out."""
_TELLING_LETTERS = 5
_TELLING_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts one after the other, such as the transcripts of one turn."""

    texts: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of them with a space between."""
        return " ".join(self.texts)

    def replaced(self, spans: Iterable[Span]) -> list[str]:
        """The texts apart again; of a span over several of them the first holds the label."""
        starts = [0]
        for text in self.texts:
            starts.append(starts[-1] + len(text) + 1)
        pieces: list[list[str]] = [[] for _ in self.texts]
        done = list(starts[:-1])
        for span in spans:
            first = bisect_right(starts, span.start) - 1
            for at in range(first, len(self.texts)):
                ends = starts[at] + len(self.texts[at])
                if span.end <= starts[at]:
                    break
                low, high = max(span.start, done[at]), min(span.end, ends)
                pieces[at] += [self.text[done[at] : low], span.label if at == first else ""]
                done[at] = max(high, done[at])
        for at, text in enumerate(self.texts):
            pieces[at].append(text[done[at] - starts[at] :])
        return ["".join(piece) for piece in pieces]


@dataclass(frozen=True, slots=True)
class Hearing:
    """What became of the transcripts of one turn."""

    texts: tuple[str, ...]
    misheard: tuple[Secret, ...] = ()
    """What was heard in place of something that is left out: it may come up again in the call."""


@dataclass(frozen=True, slots=True)
class TurnsHeard:
    """What was said in each turn, and the transcripts of it with the places of their events."""

    said: Mapping[int, list[str]]
    heard: Mapping[int, list[tuple[int, str]]]

    @classmethod
    def of(cls, events: Sequence[Event]) -> TurnsHeard:
        """As the error rates join them: transcripts of asides and of keys are of no turn."""
        said: dict[int, list[str]] = {}
        heard: dict[int, list[tuple[int, str]]] = {}
        for place, event in enumerate(events):
            if isinstance(event, CallerStarted) and event.text:
                said.setdefault(event.turn, []).append(event.text)
            elif isinstance(event, Transcribed) and event.heard in ("turn", "noise"):
                heard.setdefault(event.turn, []).append((place, event.text))
        return cls(said, heard)


def redacted_hearing(said: str, heard: Sequence[str], rules: Rules) -> Hearing:
    """The transcripts without what is left out of the turn's words, and without what was heard in its place.

    Where it was heard as it was said, both show the same; where it was not, the transcript says so, as one
    word too many, so that the error can be seen in any alignment of the two.
    """
    marks = rules.spans(said)
    joined = Joined(tuple(heard))
    if not marks:
        return Hearing(tuple(map(rules.text, heard)))
    regions, misheard = _regions(said, marks, joined.text)
    spans = merged([*regions, *rules.spans(joined.text)])
    return Hearing(tuple(map(rules.text, joined.replaced(spans))), tuple(misheard))


def _regions(said: str, marks: Sequence[Span], heard: str) -> tuple[list[Span], list[Secret]]:
    """Where the marks of the reference stand in the transcript, with what stands there to be looked for."""
    said_units, heard_units = spoken_units(said), spoken_units(heard)
    due, got = _atoms(said_units), _atoms(heard_units)
    if len(due) + len(got) > _MOST_UNITS:
        return [Span(0, len(heard), marked(mark.label)) for mark in marks[:1]], []
    same = _matches([value for value, _ in due], [value for value, _ in got])
    found: dict[tuple[int, int], list[str]] = {}
    misheard: list[Secret] = []
    for mark in marks:
        places = [at for at, (_, unit) in enumerate(due) if mark.start <= unit.start < mark.end]
        if not places:
            continue
        first, last, right = _heard_place(places, same, got)
        if first >= last:
            continue
        units = [unit for _, unit in got[first:last]]
        label = mark.label if right else marked(mark.label)
        labels = found.setdefault((units[0].start, units[-1].end), [])
        labels += [] if label in labels else [label]
        misheard += [] if right else _secrets(units, label)
    return [Span(start, end, " ".join(labels)) for (start, end), labels in found.items()], misheard


def _atoms(units: Iterable[Unit]) -> list[tuple[str, Unit]]:
    """Words, and digits one by one."""
    return [(value, unit) for unit in units for value in (unit.value if unit.is_number else (unit.value,))]


def _matches(due: list[str], got: list[str]) -> dict[int, int]:
    from rapidfuzz.distance import Levenshtein

    return {
        code.src_start + step: code.dest_start + step
        for code in Levenshtein.opcodes(due, got)
        if code.tag == "equal"
        for step in range(code.src_end - code.src_start)
    }


def _heard_place(
    places: Sequence[int], same: Mapping[int, int], got: Sequence[tuple[str, Unit]]
) -> tuple[int, int, bool]:
    """The atoms that were heard in place of some that were said, and whether they are right.

    What is wrong reaches to the nearest words on either side that were heard as they were said: nothing tells
    which of the wrong words between them belong to what is left out.
    """
    before = max((same[at] for at in same if at < places[0]), default=-1)
    after = min((same[at] for at in same if at > places[-1]), default=len(got))
    heard = [same[at] for at in places if at in same]
    if len(heard) == len(places) and heard[-1] - heard[0] == len(places) - 1:
        first, last = heard[0], heard[-1] + 1
        digits_around = any(
            got[at][1].is_number
            for at, inside in ((first - 1, first - 1 > before), (last, last < after))
            if inside
        )
        if not digits_around:
            return first, last, True
    return before + 1, after, False


def _secrets(units: Sequence[Unit], label: str) -> list[Secret]:
    """What was heard instead, where it tells enough to be looked for elsewhere."""
    words = "".join(unit.value for unit in units)
    found = [Secret(words, label)] if sum(map(str.isalpha, words)) >= _TELLING_LETTERS else []
    numbers = ["".join(unit.value for unit in run) for run in digit_runs(units, ids=True)]
    return found + [Secret(digits, label) for digits in numbers if len(digits) >= _TELLING_DIGITS]


def redacted_value(value: JsonValue, rules: Rules) -> JsonValue:
    """A JSON value with its keys, texts and whole numbers redacted."""
    if isinstance(value, Mapping):
        return redacted_mapping(value, rules)
    if isinstance(value, list | tuple):
        return _redacted_list(value, rules)
    if isinstance(value, str):
        return rules.text(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return value
    text = str(int(value))
    redacted = rules.text(text)
    return value if redacted == text else redacted


def redacted_mapping(values: Mapping[str, JsonValue], rules: Rules) -> dict[str, JsonValue]:
    """A JSON object; keys that have become equal are numbered."""
    found: dict[str, JsonValue] = {}
    for key, value in values.items():
        redacted = redacted_path(key, rules)
        number = 1
        while redacted in found:
            number += 1
            redacted = f"{redacted_path(key, rules)} ({number})"
        found[redacted] = redacted_value(value, rules)
    return found


def redacted_path(path: str, rules: Rules) -> str:
    """A dotted path: each part by itself, as keys of the state are redacted, and then all of it."""
    return rules.text(".".join(map(rules.text, path.split("."))))


def _redacted_list(values: Sequence[JsonValue], rules: Rules) -> list[JsonValue]:
    """A card number may be given in parts, as a list of texts or numbers."""
    parts = [redacted_value(value, rules) for value in values]
    joined = Joined(tuple(str(value) for value in values if isinstance(value, str | int)))
    if len(joined.texts) != len(values) or len(values) < 2:
        return parts
    whole = joined.replaced(rules.spans(joined.text))
    return [
        part if str(value) == text else rules.text(text)
        for value, part, text in zip(values, parts, whole, strict=True)
    ]


def cards_of_value(value: JsonValue) -> frozenset[str]:
    """The card numbers in a JSON value, keys and lists of parts included."""
    if isinstance(value, Mapping):
        return frozenset[str]().union(*map(cards_in, value), *map(cards_of_value, value.values()))
    if isinstance(value, list | tuple):
        scalars = [str(each) for each in value if isinstance(each, str | int)]
        return cards_in(" ".join(scalars)).union(*map(cards_of_value, value))
    return cards_in(str(value)) if isinstance(value, str | int) else frozenset()


def parts_of_cards(texts: Iterable[str]) -> Iterator[Secret]:
    """The parts of card numbers that are said in several texts, one after the other, but for the last four.

    >>> [part.value for part in parts_of_cards(["4539 it is", "no, 4539", "5787", "6362", "1486"])]
    ['4539', '5787', '6362']
    """
    joined = Joined(tuple(texts))
    units, starts = spoken_units(joined.text), list(accumulate(len(text) + 1 for text in joined.texts))
    for span in card_spans(joined.text, units):
        pieces: dict[int, str] = {}
        for unit in units:
            if unit.is_number and span.start <= unit.start < span.end:
                text = bisect_right(starts, unit.start)
                pieces[text] = pieces.get(text, "") + unit.value
        hidden = sum(map(len, pieces.values())) - 4
        for piece in pieces.values() if len(pieces) > 1 else ():
            if hidden > 0 and len(piece) >= _TELLING_DIGITS:
                yield Secret(piece, PART_OF_A_CARD)
            hidden -= len(piece)


def left_out(text: str) -> str:
    """The placeholder of any text; nothing stays nothing."""
    return LEFT_OUT if text else ""
