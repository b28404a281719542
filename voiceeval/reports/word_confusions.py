"""Which words were heard as which, counted exactly as the word error rate counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from voiceeval.call import Arm, Call, Ending
from voiceeval.metrics.alignment import align
from voiceeval.metrics.entities import entity_places
from voiceeval.metrics.spoken_turns import never_reached, reports_transcripts, spoken_turns
from voiceeval.normalizers import Normalizer, normalizer_for
from voiceeval.reports.coded_columns import Codes
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.scenario import Entity, Scenario

NO_TYPE = ""
"""Of a word that belongs to no marked entity."""
NO_WORD = ""
"""Nothing was said, or nothing was heard."""


class WordError(NamedTuple):
    """A word that became another one, none, or came out of nothing."""

    type: str
    said: str
    heard: str


def word_columns(report: ReportInput) -> dict[str, Any]:
    """The ``words`` of the pages' data: by arm, lines of row, type, word said, word heard, times."""
    types, texts = Codes([NO_TYPE]), Codes([NO_WORD])
    found: list[list[list[int]]] = []
    for arm in Arm:
        lines: list[list[int]] = []
        for row, planned in enumerate(report.planned):
            scenario, call = (
                report.scenarios.get(planned.scenario),
                report.calls.get(arm_call_id(planned, arm)),
            )
            if scenario is None or call is None:
                continue
            for error, times in word_errors(scenario, call).items():
                codes = types.number(error.type), texts.number(error.said), texts.number(error.heard)
                lines.append([row, *codes, times])
        found.append(lines)
    return {"types": types.texts, "texts": texts.texts, "found": found}


def word_errors(scenario: Scenario, call: Call) -> Counter[WordError]:
    """The errors of one call: as many as its word error rate has in the numerator."""
    if call.ending is Ending.HARNESS_FAILED or not reports_transcripts(call):
        return Counter()
    return Counter(_errors(scenario, call, normalizer_for(scenario.locale)))


def _errors(scenario: Scenario, call: Call, normalizer: Normalizer) -> Iterator[WordError]:
    for turn in spoken_turns(call):
        due = 0 <= turn.script_turn < len(scenario.turns)
        entities = scenario.turns[turn.script_turn].entities if due else ()
        yield from _in_turn(turn.text, turn.heard, entities, normalizer)
    for missed in never_reached(scenario, call):
        yield from _in_turn(missed.text, "", missed.entities, normalizer)


def _in_turn(
    text: str, heard_text: str, entities: Sequence[Entity], normalizer: Normalizer
) -> Iterator[WordError]:
    said, heard = normalizer.tokens(text), normalizer.tokens(heard_text)
    if said == heard:
        return
    types = {
        at: place.type
        for place in reversed(entity_places(text, tuple(entities), normalizer))
        for at in range(place.start, place.end)
    }
    for piece in align(said, heard).pieces:
        if piece.kind == "insert":
            # A word that is added in the midst of an entity spoils it; one beside it does not.
            inside = types.get(piece.start, NO_TYPE)
            inside = inside if inside == types.get(piece.start - 1, NO_TYPE) else NO_TYPE
            yield from (
                WordError(inside, NO_WORD, word) for word in heard[piece.heard_start : piece.heard_end]
            )
        elif piece.kind == "delete":
            yield from (WordError(types.get(at, NO_TYPE), said[at], NO_WORD) for at in range(*piece[1:3]))
        elif piece.kind == "substitute":
            yield from (
                WordError(types.get(at, NO_TYPE), said[at], heard[at - piece.start + piece.heard_start])
                for at in range(piece.start, piece.end)
            )
