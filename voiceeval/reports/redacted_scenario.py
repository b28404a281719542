"""A scenario without what a report must not show."""

from __future__ import annotations

from collections.abc import Iterable

from voiceeval.redaction import Rules
from voiceeval.reports.redacted_texts import cards_of_value, redacted_mapping, redacted_path, redacted_value
from voiceeval.scenario import CallerTurn, Scenario, ToolCall


def redacted_scenario(scenario: Scenario, rules: Rules) -> Scenario:
    """A scenario to be shown; what is written in it need not fit its own rules any more."""
    if not rules.secrets and not rules.known_cards:
        return scenario
    return scenario.model_copy(
        update={
            "goal": rules.text(scenario.goal),
            "turns": tuple(_turn(turn, rules) for turn in scenario.turns),
            "tools": tuple(
                tool.model_copy(
                    update={
                        "description": rules.text(tool.description),
                        "parameters": redacted_mapping(tool.parameters, rules),
                        "effects": (),
                    }
                )
                for tool in scenario.tools
            ),
            "world": redacted_mapping(scenario.world, rules),
            "tool_paths": tuple(
                path.model_copy(update={"calls": _tool_calls(path.calls, rules)})
                for path in scenario.tool_paths
            ),
            "forbidden_calls": _tool_calls(scenario.forbidden_calls, rules),
            "outcome": scenario.outcome.model_copy(
                update={
                    "state": {
                        redacted_path(path, rules): redacted_value(value, rules)
                        for path, value in scenario.outcome.state.items()
                    },
                    "said": tuple(map(rules.text, scenario.outcome.said)),
                    "not_said": tuple(map(rules.text, scenario.outcome.not_said)),
                }
            ),
            "asides": tuple(
                aside.model_copy(
                    update={"text": rules.text(aside.text), "cue": tuple(map(rules.text, aside.cue))}
                )
                for aside in scenario.asides
            ),
            "impatience": scenario.impatience
            and scenario.impatience.model_copy(update={"words": rules.text(scenario.impatience.words)}),
        }
    )


def _tool_calls(calls: Iterable[ToolCall], rules: Rules) -> tuple[ToolCall, ...]:
    return tuple(
        call.model_copy(update={"arguments": redacted_mapping(call.arguments, rules)}) for call in calls
    )


def cards_of_scenario(scenario: Scenario) -> frozenset[str]:
    """Card numbers anywhere in a scenario."""
    return cards_of_value(scenario.model_dump(mode="json"))


def _turn(turn: CallerTurn, rules: Rules) -> CallerTurn:
    after = turn.afterthought
    return turn.model_copy(
        update={
            "text": rules.text(turn.text),
            "objection": rules.text(turn.objection),
            "keys": rules.text(turn.keys),
            "cue": tuple(map(rules.text, turn.cue)),
            "expects": tuple(map(rules.text, turn.expects)),
            "repairs": tuple(map(rules.text, turn.repairs)),
            "entities": tuple(
                entity.model_copy(update={"text": rules.text(entity.text)}) for entity in turn.entities
            ),
            "afterthought": after and after.model_copy(update={"text": rules.text(after.text)}),
        }
    )
