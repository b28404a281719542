"""The file that tells the scripted dialogue model what to understand, ask, confirm, call and say.

It is to that model what a prompt is to a language model: an agent's behaviour in words that people edit. The
page ``docs/dialogue-policies.md`` describes it key by key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from voiceeval.errors import AgentError, unknown_name
from voiceeval.scenario import Id, Written
from voiceeval.toml_files import Problem, read_model, refusal

Phrase = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+( [a-z0-9]+)*$", max_length=200)]
"""Lower-case words and digits with single spaces, as recognizers write them; no apostrophes."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
PLACE = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
"""``{slot}``, or ``{tool.key}`` for what a tool returned."""
Reason = Literal["asked", "cannot help", "not understood", "tool failed"]


class Understanding(Written):
    """When words are clear enough to act on."""

    min_score: Annotated[float, Field(gt=0)] = 2.0
    """Least sum of cue weights for an intent to be taken."""
    min_margin: Annotated[float, Field(ge=0)] = 1.0
    """Least lead over the next intent; with less, the agent asks to repeat."""
    switch_score: Annotated[float, Field(gt=0)] = 2.5
    """Least score to leave a request that is under way for another one."""
    similarity: Annotated[float, Field(ge=50, le=100)] = 85.0
    """Least likeness of heard words to an option's phrase."""
    max_repairs: Annotated[int, Field(ge=0, le=10)] = 2
    """Questions to repeat in a row; then the caller is handed to a person."""


class Words(Written):
    """Phrases with one meaning everywhere in a call. A phrase of ``no`` outweighs one of ``yes``."""

    yes: tuple[Phrase, ...] = ("yes", "yeah", "yep", "correct", "right", "sure", "okay", "go ahead", "do it")
    no: tuple[Phrase, ...] = ("no", "nope", "not", "wrong", "dont", "incorrect")
    goodbye: tuple[Phrase, ...] = ("goodbye", "bye", "that is all", "thats all", "thank you", "thanks")
    never_mind: tuple[Phrase, ...] = ("never mind", "forget it")


class Prompts(Written):
    """What the agent says when no intent has words of its own."""

    repeat: Text = "Sorry, could you say that again?"
    silence: Text = "Sorry, I did not hear you. Are you still there?"
    ask_again: Text = "Sorry, I did not get that."
    """Said in front of a question that is asked again."""
    corrected: Text = "Sorry about that."
    """Said after a plain no, in front of the first question."""
    anything_else: Text = "Is there anything else I can do?"
    what_else: Text = "What can I do for you?"
    all_right: Text = "All right."
    goodbye: Text = "Thank you for calling. Goodbye."
    cannot: Text = "I am sorry, I cannot do that."
    failed: Text = "I am sorry, that did not work."
    offer: Text = "Would you like to talk to a person?"
    handover: Text = "I am putting you through to a colleague."
    handover_failed: Text = "I am sorry, nobody is free at the moment. Please call again later."


class Handover(Written):
    """How a caller gets to a person."""

    tool: Id = "transfer_to_human"
    argument: Id = "reason"
    """Gets ``asked``, ``cannot help``, ``not understood`` or ``tool failed``."""


class Slot(Written):
    """Something the agent has to know before it can act."""

    type: Literal["digits", "number", "amount", "date", "choice"]
    ask: Text
    ask_again: str = ""
    """Empty: ``prompts.ask_again`` and ``ask``."""
    length: Annotated[int, Field(ge=1, le=20)] | None = None
    """Only of ``digits``: how many."""
    options: Mapping[str, tuple[Phrase, ...]] = Field(default_factory=dict)
    """Only of ``choice``: value -> what people say for it."""
    after: tuple[Phrase, ...] = ()
    """Words in front of the value that claim it for this slot, where two slots have one type."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if (self.length is not None) != (self.type == "digits"):
            raise ValueError("length: needed for type digits, and allowed for no other")
        if bool(self.options) != (self.type == "choice"):
            raise ValueError("options: needed for type choice, and allowed for no other")
        return self


class Call(Written):
    """A tool call; ``{slot}`` and ``{tool.key}`` are filled in, and a lone one keeps its type."""

    tool: Id
    arguments: Mapping[Id, JsonValue] = Field(default_factory=dict)


class Intent(Written):
    """Something callers want."""

    name: Id
    cues: Annotated[Mapping[Phrase, Annotated[float, Field(gt=0, le=100)]], Field(min_length=1)]
    """Phrase -> weight. The score is the sum over the phrases that occur."""
    kind: Literal["task", "handover", "unanswerable"] = "task"
    slots: tuple[Id, ...] = ()
    """Asked for in this order."""
    confirm: str = ""
    """Asked before the calls are made; empty: nothing is asked."""
    calls: tuple[Call, ...] = ()
    """Made one after the other."""
    done: str = ""
    """Said when the calls have returned, in front of ``prompts.anything_else``."""
    failed: str = ""
    """Said when a call fails; empty: ``prompts.failed``."""
    on_failure: Literal["offer", "hand over"] = "offer"
    """Offer a person, or put the caller through at once."""
    refusal: str = ""
    """Only of ``unanswerable``: said in front of ``offer``; empty: ``prompts.cannot``."""
    offer: str = ""
    """Empty: ``prompts.offer``."""


class Policy(Written):
    """The whole file."""

    name: Id
    version: Text
    language: Literal["en"] = "en"
    understanding: Understanding = Understanding()
    words: Words = Words()
    prompts: Prompts = Prompts()
    handover: Handover = Handover()
    slots: Mapping[Id, Slot] = Field(default_factory=dict)
    intents: Annotated[tuple[Intent, ...], Field(min_length=1)]


def load_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        AgentError: the file is absent, not TOML, or holds something a policy does not; every problem has a
            line with file and key.
    """
    policy = read_model(path, Policy, error=AgentError)
    problems = tuple(_problems(policy))
    if problems:
        raise refusal(str(path), problems, error=AgentError)
    return policy


def _problems(policy: Policy) -> Iterator[Problem]:
    names = [intent.name for intent in policy.intents]
    for index, intent in enumerate(policy.intents):
        key = f"intents[{index}]"
        if intent.name in names[:index]:
            yield Problem(f"{key}.name", "another intent has it")
        for slot in intent.slots:
            if slot not in policy.slots:
                yield Problem(f"{key}.slots", unknown_name("slot", slot, policy.slots))
        if intent.kind == "task" and not (intent.calls or intent.done):
            yield Problem(key, "does nothing; allowed: calls, done, or both")
        if intent.kind != "task" and (intent.calls or intent.slots or intent.confirm):
            yield Problem(key, "slots, confirm and calls are for kind task only")
        yield from _template_problems(intent, key)


def _template_problems(intent: Intent, key: str) -> Iterator[Problem]:
    slots, returned = set(intent.slots), {call.tool for call in intent.calls}
    texts: list[tuple[str, str, set[str]]] = [
        ("confirm", intent.confirm, set()),
        ("done", intent.done, returned),
        ("failed", intent.failed, set()),
    ]
    before: set[str] = set()
    for index, call in enumerate(intent.calls):
        for name, value in call.arguments.items():
            if isinstance(value, str):
                texts.append((f"calls[{index}].arguments.{name}", value, set(before)))
        before.add(call.tool)
    for name, text, tools in texts:
        for place in PLACE.finditer(text):
            known = tools if place[2] else slots
            if place[1] not in known:
                kind = "earlier call" if place[2] else "slot of this intent"
                yield Problem(f"{key}.{name}", unknown_name(kind, place[1], known))
