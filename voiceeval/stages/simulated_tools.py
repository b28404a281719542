"""Tools that act on a world one can look at: no service, no clock, no surprise.

A tool does what its ``effects`` say. The first effect whose ``when`` holds is applied: its ``set`` changes
the world, its ``returns`` goes back to the agent; or its ``fails`` does. A tool without effects returns
null; a tool of which no effect applies fails.

``{argument}`` stands for an argument's value, ``{=dotted.path}`` for the world's, in texts and in paths. A
text that is nothing but one of them takes the value itself, so that ``"{amount}"`` stays a number. Values
that are filled in are never read as templates or as paths.

Arguments are checked against the tool's JSON Schema first. The part of it that is understood: ``type`` (one
name), ``properties``, ``required``, ``additionalProperties`` (true or false; absent means false), ``items``,
``enum``, ``const``, ``pattern``, ``minLength``, ``maxLength``, ``minimum`` and ``maximum``; ``title``,
``description``, ``default``, ``examples`` and ``format`` are notes. Any other keyword is an error when the
tools are made, rather than a check that never happens.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

from pydantic import JsonValue

from voiceeval.errors import ScenarioError, unknown_name
from voiceeval.protocols import ToolResult
from voiceeval.scenario import Effect, Scenario, Tool, ToolCall

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": Mapping,
    "array": (list, tuple),
    "string": str,
    "integer": (int, float),
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_CHECKED = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const"}
    | {"pattern", "minLength", "maxLength", "minimum", "maximum"}
)
_NOTES = frozenset({"title", "description", "default", "examples", "format"})
_PLACE = re.compile(r"\{(=(?:[^{}]|\{\w+\})+|\w+)\}")
_ARGUMENT = re.compile(r"\{(\w+)\}")
_UNKNOWN_TOOL_MS = 10
"""Declared: what it takes to find out that there is no such tool."""


class SimulatedTools:
    """A tool backend whose world is a table: `ToolBackend` for scenarios.

    Args:
        tools: What the agent may call.
        world: The world when the call begins; copied, never changed.

    Raises:
        ScenarioError: two tools share a name, or a schema uses a keyword that is not checked.
    """

    def __init__(self, tools: Sequence[Tool], world: Mapping[str, JsonValue]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        if len(self._tools) != len(tools):
            raise ScenarioError("tools: two tools share a name")
        for tool in tools:
            _check_schema(dict(tool.parameters), f"tool '{tool.name}': parameters")
        self._world: dict[str, JsonValue] = copy.deepcopy(dict(world))

    @classmethod
    def from_scenario(cls, scenario: Scenario) -> Self:
        """A fresh backend for one call of a scenario."""
        return cls(scenario.tools, scenario.world)

    def call(self, call: ToolCall) -> ToolResult:
        """Carry out one call. An unknown tool, bad arguments or a refusal are a failed result."""
        tool = self._tools.get(call.name)
        if tool is None:
            return _failure(unknown_name("tool", call.name[:80], self._tools), _UNKNOWN_TOOL_MS)
        problem = next(_problems(dict(call.arguments), tool.parameters, ""), "")
        if problem:
            return _failure(problem, tool.duration_ms)
        for effect in tool.effects:
            if self._holds(effect, call.arguments):
                return self._apply(effect, call.arguments, tool.duration_ms)
        if tool.effects:
            return _failure("not possible now", tool.duration_ms)
        return ToolResult(value=None, failed=False, duration_ms=tool.duration_ms)

    def state(self) -> Mapping[str, JsonValue]:
        """A copy of the world as it is now."""
        return copy.deepcopy(self._world)

    def _holds(self, effect: Effect, arguments: Mapping[str, JsonValue]) -> bool:
        return all(
            self._has(_path(path, arguments), self._filled(wanted, arguments))
            for path, wanted in effect.when.items()
        )

    def _has(self, path: Sequence[str], wanted: JsonValue) -> bool:
        found, value = _look_up(self._world, path)
        return found and _same(value, wanted)

    def _apply(self, effect: Effect, arguments: Mapping[str, JsonValue], duration_ms: int) -> ToolResult:
        if effect.fails:
            return _failure(str(self._filled(effect.fails, arguments)), duration_ms)
        # All values are read before the first is written: a call sees the world as it was.
        changes = [(_path(path, arguments), self._filled(new, arguments)) for path, new in effect.set.items()]
        for path, new in changes:
            _put(self._world, path, new)
        return ToolResult(
            value=self._filled(effect.returns, arguments), failed=False, duration_ms=duration_ms
        )

    def _filled(self, template: JsonValue, arguments: Mapping[str, JsonValue]) -> JsonValue:
        if isinstance(template, list):
            return [self._filled(item, arguments) for item in template]
        if isinstance(template, dict):
            return {key: self._filled(item, arguments) for key, item in template.items()}
        if not isinstance(template, str):
            return template
        whole = _PLACE.fullmatch(template)
        if whole:
            return copy.deepcopy(self._value(whole[1], arguments))
        return _PLACE.sub(lambda place: _text(self._value(place[1], arguments)), template)

    def _value(self, place: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        if place.startswith("="):
            return _look_up(self._world, _path(place[1:], arguments))[1]
        return arguments.get(place)


def _failure(reason: str, duration_ms: int) -> ToolResult:
    return ToolResult(value={"error": reason}, failed=True, duration_ms=duration_ms)


def _path(template: str, arguments: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """A dotted path; an argument is one step of it, also when its value contains a dot."""
    return tuple(
        _ARGUMENT.sub(lambda place: _text(arguments.get(place[1])), step) for step in template.split(".")
    )


def _text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _look_up(world: Mapping[str, JsonValue], path: Sequence[str]) -> tuple[bool, JsonValue]:
    at: JsonValue = dict(world)
    for step in path:
        if not isinstance(at, dict) or step not in at:
            return False, None
        at = at[step]
    return True, at


def _put(world: dict[str, JsonValue], path: Sequence[str], value: JsonValue) -> None:
    at = world
    for step in path[:-1]:
        inner = at.get(step)
        if not isinstance(inner, dict):
            inner = {}
            at[step] = inner
        at = inner
    at[path[-1]] = value


def _same(value: JsonValue, wanted: JsonValue) -> bool:
    """Equality of JSON values: true is not 1."""
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def _check_schema(schema: JsonValue, where: str) -> None:
    if not isinstance(schema, Mapping):
        raise ScenarioError(f"{where}: not a table; allowed: a JSON Schema")
    for key in schema:
        if key not in _CHECKED | _NOTES:
            raise ScenarioError(f"{where}: {unknown_name('checked schema keyword', key, _CHECKED)}")
    kind = schema.get("type")
    if kind is not None and kind not in _TYPES:
        raise ScenarioError(f"{where}.type: not one of {', '.join(sorted(_TYPES))}")
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        try:
            re.compile(pattern)
        except re.error as error:
            raise ScenarioError(f"{where}.pattern: {error}") from None
    properties = schema.get("properties", {})
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        _check_schema(inner, f"{where}.properties.{name}")
    if "items" in schema:
        _check_schema(schema["items"], f"{where}.items")


def _problems(value: JsonValue, schema: Mapping[str, JsonValue], key: str) -> Iterator[str]:
    """What is wrong with a value, by key; never repeats the value."""
    where = f"argument '{key}'" if key else "arguments"
    kind = schema.get("type")
    if isinstance(kind, str) and not _is_a(value, kind):
        yield f"{where}: not of type {kind}"
        return
    options = schema.get("enum")
    if isinstance(options, list) and not any(_same(value, option) for option in options):
        yield f"{where}: not one of the allowed values"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{where}: not the allowed value"
    if isinstance(value, str):
        yield from _text_problems(value, schema, where)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_problems(value, schema, where)
    elif isinstance(value, Mapping):
        yield from _object_problems(value, schema, key)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            yield from _problems(item, schema["items"], f"{key}[{index}]")  # type: ignore[arg-type]


def _is_a(value: JsonValue, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, _TYPES[kind])


def _text_problems(value: str, schema: Mapping[str, JsonValue], where: str) -> Iterator[str]:
    pattern, least, most = schema.get("pattern"), schema.get("minLength"), schema.get("maxLength")
    if isinstance(pattern, str) and not re.search(pattern, value):
        yield f"{where}: does not have the form that is asked for"
    if isinstance(least, int) and len(value) < least:
        yield f"{where}: shorter than {least} characters"
    if isinstance(most, int) and len(value) > most:
        yield f"{where}: longer than {most} characters"


def _number_problems(value: float, schema: Mapping[str, JsonValue], where: str) -> Iterator[str]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if not math.isfinite(value):
        yield f"{where}: not a finite number"
    if isinstance(least, int | float) and value < least:
        yield f"{where}: below {least}"
    if isinstance(most, int | float) and value > most:
        yield f"{where}: above {most}"


def _object_problems(
    value: Mapping[str, JsonValue], schema: Mapping[str, JsonValue], key: str
) -> Iterator[str]:
    inside = f"{key}." if key else ""
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if name not in value:
            yield f"argument '{inside}{name}': missing"
    for name, item in value.items():
        inner = known.get(name)
        if isinstance(inner, Mapping):
            yield from _problems(item, inner, f"{inside}{name}")
        elif schema.get("additionalProperties") is not True:
            yield unknown_name("argument", f"{inside}{name}"[:80], known)
