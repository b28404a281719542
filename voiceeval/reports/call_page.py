"""One planned call for reading: both arms turn by turn, as values a template can lay out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from voiceeval.call import AgentStopped, Arm, AsideStarted, Call, Damage, Ending, ReplyDropped
from voiceeval.call_audio import Playing
from voiceeval.channel.damage import NotMeasured, clipped_share, loss_rate, snr_db
from voiceeval.cohort import PlannedCall
from voiceeval.metrics.floor import floor_of
from voiceeval.reports.alignment import LONGEST_TEXT
from voiceeval.reports.call_list import Result, call_result, call_value, metrics_of
from voiceeval.reports.call_timeline import Timeline, timelines
from voiceeval.reports.call_turns import Side, TurnReader, answers_ms, ends_too_early
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import as_json, counted, shortened
from voiceeval.scenario import Scenario
from voiceeval.score import NotScored, Scored

LONGEST_STATE = 20_000
"""Characters of the tools' final world that a page shows."""


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
    line: str
    """What the line did to the caller's audio; empty where no line of ours carried it."""


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
    timelines: Mapping[Arm, Timeline]
    """Of the arms whose calls have events."""
    turns: tuple[tuple[int, Mapping[Arm, Side]], ...]
    scores: tuple[ScoreRow, ...]
    expected_calls: tuple[str, ...]
    expected_state: tuple[tuple[str, str, str, str], ...]
    """Path, expected value, and what the arms ended with."""
    tags: tuple[tuple[str, str], ...]


def call_page(
    report: ReportInput, planned: PlannedCall, *, played_href: Callable[[Playing], str] = lambda _: ""
) -> CallPage:
    """Lay out one planned call.

    Args:
        report: the run.
        planned: one of its calls.
        played_href: from a part of a reply to a file that holds just that, as seen from the page; or nothing.
    """
    ids = {arm: arm_call_id(planned, arm) for arm in Arm}
    calls = {arm: report.calls[ids[arm]] for arm in Arm if ids[arm] in report.calls}
    found = report.scenarios.get(planned.scenario)
    locale = found.locale if found else planned.tags.get("locale", "en-US")
    answers = [ms for call in calls.values() for answer in answers_ms(call).values() for ms in answer]
    sides: dict[int, dict[Arm, Side]] = {}
    for arm, call in calls.items():
        reader = TurnReader(
            call=call,
            locale=locale,
            audio_href=report.audio_href,
            played_href=played_href,
            longest_ms=max(answers, default=1),
        )
        for number, side in reader.sides().items():
            sides.setdefault(number, {})[arm] = side
    return CallPage(
        planned=planned,
        scenario=() if found is None else (found,),
        arms={arm: _arm_page(report, ids[arm], calls.get(arm), found) for arm in Arm},
        timelines=timelines(calls),
        turns=tuple((number, sides[number]) for number in sorted(sides)),
        scores=tuple(_score_rows(report, ids)),
        expected_calls=() if found is None else tuple(_expected_calls(found)),
        expected_state=() if found is None else tuple(_expected_state(found, calls)),
        tags=tuple(sorted(planned.tags.items())),
    )


def _arm_page(report: ReportInput, call_id: str, call: Call | None, scenario: Scenario | None) -> ArmPage:
    result = call_result(report, call_id)
    if call is None:
        return ArmPage(result, "planned, and not placed", "", "", "", "", "")
    usage = (
        f"{call.usage.audio_in_ms} ms of audio, {call.usage.input_tokens} + {call.usage.output_tokens} "
        f"tokens, {call.usage.spoken_characters} characters spoken; cost {call.cost:.4f}"
    )
    saved = "" if result in (Result.DONE, Result.ENDED) or scenario is None else _saved(call, scenario)
    state = as_json(dict(call.final_state), limit=LONGEST_STATE, indent=1)
    return ArmPage(result, str(call.ending), call.failure, saved, state, usage, line_told(call.damage))


def line_told(damage: Damage) -> str:
    """What the line did, in a phrase; empty where it was not measured."""
    snr, clipped, lost = snr_db(damage), clipped_share(damage), loss_rate(damage)
    parts = []
    if not isinstance(snr, NotMeasured):
        parts.append(f"speech {snr:.1f} dB over the noise")
    if not isinstance(lost, NotMeasured):
        bursts = f", in {counted(damage.bursts, 'burst')}" if damage.lost else ""
        parts.append(f"{damage.lost:,} of {counted(damage.packets, 'packet')} lost ({lost:.1%}{bursts})")
    if not isinstance(clipped, NotMeasured) and damage.clipped:
        parts.append(f"{damage.clipped:,} samples clipped ({clipped:.2%})")
    return "; ".join(parts)


def _saved(call: Call, scenario: Scenario) -> str:
    replay = call.given_right_words
    if call.ending is Ending.HARNESS_FAILED:
        return ""
    if replay is None:
        return "Not known whether the right words would have saved it: this engine cannot replay a call."
    from voiceeval.metrics.task import judge_task

    done = judge_task(scenario, replay.events, replay.final_state).completed
    if done and replay.ending is Ending.COMPLETED:
        if _is_disturbed(call):
            return (
                "Recognition or turn-taking is to blame: given the words that were said, one turn after the "
                "other and nothing beside them, the same dialogue completes the task."
            )
        return (
            "Recognition is to blame: given the words that were said, the same dialogue completes the task."
        )
    return "Dialogue is to blame: given the words that were said, it loses the task too."


def _is_disturbed(call: Call) -> bool:
    """Whether the two sides got in each other's way, which they do not in a replay on the right words."""
    floor = floor_of(call.events)
    return any(
        isinstance(event, AsideStarted | ReplyDropped)
        or (isinstance(event, AgentStopped) and event.interrupted)
        or ends_too_early(event, floor)
        for event in call.events
    )


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
        calls = [f"{call.name} {as_json(dict(call.arguments), limit=LONGEST_TEXT)}" for call in path.calls]
        extras = "no other calls" if path.extra_calls == "forbid" else "other calls allowed"
        order = {"exact": "exactly", "in_order": "in this order", "any_order": "in any order"}[path.order]
        yield f"{order}: {'; '.join(calls) or 'no call at all'} ({extras})"


def _expected_state(scenario: Scenario, calls: Mapping[Arm, Call]) -> Iterable[tuple[str, str, str, str]]:
    for path, expected in scenario.outcome.state.items():
        ends = [_at_path(calls[arm].final_state, path) if arm in calls else "not run" for arm in Arm]
        yield path, as_json(expected, limit=LONGEST_TEXT), ends[0], ends[1]


def _at_path(state: Mapping[str, Any], path: str) -> str:
    """The value at a dotted path; keys may hold dots themselves."""
    if path in state:
        return as_json(state[path], limit=LONGEST_TEXT)
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        inner = state.get(".".join(parts[:cut]))
        if isinstance(inner, Mapping):
            return _at_path(inner, ".".join(parts[cut:]))
    return "absent"
