"""The first thing to go wrong, in calls in which it was put there by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from duplex_call import duplex_report
from hypothesis import given, settings
from hypothesis import strategies as st
from test_report_sample import call, planned_calls, report_input, scenario

from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    Call,
    CallerStarted,
    CallerStopped,
    Ending,
    EndOfTurn,
    Event,
    Heard,
    HungUp,
    KeyPressed,
    Replay,
    Replied,
    Stage,
    StageFailed,
    ToolCalled,
    ToolReturned,
    Transcribed,
)
from voiceeval.metrics.floor import floor_of
from voiceeval.metrics.waits import waits
from voiceeval.reports.alignment import hear, hearings_of
from voiceeval.reports.call_list import Result, call_result
from voiceeval.reports.first_fault import FirstFault, departure, first_fault, saved_by_words
from voiceeval.reports.observed_faults import ArmCall, observed_faults
from voiceeval.reports.report_input import arm_call_id
from voiceeval.reports.tool_path_diff import path_diff
from voiceeval.scenario import Entity

PLANNED = planned_calls()[0]
Change = Callable[[Event], Event | None]


def arm(made: Call) -> ArmCall:
    return ArmCall(
        call=made,
        locale="en-US",
        floor=floor_of(made.events),
        hearings=hearings_of(made, "en-US", scenario()),
        waits=waits(made.events),
        path=(path_diff(scenario(), made.events),),
    )


def changed(made: Call, change: Change) -> Call:
    return replace(made, events=tuple(event for old in made.events if (event := change(old)) is not None))


def named(made: Call, result: Result = Result.LOST, *, saved: bool | None = True) -> FirstFault:
    return first_fault(result, arm(made), scenario(), saved=saved)


def good() -> Call:
    return call(PLANNED, Arm.BASELINE)


def misheard() -> Call:
    return call(PLANNED, Arm.CANDIDATE, misheard=True)


def on_right_words(made: Call, events: tuple[Event, ...]) -> Call:
    """The call, and how the same dialogue goes on the right words."""
    return replace(made, given_right_words=Replay(events=events, ending=Ending.COMPLETED, final_state={}))


def in_turn(turn: int, kind: type[Event], **facts: object) -> Change:
    def change(event: Event) -> Event:
        if isinstance(event, kind) and event.turn == turn:
            return replace(event, **facts)  # type: ignore[arg-type]
        return event

    return change


# -- each stage, by a fault of its own ---------------------------------------------------------------------


def test_a_good_call_has_nothing_to_blame() -> None:
    found = named(good(), Result.DONE)
    assert (found.verdict, found.others) == ("fine", ())
    assert found.phrase == "the task was done; no fault can be seen"
    assert observed_faults(arm(replace(good(), heard=()))) == ()


def test_of_what_was_misheard_the_turn_counts_in_which_the_call_leaves_its_way() -> None:
    """Turn 1 is misheard too, and the agent does there what it does on the right words."""
    found = named(misheard())
    assert (found.stage, found.turn) == ("recognizer", 2)
    assert found.phrase == "heard the card “4 1 2 9” as “for 1 2 5”"
    assert "acts otherwise than it does on the right words" in found.rule
    earlier = [fault for fault in found.others if fault.turn == 1 and fault.stage == "recognizer"]
    assert len(earlier) == 1


def test_without_a_replay_the_first_error_of_words_that_count_is_named() -> None:
    found = named(replace(misheard(), given_right_words=None), saved=None)
    assert (found.stage, found.turn) == ("recognizer", 1)
    assert "not held again on the right words" in found.rule


def test_where_the_right_words_lose_it_too_hearing_is_passed_over() -> None:
    made = misheard()
    found = named(on_right_words(made, made.events), saved=False)
    assert (found.stage, found.turn) == ("dialogue", 2)
    assert 'called block_card(card="4125"): card: expected "4129", given "4125"' in found.phrase
    assert "passed over" in found.rule


def test_a_wrong_call_that_only_follows_from_what_was_misheard_is_no_fault_of_the_dialogue() -> None:
    """The replay is lost too, but because it makes no call at all."""
    made = misheard()
    idle = tuple(event for event in made.events if not isinstance(event, ToolCalled | ToolReturned))
    found = named(on_right_words(made, idle), saved=False)
    assert (found.stage, found.phrase) == (
        "dialogue",
        'on the right words, never called block_card(card="4129")',
    )
    refused = changed(
        made, lambda event: replace(event, failed=True) if isinstance(event, ToolReturned) else event
    )
    assert named(on_right_words(refused, idle), saved=False).stage == "dialogue"
    deaf_to_nothing = replace(refused, given_right_words=None)
    assert named(deaf_to_nothing, saved=None).stage == "recognizer"


def test_a_wrong_call_on_words_that_all_arrived_is_the_dialogues_whatever_the_replay_does() -> None:
    wrong = changed(good(), in_turn(2, ToolCalled, arguments={"card": "4125"}))
    idle = tuple(event for event in wrong.events if not isinstance(event, ToolCalled | ToolReturned))
    found = named(on_right_words(wrong, idle), saved=False)
    assert (found.stage, found.turn) == ("dialogue", 2)
    assert found.phrase.startswith('called block_card(card="4125")')


def test_a_turn_taken_for_over_too_early() -> None:
    made = misheard()
    starts = next(event for event in made.events if isinstance(event, CallerStarted) and event.turn == 2)
    early = EndOfTurn(at_ms=starts.at_ms + 1_400, turn=2, heard_ms=1_400, reason="silence")
    events = sorted([*made.events, early], key=lambda event: event.at_ms)
    found = named(replace(made, events=tuple(events)))
    assert (found.stage, found.turn, found.at_ms) == ("end-pointing", 2, early.at_ms)
    assert found.phrase == "took the turn for over 1000 ms before the caller had finished"
    late = replace(early, at_ms=starts.at_ms + 2_350)
    events = sorted([*made.events, late], key=lambda event: event.at_ms)
    assert named(replace(made, events=tuple(events))).stage == "recognizer", "no word lasts 50 ms"


def test_a_turn_that_is_never_taken_for_over() -> None:
    def deaf(event: Event) -> Event | None:
        return None if event.turn == 2 and not isinstance(event, CallerStarted | CallerStopped) else event

    found = named(changed(good(), deaf))
    assert (found.stage, found.turn, found.phrase) == ("end-pointing", 2, "never took the turn for over")


def test_a_turn_that_the_end_of_the_call_breaks_off_is_nobodys_fault() -> None:
    made = good()
    starts = next(event for event in made.events if isinstance(event, CallerStarted) and event.turn == 2)
    cut = made.events[: made.events.index(starts) + 1]
    ends = HungUp(at_ms=starts.at_ms + 300, turn=2, by="limit", reason="too long")
    assert observed_faults(arm(replace(made, events=(*cut, ends), heard=()))) == ()


def test_keys_that_are_taken_for_complete_too_early() -> None:
    """The replay is given all of them, so that the words were not the same there."""
    made = good()
    at_ms = next(event.at_ms for event in made.events if isinstance(event, CallerStarted) and event.turn == 2)
    spoken = CallerStarted | CallerStopped | EndOfTurn | Transcribed
    rest = [event for event in made.events if not (isinstance(event, spoken) and event.turn == 2)]
    keys = [KeyPressed(at_ms=at_ms + 100 * place, turn=2, key=key) for place, key in enumerate("4129#")]
    for after_ms, told in ((150, "after 2 of 5"), (350, "after 4 of 5"), (400, "")):
        ended = EndOfTurn(at_ms=at_ms + after_ms, turn=2, heard_ms=0, reason="keys")
        events = tuple(sorted([*rest, *keys, ended], key=lambda event: event.at_ms))
        found = [
            fault
            for fault in observed_faults(arm(replace(made, events=events)))
            if fault.stage == "end-pointing"
        ]
        assert [fault.phrase for fault in found] == ([f"took the keys for complete {told}"] if told else [])
        assert [fault.slight for fault in found] == ([after_ms == 350] if told else [])


def test_wrong_arguments_on_the_right_words() -> None:
    made = changed(good(), in_turn(2, ToolCalled, arguments={"card": "1111"}))
    found = named(made)
    assert (found.stage, found.turn) == ("dialogue", 2)
    assert 'card: expected "4129", given "1111"' in found.phrase
    assert found.at_ms == next(event.at_ms for event in made.events if isinstance(event, ToolCalled))


def test_asking_again_for_what_had_arrived() -> None:
    made = changed(good(), in_turn(1, AgentStarted, text="Sorry, could you say that again?"))
    made = changed(made, in_turn(1, Replied, text="Sorry, could you say that again?"))
    found = named(made)
    assert (found.stage, found.turn) == ("dialogue", 1)
    assert found.phrase.startswith("asked to repeat what had arrived as it was said")
    unclear = changed(made, in_turn(1, Transcribed, text="hi i boast my lard"))
    assert named(unclear).stage == "recognizer"


def test_a_tool_that_fails() -> None:
    made = changed(good(), in_turn(2, ToolReturned, failed=True, value="timeout"))
    found = named(made, saved=False)
    assert (found.stage, found.turn, found.phrase) == ("tools", 2, 'block_card failed: "timeout"')


def test_a_call_that_is_never_made_is_told_at_the_end() -> None:
    def idle(event: Event) -> Event | None:
        return None if isinstance(event, ToolCalled | ToolReturned) and event.turn == 3 else event

    made = changed(good(), idle)
    found = named(replace(made, given_right_words=None, heard=()), saved=None)
    assert (found.stage, found.turn) == ("dialogue", 3)
    assert found.phrase == 'never called order_card(card="4129", express=false)'


def test_speech_that_cannot_be_understood() -> None:
    made = good()
    said = next(event for event in made.events if isinstance(event, AgentStarted) and event.turn == 1)
    garbled = Heard(audio=said.audio, said=said.text, heard="mumble mumble", floor_heard=said.text)
    found = named(replace(made, heard=(garbled,)), saved=False)
    assert (found.stage, found.turn, found.at_ms) == ("synthesizer", 1, said.at_ms)
    hard = replace(garbled, floor_heard="mumble mumble")
    assert observed_faults(arm(replace(made, heard=(hard,)))) == (), "no voice is understood there"


def test_an_agent_that_crashes() -> None:
    made = misheard()
    failed = StageFailed(at_ms=made.events[-1].at_ms, turn=3, stage=Stage.TOOLS, error="ValueError at x.py:1")
    made = replace(made, events=(*made.events, failed), ending=Ending.AGENT_FAILED)
    found = named(made, Result.AGENT_FAILED)
    assert (found.stage, found.turn, found.phrase) == ("tools", 3, "crashed: ValueError at x.py:1")


def test_an_agent_that_speaks_on_over_the_caller() -> None:
    said = AgentStarted(at_ms=0, turn=0, text="hello there", audio="abc", stage_ms=0)
    start = CallerStarted(
        at_ms=1_000, turn=1, text="stop", script_turn=0, wording="text", audio="", barge_in=True
    )
    late = (said, start, CallerStopped(at_ms=2_000, turn=1), AgentStopped(at_ms=3_500, turn=0))
    faults = observed_faults(arm(replace(good(), events=late, heard=())))
    assert ("turn-taking", 1, "did not yield to the caller, and spoke on for 2500 ms") in [
        (fault.stage, fault.turn, fault.phrase) for fault in faults
    ]
    soon = (said, start, AgentStopped(at_ms=1_500, turn=0, interrupted=True), late[2])
    faults = observed_faults(arm(replace(good(), events=soon, heard=())))
    assert not any("yield" in fault.phrase for fault in faults)


def test_of_the_harness_nothing_is_blamed_on_the_agent() -> None:
    assert named(misheard(), Result.HARNESS_FAILED).verdict == "not judged"


# -- the arms against each other ---------------------------------------------------------------------------


def test_the_arms_part_where_one_acts_otherwise() -> None:
    found = departure(arm(good()), arm(misheard()))
    assert found.turn == 2
    start = "it heard “it ends in for 1 2 5”, the baseline “it ends in 4 1 2 9”: it called"
    assert found.phrase.startswith(start)
    assert "4125" in found.phrase


def test_arms_that_word_the_same_otherwise_do_not_part() -> None:
    other = changed(good(), in_turn(3, Replied, text="A new card is on its way to you. Goodbye then."))
    assert departure(arm(good()), arm(other)).turn == -1
    assert departure(arm(good()), arm(good())).phrase == "Both hear and do the same in every turn"
    heard = changed(
        good(), in_turn(1, Transcribed, text="hi i lost my cart this morning and need it blocked")
    )
    found = departure(arm(good()), arm(heard))
    assert found.turn == -1
    assert "in turn 1 the candidate heard" in found.phrase


def test_arms_that_ask_for_something_else_on_other_words_part() -> None:
    """Most of the words of the two questions are the same; what is asked for is not."""
    ask = "What are the last four digits of the {}?"
    card = changed(good(), in_turn(1, Replied, text=ask.format("card")))
    phone = changed(good(), in_turn(1, Replied, text=ask.format("phone")))
    assert departure(arm(card), arm(phone)).turn == -1, "the same words heard: another wording"
    phone = changed(phone, in_turn(1, Transcribed, text="hi i lost my phone"))
    assert departure(arm(card), arm(phone)).turn == 1


# -- what always holds -------------------------------------------------------------------------------------


WHOLE = [good(), misheard(), *duplex_report().calls.values()]


@settings(deadline=None)
@given(st.data())
def test_whatever_is_missing_of_a_call_something_is_said_of_it(data: st.DataObject) -> None:
    made = data.draw(st.sampled_from(WHOLE))
    left = data.draw(st.lists(st.sampled_from(range(len(made.events))), unique=True))
    thinned = replace(made, events=tuple(made.events[at] for at in sorted(left)))
    saved = data.draw(st.sampled_from([True, False, None]))
    found = named(thinned, data.draw(st.sampled_from(list(Result))), saved=saved)
    assert found.verdict in ("fault", "fine", "not judged")
    if found.verdict == "fault":
        assert found.stage
        assert found.phrase
        assert found.rule
        assert found.turn in {event.turn for event in thinned.events} | {0, 1, 2, 3}
    times = [fault.at_ms for fault in found.others]
    assert times == sorted(times)


def test_in_the_sample_every_lost_call_that_the_words_would_save_is_laid_to_what_was_heard() -> None:
    report = report_input()
    for planned in report.planned:
        for side in Arm:
            id_ = arm_call_id(planned, side)
            made = arm(report.calls[id_])
            result, saved = call_result(report, id_), saved_by_words(made, scenario())
            found = first_fault(result, made, scenario(), saved=saved)
            assert (found.verdict == "fine") == (result is Result.DONE)
            if found.verdict == "fault":
                assert (saved, found.stage) == (True, "recognizer")


# -- entities in an alignment ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "heard", "entities", "spans"),
    [
        ("it ends in four one two nine now", "it ends in four one two five now", ["four one two nine"], [
            ("", "it ends in", "it ends in"), ("card", "4 1 2 9", "4 1 2 5"), ("", "now", "now"),
        ]),
        ("card four one", "card four one two", ["four one"], [
            ("", "card", "card"), ("card", "4 1", "4 1 2"),
        ]),
        ("four one it is", "four one it is", ["four one"], [("card", "4 1", "4 1"), ("", "it is", "it is")]),
        ("four four", "four four", ["four", "four"], [("card", "4", "4"), ("card", "4", "4")]),
        ("no numbers", "no number", ["seven"], [("", "no numbers", "no number")]),
        ("seven", "", ["seven"], [("card", "7", "")]),
    ],
)  # fmt: skip
def test_entities_are_framed_where_they_stand(
    said: str, heard: str, entities: list[str], spans: list[tuple[str, str, str]]
) -> None:
    marked = [Entity(type="card", text=text) for text in entities]
    found = hear(said, heard, locale="en", entities=marked)
    assert [(span.entity, span.said, span.heard) for span in found.spans] == spans


@given(
    said=st.lists(st.sampled_from(["one", "two", "card", "now"]), max_size=8),
    heard=st.lists(st.sampled_from(["one", "two", "card", "now", "uh"]), max_size=8),
    entity=st.sampled_from(["one two", "two", "card now", "nine"]),
)
def test_spans_are_the_tokens_cut_in_pieces(said: list[str], heard: list[str], entity: str) -> None:
    found = hear(" ".join(said), " ".join(heard), locale="en", entities=[Entity(type="x", text=entity)])
    assert tuple(token for span in found.spans for token in span.tokens) == found.tokens
    assert sum(span.errors for span in found.spans) == found.errors


def test_a_replay_that_is_missing_leaves_the_question_open() -> None:
    assert saved_by_words(arm(replace(misheard(), given_right_words=None)), scenario()) is None
    assert saved_by_words(arm(misheard()), scenario()) is True
    lost = Replay(events=misheard().events, ending=Ending.COMPLETED, final_state={})
    assert saved_by_words(arm(replace(misheard(), given_right_words=lost)), scenario()) is False
    assert isinstance(misheard().events[-1], HungUp)
