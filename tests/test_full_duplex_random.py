"""What holds in every call, whatever callers, agents and detectors do: a thousand calls at random."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from random_calls import some_agent, some_room, some_scenario
from rooms import BED_MS, WORD_MS, Lines, Room, hold, kinds

from voiceeval.agents import Agent
from voiceeval.call import Event
from voiceeval.engines.conversation import CALL_LIMIT_MS, Record
from voiceeval.engines.medium import GivenWords
from voiceeval.scenario import Scenario

CALLS = 1000
IN_ONE_TEST = 100


def some_call(seed: int) -> tuple[Scenario, Agent, Lines, Room]:
    rng = np.random.default_rng([11, seed])
    return some_scenario(rng), *some_agent(rng), some_room(rng)


@pytest.mark.parametrize("first", range(0, CALLS, IN_ONE_TEST))
def test_a_call_keeps_the_rules_that_all_calls_keep(first: int) -> None:
    for seed in range(first, first + IN_ONE_TEST):
        story, made, lines, room = some_call(seed)
        record = hold(story, made, room, seed=seed)
        for rule in RULES:
            broken = rule(story, made, lines, room, record)
            assert not broken, f"call {seed}: {rule.__name__}: {broken}"


@pytest.mark.parametrize("seed", range(0, CALLS, 20))
def test_equal_seeds_give_equal_calls(seed: int) -> None:
    first, second = ((call := some_call(seed)) and hold(call[0], call[1], call[3], seed=seed) for _ in "ab")
    assert first == second


def test_a_replay_keeps_them_too_and_nothing_but_the_reference_words_is_heard() -> None:
    apart = {
        what_the_recognizer_got_is_what_the_record_says,
        cuts_lie_within_their_sounds,
        what_is_heard_of_the_agent_was_played,
    }
    for seed in range(0, CALLS, 4):
        story, made, lines, _ = some_call(seed)
        record = hold(story, made, GivenWords(), seed=seed)
        for rule in (rule for rule in RULES if rule not in apart):
            broken = rule(story, made, lines, Room(), record)
            assert not broken, f"call {seed}: {rule.__name__}: {broken}"
        assert not kinds(record, "aside_started")
        spoken = iter([word for event in kinds(record, "caller_started") for word in event.text.split()])
        heard = [event.text.split() for event in kinds(record, "transcribed") if event.heard != "keys"]
        assert all(word in spoken for words in heard for word in words), seed


def test_the_calls_are_not_all_alike() -> None:
    """Every kind of thing happens in some of them, or the rules above were never tried."""
    seen: dict[str, int] = {}
    for seed in range(0, CALLS, 4):
        story, made, _, room = some_call(seed)
        for event in hold(story, made, room, seed=seed).events:
            for name in (
                event.kind,
                f"ends {getattr(event, 'reason', '')}",
                f"heard {getattr(event, 'heard', '')}",
                f"wording {getattr(event, 'wording', '')}",
                f"interrupted {getattr(event, 'interrupted', '')}",
                f"goes on {getattr(event, 'offset_ms', 0) > 0}",
                f"barges in {getattr(event, 'barge_in', '')}",
            ):
                seen[name] = seen.get(name, 0) + 1
    ends = ("done", "out of patience", "hung up", "handed over", "too many exchanges")
    wanted = {
        *("reply_dropped", "tool_called", "key_pressed", "aside_started"),
        *(f"ends {reason}" for reason in (*ends, "silence", "no speech", "limit", "keys")),
        *(f"heard {what}" for what in ("turn", "aside", "noise", "keys")),
        *(f"wording {how}" for how in ("text", "repair", "objection", "impatient", "afterthought")),
        *("interrupted True", "goes on True", "barges in True"),
    }
    assert {name: seen.get(name, 0) for name in wanted if seen.get(name, 0) < 5} == {}


# -- the rules: each says what is wrong, or nothing -------------------------------------------------------


def time_never_goes_back(_s: Any, _a: Any, _l: Any, _r: Any, record: Record) -> object:
    times = [event.at_ms for event in record.events]
    return times != sorted(times) or (times[0] < 0 and times[0])


def one_hang_up_and_nothing_after_it(_s: Any, _a: Any, _l: Any, _r: Any, record: Record) -> object:
    where = [index for index, event in enumerate(record.events) if event.kind == "hung_up"]
    return where != [len(record.events) - 1] or record.events[-1].at_ms > CALL_LIMIT_MS


def no_stage_failed(_s: Any, _a: Any, _l: Any, _r: Any, record: Record) -> object:
    return record.failure if "asked for tools" not in record.failure else ""


def pairs(record: Record, side: str) -> list[tuple[Any, Any]]:
    """Every start with its stop; raises where they do not alternate."""
    events = kinds(record, f"{side}_started", f"{side}_stopped")
    if side == "caller":
        events = [event for event in events if event.kind == "caller_stopped" or event.text]
    found = list(zip(events[::2], events[1::2], strict=True))
    assert all((a.kind, b.kind) == (f"{side}_started", f"{side}_stopped") for a, b in found), side
    return found


def every_start_has_its_stop(_s: Any, _a: Any, _l: Any, _r: Any, record: Record) -> object:
    for side in ("agent", "caller", "aside"):
        for started, stopped in pairs(record, side):
            if started.turn != stopped.turn or started.at_ms > stopped.at_ms:
                return started, stopped
    return None


def the_caller_makes_one_sound_at_a_time(_s: Any, _a: Any, _l: Any, _r: Any, record: Record) -> object:
    own = sorted(
        [*pairs(record, "caller"), *pairs(record, "aside")], key=lambda pair: (pair[0].at_ms, pair[1].at_ms)
    )
    return [both for both in itertools.pairwise(own) if both[0][1].at_ms > both[1][0].at_ms]


def audio_begins_after_the_sound_before_it(_s: Any, _a: Any, _l: Any, _r: Any, record: Record) -> object:
    last = 0
    for event in record.events:
        if event.kind in ("caller_stopped", "aside_stopped"):
            last = event.at_ms
        elif event.kind in ("caller_started", "aside_started") and event.audio_from_ms < last:
            return event
    return None


def what_is_heard_of_the_agent_was_played(_s: Any, _a: Any, _l: Any, room: Room, record: Record) -> object:
    before: tuple[Any, Any] | None = None
    for started, stopped in pairs(record, "agent"):
        speech_ms = WORD_MS * len(started.audio.removeprefix("agent ").split())
        until_ms = started.offset_ms + stopped.at_ms - started.at_ms
        if until_ms > speech_ms or (until_ms < speech_ms and not stopped.interrupted):
            return started, stopped
        if started.offset_ms:
            if before is None or not before[1].interrupted or before[0].audio != started.audio:
                return started
            if started.offset_ms != before[0].offset_ms + before[1].at_ms - before[0].at_ms:
                return before, started
        elif started.audio != f"agent {started.text}":
            return started
        before = started, stopped
    return None


def nobody_starts_while_the_agent_speaks_but_on_purpose(
    _s: Any, _a: Any, _l: Any, _r: Any, record: Record
) -> object:
    speaks = False
    for event in record.events:
        if event.kind in ("agent_started", "agent_stopped"):
            speaks = event.kind == "agent_started"
        started = event.kind == "caller_started"
        if (started and speaks and not on_purpose(event)) or (event.kind == "aside_started" and not speaks):
            return event
    return None


def on_purpose(event: Any) -> bool:
    return bool(event.barge_in or event.wording == "afterthought")


def turns_are_counted_and_not_too_many(story: Scenario, _a: Any, _l: Any, _r: Any, record: Record) -> object:
    turn = 0
    for event in record.events:
        begins = event.kind == "caller_started" and event.wording != "afterthought"
        begins = begins or (event.kind == "key_pressed" and event.turn != turn)
        leaves = event.kind == "hung_up" and event.reason == "hung up" and event.turn != turn
        turn += begins or leaves
        if event.turn > turn or (begins and event.turn != turn):
            return event
    return turn > story.max_exchanges


def what_the_recognizer_got_is_what_the_record_says(
    _s: Any, made: Agent, _l: Any, room: Room, record: Record
) -> object:
    got = [sum(cut.to_ms - cut.from_ms for cut in cuts) for cuts in room.recognized]
    stated = [event.heard_ms for event in kinds(record, "end_of_turn") if event.heard_ms]
    if record.usage.audio_in_ms != sum(got):
        return record.usage.audio_in_ms, sum(got)
    left: Iterator[int] = iter(got)
    exactly = made.turn_taking.interruptions == "words" or got == stated
    return not (exactly and all(heard in left for heard in stated)) and (got, stated)


def cuts_lie_within_their_sounds(_s: Any, _a: Any, _l: Any, room: Room, _record: Record) -> object:
    for cuts in room.recognized:
        for cut in cuts:
            until = BED_MS if cut.sound.digest == "bed" else cut.sound.duration_ms
            if not 0 <= cut.from_ms < cut.to_ms <= until:
                return cut
    return None


def resumed(record: Record, index: int) -> bool:
    """Whether a transcript was a false alarm, after which the reply went on."""
    after: Event = record.events[index + 1]
    return after.kind == "agent_started" and after.offset_ms > 0


def nothing_recognised_is_lost(_s: Any, _a: Any, lines: Lines, _r: Any, record: Record) -> object:
    wanted: list[str] = []
    for index, event in enumerate(record.events):
        if event.kind == "transcribed" and not resumed(record, index):
            wanted += event.text.split()
    history: Sequence[Any] = lines.asked[-1] if lines.asked else ()
    known = [word for message in history if message.role == "user" for word in message.content.split()]
    return known != wanted and (known, wanted)


def a_reply_is_dropped_only_while_it_is_prepared(
    _s: Any, made: Agent, _l: Any, _r: Any, record: Record
) -> object:
    prepared = False
    for event in record.events:
        if event.kind == "reply_dropped":
            if not prepared or made.turn_taking.while_thinking == "ignore":
                return event
            prepared = False
        elif event.kind == "end_of_turn":
            prepared = True
        elif event.kind in ("agent_started", "tool_called"):
            prepared = False
    return None


def policies_are_kept(_s: Any, made: Agent, _l: Any, _r: Any, record: Record) -> object:
    rules, last = made.turn_taking, record.events[-1].at_ms
    cuts = [event for event in kinds(record, "agent_stopped") if event.interrupted and event.at_ms < last]
    if rules.interruptions == "finish" and cuts:
        return cuts
    if rules.false_alarm == "reply" and any(event.offset_ms for event in kinds(record, "agent_started")):
        return "went on"
    keyed = [event for event in kinds(record, "end_of_turn") if event.reason == "keys"]
    return rules.keys == "ignore" and keyed


RULES = (
    time_never_goes_back,
    one_hang_up_and_nothing_after_it,
    no_stage_failed,
    every_start_has_its_stop,
    the_caller_makes_one_sound_at_a_time,
    audio_begins_after_the_sound_before_it,
    what_is_heard_of_the_agent_was_played,
    nobody_starts_while_the_agent_speaks_but_on_purpose,
    turns_are_counted_and_not_too_many,
    what_the_recognizer_got_is_what_the_record_says,
    cuts_lie_within_their_sounds,
    nothing_recognised_is_lost,
    a_reply_is_dropped_only_while_it_is_prepared,
    policies_are_kept,
)
