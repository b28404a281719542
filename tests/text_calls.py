"""Calls without audio: a scripted caller talks to a dialogue model, with tools, in text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from voiceeval.call import AgentStarted, Event, HungUp, ToolCalled
from voiceeval.engines.caller import Hangup, ScriptedCaller, Utterance
from voiceeval.protocols import DialogueModel, Message
from voiceeval.scenario import Scenario
from voiceeval.stages.simulated_tools import SimulatedTools


@dataclass(kw_only=True)
class TextCall:
    """What was said and done."""

    caller: list[str] = field(default_factory=list)
    agent: list[str] = field(default_factory=list)
    tools: list[tuple[str, dict[str, JsonValue]]] = field(default_factory=list)
    history: list[Message] = field(default_factory=list)
    ending: str = ""
    state: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def events(self) -> tuple[Event, ...]:
        called = [
            ToolCalled(at_ms=0, turn=1, name=name, arguments=arguments) for name, arguments in self.tools
        ]
        spoken = [AgentStarted(at_ms=0, turn=1, text=text, audio="", stage_ms=0) for text in self.agent]
        return (*called, *spoken, HungUp(at_ms=0, turn=1, by="caller", reason="done"))


def exchange(call: TextCall, scenario: Scenario, dialogue: DialogueModel, tools: SimulatedTools) -> str:
    """The agent's side of one exchange; how it ends the call."""
    while True:
        reply = dialogue.reply(tuple(call.history), scenario.tools)
        call.history.append(Message(role="assistant", content=reply.text, tool_calls=reply.tool_calls))
        if not reply.tool_calls:
            call.agent.append(reply.text)
            return reply.ends_call
        for tool_call in reply.tool_calls:
            call.tools.append((tool_call.name, dict(tool_call.arguments)))
            result = tools.call(tool_call)
            content = json.dumps(result.value)
            call.history.append(
                Message(role="tool", content=content, tool_name=tool_call.name, failed=result.failed)
            )


def play(
    scenario: Scenario, dialogue: DialogueModel, hear: Callable[[str], str] = lambda text: text
) -> TextCall:
    """One call; ``hear`` turns what the caller says into what the recognizer writes."""
    call, tools, caller = TextCall(), SimulatedTools.from_scenario(scenario), ScriptedCaller(scenario)
    action: Utterance | Hangup = caller.first()
    while isinstance(action, Utterance) and not call.ending and len(call.agent) < scenario.max_exchanges:
        said = f"{action.text} {action.afterthought.text}" if action.afterthought else action.text
        call.caller.append(said or " ".join(action.keys))
        keyed = " ".join(action.keys.rstrip("#"))
        call.history.append(Message(role="user", content=keyed or hear(said)))
        how = exchange(call, scenario, dialogue, tools)
        call.ending = how if how != "no" else ""
        if not call.ending:
            action = caller.next(call.agent[-1])
    if isinstance(action, Hangup):
        call.ending = action.reason
    call.state = tools.state()
    return call
