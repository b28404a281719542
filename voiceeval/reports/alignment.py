"""What was said against what was heard, token by token, for reading.

Tokens are those of the locale's normaliser, the same that the error rates count: what is marked here is what
was counted there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from voiceeval.call import Call
from voiceeval.metrics.spoken_turns import SpokenTurn, spoken_turns
from voiceeval.normalizers import Normalizer, normalizer_for
from voiceeval.reports.wording import shortened
from voiceeval.scenario import Entity, Scenario

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


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens that stand together: an entity, or what lies between two of them."""

    entity: str
    """Its type, such as ``card``; empty for other words."""
    tokens: tuple[AlignedToken, ...]

    @property
    def errors(self) -> int:
        """Tokens that are wrong, missing or added."""
        return sum(token.edit is not Edit.SAME for token in self.tokens)

    @property
    def said(self) -> str:
        """Its words as they were said."""
        return " ".join(token.said for token in self.tokens if token.said)

    @property
    def heard(self) -> str:
        """What they became; empty where nothing of them was heard."""
        return " ".join(token.heard for token in self.tokens if token.heard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """A transcript as it was written, and where it is wrong."""

    text: str
    tokens: tuple[AlignedToken, ...]
    aligned: bool
    """False for texts that were not aligned; ``tokens`` is then empty."""
    why_not: str = ""
    """Why a text was not aligned, where a reader would expect it."""
    unit: str = "word"
    """What a token is: ``word``, or ``character`` in languages written without spaces."""
    spans: tuple[Span, ...] = ()
    """The tokens again, with the entities told apart from other words."""

    @property
    def errors(self) -> int:
        """Tokens that are wrong, missing or added."""
        return sum(token.edit is not Edit.SAME for token in self.tokens)

    @property
    def length(self) -> int:
        """Tokens that were said: what the errors are counted against."""
        return sum(bool(token.said) for token in self.tokens)


def hear(said: str, heard: str, *, locale: str, entities: Sequence[Entity] = ()) -> Hearing:
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
    tokens = tuple(_steps(left, right))
    places = _places(said, entities, normalizer) if entities else []
    return Hearing(
        text=text, tokens=tokens, aligned=True, unit=normalizer.unit, spans=tuple(_spans(tokens, places))
    )


@lru_cache(maxsize=4_096)
def hear_again(said: str, heard: str, locale: str) -> Hearing:
    """The same of an agent's replies, which come again in many calls."""
    return hear(said, heard, locale=locale)


def unaligned(heard: str) -> Hearing:
    """A transcript by itself: a part of a turn, or of sounds in which no words were due."""
    return Hearing(text=shortened(heard, limit=LONGEST_TEXT), tokens=(), aligned=False)


@dataclass(frozen=True, slots=True)
class TurnHearing:
    """One turn of the caller, with all that was transcribed of it."""

    spoken: SpokenTurn
    hearing: Hearing


def hearings_of(call: Call, locale: str, scenario: Scenario | None = None) -> Mapping[int, TurnHearing]:
    """The caller's turns by number, each aligned once; entities are marked where the scenario is known."""
    turns = () if scenario is None else scenario.turns
    return {
        spoken.number: TurnHearing(
            spoken,
            hear(
                spoken.text,
                spoken.heard,
                locale=locale,
                entities=turns[spoken.script_turn].entities if 0 <= spoken.script_turn < len(turns) else (),
            ),
        )
        for spoken in spoken_turns(call)
    }


def _steps(left: Sequence[str], right: Sequence[str]) -> Iterator[AlignedToken]:
    from rapidfuzz.distance import Levenshtein

    if left == right:
        yield from (AlignedToken(Edit.SAME, token, token) for token in left)
        return
    for code in Levenshtein.opcodes(left, right):
        said, heard = left[code.src_start : code.src_end], right[code.dest_start : code.dest_end]
        if code.tag == "delete":
            yield from (AlignedToken(Edit.DELETED, token, "") for token in said)
        elif code.tag == "insert":
            yield from (AlignedToken(Edit.INSERTED, "", token) for token in heard)
        else:
            edit = Edit.SAME if code.tag == "equal" else Edit.SUBSTITUTED
            yield from (AlignedToken(edit, one, other) for one, other in zip(said, heard, strict=True))


def _places(said: str, entities: Sequence[Entity], normalizer: Normalizer) -> list[tuple[int, int, str]]:
    """Where in the tokens that were said the entities stand, in order and apart from each other."""
    turn = normalizer.read(said)
    taken: list[tuple[int, int, str]] = []
    for entity in entities:
        sought = normalizer.tokens(entity.text)
        starts = [
            start
            for start in range(len(turn.tokens) - len(sought) + 1)
            if sought
            and turn.tokens[start : start + len(sought)] == sought
            and not any(begin < start + len(sought) and start < end for begin, end, _ in taken)
        ]
        # Rather a number of its own than the digits inside another one, as the entity error rate has it.
        starts.sort(key=lambda start: not {start, start + len(sought)} <= turn.boundaries)
        if starts:
            taken.append((starts[0], starts[0] + len(sought), entity.type))
    return sorted(taken)


def _spans(tokens: Sequence[AlignedToken], places: Sequence[tuple[int, int, str]]) -> Iterator[Span]:
    """Cut the tokens at the entities; a digit that was added to a number belongs to it."""
    if not tokens:
        return
    if not places:
        yield Span("", tuple(tokens))
        return
    said = [token.said for token in tokens if token.said]
    owners: list[int] = []
    at = 0
    for token in tokens:
        inside = _place_of(token, at, said, places)
        owners.append(inside)
        at += bool(token.said)
    first = 0
    for index in range(1, len(tokens) + 1):
        if index == len(tokens) or owners[index] != owners[first]:
            entity = places[owners[first]][2] if owners[first] >= 0 else ""
            yield Span(entity, tuple(tokens[first:index]))
            first = index


def _place_of(
    token: AlignedToken, at: int, said: Sequence[str], places: Sequence[tuple[int, int, str]]
) -> int:
    """Which of the places a token belongs to that stands before the ``at``-th said one; -1 for none."""
    for number, (begin, end, _) in enumerate(places):
        if begin < at < end or (token.said and begin == at):
            return number
        if token.said or not token.heard.isdecimal():
            continue
        if (at == begin and said[begin].isdecimal()) or (at == end and said[end - 1].isdecimal()):
            return number
    return -1
