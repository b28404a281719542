"""What a scenario can get wrong across its keys: each is valid, and the call could still not be played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from voiceeval.errors import unknown_name
from voiceeval.scenario import CallerTurn, Scenario, ToolCall
from voiceeval.toml_files import Problem, nearest, shortened


def problems(scenario: Scenario) -> tuple[Problem, ...]:
    """All that is wrong with a scenario whose tools have been merged in."""
    return (*_of_turns(scenario), *_of_asides(scenario), *_of_tools(scenario), *_of_calls(scenario))


def _of_turns(scenario: Scenario) -> Iterator[Problem]:
    if all(turn.cue for turn in scenario.turns):
        yield Problem("turns", "every turn has a cue, so the caller waits forever; allowed: one turn without")
    first_with: dict[str, int] = {}
    for index, turn in enumerate(scenario.turns):
        key = f"turns[{index}]"
        yield from _of_turn(turn, key)
        for phrase in turn.cue:
            earlier = first_with.setdefault(phrase.casefold().strip(), index)
            if earlier != index:
                yield Problem(f"{key}.cue", f"has a phrase of turns[{earlier}].cue, which is answered first")


def _of_asides(scenario: Scenario) -> Iterator[Problem]:
    for index, aside in enumerate(scenario.asides):
        if any(not phrase.strip() for phrase in aside.cue):
            yield Problem(f"asides[{index}].cue", "has an empty phrase; allowed: words")


def _of_turn(turn: CallerTurn, key: str) -> Iterator[Problem]:
    for name in ("cue", "expects", "repairs"):
        if any(not phrase.strip() for phrase in getattr(turn, name)):
            yield Problem(f"{key}.{name}", "has an empty phrase; allowed: words")
    if turn.objection and not turn.expects:
        yield Problem(f"{key}.objection", "is never said; it needs expects, which it answers when missing")
    if not turn.text:
        for name in ("expects", "repairs", "entities"):
            if getattr(turn, name):
                yield Problem(f"{key}.{name}", "needs text: this turn says nothing")


def _of_tools(scenario: Scenario) -> Iterator[Problem]:
    for index, tool in enumerate(scenario.tools):
        key = f"tool {tool.name!r}"
        kind = tool.parameters.get("type")
        properties = tool.parameters.get("properties", {})
        if kind != "object" or not isinstance(properties, Mapping):
            yield Problem(key, 'parameters: allowed: a JSON Schema with type = "object" and properties')
        elif any(not isinstance(name, str) or name not in properties for name in _required(tool.parameters)):
            yield Problem(key, "parameters.required: names a property that is not in parameters.properties")
        if any(earlier.name == tool.name for earlier in scenario.tools[:index]):
            yield Problem(key, "is defined twice, counting tool_files and tools")


def _of_calls(scenario: Scenario) -> Iterator[Problem]:
    parameters = {tool.name: tool.parameters for tool in scenario.tools}
    for path_index, path in enumerate(scenario.tool_paths):
        for index, call in enumerate(path.calls):
            key = f"tool_paths[{path_index}].calls[{index}]"
            yield from _of_call(call, key, parameters)
            if call.name in parameters:
                for name in _required(parameters[call.name]):
                    if name not in call.arguments:
                        yield Problem(
                            f"{key}.arguments", f"lacks {shortened(str(name))}, which the tool requires"
                        )
    for index, call in enumerate(scenario.forbidden_calls):
        yield from _of_call(call, f"forbidden_calls[{index}]", parameters)


def _of_call(call: ToolCall, key: str, parameters: Mapping[str, Mapping[str, object]]) -> Iterator[Problem]:
    if call.name not in parameters:
        yield Problem(f"{key}.name", unknown_name("tool", call.name, parameters))
        return
    schema = parameters[call.name]
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") or not isinstance(properties, Mapping):
        return
    for name in call.arguments:
        if name not in properties:
            known = ", ".join(sorted(properties)) or "none"
            what = f"tool {call.name!r} has no parameter {shortened(name)}.{nearest(name, properties)}"
            yield Problem(f"{key}.arguments", f"{what} Allowed: {known}")


def _required(schema: Mapping[str, object]) -> list[object]:
    required = schema.get("required", [])
    return required if isinstance(required, list) else []
