"""A scripted caller follows the script's rules."""

from __future__ import annotations

from typing import Any

import pytest

from voiceeval.engines.caller import Hangup, ScriptedCaller, Utterance, begin, respond
from voiceeval.scenario import Impatience, Scenario


def scenario(*turns: dict[str, Any], patience: int = 2, locale: str = "en-US") -> Scenario:
    return Scenario.model_validate(
        {
            "id": "s",
            "goal": "g",
            "domain": "d",
            "call_type": "t",
            "locale": locale,
            "turns": turns,
            "tool_paths": [{}],
            "patience": patience,
        }
    )


def texts(script: Scenario, *replies: str) -> list[str]:
    caller = ScriptedCaller(script)
    actions = [caller.first(), *(caller.next(reply) for reply in replies)]
    return [action.text if isinstance(action, Utterance) else f"<{action.reason}>" for action in actions]


CARD = {"text": "four one two nine", "cue": ["last four digits"], "repairs": ["it is four one two nine"]}
YES = {"text": "yes", "cue": ["shall i"], "expects": ["4 1 2 9"], "objection": "no four one two nine"}


def test_turns_without_a_cue_are_said_in_order_and_then_the_caller_hangs_up() -> None:
    script = scenario({"text": "one"}, {"text": "two"})
    assert texts(script, "Right.", "Good.") == ["one", "two", "<done>"]


def test_a_cue_brings_its_turn_forward_and_a_turn_whose_cue_never_comes_is_not_said() -> None:
    script = scenario({"text": "hello"}, {"text": "thanks"}, CARD)
    assert texts(script, "The last four digits?", "Done.") == ["hello", "four one two nine", "thanks"]
    assert texts(script, "Done.", "Bye.") == ["hello", "thanks", "<done>"]


def test_a_request_to_repeat_brings_other_words_up_to_the_callers_patience() -> None:
    script = scenario({"text": "hello", "repairs": ["hello again", "hello there"]}, {"text": "two"})
    again = "Sorry, could you say that again?"
    assert texts(script, again, again, again) == [
        "hello",
        "hello again",
        "hello there",
        "<out of patience>",
    ]


def test_without_other_words_the_same_are_repeated_and_new_words_restore_patience() -> None:
    script = scenario({"text": "one"}, {"text": "two"}, patience=1)
    again = "Pardon?"
    assert texts(script, again, "Fine.", again, again) == ["one", "one", "two", "two", "<out of patience>"]


def test_what_was_not_heard_is_objected_to_until_it_is() -> None:
    script = scenario({"text": "hello"}, YES)
    asks = "The card {}. Shall I?"
    assert texts(script, asks.format("4 1 9 9"), asks.format("4 1 2 9")) == [
        "hello",
        "no four one two nine",
        "yes",
    ]
    wrong = asks.format("4 1 9 9")
    assert texts(script, wrong, wrong, wrong)[-1] == "<out of patience>"


def test_digits_are_compared_as_written_and_words_as_wholes() -> None:
    script = scenario({"text": "hello"}, YES)
    assert texts(script, "The card 4129. Shall I?")[-1] == "no four one two nine"
    assert texts(script, "The card: 4-1-2-9.  SHALL I?")[-1] == "yes"
    assert texts(script, "I shall iron 4 1 2 9.")[-1] == "<done>"


def test_a_question_that_is_asked_again_is_answered_again() -> None:
    script = scenario({"text": "hello"}, CARD)
    asks = "What are the last four digits?"
    assert texts(script, asks, asks) == ["hello", "four one two nine", "it is four one two nine"]


def test_a_question_that_comes_with_a_request_to_repeat_is_answered_if_it_is_new() -> None:
    script = scenario({"text": "hello"}, CARD)
    asks = "Sorry, I did not get that. What are the last four digits?"
    assert texts(script, asks, asks) == ["hello", "four one two nine", "it is four one two nine"]


def test_own_words_said_again_can_be_the_recording_and_other_words_cannot() -> None:
    again = "Could you say that again?"
    plain = ScriptedCaller(scenario({"text": "hello"}))
    assert [plain.first().recorded, plain.next(again).recorded] == [True, True]  # type: ignore[union-attr]
    other = ScriptedCaller(scenario({"text": "hello", "repairs": ["hello again"]}))
    assert [other.first().recorded, other.next(again).recorded] == [True, False]  # type: ignore[union-attr]


def test_after_silence_there_is_nothing_to_repeat() -> None:
    script = scenario({"silence_ms": 3000}, {"text": "here i am"})
    caller = ScriptedCaller(script)
    first = caller.first()
    assert isinstance(first, Utterance)
    assert (first.text, first.silence_ms) == ("", 3000)
    assert texts(script, "Are you still there?")[-1] == "here i am"


def test_an_agent_that_says_nothing_is_spoken_to_again() -> None:
    caller = ScriptedCaller(scenario({"text": "hello"}, patience=1))
    caller.first()
    said = caller.unanswered()
    assert isinstance(said, Utterance)
    assert (said.text, said.wording) == ("hello", "repair")
    assert caller.unanswered() == Hangup(reason="out of patience")


def test_either_of_two_phrases_fulfils_what_is_expected() -> None:
    script = scenario({"text": "a"}, {"text": "b", "expects": ["frozen|blocked"], "objection": "what"})
    assert texts(script, "It is blocked.")[-1] == "b"
    assert texts(script, "It is open.")[-1] == "what"


@pytest.mark.parametrize(("locale", "asks"), [("de-DE", "Wie bitte?"), ("es", "¿Puede repetirlo?")])
def test_the_request_to_repeat_is_known_in_other_languages(locale: str, asks: str) -> None:
    assert texts(scenario({"text": "a", "repairs": ["b"]}, locale=locale), asks)[-1] == "b"


def test_phrases_that_ask_to_repeat_can_be_given() -> None:
    caller = ScriptedCaller(scenario({"text": "a", "repairs": ["b"]}), repair_phrases=["huh"])
    caller.first()
    said = caller.next("Huh?")
    assert isinstance(said, Utterance)
    assert said.wording == "repair"


def test_a_decision_depends_on_its_arguments_alone() -> None:
    script = scenario({"text": "a"}, CARD)
    memory = begin(script).memory
    first = respond(script, memory, "The last four digits?")
    assert respond(script, memory, "The last four digits?") == first
    assert memory == begin(script).memory


def test_an_answer_given_often_enough_has_its_impatience_in_front() -> None:
    script = scenario({"text": "one", "repairs": ["it is one"]}, {"text": "two"}, patience=9)
    again = "Pardon?"
    after_two = script.model_copy(update={"impatience": Impatience(words="listen", after=2)})
    assert texts(after_two, again, again, again, again) == [
        "one",
        "it is one",
        "it is one",
        "listen it is one",
        "listen it is one",
    ]
    assert texts(script, again, again)[-1] == "it is one"


def test_each_answer_has_an_impatience_of_its_own() -> None:
    script = scenario(CARD, {"text": "hello"}, patience=9).model_copy(update={"impatience": Impatience()})
    asks, again = "The last four digits?", "Pardon?"
    assert texts(script, again, asks, asks, again) == [
        "hello",
        "hello",
        "four one two nine",
        "it is four one two nine",
        "i already told you it is four one two nine",
    ]


def test_keys_are_pressed_again_and_never_with_words() -> None:
    script = scenario({"keys": "12#"}, patience=9).model_copy(update={"impatience": Impatience()})
    caller = ScriptedCaller(script)
    presses = [caller.first(), caller.next("Pardon?"), caller.next("Pardon?")]
    assert [(said.keys, said.text) for said in presses if isinstance(said, Utterance)] == [("12#", "")] * 3


def test_a_turn_of_leaving_is_told_from_words_that_come_before_leaving() -> None:
    caller = ScriptedCaller(scenario({"text": "bye", "hangs_up": True}, {"hangs_up": True}))
    said, left = caller.first(), caller.next("So?")
    assert isinstance(said, Utterance)
    assert isinstance(left, Utterance)
    assert (said.text, said.hangs_up) == ("bye", True)
    assert (left.text, left.keys, left.hangs_up) == ("", "", True)


def test_only_a_turns_own_words_hesitate_interrupt_and_are_followed_by_an_afterthought() -> None:
    turn = {
        "text": "my card please",
        "hesitation": {"after_words": 1, "ms": 500},
        "afterthought": {"text": "and my account"},
        "barge_in_ms": 200,
    }
    caller = ScriptedCaller(scenario(turn))
    said, again = caller.first(), caller.next("Pardon?")
    assert isinstance(said, Utterance)
    assert isinstance(again, Utterance)
    assert None not in (said.hesitation, said.afterthought, said.barge_in_ms)
    assert again.text == "my card please and my account"
    assert (again.hesitation, again.afterthought, again.barge_in_ms) == (None, None, None)


def test_to_look_what_would_be_said_says_nothing() -> None:
    script = scenario({"text": "hello"}, CARD, YES)
    caller, other = ScriptedCaller(script), ScriptedCaller(script)
    assert caller.peek("") == other.first()
    for reply in ("The last four digits?", "Pardon?", "The card 4 1 9 9. Shall I?", ""):
        caller.next(reply)
        before = caller.memory
        looked = [caller.peek(text) for text in ("Pardon?", "The last four digits?", "So?")]
        assert caller.memory is before
        assert [caller.peek(text) for text in ("Pardon?", "The last four digits?", "So?")] == looked
    assert caller.peek("So?") == caller.next("So?")
