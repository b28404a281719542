"""One planned call for reading: both arms turn by turn, as values a template can lay out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    Call,
    CallerStarted,
    CallerStopped,
    Ending,
    EndOfTurn,
    HungUp,
    Replied,
    StageFailed,
    ToolCalled,
    ToolReturned,
    Transcribed,
    Turn,
    turns,
)
from voiceeval.cohort import PlannedCall
from voiceeval.reports.alignment import Alignment, align
from voiceeval.reports.call_list import Result, call_result, call_value, metrics_of
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import shortened
from voiceeval.scenario import Scenario
from voiceeval.score import NotScored, Scored

LONGEST_TEXT = 4000
"""Characters of one text that a page shows; how many more there are is said."""
LONGEST_STATE = 20_000


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the agent does in a turn."""

    kind: str
    """``says``, ``calls``, ``returns``, ``fails``, ``ends`` or ``ran out``."""
    text: str
    detail: str = ""
    audio: str = ""
    round_trip: tuple[Alignment, ...] = ()
    """What the reference recognizer heard in the agent's audio, where it listened."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a stage took in a turn."""

    stage: str
    duration_ms: int
    start: float
    """Where its bar begins, in per cent of the longest answer of the call."""
    width: float


@dataclass(frozen=True, slots=True)
class Side:
    """One arm's share of a turn."""

    said: str = ""
    wording: str = ""
    audio: str = ""
    transcript: tuple[Alignment, ...] = ()
    end_of_turn: str = ""
    steps: tuple[Step, ...] = ()
    timings: tuple[Timing, ...] = ()
    answered_ms: tuple[int, ...] = ()
    """From the caller's last sound to the agent's first, where both exist."""
    heard_caller: bool = False


@dataclass(frozen=True, slots=True)
class ArmPage:
    """One arm's call apart from its turns."""

    result: Result
    ending: str
    failure: str
    saved: str
    """Whether the right words would have saved it, in words."""
    final_state: str
    usage: str


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One metric on both arms."""

    title: str
    definition: str
    values: tuple[str, str]
    evidence: tuple[str, str]


@dataclass(frozen=True, slots=True)
class CallPage:
    """Everything a call's page shows."""

    planned: PlannedCall
    scenario: tuple[Scenario, ...]
    """The scenario, or nothing where the run no longer has it."""
    arms: Mapping[Arm, ArmPage]
    turns: tuple[tuple[int, Mapping[Arm, Side]], ...]
    scores: tuple[ScoreRow, ...]
    expected_calls: tuple[str, ...]
    expected_state: tuple[tuple[str, str, str, str], ...]
    """Path, expected value, and what the arms ended with."""
    tags: tuple[tuple[str, str], ...] = field(default=())


def call_page(report: ReportInput, planned: PlannedCall) -> CallPage:
    """Lay out one planned call."""
    ids = {arm: arm_call_id(planned, arm) for arm in Arm}
    calls = {arm: report.calls[ids[arm]] for arm in Arm if ids[arm] in report.calls}
    found = report.scenarios.get(planned.scenario)
    longest = max(
        (ms for call in calls.values() for turn in turns(call.events) for ms in _answered(turn)), default=1
    )
    sides: dict[int, dict[Arm, Side]] = {}
    for arm, call in calls.items():
        floor = {heard.audio: (heard.said, heard.heard) for heard in call.heard}
        for turn in turns(call.events):
            sides.setdefault(turn.number, {})[arm] = _side(turn, report.audio_href, floor, longest)
    return CallPage(
        planned=planned,
        scenario=() if found is None else (found,),
        arms={arm: _arm_page(report, ids[arm], calls.get(arm), found) for arm in Arm},
        turns=tuple((number, sides[number]) for number in sorted(sides)),
        scores=tuple(_score_rows(report, ids)),
        expected_calls=() if found is None else tuple(_expected_calls(found)),
        expected_state=() if found is None else tuple(_expected_state(found, calls)),
        tags=tuple(sorted(planned.tags.items())),
    )


def relative_href(href: str) -> str:
    """A file of the run folder as seen from a call's page; empty for anything that is not one.

    Only plain relative paths pass: no scheme, no host, no way out of the run folder.
    """
    parts = href.split("/")
    if not href or "\\" in href or ":" in href or any(part in ("", ".", "..") for part in parts):
        return ""
    return "../../" + quote(href, safe="/", errors="replace")


def as_json(value: object, *, limit: int = LONGEST_TEXT, indent: int | None = None) -> str:
    """A value as JSON text, honestly shortened."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=indent is not None, indent=indent, default=str)
    return shortened(text, limit=limit)


def _side(
    turn: Turn, audio_href: Callable[[str], str], heard: Mapping[str, tuple[str, str]], longest: int
) -> Side:
    started = next((event for event in turn.events if isinstance(event, CallerStarted)), None)
    transcripts = [event.text for event in turn.events if isinstance(event, Transcribed)]
    ended = next((event for event in turn.events if isinstance(event, EndOfTurn)), None)
    said = started.text if started else ""
    return Side(
        said=shortened(said, limit=LONGEST_TEXT),
        wording=started.wording if started else "",
        audio=relative_href(audio_href(started.audio)) if started and started.audio else "",
        transcript=tuple(align(said, text) for text in transcripts),
        end_of_turn=f"{ended.reason}, {ended.heard_ms} ms heard" if ended else "",
        steps=tuple(_steps(turn, audio_href, heard)),
        timings=_timings(turn, longest),
        answered_ms=_answered(turn),
        heard_caller=started is not None,
    )


def _steps(
    turn: Turn, audio_href: Callable[[str], str], heard: Mapping[str, tuple[str, str]]
) -> Iterable[Step]:
    for event in turn.events:
        if isinstance(event, AgentStarted):
            spoken = tuple(align(*heard[event.audio]) for _ in "1" if event.audio in heard)
            href = relative_href(audio_href(event.audio)) if event.audio else ""
            yield Step("says", shortened(event.text, limit=LONGEST_TEXT), audio=href, round_trip=spoken)
        elif isinstance(event, AgentStopped) and event.interrupted:
            yield Step("cut off", "the agent was interrupted")
        elif isinstance(event, ToolCalled):
            yield Step("calls", event.name, as_json(event.arguments))
        elif isinstance(event, ToolReturned):
            yield Step("fails" if event.failed else "returns", event.name, as_json(event.value))
        elif isinstance(event, StageFailed):
            yield Step("failed", f"{event.stage} failed", event.error)
        elif isinstance(event, HungUp):
            yield Step("ends", f"{event.by} ends the call: {event.reason}")


def _answered(turn: Turn) -> tuple[int, ...]:
    stops = [event.at_ms for event in turn.events if isinstance(event, CallerStopped)]
    starts = [event.at_ms for event in turn.events if isinstance(event, AgentStarted)]
    return (starts[0] - stops[0],) if stops and starts and starts[0] > stops[0] else ()


def _timings(turn: Turn, longest: int) -> tuple[Timing, ...]:
    """The stages up to the first sound of the answer, as bars that follow each other."""
    spent: dict[str, int] = {}
    stopped: list[int] = []
    for event in turn.events:
        if isinstance(event, CallerStopped):
            stopped = [event.at_ms]
        elif isinstance(event, EndOfTurn) and stopped:
            spent["endpointing"] = max(0, event.at_ms - stopped[0])
        elif isinstance(event, Transcribed):
            spent["recognizer"] = event.stage_ms
        elif isinstance(event, Replied):
            spent["dialogue"] = spent.get("dialogue", 0) + event.stage_ms
        elif isinstance(event, ToolReturned):
            spent["tools"] = spent.get("tools", 0) + event.stage_ms
        elif isinstance(event, AgentStarted):
            spent["synthesizer"] = event.stage_ms
            break
    scale = 100 / max(longest, sum(spent.values()), 1)
    bars: list[Timing] = []
    at = 0.0
    for stage, duration_ms in spent.items():
        bars.append(Timing(stage, duration_ms, round(at, 2), round(duration_ms * scale, 2)))
        at += duration_ms * scale
    return tuple(bars)


def _arm_page(report: ReportInput, call_id: str, call: Call | None, scenario: Scenario | None) -> ArmPage:
    result = call_result(report, call_id)
    if call is None:
        return ArmPage(result, "planned, and not placed", "", "", "", "")
    usage = (
        f"{call.usage.audio_in_ms} ms of audio, {call.usage.input_tokens} + {call.usage.output_tokens} tokens, "
        f"{call.usage.spoken_characters} characters spoken; cost {call.cost:.4f}"
    )
    saved = "" if result in (Result.DONE, Result.ENDED) or scenario is None else _saved(call, scenario)
    state = as_json(dict(call.final_state), limit=LONGEST_STATE, indent=1)
    return ArmPage(result, str(call.ending), call.failure, saved, state, usage)


def _saved(call: Call, scenario: Scenario) -> str:
    replay = call.given_right_words
    if call.ending is Ending.HARNESS_FAILED:
        return ""
    if replay is None:
        return "Not known whether the right words would have saved it: this engine cannot replay a call."
    from voiceeval.metrics.task import judge_task

    done = judge_task(scenario, replay.events, replay.final_state).completed
    if done and replay.ending is Ending.COMPLETED:
        return "The right words would have saved it: given what was said, the same dialogue does the task. Recognition is to blame."
    return "The right words would not have saved it: given what was said, the same dialogue loses the task too. Dialogue is to blame."


def _score_rows(report: ReportInput, ids: Mapping[Arm, str]) -> Iterable[ScoreRow]:
    for name, metric in metrics_of(report).items():
        scores = [report.scores.get((ids[arm], name)) for arm in Arm]
        if any(score is not None for score in scores):
            evidence = [
                "\n".join(score.evidence)
                if isinstance(score, Scored)
                else score.reason
                if isinstance(score, NotScored)
                else ""
                for score in scores
            ]
            values = [call_value(metric, score) for score in scores]
            yield ScoreRow(
                title=metric.title,
                definition=metric.definition,
                values=(values[0], values[1]),
                evidence=(
                    shortened(evidence[0], limit=LONGEST_TEXT),
                    shortened(evidence[1], limit=LONGEST_TEXT),
                ),
            )


def _expected_calls(scenario: Scenario) -> Iterable[str]:
    for path in scenario.tool_paths:
        calls = [f"{call.name} {as_json(dict(call.arguments))}" for call in path.calls]
        extras = "no other calls" if path.extra_calls == "forbid" else "other calls allowed"
        order = {"exact": "exactly", "in_order": "in this order", "any_order": "in any order"}[path.order]
        yield f"{order}: {'; '.join(calls) or 'no call at all'} ({extras})"


def _expected_state(scenario: Scenario, calls: Mapping[Arm, Call]) -> Iterable[tuple[str, str, str, str]]:
    for path, expected in scenario.outcome.state.items():
        ends = [_at_path(calls[arm].final_state, path) if arm in calls else "not run" for arm in Arm]
        yield path, as_json(expected), ends[0], ends[1]


def _at_path(state: Mapping[str, Any], path: str) -> str:
    """The value at a dotted path; keys may hold dots themselves."""
    if path in state:
        return as_json(state[path])
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        inner = state.get(".".join(parts[:cut]))
        if isinstance(inner, Mapping):
            return _at_path(inner, ".".join(parts[cut:]))
    return "absent"
