"""Simulated tools: a world that can be looked at, and failures that are results."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from voiceeval.errors import ScenarioError
from voiceeval.protocols import ToolBackend
from voiceeval.scenario import Tool, ToolCall
from voiceeval.stages.simulated_tools import SimulatedTools

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["card"],
    "additionalProperties": False,
    "properties": {
        "card": {"type": "string", "pattern": "^[0-9]{4}$"},
        "amount": {"type": "integer", "minimum": 1, "maximum": 500},
        "how": {"enum": ["fast", "slow", 1]},
        "urgent": {"type": "boolean"},
        "notes": {"type": "array", "items": {"type": "string", "maxLength": 3}},
    },
}


def tool(*effects: dict[str, Any], name: str = "pay", schema: dict[str, Any] | None = None) -> Tool:
    return Tool.model_validate(
        {
            "name": name,
            "description": "d",
            "parameters": SCHEMA if schema is None else schema,
            "duration_ms": 70,
            "effects": effects,
        }
    )


def call(backend: ToolBackend, arguments: dict[str, JsonValue], name: str = "pay") -> tuple[JsonValue, bool]:
    result = backend.call(ToolCall(name=name, arguments=arguments))
    return result.value, result.failed


WORLD: dict[str, JsonValue] = {"cards": {"4129": {"status": "active", "limit": 5}}}


def test_the_first_effect_that_holds_is_applied() -> None:
    backend = SimulatedTools(
        [
            tool(
                {"when": {"cards.{card}.status": "frozen"}, "fails": "already frozen"},
                {
                    "when": {"cards.{card}.status": "active"},
                    "set": {"cards.{card}.status": "frozen", "cards.{card}.paid": "{amount}"},
                    "returns": {"text": "limit {=cards.{card}.limit}", "limit": "{=cards.{card}.limit}"},
                },
                {"fails": "no such card"},
            )
        ],
        WORLD,
    )
    assert call(backend, {"card": "4129", "amount": 9}) == ({"text": "limit 5", "limit": 5}, False)
    assert backend.state() == {"cards": {"4129": {"status": "frozen", "limit": 5, "paid": 9}}}
    assert call(backend, {"card": "4129"}) == ({"error": "already frozen"}, True)
    assert call(backend, {"card": "1111"}) == ({"error": "no such card"}, True)


def test_a_call_takes_the_declared_time() -> None:
    backend = SimulatedTools([tool()], {})
    assert backend.call(ToolCall(name="pay", arguments={"card": "4129"})).duration_ms == 70


def test_the_world_given_and_the_state_shown_are_copies() -> None:
    backend = SimulatedTools([tool({"set": {"cards.{card}.status": "x"}})], WORLD)
    call(backend, {"card": "4129"})
    assert WORLD == {"cards": {"4129": {"status": "active", "limit": 5}}}
    backend.state()["cards"]["4129"]["status"] = "y"  # type: ignore[index,call-overload]
    assert backend.state()["cards"]["4129"]["status"] == "x"  # type: ignore[index,call-overload]


def test_values_that_are_filled_in_are_neither_templates_nor_paths() -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    effects = {"set": {"notes.{text}": "said: {text}"}, "returns": "{text}!"}
    backend = SimulatedTools([tool(effects, schema=schema)], {"secret": 1})
    assert call(backend, {"text": "{=secret}.b"}) == ("{=secret}.b!", False)
    assert backend.state() == {"secret": 1, "notes": {"{=secret}.b": "said: {=secret}.b"}}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "argument 'card': missing"),
        ({"card": 4129}, "argument 'card': not of type string"),
        ({"card": "41"}, "argument 'card': does not have the form that is asked for"),
        ({"card": "4129", "amount": 0}, "argument 'amount': below 1"),
        ({"card": "4129", "amount": 501}, "argument 'amount': above 500"),
        ({"card": "4129", "amount": True}, "argument 'amount': not of type integer"),
        ({"card": "4129", "how": True}, "argument 'how': not one of the allowed values"),
        ({"card": "4129", "notes": ["abcd"]}, "argument 'notes[0]': longer than 3 characters"),
        ({"card": "4129", "crad": "1"}, "no argument is named 'crad'. Did you mean 'card'?"),
    ],
)
def test_wrong_arguments_are_a_failed_result(arguments: dict[str, JsonValue], problem: str) -> None:
    value, failed = call(SimulatedTools([tool()], {}), arguments)
    assert failed
    assert isinstance(value, dict)
    assert str(value["error"]).startswith(problem)


def test_an_unknown_tool_is_a_failed_result() -> None:
    value, failed = call(SimulatedTools([tool()], {}), {}, name="pya")
    assert failed
    assert value == {"error": "no tool is named 'pya'. Did you mean 'pay'? Known: pay"}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 600) | st.sampled_from(["4129", "41", "fast", "abc", "abcd"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["card", "amount", "how", "urgent", "notes", "other"]), values))
def test_arguments_are_judged_as_json_schema_judges_them(arguments: dict[str, JsonValue]) -> None:
    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(arguments)
    assert call(SimulatedTools([tool()], {}), arguments)[1] is not valid


def test_a_schema_keyword_that_is_not_checked_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no checked schema keyword is named 'oneOf'"):
        SimulatedTools([tool(schema={"type": "object", "properties": {"a": {"oneOf": []}}})], {})
    with pytest.raises(ScenarioError, match=r"properties\.a\.pattern"):
        SimulatedTools([tool(schema={"type": "object", "properties": {"a": {"pattern": "("}}})], {})


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ScenarioError, match="two tools share a name"):
        SimulatedTools([tool(), tool()], {})
