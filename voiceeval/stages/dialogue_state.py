"""Where a scripted dialogue stands, and how words and tool results move it on.

`Dialogue` is a fold: `start`, then one step per message of the caller or of a tool. A step returns the new
state and the reply; nothing is changed in place, so that the same messages always lead to the same reply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from pydantic import JsonValue

from voiceeval.protocols import Message, Reply
from voiceeval.scenario import ToolCall
from voiceeval.stages.dialogue_policy import PLACE, Intent, Policy, Reason
from voiceeval.stages.slots import Found, words
from voiceeval.stages.understanding import Understood, fill, says, scores

Awaiting = Literal["request", "slot", "confirmation", "offer", "anything else"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the next reply depends on, beside the next message."""

    awaiting: Awaiting = "request"
    intent: Intent | None = None
    slot: str = ""
    """The slot asked for, while awaiting one."""
    found: Mapping[str, Found] = field(default_factory=dict)
    repairs: int = 0
    """Questions to repeat in a row."""
    reason: Reason = "cannot help"
    """Why a person is offered, or called."""
    pending: Literal["none", "call", "handover"] = "none"
    step: int = 0
    """Which of the intent's calls is pending."""
    returned: Mapping[str, JsonValue] = field(default_factory=dict)
    """Tool -> what it gave back."""
    apology: str = ""
    """Said in front of the handover's words."""


class Step(NamedTuple):
    """The state after a message, and the reply to it."""

    state: State
    reply: Reply


class Dialogue:
    """A policy with the tools at hand.

    Args:
        policy: What to understand and say.
        tools: Names of the tools that can be called.
    """

    def __init__(self, policy: Policy, tools: frozenset[str]) -> None:
        self._policy = policy
        self._prompts = policy.prompts
        self._tools = tools

    def start(self) -> Step:
        """Before anybody has spoken."""
        return Step(State(), Reply(text=self._prompts.what_else))

    def hear(self, state: State, text: str) -> Step:
        """The caller's words, as the recognizer wrote them; none when it heard nothing."""
        state = replace(state, pending="none")
        said = words(text)
        if not said:
            return self._repair(state, self._prompts.silence)
        intent = self._new_intent(state, said)
        match state.awaiting:
            case "confirmation":
                return self._confirmed(state, said, intent)
            case "offer":
                return self._offered(state, said, intent)
            case "slot":
                return self._told(state, said, intent)
            case "request" | "anything else":
                return self._requested(state, said, intent)

    def receive(self, state: State, message: Message) -> Step:
        """A tool's result."""
        if state.pending == "handover":
            if message.failed:
                return self._end(state, self._prompts.handover_failed, "done")
            text = f"{state.apology} {self._prompts.handover}".strip()
            return self._end(state, text, "handed over")
        if state.pending == "none" or state.intent is None:
            return Step(state, Reply(text=self._prompts.what_else))
        if message.failed:
            return self._tool_failed(state, state.intent)
        returned = {**state.returned, message.tool_name: _json(message.content)}
        return self._next_call(replace(state, returned=returned, step=state.step + 1))

    # -- what the caller may have meant -------------------------------------------------------------------

    def _new_intent(self, state: State, said: tuple[str, ...]) -> Intent | None:
        """The one intent the words point at; None when none does, or when it is not clear which."""
        under_way = state.awaiting in {"slot", "confirmation"}
        rules = self._policy.understanding
        ranked = scores(self._policy, said)
        best = ranked[0]
        lead = best.score - (ranked[1].score if len(ranked) > 1 else 0)
        least = rules.switch_score if under_way else rules.min_score
        if best.score < least or lead < rules.min_margin:
            return None
        return None if under_way and best.intent == state.intent else best.intent

    def _fill(self, state: State, intent: Intent, said: tuple[str, ...]) -> Understood:
        return fill(self._policy, intent, said, known=state.found, asked=state.slot)

    def _requested(self, state: State, said: tuple[str, ...], intent: Intent | None) -> Step:
        if intent is not None:
            return self._take_up(state, intent, said)
        lexicon = self._policy.words
        if state.awaiting == "anything else":
            if state.intent is not None and says(said, lexicon.no):
                understood = self._fill(state, state.intent, said)
                if understood.news:
                    # "No, I said the fifth", after it was done without asking: it is done again.
                    corrected = replace(state, found=understood.found, returned={}, repairs=0)
                    return self._go_on(corrected, state.intent)
            if says(said, (*lexicon.goodbye, *lexicon.no)):
                return self._end(state, self._prompts.goodbye, "done")
            if says(said, lexicon.yes):
                return Step(
                    replace(state, awaiting="request", repairs=0), Reply(text=self._prompts.what_else)
                )
        elif says(said, lexicon.goodbye):
            return self._end(state, self._prompts.goodbye, "done")
        return self._repair(state, self._prompts.repeat)

    def _told(self, state: State, said: tuple[str, ...], intent: Intent | None) -> Step:
        if intent is not None:
            return self._take_up(state, intent, said)
        current = _current(state)
        understood = self._fill(state, current, said)
        if understood.news:
            return self._go_on(replace(state, found=understood.found, repairs=0), current)
        if says(said, self._policy.words.never_mind):
            return self._drop(state)
        return self._repair(state, self._ask_again(state.slot))

    def _confirmed(self, state: State, said: tuple[str, ...], intent: Intent | None) -> Step:
        current, lexicon = _current(state), self._policy.words
        denies = says(said, lexicon.no)
        if says(said, lexicon.yes) and not denies:
            return self._next_call(replace(state, step=0, repairs=0))
        if intent is not None:
            return self._take_up(state, intent, said)
        understood = self._fill(state, current, said)
        if understood.news:
            return self._go_on(replace(state, found=understood.found, repairs=0), current)
        if says(said, lexicon.never_mind):
            return self._drop(state)
        if denies:
            return self._denied(state, current)
        return self._repair(state, f"{self._prompts.ask_again} {self._spoken(current.confirm, state)}")

    def _denied(self, state: State, intent: Intent) -> Step:
        """A plain no to a confirmation: ask for everything again, or give up where nothing was asked."""
        if not intent.slots:
            return self._drop(state)
        first = intent.slots[0]
        kept = {name: found for name, found in state.found.items() if name not in intent.slots}
        asking = replace(state, awaiting="slot", slot=first, found=kept, repairs=0)
        return Step(asking, Reply(text=f"{self._prompts.corrected} {self._policy.slots[first].ask}"))

    def _offered(self, state: State, said: tuple[str, ...], intent: Intent | None) -> Step:
        lexicon = self._policy.words
        denies = says(said, lexicon.no)
        if says(said, lexicon.yes) and not denies:
            return self._hand_over(state, state.reason)
        if intent is not None:
            return self._take_up(state, intent, said)
        if denies:
            return self._drop(state)
        if says(said, lexicon.goodbye):
            return self._end(state, self._prompts.goodbye, "done")
        return self._repair(state, f"{self._prompts.ask_again} {self._prompts.offer}")

    # -- what the agent does ------------------------------------------------------------------------------

    def _take_up(self, state: State, intent: Intent, said: tuple[str, ...]) -> Step:
        state = replace(state, intent=intent, slot="", repairs=0, step=0, returned={}, reason="cannot help")
        if intent.kind == "handover":
            return self._hand_over(state, "asked")
        if intent.kind == "unanswerable" or any(call.tool not in self._tools for call in intent.calls):
            refusal = intent.refusal or self._prompts.cannot
            offer = intent.offer or self._prompts.offer
            return Step(replace(state, awaiting="offer"), Reply(text=f"{refusal} {offer}"))
        understood = self._fill(state, intent, said)
        return self._go_on(replace(state, found=understood.found), intent)

    def _go_on(self, state: State, intent: Intent) -> Step:
        """Ask for what is missing, then for a yes, then act."""
        missing = next((name for name in intent.slots if name not in state.found), "")
        if missing:
            asking = replace(state, awaiting="slot", slot=missing)
            return Step(asking, Reply(text=self._policy.slots[missing].ask))
        if intent.confirm:
            confirming = replace(state, awaiting="confirmation", slot="")
            return Step(confirming, Reply(text=self._spoken(intent.confirm, state)))
        return self._next_call(replace(state, step=0))

    def _next_call(self, state: State) -> Step:
        intent = _current(state)
        if state.step < len(intent.calls):
            planned = intent.calls[state.step]
            arguments = {name: self._argument(value, state) for name, value in planned.arguments.items()}
            call = ToolCall(name=planned.tool, arguments=arguments)
            waiting = replace(state, awaiting="anything else", slot="", pending="call")
            return Step(waiting, Reply(tool_calls=(call,)))
        after = replace(state, awaiting="anything else", pending="none", slot="", step=0, repairs=0)
        text = f"{self._spoken(intent.done, state)} {self._prompts.anything_else}".strip()
        return Step(after, Reply(text=text))

    def _tool_failed(self, state: State, intent: Intent) -> Step:
        apology = self._spoken(intent.failed, state) or self._prompts.failed
        state = replace(state, pending="none", reason="tool failed", repairs=0)
        if intent.on_failure == "hand over":
            return self._hand_over(state, "tool failed", apology)
        offer = intent.offer or self._prompts.offer
        return Step(replace(state, awaiting="offer"), Reply(text=f"{apology} {offer}"))

    def _hand_over(self, state: State, reason: Reason, apology: str = "") -> Step:
        handover = self._policy.handover
        if handover.tool not in self._tools:
            return self._end(state, self._prompts.handover_failed, "done")
        call = ToolCall(name=handover.tool, arguments={handover.argument: reason})
        waiting = replace(
            state, awaiting="request", slot="", pending="handover", reason=reason, apology=apology
        )
        return Step(waiting, Reply(tool_calls=(call,)))

    def _repair(self, state: State, text: str) -> Step:
        if state.repairs >= self._policy.understanding.max_repairs:
            return self._hand_over(state, "not understood")
        return Step(replace(state, repairs=state.repairs + 1), Reply(text=text))

    def _drop(self, state: State) -> Step:
        dropped = replace(state, awaiting="anything else", intent=None, slot="", found={}, repairs=0)
        return Step(dropped, Reply(text=f"{self._prompts.all_right} {self._prompts.anything_else}"))

    def _end(self, state: State, text: str, how: Literal["done", "handed over"]) -> Step:
        return Step(replace(State(), found=state.found), Reply(text=text, ends_call=how))

    # -- words --------------------------------------------------------------------------------------------

    def _ask_again(self, name: str) -> str:
        slot = self._policy.slots[name]
        return slot.ask_again or f"{self._prompts.ask_again} {slot.ask}"

    def _spoken(self, template: str, state: State) -> str:
        """A template with values as they are said."""
        return PLACE.sub(lambda place: _said(_value(place[1], place[2], state)), template)

    def _argument(self, template: JsonValue, state: State) -> JsonValue:
        """A tool's argument: values as they are written, a lone one with its type."""
        if not isinstance(template, str):
            return template
        whole = PLACE.fullmatch(template)
        if whole:
            return _written(_value(whole[1], whole[2], state))
        return PLACE.sub(lambda place: str(_written(_value(place[1], place[2], state))), template)


def _current(state: State) -> Intent:
    if state.intent is None:
        raise RuntimeError("a slot or a confirmation is awaited without an intent")
    return state.intent


def _value(name: str, key: str | None, state: State) -> Found | JsonValue:
    if key is None:
        return state.found.get(name, "")
    result = state.returned.get(name)
    return result.get(key, "") if isinstance(result, Mapping) else ""


def _written(value: Found | JsonValue) -> JsonValue:
    return value.value if isinstance(value, Found) else value


def _said(value: Found | JsonValue) -> str:
    if isinstance(value, Found):
        return value.spoken
    # Digits in a text are a number to be spelled out; a number is a quantity.
    return " ".join(value) if isinstance(value, str) and value.isdecimal() else str(value)


def _json(content: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return value
