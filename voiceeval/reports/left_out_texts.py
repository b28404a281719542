"""Calls and scenarios without any text, in which it can still be seen what differs from what was due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from pydantic import JsonValue

from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    AsideStarted,
    Call,
    CallerStarted,
    Event,
    Heard,
    KeyPressed,
    Replied,
    ToolCalled,
    ToolReturned,
    Transcribed,
)
from voiceeval.metrics.json_values import Absent, same_value, value_at
from voiceeval.normalizers import normalizer_for
from voiceeval.redaction import LEFT_OUT, marked
from voiceeval.reports.redacted_texts import TurnsHeard, left_out
from voiceeval.scenario import Aside, CallerTurn, Scenario, ToolCall

OTHER = "[other text left out]"
"""In place of a value that is none of those that were due."""
_MORE = "[…]"
"""A further transcript of a turn: no word of it counts in an alignment."""


@dataclass(frozen=True, slots=True)
class Due:
    """The values that a scenario asks for, so that right and wrong ones stay apart."""

    scenario: Scenario | None
    arguments: Mapping[tuple[str, str], list[JsonValue]] = field(default_factory=dict)
    """By tool and argument."""

    @classmethod
    def of(cls, scenario: Scenario | None) -> Due:
        """Those of a scenario; none where the run no longer has it."""
        found: dict[tuple[str, str], list[JsonValue]] = {}
        if scenario is not None:
            paths = chain.from_iterable(path.calls for path in scenario.tool_paths)
            for call in (*paths, *scenario.forbidden_calls):
                for name, value in call.arguments.items():
                    values = found.setdefault((call.name, name), [])
                    if not any(same_value(value, other) for other in values):
                        values.append(value)
        return cls(scenario, found)

    def argument(self, tool: str, name: str, value: JsonValue) -> str:
        """The same text for the same value, where it is one that was due."""
        for number, due in enumerate(self.arguments.get((tool, name), ()), start=1):
            if same_value(due, value):
                return LEFT_OUT if number == 1 else f"{LEFT_OUT[:-1]}, value {number}]"
        return OTHER

    def made(self, tool: str, arguments: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """A call's arguments: their names stay."""
        return {name: self.argument(tool, name, value) for name, value in arguments.items()}

    def state(self, state: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Of the tools' world only whether it is as it was due."""
        paths = self.scenario.outcome.state if self.scenario else {}
        found: dict[str, JsonValue] = {}
        for number, (path, due) in enumerate(paths.items(), start=1):
            value = value_at(state, path)
            if not isinstance(value, Absent):
                found[_path(number)] = LEFT_OUT if same_value(due, value) else OTHER
        return found or ({LEFT_OUT: LEFT_OUT} if state else {})


def call_without_text(call: Call, scenario: Scenario | None, locale: str) -> Call:
    """The call with times, stages and tools, and no word of it."""
    due = Due.of(scenario)
    replay = call.given_right_words
    return replace(
        call,
        events=_events(call.events, due, locale),
        final_state=due.state(call.final_state),
        heard=tuple(_trip(heard, locale) for heard in call.heard),
        given_right_words=replay
        and replace(
            replay, events=_events(replay.events, due, locale), final_state=due.state(replay.final_state)
        ),
    )


def scenario_without_text(scenario: Scenario) -> Scenario:
    """The scenario with its turns, tools and paths by name alone."""
    due = Due.of(scenario)
    outcome = scenario.outcome
    return scenario.model_copy(
        update={
            "goal": left_out(scenario.goal),
            "turns": tuple(map(_turn, scenario.turns)),
            "tools": tuple(
                tool.model_copy(update={"description": LEFT_OUT, "parameters": {}, "effects": ()})
                for tool in scenario.tools
            ),
            "world": {},
            "tool_paths": tuple(
                path.model_copy(update={"calls": _calls(path.calls, due)}) for path in scenario.tool_paths
            ),
            "forbidden_calls": _calls(scenario.forbidden_calls, due),
            "outcome": outcome.model_copy(
                update={
                    "state": {_path(number): LEFT_OUT for number in range(1, len(outcome.state) + 1)},
                    "said": tuple(map(left_out, outcome.said)),
                    "not_said": tuple(map(left_out, outcome.not_said)),
                }
            ),
            "asides": tuple(map(_aside, scenario.asides)),
            "impatience": scenario.impatience and scenario.impatience.model_copy(update={"words": LEFT_OUT}),
        }
    )


def _path(number: int) -> str:
    return f"[path {number} left out]"


def _calls(calls: Iterable[ToolCall], due: Due) -> tuple[ToolCall, ...]:
    return tuple(call.model_copy(update={"arguments": due.made(call.name, call.arguments)}) for call in calls)


def _turn(turn: CallerTurn) -> CallerTurn:
    after = turn.afterthought
    return turn.model_copy(
        update={
            "text": left_out(turn.text),
            "objection": left_out(turn.objection),
            "keys": left_out(turn.keys),
            "cue": tuple(map(left_out, turn.cue)),
            "expects": tuple(map(left_out, turn.expects)),
            "repairs": tuple(map(left_out, turn.repairs)),
            "entities": (),
            "afterthought": after and after.model_copy(update={"text": LEFT_OUT}),
        }
    )


def _aside(aside: Aside) -> Aside:
    return aside.model_copy(update={"text": left_out(aside.text), "cue": tuple(map(left_out, aside.cue))})


def _events(events: Sequence[Event], due: Due, locale: str) -> tuple[Event, ...]:
    heard = _transcripts(events, locale)
    return tuple(
        replace(event, text=heard[place])
        if place in heard and isinstance(event, Transcribed)
        else _event(event, due)
        for place, event in enumerate(events)
    )


def _transcripts(events: Sequence[Event], locale: str) -> dict[int, str]:
    """As many placeholders as were said in a turn, and one word more where something in it is wrong."""
    turns = TurnsHeard.of(events)
    tokens = normalizer_for(locale).tokens
    found: dict[int, str] = {}
    for turn, transcripts in turns.heard.items():
        due = turns.said.get(turn, [])
        given = [(place, text) for place, text in transcripts if tokens(text)]
        right = tokens(" ".join(due)) == tokens(" ".join(text for _, text in transcripts))
        for number, (place, _) in enumerate(given):
            last = number == len(given) - 1
            many = max(0, len(due) - number) if last else int(number < len(due))
            found[place] = " ".join([LEFT_OUT] * many) or _MORE
            if last and not right:
                found[place] = (
                    marked(LEFT_OUT) if found[place] == _MORE else f"{found[place][:-1]}, misheard]"
                )
        found |= {place: left_out(text) and _MORE for place, text in transcripts if place not in found}
    return found


def _event(event: Event, due: Due) -> Event:
    if isinstance(event, CallerStarted | AsideStarted | Transcribed | Replied | AgentStarted):
        return replace(event, text=left_out(event.text))
    if isinstance(event, AgentStopped):
        return replace(event, said=left_out(event.said), believed=left_out(event.believed))
    if isinstance(event, KeyPressed):
        return replace(event, key="•")
    if isinstance(event, ToolCalled):
        return replace(event, arguments=due.made(event.name, event.arguments))
    if isinstance(event, ToolReturned):
        return replace(event, value=None if event.value is None else LEFT_OUT)
    return event


def _trip(heard: Heard, locale: str) -> Heard:
    tokens = normalizer_for(locale).tokens

    def shown(text: str) -> str:
        return left_out(text) if tokens(text) == tokens(heard.said) else text and marked(LEFT_OUT)

    return replace(
        heard, said=left_out(heard.said), heard=shown(heard.heard), floor_heard=shown(heard.floor_heard)
    )
