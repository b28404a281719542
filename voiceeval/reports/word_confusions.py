"""Which words were heard as which, counted exactly as the word error rate counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from voiceeval.call import Arm, Call, Ending
from voiceeval.metrics.alignment import align
from voiceeval.metrics.spoken_turns import never_reached, reports_transcripts, spoken_turns
from voiceeval.normalizers import normalizer_for
from voiceeval.reports.alignment import Edit, hear
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
            scenario = report.scenarios.get(planned.scenario)
            call = report.calls.get(arm_call_id(planned, arm))
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
    return Counter(_errors(scenario, call))


def _errors(scenario: Scenario, call: Call) -> Iterator[WordError]:
    for turn in spoken_turns(call):
        due = 0 <= turn.script_turn < len(scenario.turns)
        entities = scenario.turns[turn.script_turn].entities if due else ()
        yield from _in_turn(turn.text, turn.heard, entities, scenario.locale)
    for missed in never_reached(scenario, call):
        yield from _in_turn(missed.text, "", missed.entities, scenario.locale)


def _in_turn(said: str, heard: str, entities: Sequence[Entity], locale: str) -> Iterator[WordError]:
    tokens = normalizer_for(locale).tokens
    if said == heard or tokens(said) == tokens(heard):
        return
    hearing = hear(said, heard, locale=locale, entities=entities)
    if not hearing.aligned:
        yield from _of_a_long_text(tokens(said), tokens(heard))
    for span in hearing.spans:
        for token in span.tokens:
            if token.edit is not Edit.SAME:
                yield WordError(span.entity, token.said, token.heard)


def _of_a_long_text(said: tuple[str, ...], heard: tuple[str, ...]) -> Iterator[WordError]:
    """What a page does not mark word by word is counted all the same."""
    for piece in align(said, heard).pieces:
        if piece.kind != "equal":
            lost, found = said[piece.start : piece.end], heard[piece.heard_start : piece.heard_end]
            for at in range(max(len(lost), len(found))):
                yield WordError(
                    NO_TYPE,
                    lost[at] if at < len(lost) else NO_WORD,
                    found[at] if at < len(found) else NO_WORD,
                )
