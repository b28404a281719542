"""One call without what a report must not show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
    StageFailed,
    ToolCalled,
    ToolReturned,
    Transcribed,
)
from voiceeval.metrics.json_values import Absent, value_at
from voiceeval.redaction import Rules, Secret, Span, cards_in, marked, merged, replaced
from voiceeval.reports.redacted_texts import (
    TurnsHeard,
    cards_of_value,
    parts_of_cards,
    redacted_hearing,
    redacted_mapping,
    redacted_value,
)
from voiceeval.scenario import Scenario
from voiceeval.spoken_units import spoken_units

_SHORTEST_VALUE = 3


@dataclass(frozen=True, slots=True)
class RedactedCall:
    """A call that can be shown."""

    call: Call
    rules: Rules
    """For whatever else is told of this call."""
    silenced: frozenset[str]
    """Digests of clips in which something can be heard that is left out of the texts."""


def redacted_call(call: Call, scenario: Scenario | None, rules: Rules) -> RedactedCall:
    """Leave out of a call what the rules name, and whatever was heard or given in place of it.

    Args:
        call: as it was placed.
        scenario: its scenario as written, where the run still has it.
        rules: the scenario's.
    """
    if rules.cards:
        rules = replace(
            rules,
            known_cards=rules.known_cards | _cards_of(call),
            secrets=tuple(dict.fromkeys((*rules.secrets, *_parts_of_cards(call)))),
        )
    if not rules.secrets and not rules.known_cards:
        return RedactedCall(call, rules, frozenset())
    turns, misheard = _hearings(call.events, rules)
    wrong = tuple(_wrong_values(call, scenario, rules)) if scenario else ()
    known = {secret.value for secret in rules.secrets}
    others = {secret.value: secret for secret in (*wrong, *misheard) if secret.value not in known}
    wider = replace(rules, secrets=(*rules.secrets, *others.values()))
    events = _events(call.events, turns, rules, wider)
    replay = call.given_right_words
    if replay is not None:
        again, _ = _hearings(replay.events, rules)
        replay = replace(
            replay,
            events=_events(replay.events, again, rules, wider),
            final_state=redacted_mapping(replay.final_state, wider),
        )
    shown = replace(
        call,
        events=events,
        failure=wider.text(call.failure),
        harness_failures=tuple(map(wider.text, call.harness_failures)),
        final_state=redacted_mapping(call.final_state, wider),
        heard=tuple(_trip(heard, wider) for heard in call.heard),
        given_right_words=replay,
    )
    return RedactedCall(shown, wider, frozenset(_silenced(call, shown)))


def _cards_of(call: Call) -> frozenset[str]:
    """Card numbers anywhere in a call, also those that are said in parts, one turn after the other."""
    replay = call.given_right_words
    events = (*call.events, *(replay.events if replay else ()))
    speaking = CallerStarted | Transcribed | Replied | AgentStarted | AsideStarted
    texts = {event.text for event in events if isinstance(event, speaking)}
    keyed = _keyed(call.events)
    texts |= {*keyed, "\n".join(keyed), "\n".join(_said_first(call.events))}
    texts |= {call.failure, *call.harness_failures}
    texts |= {text for heard in call.heard for text in (heard.said, heard.heard, heard.floor_heard)}
    texts |= {event.error for event in events if isinstance(event, StageFailed)}
    values: list[JsonValue] = [dict(call.final_state), *([dict(replay.final_state)] if replay else [])]
    for event in events:
        if isinstance(event, ToolCalled):
            values.append(dict(event.arguments))
        elif isinstance(event, ToolReturned):
            values.append(event.value)
    return frozenset[str]().union(*map(cards_in, texts), *map(cards_of_value, values))


def _parts_of_cards(call: Call) -> Iterator[Secret]:
    """Of card numbers that are said, or keyed, in parts: what is looked for by itself."""
    yield from parts_of_cards(_said_first(call.events))
    yield from parts_of_cards(_keyed(call.events))


def _said_first(events: Iterable[Event]) -> Iterator[str]:
    """What the caller says; a short number that is repeated on request is no long one."""
    return (event.text for event in events if isinstance(event, CallerStarted) and event.wording == "text")


def _keyed(events: Iterable[Event]) -> list[str]:
    return ["".join(event.key for event in keys) for keys in _keys_by_turn(events).values()]


def _keys_by_turn(events: Iterable[Event]) -> dict[int, list[KeyPressed]]:
    keys: dict[int, list[KeyPressed]] = {}
    for event in events:
        if isinstance(event, KeyPressed):
            keys.setdefault(event.turn, []).append(event)
    return keys


def _hearings(events: Sequence[Event], rules: Rules) -> tuple[Mapping[int, str], list[Secret]]:
    """By the place of their events: transcripts of turns in which words were due; and what was misheard."""
    turns = TurnsHeard.of(events)
    texts: dict[int, str] = {}
    misheard: list[Secret] = []
    for turn, transcripts in turns.heard.items():
        found = redacted_hearing(" ".join(turns.said.get(turn, ())), [text for _, text in transcripts], rules)
        misheard += found.misheard
        texts |= {place: text for (place, _), text in zip(transcripts, found.texts, strict=True)}
    return texts, misheard


def _wrong_values(call: Call, scenario: Scenario, rules: Rules) -> Iterator[Secret]:
    """What was given, or stands in the state, in the place of something that is left out."""
    due = {
        (made.name, name): redacted
        for path in scenario.tool_paths
        for made in path.calls
        for name, value in made.arguments.items()
        if (redacted := redacted_value(value, rules)) != value and isinstance(redacted, str)
    }
    for event in call.events:
        if isinstance(event, ToolCalled):
            for name, value in event.arguments.items():
                if (event.name, name) in due:
                    yield from _other_value(value, due[event.name, name], rules)
    for path, value in scenario.outcome.state.items():
        redacted = redacted_value(value, rules)
        if redacted != value and isinstance(redacted, str):
            yield from _other_value(value_at(call.final_state, path), redacted, rules)


def _other_value(value: JsonValue | Absent, label: str, rules: Rules) -> Iterator[Secret]:
    if isinstance(value, bool) or not isinstance(value, str | int) or redacted_value(value, rules) != value:
        return
    units = "".join(unit.value for unit in spoken_units(str(value)))
    if len(units) >= _SHORTEST_VALUE:
        yield Secret(units, marked(label))


def _events(
    events: Sequence[Event], heard: Mapping[int, str], rules: Rules, wider: Rules
) -> tuple[Event, ...]:
    keys = _redacted_keys(events, rules)
    cut = _cut_replies(events, wider)
    return tuple(
        cut[place]
        if place in cut
        else replace(event, text=heard[place])
        if place in heard and isinstance(event, Transcribed)
        else replace(event, key=keys[id(event)])
        if isinstance(event, KeyPressed)
        else _event(event, rules, wider)
        for place, event in enumerate(events)
    )


def _cut_replies(events: Sequence[Event], wider: Rules) -> Mapping[int, Event]:
    """By their places: where a reply is cut off, and where it goes on, perhaps in the middle of a number.

    What is left out there is what is left out of the whole reply.
    """
    whole: dict[str, str] = {}
    found: dict[int, Event] = {}
    open_: AgentStarted | None = None
    for place, event in enumerate(events):
        if isinstance(event, AgentStarted):
            open_ = event
            if event.offset_ms:
                found[place] = replace(event, text=_piece(event.text, whole.get(event.audio, ""), wider))
            else:
                whole[event.audio] = event.text
        elif isinstance(event, AgentStopped) and open_ is not None:
            reply = whole.get(open_.audio, open_.text)
            # Of a reply that went on, both are counted from there.
            left = len(reply) - len(open_.text) if reply.endswith(open_.text) else 0
            said, believed = (_piece(text, reply, wider, at=left) for text in (event.said, event.believed))
            found[place] = replace(event, said=said, believed=believed)
    return found


def _piece(text: str, whole: str, rules: Rules, *, at: int = -1) -> str:
    """A part of a reply: from ``at``, or else its end. By itself where it is none."""
    start = len(whole) - len(text) if at < 0 else at
    if start < 0 or whole[start : start + len(text)] != text:
        return rules.text(text)
    low_high = [
        Span(max(span.start - start, 0), min(span.end - start, len(text)), span.label)
        for span in rules.spans(whole)
    ]
    return rules.text(replaced(text, merged(low_high)))


def _event(event: Event, rules: Rules, wider: Rules) -> Event:
    if isinstance(event, CallerStarted):
        return replace(event, text=rules.text(event.text))
    if isinstance(event, AsideStarted | Transcribed | Replied | AgentStarted):
        return replace(event, text=wider.text(event.text))
    if isinstance(event, AgentStopped):
        return replace(event, said=wider.text(event.said), believed=wider.text(event.believed))
    return _work_event(event, wider)


def _work_event(event: Event, rules: Rules) -> Event:
    if isinstance(event, ToolCalled):
        return replace(event, arguments=redacted_mapping(event.arguments, rules))
    if isinstance(event, ToolReturned):
        return replace(event, value=redacted_value(event.value, rules))
    return replace(event, error=rules.text(event.error)) if isinstance(event, StageFailed) else event


def _redacted_keys(events: Sequence[Event], rules: Rules) -> Mapping[int, str]:
    """By identity of the events: of a number that is left out every key, or all but the last four."""
    found: dict[int, str] = {}
    for pressed in _keys_by_turn(events).values():
        text = "".join(event.key for event in pressed)
        shown = list(text)
        for span in rules.spans(text):
            last = span.end - 4 if span.label.startswith("••••") else span.end
            for at in range(span.start, last):
                shown[at] = "•" if shown[at].isdecimal() else shown[at]
        at = 0
        for event in pressed:
            found[id(event)] = "".join(shown[at : at + len(event.key)])
            at += len(event.key)
    return found


def _trip(heard: Heard, wider: Rules) -> Heard:
    said = wider.text(heard.said)
    texts = [
        redacted_hearing(heard.said, [text], wider).texts[0] for text in (heard.heard, heard.floor_heard)
    ]
    return replace(heard, said=said, heard=texts[0], floor_heard=texts[1])


def _silenced(call: Call, shown: Call) -> Iterator[str]:
    for event, redacted in zip(call.events, shown.events, strict=True):
        if isinstance(event, CallerStarted | AsideStarted | AgentStarted) and event != redacted:
            yield event.audio
    for heard, trip in zip(call.heard, shown.heard, strict=True):
        if heard.said != trip.said:
            yield heard.audio
