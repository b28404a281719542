"""What went visibly wrong in a call on one arm, stage by stage, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from voiceeval.audio import Milliseconds
from voiceeval.call import (
    AgentStarted,
    AsideStarted,
    Call,
    CallerStarted,
    EndOfTurn,
    Event,
    HungUp,
    KeyPressed,
    StageFailed,
    ToolReturned,
    Transcribed,
)
from voiceeval.metrics.floor import CUT_MS, Floor
from voiceeval.metrics.spoken_turns import reports_transcripts
from voiceeval.metrics.suffered import AGAIN
from voiceeval.metrics.waits import WAIT_LIMIT_MS, Wait
from voiceeval.repair_requests import asks_to_repeat, repair_requests
from voiceeval.reports.alignment import LONGEST_TEXT, Edit, Hearing, Span, TurnHearing, hear_again
from voiceeval.reports.tool_path_diff import Fit, PathDiff
from voiceeval.reports.wording import as_json, counted, one_line

ENDPOINTING = "end-pointing"
RECOGNIZER = "recognizer"
DIALOGUE = "dialogue"
TOOLS = "tools"
SYNTHESIZER = "synthesizer"
TURN_TAKING = "turn-taking"
_ASIDES = {"back_channel": "a back-channel", "cough": "a cough", "side_talk": "talk to somebody else"}
_OF_STAGE = {"endpointing": ENDPOINTING}

_QUOTED = 160
_FAR_OFF = 0.3
"""Share of a reply's words that the reference recognizer gets wrong, beyond its own errors."""
_FEWEST_WORDS_OFF = 2
_SHORTEST_WORD_MS = 120
"""A turn taken for over less than this before its end has lost no word."""
SMALL_WORDS = frozenset(
    """
    a an and are as at be but by can could do for from hello hey hi i id ill im in is it its just let me
    my of oh ok okay on or please so thank thanks that thats the there this to uh um was we well will
    with would you your
    """.split()  # noqa: SIM905 - fifty short words read better as a sentence
)
"""English words that carry little: one of them misheard seldom changes what an agent does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that a stage got wrong, at a moment, in a phrase that goes after the stage's name."""

    stage: str
    turn: int
    at_ms: Milliseconds
    phrase: str
    slight: bool = False
    """Seldom of consequence: only small words misheard, or the last breath of a turn cut off."""
    crash: bool = False
    of_a_call: bool = False
    """A tool call that was wrong, or failed: it may only follow from what was misheard before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCall:
    """One arm's call with what has been read off it already."""

    call: Call
    locale: str
    floor: Floor
    hearings: Mapping[int, TurnHearing]
    waits: tuple[Wait, ...]
    path: tuple[PathDiff, ...] = ()
    """Against the tool path that fits best; none where the scenario is not known."""


def observed_faults(arm: ArmCall) -> tuple[Fault, ...]:
    """Everything that a stage visibly got wrong, in order of time."""
    found = [
        *_ended_too_early(arm),
        *_keys_cut_short(arm.call),
        *_misheard(arm),
        *_never_heard(arm),
        *_asides_taken(arm),
        *_out_of_turn(arm),
        *_unanswered(arm),
        *_asked_again(arm),
        *call_faults(arm.path, arm.call.events),
        *_crashes(arm.call),
        *_unintelligible(arm),
    ]
    return tuple(sorted(found, key=lambda fault: fault.at_ms))


def quoted(text: str) -> str:
    """A text in quotation marks, on one line, honestly shortened; words where there are none."""
    return f"“{one_line(text, limit=_QUOTED)}”" if text.strip() else "nothing"


@lru_cache(maxsize=16_384)
def asks_again(text: str, locale: str) -> bool:
    """Whether a reply asks to repeat; agents say the same replies in many calls."""
    return asks_to_repeat(text[:LONGEST_TEXT], repair_requests(locale))


def _ended_too_early(arm: ArmCall) -> Iterator[Fault]:
    for event in arm.call.events:
        if not isinstance(event, EndOfTurn) or event.reason == "keys":
            continue
        for taken in arm.floor.turns:
            for stretch in taken.stretches:
                if stretch.holds(event.at_ms):
                    left_ms = stretch.end_ms - event.at_ms
                    phrase = f"took the turn for over {left_ms} ms before the caller had finished"
                    slight = left_ms < _SHORTEST_WORD_MS
                    yield Fault(
                        stage=ENDPOINTING, turn=event.turn, at_ms=event.at_ms, phrase=phrase, slight=slight
                    )


def _keys_cut_short(call: Call) -> Iterator[Fault]:
    pressed = [event for event in call.events if isinstance(event, KeyPressed)]
    for event in call.events:
        if not isinstance(event, EndOfTurn) or event.reason != "keys":
            continue
        keys = [each for each in pressed if each.turn == event.turn]
        late = [each for each in keys if each.at_ms > event.at_ms]
        if late:
            phrase = f"took the keys for complete after {len(keys) - len(late)} of {len(keys)}"
            slight = all(each.key == "#" for each in late)
            yield Fault(stage=ENDPOINTING, turn=event.turn, at_ms=event.at_ms, phrase=phrase, slight=slight)


def _misheard(arm: ArmCall) -> Iterator[Fault]:
    at_ms = {event.turn: event.at_ms for event in arm.call.events if isinstance(event, Transcribed)}
    for number, turn in arm.hearings.items():
        hearing = turn.hearing
        if number not in at_ms or not hearing.errors or not turn.spoken.transcribed:
            continue
        if not turn.spoken.text:
            phrase = f"heard {quoted(turn.spoken.heard)} where nobody said anything"
            yield Fault(stage=RECOGNIZER, turn=number, at_ms=at_ms[number], phrase=phrase)
            continue
        wrong = [span for span in hearing.spans if span.entity and _differs(span)]
        yield Fault(
            stage=RECOGNIZER,
            turn=number,
            at_ms=at_ms[number],
            phrase=_misheard_phrase(turn, wrong) + _spoken_over(arm, number),
            slight=not wrong and not _content_words_wrong(hearing),
        )


def _misheard_phrase(turn: TurnHearing, wrong: list[Span]) -> str:
    if wrong:
        span = wrong[0]
        name = one_line(span.entity.replace("_", " "), limit=40)
        return f"heard the {name} {quoted(span.said)} as {quoted(span.heard)}"
    errors = f"{turn.hearing.errors} of {counted(turn.hearing.length, 'word')} wrong"
    return f"heard {quoted(turn.spoken.heard)} for {quoted(turn.spoken.text)} ({errors})"


def _spoken_over(arm: ArmCall, number: int) -> str:
    """A remark where the agent spoke during the turn: it may not have listened then."""
    over_ms = sum(
        stretch.overlap_ms(speech.stretch)
        for taken in arm.floor.turns
        if taken.number == number
        for stretch in taken.stretches
        for speech in arm.floor.agent
    )
    return f"; it was speaking itself during {over_ms} ms of it" if over_ms else ""


def _differs(span: Span) -> bool:
    """Whether an entity arrived as something else; how its letters and digits are grouped is no matter."""
    if not span.errors:
        return False
    said, heard = span.said, span.heard
    joined = said.replace(" ", "") == heard.replace(" ", "")
    dated = "date" in span.entity or span.entity == "birthday"
    return not joined and not (dated and sorted(said.split()) == sorted(heard.split()))


def _content_words_wrong(hearing: Hearing) -> bool:
    return any(
        token.edit is not Edit.SAME and not ({token.said, token.heard} - {""}) <= SMALL_WORDS
        for token in hearing.tokens
    )


def _never_heard(arm: ArmCall) -> Iterator[Fault]:
    if not reports_transcripts(arm.call):
        return
    ended = arm.floor.hung_up
    left = ended is not None and ended.by == "caller" and ended.reason in ("done", "hung up")
    crashed = {event.turn for event in arm.call.events if isinstance(event, StageFailed)}
    decided = {event.turn for event in arm.call.events if isinstance(event, EndOfTurn)}
    for taken in arm.floor.turns:
        turn = arm.hearings.get(taken.number)
        if taken.kind != "spoken" or turn is None or turn.spoken.transcribed or taken.number in crashed:
            continue
        # Of a turn that the end of the call broke off, nothing was due yet.
        if taken.ends_ms is None or (left and taken is arm.floor.turns[-1]):
            continue
        made = taken.number in decided
        yield Fault(
            stage=RECOGNIZER if made else ENDPOINTING,
            turn=taken.number,
            at_ms=taken.ends_ms,
            phrase="made no transcript of the turn" if made else "never took the turn for over",
        )


def _asides_taken(arm: ArmCall) -> Iterator[Fault]:
    """Sounds beside the conversation that were listened to as if they were a turn, and made into words."""
    asides = [event for event in arm.call.events if isinstance(event, AsideStarted)]
    for event in arm.call.events:
        if isinstance(event, Transcribed) and event.heard == "aside" and event.text.strip():
            before = [aside for aside in asides if aside.at_ms <= event.at_ms]
            kind = _ASIDES[before[-1].aside] if before else "a sound"
            phrase = f"took {kind}, not meant for the agent, for a turn: {quoted(event.text)}"
            yield Fault(stage=TURN_TAKING, turn=event.turn, at_ms=event.at_ms, phrase=phrase)


def _out_of_turn(arm: ArmCall) -> Iterator[Fault]:
    floor = arm.floor
    for taken in floor.turns:
        for speech in floor.agent:
            if any(stretch.holds(speech.stretch.start_ms) for stretch in taken.stretches):
                phrase = "began to speak while the caller was speaking"
                at_ms = speech.stretch.start_ms
                yield Fault(stage=TURN_TAKING, turn=taken.number, at_ms=at_ms, phrase=phrase)
            over_ms = speech.stretch.end_ms - taken.begins_ms
            if taken.barge_in and speech.stretch.holds(taken.begins_ms) and over_ms > CUT_MS:
                phrase = f"did not yield to the caller, and spoke on for {over_ms} ms"
                yield Fault(stage=TURN_TAKING, turn=taken.number, at_ms=taken.begins_ms, phrase=phrase)
    for aside in floor.asides:
        for speech in floor.agent:
            after_ms = speech.stretch.end_ms - aside.stretch.start_ms
            broken_into = any(
                aside.stretch.start_ms <= taken.begins_ms <= speech.stretch.end_ms for taken in floor.turns
            )
            during = speech.cut and aside.known and speech.stretch.holds(aside.stretch.start_ms)
            if during and after_ms <= CUT_MS and not broken_into:
                phrase = f"stopped speaking for {_ASIDES.get(aside.kind, aside.kind)}"
                at_ms = speech.stretch.end_ms
                yield Fault(stage=TURN_TAKING, turn=speech.turn, at_ms=at_ms, phrase=phrase)


def _unanswered(arm: ArmCall) -> Iterator[Fault]:
    crashed = {event.turn for event in arm.call.events if isinstance(event, StageFailed)}
    for wait in arm.waits:
        ends_ms = wait.turn.ends_ms
        if ends_ms is not None and not wait.answered and wait.turn.number not in crashed:
            at_ms = min(ends_ms + WAIT_LIMIT_MS, arm.floor.ends_ms)
            came = "no answer came" if wait.ms is None else f"the answer came after {wait.ms} ms"
            yield Fault(stage=TURN_TAKING, turn=wait.turn.number, at_ms=at_ms, phrase=came)


def _asked_again(arm: ArmCall) -> Iterator[Fault]:
    """Of words that had arrived as they were said: asking for them again, or taking them otherwise."""
    understood: dict[int, int] = {}
    last_reply: AgentStarted | None = None
    for event in arm.call.events:
        if isinstance(event, AgentStarted):
            last_reply = event
            goes_on = event.offset_ms > 0
            if not goes_on and _arrived(arm, event.turn) and asks_again(event.text, arm.locale):
                phrase = f"asked to repeat what had arrived as it was said: {quoted(event.text)}"
                yield Fault(stage=DIALOGUE, turn=event.turn, at_ms=event.at_ms, phrase=phrase)
        elif isinstance(event, CallerStarted):
            since = understood.get(event.script_turn)
            again = event.wording in AGAIN and since is not None
            if again and last_reply and last_reply.turn >= (since or 0):
                asked = asks_again(last_reply.text, arm.locale)
                did = "objects to" if event.wording == "objection" else "has answered before"
                phrase = f"said {quoted(last_reply.text)}, which the caller {did}"
                at_ms, turn = last_reply.at_ms, last_reply.turn
                if not asked:
                    yield Fault(stage=DIALOGUE, turn=turn, at_ms=at_ms, phrase=phrase)
            if _arrived(arm, event.turn):
                understood.setdefault(event.script_turn, event.turn)


def _arrived(arm: ArmCall, number: int) -> bool:
    """Whether the words of a turn reached the dialogue as they were said."""
    turn = arm.hearings.get(number)
    return turn is not None and bool(turn.spoken.text) and turn.hearing.aligned and not turn.hearing.errors


def call_faults(path: Iterable[PathDiff], events: Iterable[Event]) -> Iterator[Fault]:
    """Tool calls that were not due as they were made, and those that failed."""
    yield from _wrong_calls(path)
    for event in events:
        if isinstance(event, ToolReturned) and event.failed:
            name, told = one_line(event.name, limit=60), as_json(event.value, limit=_QUOTED)
            phrase = f"{name} failed: {told}"
            yield Fault(stage=TOOLS, turn=event.turn, at_ms=event.at_ms, phrase=phrase, of_a_call=True)


def _wrong_calls(path: Iterable[PathDiff]) -> Iterator[Fault]:
    for diff in path:
        for row in diff.rows:
            if row.made is None or row.right:
                continue
            made = one_line(row.made_words, limit=_QUOTED)
            phrase = {
                Fit.DIFFERS: f"called {made}: {'; '.join(map(str, row.differences))}",
                Fit.REPEATED: f"called {made} again",
                Fit.FORBIDDEN: f"made the forbidden call {made}",
                Fit.OUT_OF_ORDER: f"called {made} out of order",
            }.get(row.fit, f"called {made}, which was not due")
            phrase = one_line(phrase, limit=2 * _QUOTED)
            yield Fault(stage=DIALOGUE, turn=row.turn, at_ms=row.at_ms, phrase=phrase, of_a_call=True)


def _crashes(call: Call) -> Iterator[Fault]:
    for event in call.events:
        if isinstance(event, StageFailed):
            stage = _OF_STAGE.get(event.stage.value, event.stage.value)
            phrase = f"crashed: {one_line(event.error, limit=_QUOTED)}"
            yield Fault(stage=stage, turn=event.turn, at_ms=event.at_ms, phrase=phrase, crash=True)


def _unintelligible(arm: ArmCall) -> Iterator[Fault]:
    far_off: dict[str, str] = {}
    for heard in arm.call.heard:
        if heard.said == heard.heard:
            continue
        agent = hear_again(heard.said, heard.heard, arm.locale)
        floor = hear_again(heard.said, heard.floor_heard, arm.locale)
        excess = agent.errors - floor.errors
        if excess >= max(_FEWEST_WORDS_OFF, _FAR_OFF * agent.length):
            far_off[heard.audio] = (
                f"said {quoted(heard.said)}, in which the reference recognizer hears {quoted(heard.heard)} "
                f"({excess} errors more than in a reference voice)"
            )
    for event in arm.call.events:
        if isinstance(event, AgentStarted) and event.audio in far_off and not event.offset_ms:
            phrase = far_off.pop(event.audio)
            yield Fault(stage=SYNTHESIZER, turn=event.turn, at_ms=event.at_ms, phrase=phrase)


def ending_of(events: tuple[Event, ...]) -> tuple[int, Milliseconds]:
    """The turn and the moment in which a call ends."""
    ended = next((event for event in events if isinstance(event, HungUp)), events[-1] if events else None)
    return (0, 0) if ended is None else (ended.turn, ended.at_ms)
