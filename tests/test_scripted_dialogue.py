"""The scripted dialogue model: the protocol of a chat model, and each thing it can do in a call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from voiceeval.errors import AgentError
from voiceeval.protocols import DialogueModel, Message, Reply
from voiceeval.scenario import Tool, ToolCall
from voiceeval.stages.scripted import ScriptedDialogue

POLICIES = Path(__file__).resolve().parent.parent / "fixtures" / "policies"
CAREFUL = ScriptedDialogue(POLICIES / "frontdesk.toml")
BRISK = ScriptedDialogue(POLICIES / "frontdesk_brisk.toml")
TOOL_NAMES = sorted(
    {call.tool for intent in CAREFUL.policy.intents for call in intent.calls} | {"transfer_to_human"}
)
TOOLS = tuple(Tool(name=name, description="d", parameters={"type": "object"}) for name in TOOL_NAMES)


class Talk:
    """A conversation that goes on from reply to reply."""

    def __init__(self, model: DialogueModel = CAREFUL, tools: tuple[Tool, ...] = TOOLS) -> None:
        self.model, self.tools = model, tools
        self.history: list[Message] = [Message(role="system", content="You are a front desk.")]

    def say(self, *texts: str) -> Reply:
        for text in texts:
            reply = self._add(Message(role="user", content=text))
        return reply

    def result(self, value: JsonValue, *, failed: bool = False) -> Reply:
        name = self.history[-1].tool_calls[0].name
        return self._add(Message(role="tool", content=json.dumps(value), tool_name=name, failed=failed))

    def _add(self, message: Message) -> Reply:
        self.history.append(message)
        reply = self.model.reply(tuple(self.history), self.tools)
        self.history.append(Message(role="assistant", content=reply.text, tool_calls=reply.tool_calls))
        return reply


def called(reply: Reply) -> list[tuple[str, dict[str, JsonValue]]]:
    return [(call.name, dict(call.arguments)) for call in reply.tool_calls]


FREEZE = "i need to freeze my card"
DIGITS = "four one two nine"


def test_it_satisfies_the_protocol() -> None:
    assert isinstance(CAREFUL, DialogueModel)


def test_it_asks_for_what_is_missing_reads_it_back_and_acts_after_a_yes() -> None:
    talk = Talk()
    assert "last four digits" in talk.say(FREEZE).text
    assert talk.say(DIGITS).text == "That is the card ending in 4 1 2 9. Shall I freeze it?"
    assert called(talk.say("yes please")) == [("freeze_card", {"card": "4129"})]
    done = talk.result({"status": "frozen"})
    assert done.text.startswith("The card ending in 4 1 2 9 is frozen.")
    assert talk.say("no thank you").ends_call == "done"


def test_what_is_said_at_once_is_not_asked_for() -> None:
    reply = Talk().say("please freeze the card ending in four one two nine")
    assert "4 1 2 9. Shall I freeze it?" in reply.text


def test_what_a_tool_returned_is_said() -> None:
    talk = Talk()
    talk.say("what are the fees on my card", DIGITS)
    assert "costs 6 dollars a month" in talk.result({"monthly_fee": 6}).text


def test_digits_in_a_result_are_spelled_out() -> None:
    talk = Talk()
    talk.say("my internet is down", "nine oh two one four")
    assert "ticket number is 5 1 7." in talk.result({"ticket": "517"}).text


def test_an_amount_reaches_the_tool_as_a_number() -> None:
    reply = Talk().say("transfer one hundred and twenty dollars to savings", "yes")
    assert called(reply) == [("transfer_money", {"amount": 120, "account": "savings"})]


def test_a_no_with_the_right_value_corrects_it() -> None:
    reply = Talk().say(FREEZE, "four one nine nine", "no it is four one two nine")
    assert "4 1 2 9. Shall I freeze it?" in reply.text


def test_a_plain_no_to_the_reading_back_asks_again() -> None:
    reply = Talk().say(FREEZE, "four one nine nine", "no")
    assert reply.text == "Sorry about that. What are the last four digits of the card?"


def test_a_caller_may_change_their_mind_while_values_are_asked_for() -> None:
    talk = Talk()
    talk.say(FREEZE)
    reply = talk.say("actually i want to know the fees", DIGITS)
    assert called(reply) == [("get_card_fees", {"card": "4129"})]


def test_a_cancellation_may_become_a_move() -> None:
    talk = Talk()
    talk.say("cancel my appointment on march ninth")
    assert "from March ninth to April second" in talk.say("no please move it to april second").text
    assert called(talk.say("yes")) == [("move_appointment", {"date": "03-09", "new_date": "04-02"})]


def test_a_request_may_be_given_up() -> None:
    assert "anything else" in Talk().say(FREEZE, "never mind").text


def test_a_second_request_is_taken_up_after_the_first() -> None:
    talk = Talk()
    talk.say("what are the fees on my card", DIGITS)
    talk.result({"monthly_fee": 6})
    assert "order number" in talk.say("and where is my order").text


def test_an_angry_caller_gets_a_person_at_any_point() -> None:
    for before in ([], [FREEZE], [FREEZE, DIGITS]):
        talk = Talk()
        assert called(talk.say(*before, "let me speak to a person now")) == [
            ("transfer_to_human", {"reason": "asked"})
        ]
        assert talk.result("ok").ends_call == "handed over"


def test_what_it_cannot_do_is_refused_and_a_person_offered() -> None:
    talk = Talk()
    refusal = talk.say("read me the results of my blood test")
    assert "cannot" in refusal.text
    assert not refusal.tool_calls
    assert called(talk.say("yes please")) == [("transfer_to_human", {"reason": "cannot help"})]


def test_a_request_whose_tool_is_not_there_is_refused() -> None:
    reply = Talk(tools=tuple(tool for tool in TOOLS if tool.name != "freeze_card")).say(FREEZE)
    assert reply.text == "I am sorry, I cannot do that. Would you like to talk to a person?"


def test_silence_is_answered_with_a_question() -> None:
    talk = Talk()
    assert "Are you still there?" in talk.say("").text
    assert "last four digits" in talk.say(FREEZE).text


def test_after_too_many_repairs_the_caller_is_handed_over() -> None:
    talk = Talk()
    assert talk.say("mumble").text == "Sorry, could you say that again?"
    assert talk.say("mumble").text == "Sorry, could you say that again?"
    assert called(talk.say("mumble")) == [("transfer_to_human", {"reason": "not understood"})]


def test_being_understood_restores_the_agents_patience() -> None:
    talk = Talk()
    talk.say("mumble", "mumble", FREEZE, "mumble", "mumble")
    assert "4 1 2 9" in talk.say(DIGITS).text


def test_a_tool_that_fails_is_apologised_for_and_a_person_offered() -> None:
    talk = Talk()
    talk.say("i want to return my shoes", "two oh seven eight four")
    apology = talk.result({"error": "no"}, failed=True)
    assert apology.text == "I am sorry, that order cannot be returned. Would you like to talk to a person?"
    assert called(talk.say("yes")) == [("transfer_to_human", {"reason": "tool failed"})]
    assert "anything else" in talk_declined().text


def talk_declined() -> Reply:
    talk = Talk()
    talk.say("i want to return my shoes", "two oh seven eight four")
    talk.result({"error": "no"}, failed=True)
    return talk.say("no")


def test_when_nobody_can_take_over_the_caller_is_told() -> None:
    talk = Talk()
    talk.say("let me speak to a person")
    assert "nobody is free" in talk.result("busy", failed=True).text
    alone = Talk(tools=tuple(tool for tool in TOOLS if tool.name != "transfer_to_human"))
    assert alone.say("let me speak to a person").ends_call == "done"


def test_a_misheard_word_moves_the_intent() -> None:
    assert called(Talk().say("i need to fees my card", DIGITS)) == [("get_card_fees", {"card": "4129"})]


def test_unclear_words_are_asked_about_by_the_careful_and_guessed_at_by_the_brisk() -> None:
    unclear = "can i counsel my order"
    assert "say that again" in Talk().say(unclear).text
    assert "order number" in Talk(BRISK).say(unclear).text


def test_the_brisk_does_again_what_it_did_wrong() -> None:
    talk = Talk(BRISK)
    talk.say("i need to freeze my card", DIGITS)
    talk.result({})
    again = called(talk.say("no sorry make that four one nine nine"))
    assert again == [("freeze_card", {"card": "4199"})]


# -- relations --

utterances = st.lists(
    st.sampled_from(
        [FREEZE, DIGITS, "yes", "no", "", "mumble", "let me speak to a person", "move it to may first"]
    )
    | st.text(max_size=20),
    max_size=6,
)


@settings(deadline=None)
@given(utterances)
def test_equal_histories_get_equal_replies_whatever_was_asked_in_between(texts: list[str]) -> None:
    history = tuple(Message(role="user", content=text) for text in texts)
    first = CAREFUL.reply(history, TOOLS)
    CAREFUL.reply((Message(role="user", content=FREEZE),), TOOLS)
    assert CAREFUL.reply(history, tuple(reversed(TOOLS))) == first
    assert ScriptedDialogue(POLICIES / "frontdesk.toml").reply(history, TOOLS) == first


@settings(deadline=None)
@given(utterances)
def test_what_the_assistant_is_said_to_have_said_changes_only_the_count_of_tokens(texts: list[str]) -> None:
    plain = [Message(role="user", content=text) for text in texts]
    mixed = [m for one in plain for m in (one, Message(role="assistant", content="two words"))]
    bare, full = CAREFUL.reply(plain, TOOLS), CAREFUL.reply(mixed, TOOLS)
    assert (bare.text, bare.tool_calls, bare.ends_call) == (full.text, full.tool_calls, full.ends_call)
    assert full.input_tokens - bare.input_tokens == pytest.approx(len(texts) * 8 / 3, abs=1)


@settings(deadline=None)
@given(utterances)
def test_case_and_punctuation_do_not_matter(texts: list[str]) -> None:
    plain = [Message(role="user", content=text) for text in texts if text.isascii()]
    loud = [Message(role="user", content=f"{m.content.upper()}!") for m in plain]
    assert CAREFUL.reply(plain, TOOLS).text == CAREFUL.reply(loud, TOOLS).text


def test_tokens_are_four_thirds_of_the_words() -> None:
    reply = CAREFUL.reply((Message(role="user", content=FREEZE),), ())
    assert reply.input_tokens == 8
    assert reply.output_tokens == round(len(reply.text.split()) * 4 / 3)


def test_before_anybody_spoke_it_asks_what_they_want() -> None:
    assert CAREFUL.reply((), TOOLS).text == "What can I do for you?"


@pytest.mark.parametrize(
    "text",
    [
        "four " * 200_000,
        "amoxicillim " * 100_000,
        "x" * 1_000_000,
        "\x00\x1b[2J\u202e\ud7ff freeze",
        "{card} {=cards} %s {0}",
        "🙂" * 1000,
    ],
)
def test_hostile_words_neither_crash_nor_hang(text: str) -> None:
    for before in ([], ["i need a refill"], [FREEZE, DIGITS], ["results of my blood test"]):
        talk = Talk()
        reply = talk.say(*before, text)
        assert reply.text or reply.tool_calls


def test_tool_results_that_nobody_asked_for_or_that_are_no_json_do_no_harm() -> None:
    odd = Message(role="tool", content="[" * 100_000, tool_name="freeze_card")
    assert CAREFUL.reply((odd,), TOOLS).text
    talk = Talk()
    talk.say("what are the fees on my card", DIGITS)
    talk.history.append(Message(role="tool", content="{not json", tool_name="get_card_fees"))
    assert "The card ending in 4 1 2 9" in talk.model.reply(talk.history, TOOLS).text


def test_a_caller_who_speaks_before_the_tool_has_answered_is_heard() -> None:
    talk = Talk()
    talk.say("what are the fees on my card", DIGITS)
    assert talk.say("hello").text or talk.say("hello").tool_calls


# -- the file --


def test_the_fingerprint_follows_the_content_of_the_file_and_not_its_place(tmp_path: Path) -> None:
    text = (POLICIES / "frontdesk.toml").read_text(encoding="utf-8")
    copy, changed = tmp_path / "copy.toml", tmp_path / "changed.toml"
    copy.write_text(text, encoding="utf-8")
    changed.write_text(text.replace("min_margin = 1.0", "min_margin = 1.5"), encoding="utf-8")
    assert ScriptedDialogue(copy).fingerprint == CAREFUL.fingerprint
    assert ScriptedDialogue(changed).fingerprint != CAREFUL.fingerprint
    assert BRISK.fingerprint != CAREFUL.fingerprint


def test_an_agent_cannot_name_one_prompt_and_use_another() -> None:
    assert ScriptedDialogue(POLICIES / "frontdesk.toml", prompt_version="careful-3")
    with pytest.raises(AgentError, match=r"prompt_version: given 'x'; .* states 'careful-3'"):
        ScriptedDialogue(POLICIES / "frontdesk.toml", prompt_version="x")


SMALL = """
name = "p"
version = "1"
[slots.card]
type = "digits"
length = 4
ask = "Which?"
[[intents]]
name = "freeze"
cues = { freeze = 2 }
slots = ["card"]
calls = [{ tool = "freeze_card", arguments = { card = "{card}" } }]
done = "Done."
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('slots = ["card"]', 'slots = ["crad"]', r"p.toml: intents\[0\].slots: no slot is named 'crad'. Did"),
        ("length = 4", "", r"p.toml: slots.card.length: needed for type digits"),
        ("length = 4", "lenght = 4", r"p.toml: slots.card.lenght: unknown key. Did you mean 'length'"),
        ('"{card}"', '"{cart}"', r"calls\[0\].arguments.card: no slot of this intent is named 'cart'"),
        ('"Done."', '"{pay.fee}."', r"intents\[0\].done: no earlier call is named 'pay'"),
        ("freeze = 2", "freeze = 0", r"p.toml: intents\[0\].cues.freeze: given 0; allowed: above 0"),
        ("freeze = 2", "Freeze = 2", r"intents\[0\].cues"),
        ('name = "p"', "", r"p.toml: name: missing"),
        ("[[intents]]", "[[intent]]", r"p.toml: intent: unknown key. Did you mean 'intents'"),
        ('type = "digits"', 'type = "digit"', r"p.toml: slots.card.type: given 'digit'; allowed: 'digits'"),
        ('version = "1"', "version = ", r"p.toml: not valid TOML"),
    ],
)
def test_a_wrong_policy_names_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(SMALL.replace(old, new), encoding="utf-8")
    with pytest.raises(AgentError, match=message):
        ScriptedDialogue(path)


def test_a_policy_that_is_not_there_is_an_agents_error(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"none.toml: no such file"):
        ScriptedDialogue(tmp_path / "none.toml")


def test_a_small_policy_works_with_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(SMALL, encoding="utf-8")
    history = (Message(role="user", content="freeze 4129"),)
    tools = (Tool(name="freeze_card", description="d", parameters={"type": "object"}),)
    reply = ScriptedDialogue(path).reply(history, tools)
    assert reply.tool_calls == (ToolCall(name="freeze_card", arguments={"card": "4129"}),)
