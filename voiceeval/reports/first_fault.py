"""The first thing that visibly went wrong in a call, and where one arm departs from the other.

An observation and no proof of a cause: what is named is the first stage whose output can be seen to be wrong
by the rule that is told beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from voiceeval.call import (
    AgentStarted,
    Call,
    CallerStarted,
    Ending,
    Event,
    Replay,
    Replied,
    ToolCalled,
)
from voiceeval.metrics.json_values import as_json
from voiceeval.metrics.task import judge_task
from voiceeval.normalizers import normalizer_for
from voiceeval.reports.alignment import LONGEST_TEXT
from voiceeval.reports.call_list import Result
from voiceeval.reports.observed_faults import (
    DIALOGUE,
    ENDPOINTING,
    RECOGNIZER,
    SMALL_WORDS,
    TURN_TAKING,
    ArmCall,
    Fault,
    asks_again,
    call_faults,
    ending_of,
    observed_faults,
    quoted,
)
from voiceeval.reports.tool_path_diff import Fit, path_diff
from voiceeval.reports.wording import counted, one_line
from voiceeval.scenario import Scenario

_HEARING = (ENDPOINTING, RECOGNIZER, TURN_TAKING)
"""Stages whose faults are gone when the dialogue is held again on the right words."""
_WITH_REPLAY = (
    "The first fault in the turn in which the agent first acts otherwise than it does on the right words; "
    "where that turn shows none, the last one before it."
)
_DIALOGUE_LOSES = (
    "The first fault of the dialogue, the tools or the voice: given the right words the task is lost too, so "
    "that what was misheard, or heard at the wrong time, is passed over, and so are tool calls after it that "
    "are not made wrong on the right words."
)
_WITHOUT_REPLAY = (
    "The first fault in order of time, leaving aside turns in which only small words are misheard. The "
    "dialogue was not held again on the right words."
)
_ALIKE = 0.5
_CRASH = "The stage that failed and ended the call."


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFault:
    """What is said of one arm's call."""

    verdict: str
    """``fault``, ``fine`` or ``not judged``."""
    stage: str = ""
    turn: int = -1
    at_ms: int = -1
    phrase: str = ""
    """What the stage did; or, where there is no fault to name, why."""
    rule: str = ""
    """Why this one is named and not another."""
    others: tuple[Fault, ...] = ()
    """What else can be seen to be wrong, in order of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Where the candidate first acts otherwise than the baseline."""

    turn: int
    """-1 where both act alike to the end."""
    phrase: str


def first_fault(result: Result, arm: ArmCall, scenario: Scenario | None, *, saved: bool | None) -> FirstFault:
    """Name the first stage whose output was visibly wrong, by the rule that fits what is known.

    Args:
        result: what became of the call.
        arm: the call.
        scenario: what was due, where it is known.
        saved: whether the same dialogue completes the task on the right words; None where nobody tried.
    """
    if result in (Result.HARNESS_FAILED, Result.NOT_RUN):
        return FirstFault(verdict="not judged", phrase="the harness failed; this says nothing of the agent")
    faults = observed_faults(arm)
    if result in (Result.DONE, Result.ENDED):
        done = "the task was done" if result is Result.DONE else "the call ran its course"
        slips = f"; {counted(len(faults), 'slip')} on the way" if faults else "; no fault can be seen"
        return FirstFault(verdict="fine", phrase=done + slips, others=faults)
    crash = next((fault for fault in faults if fault.crash), None)
    if crash is not None and result is Result.AGENT_FAILED:
        return _named(crash, faults, _CRASH)
    if saved:
        return _by_replay(arm, faults)
    if saved is None:
        fault = next((fault for fault in faults if not fault.slight), None) or _not_done(
            scenario, arm.call, arm.call
        )
        return _named(fault, faults, _WITHOUT_REPLAY)
    return _named(_lost_on_the_right_words(arm, faults, scenario), faults, _DIALOGUE_LOSES)


def _named(fault: Fault, faults: tuple[Fault, ...], rule: str) -> FirstFault:
    return FirstFault(
        verdict="fault",
        stage=fault.stage,
        turn=fault.turn,
        at_ms=fault.at_ms,
        phrase=fault.phrase,
        rule=rule,
        others=tuple(other for other in faults if other is not fault),
    )


def _lost_on_the_right_words(arm: ArmCall, faults: tuple[Fault, ...], scenario: Scenario | None) -> Fault:
    """The first fault that is none of hearing, nor follows from one.

    A wrong call that the agent does not make on the right words may be just what was due on what it heard.
    """
    replay = arm.call.given_right_words
    path = () if scenario is None or replay is None else (path_diff(scenario, replay.events),)
    again = [fault.phrase for fault in call_faults(path, replay.events if replay else ())]
    misheard = False
    for fault in faults:
        if fault.stage in _HEARING:
            misheard = True
        elif not (misheard and fault.of_a_call) or fault.phrase in again:
            return fault
    if replay is None:
        return _not_done(scenario, arm.call, arm.call)
    lost = _not_done(scenario, arm.call, replay)
    return replace(lost, phrase=one_line(f"on the right words, {(*again, lost.phrase)[0]}", limit=200))


def _not_done(scenario: Scenario | None, call: Call, held: Call | Replay) -> Fault:
    """What is missing at the end of a call, or of its replay, in which nothing else is seen to be wrong."""
    turn, at_ms = ending_of(call.events)
    phrase = "did not do what was due"
    if scenario is not None:
        rows = path_diff(scenario, held.events).rows
        missing = [row.due_words for row in rows if row.fit is Fit.MISSING]
        reasons = judge_task(scenario, held.events, held.final_state).reasons
        phrase = f"never called {one_line(missing[0], limit=160)}" if missing else (*reasons, phrase)[0]
    return Fault(stage=DIALOGUE, turn=turn, at_ms=at_ms, phrase=one_line(phrase, limit=200))


# -- where the call leaves the way that it takes on the right words ----------------------------------------


@dataclass(frozen=True, slots=True)
class _Conduct:
    """What an agent does in a turn, as far as the other side or the tools can tell."""

    calls: tuple[tuple[str, str], ...] = ()
    replies: tuple[str, ...] = ()
    asks_again: bool = False
    answered_by: tuple[int, str] = (-1, "")
    """The caller's move in this turn: which scripted turn, in which wording."""


def _conducts(events: tuple[Event, ...], locale: str) -> dict[int, _Conduct]:
    calls: dict[int, list[tuple[str, str]]] = {}
    replies: dict[int, list[str]] = {}
    moves: dict[int, tuple[int, str]] = {}
    for event in events:
        if isinstance(event, ToolCalled):
            calls.setdefault(event.turn, []).append((event.name, as_json(dict(event.arguments))))
        elif isinstance(event, Replied) and event.text.strip():
            replies.setdefault(event.turn, []).append(event.text.strip())
        elif isinstance(event, CallerStarted):
            moves.setdefault(event.turn, (event.script_turn, event.wording))
    spoken: dict[int, list[str]] = {}
    for event in events:
        # An engine that tells no replies may still tell what was spoken.
        if isinstance(event, AgentStarted) and not event.offset_ms and not replies:
            spoken.setdefault(event.turn, []).append(event.text.strip())
    said = replies or spoken
    return {
        number: _Conduct(
            tuple(calls.get(number, ())),
            tuple(said.get(number, ())),
            any(asks_again(text, locale) for text in said.get(number, ())),
            moves.get(number, (-1, "")),
        )
        for number in sorted({event.turn for event in events})
    }


def _by_replay(arm: ArmCall, faults: tuple[Fault, ...]) -> FirstFault:
    replay = arm.call.given_right_words
    right = _conducts(replay.events, arm.locale) if replay else {}
    made = _conducts(arm.call.events, arm.locale)
    turn = _leaves_at(made, right, {fault.turn for fault in faults})
    there = [fault for fault in faults if fault.turn == turn]
    before = [fault for fault in faults if fault.turn < turn]
    if there:
        fault = next((fault for fault in there if not fault.slight), there[0])
    elif before:
        fault = next((fault for fault in reversed(before) if not fault.slight), before[-1])
    else:
        did, does = (_told(conducts.get(turn, _Conduct())) for conducts in (made, right))
        at_ms = next((event.at_ms for event in arm.call.events if event.turn == turn), 0)
        phrase = f"{did}, where on the same words, given as text, it {does}"
        fault = Fault(stage=DIALOGUE, turn=turn, at_ms=at_ms, phrase=phrase)
    return _named(fault, faults, _WITH_REPLAY)


def _leaves_at(made: Mapping[int, _Conduct], right: Mapping[int, _Conduct], faulty: set[int]) -> int:
    """The first turn with other tool calls, or after which the caller makes another move.

    Another wording of a reply alone counts in turns that show a fault: agents seldom say a thing twice in the
    same words.
    """
    for number in sorted(made.keys() | right.keys()):
        did, does = made.get(number, _Conduct()), right.get(number, _Conduct())
        if (did.calls, did.asks_again) != (does.calls, does.asks_again):
            return number
        if did.replies != does.replies and number in faulty:
            return number
        next_did, next_does = made.get(number + 1, _Conduct()), right.get(number + 1, _Conduct())
        if next_did.answered_by != next_does.answered_by:
            return number
    return max(made, default=0)


def _told(conduct: _Conduct) -> str:
    """What an agent does in a turn, in a phrase."""
    parts = [
        f"called {one_line(name, limit=60)} {one_line(given, limit=100)}" for name, given in conduct.calls
    ]
    parts += [f"said {quoted(text)}" for text in conduct.replies]
    return " and ".join(parts) or "did nothing"


# -- one arm against the other -----------------------------------------------------------------------------


def departure(baseline: ArmCall, candidate: ArmCall) -> Departure:
    """Where the candidate first acts otherwise than the baseline, and what it had heard there."""
    before = _conducts(baseline.call.events, baseline.locale)
    after = _conducts(candidate.call.events, candidate.locale)
    for number in sorted(before.keys() | after.keys()):
        one, other = before.get(number), after.get(number)
        same = _heard(baseline, number) == _heard(candidate, number)
        if one is None or other is None or not _alike(one, other, baseline.locale, heard_the_same=same):
            return Departure(turn=number, phrase=_how(number, baseline, candidate, one, other))
    for number in sorted(baseline.hearings.keys() | candidate.hearings.keys()):
        heard = [_heard(arm, number) for arm in (baseline, candidate)]
        if heard[0] != heard[1]:
            phrase = (
                f"Both act alike to the end, although in turn {number} the candidate heard "
                f"{quoted(heard[1])} and the baseline {quoted(heard[0])}"
            )
            return Departure(turn=-1, phrase=phrase)
    return Departure(turn=-1, phrase="Both hear and do the same in every turn")


def _alike(one: _Conduct, other: _Conduct, locale: str, *, heard_the_same: bool) -> bool:
    """Whether two agents do the same in a turn; that they word it differently is no matter.

    Beside the same tool calls any two replies are the same, and so are two that ask to repeat. Of others,
    half of their words are the same, by Dice's coefficient, and all digits; and where the agents heard
    different words, the words that carry something in one of them are all in the other.
    """
    facts = [(each.calls, each.asks_again, each.answered_by) for each in (one, other)]
    if facts[0] != facts[1]:
        return False
    if one.replies == other.replies or one.asks_again or one.calls:
        return True
    tokens = normalizer_for(locale).tokens
    left, right = (Counter(tokens(" ".join(each.replies)[:LONGEST_TEXT])) for each in (one, other))
    digits = [sorted(token for token in words.elements() if token.isdecimal()) for words in (left, right)]
    if digits[0] != digits[1] or 2 * (left & right).total() < _ALIKE * (left.total() + right.total()):
        return False
    told = [set(words) - SMALL_WORDS for words in (left, right)]
    return heard_the_same or told[0] <= told[1] or told[1] <= told[0]


def _how(
    number: int, baseline: ArmCall, candidate: ArmCall, one: _Conduct | None, other: _Conduct | None
) -> str:
    if one is None or other is None:
        return f"only the {'candidate' if one is None else 'baseline'} has this turn"
    before, after = _heard(baseline, number), _heard(candidate, number)
    acts = f"it {_told(other)}; the baseline {_told(one)}"
    if one.answered_by != other.answered_by:
        acts = "the caller makes another move" if _told(one) == _told(other) else acts
    if before != after:
        return f"it heard {quoted(after)}, the baseline {quoted(before)}: {acts}"
    return f"having heard the same, {acts}" if number in candidate.hearings else acts


def _heard(arm: ArmCall, number: int) -> str:
    """What was made of a turn; texts that the error rate takes to be the same are told the same."""
    turn = arm.hearings.get(number)
    if turn is None:
        return ""
    tokens = " ".join(token.heard for token in turn.hearing.tokens if token.heard)
    return tokens if turn.hearing.aligned else turn.spoken.heard


def saved_by_words(arm: ArmCall, scenario: Scenario | None) -> bool | None:
    """Whether the same dialogue completes the task on the right words; None where nobody tried."""
    replay = arm.call.given_right_words
    if replay is None or scenario is None or arm.call.ending is Ending.HARNESS_FAILED:
        return None
    done = judge_task(scenario, replay.events, replay.final_state).completed
    return done and replay.ending is Ending.COMPLETED
