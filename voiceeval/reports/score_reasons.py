"""Why each score of a call is what it is: both arms' values with their evidence, by what they measure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from voiceeval.call import Arm
from voiceeval.reports.alignment import LONGEST_TEXT
from voiceeval.reports.call_list import call_value
from voiceeval.reports.report_input import ReportInput
from voiceeval.reports.wording import level, shortened
from voiceeval.score import MetricInfo, NotScored, Score, Scored

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "Recognition": ("wer", "entity_error_rate"),
    "The agent's speech": ("round_trip_wer", "round_trip_excess"),
    "Task": ("task_completion", "transfer_rate"),
    "Tools": ("tool_path", "tool_path_given_words"),
    "Latency": (
        "time_to_first_audio",
        "slow_replies",
        "very_slow_replies",
        "endpointing_ms",
        "recognizer_ms",
        "dialogue_ms",
        "tools_ms",
        "synthesizer_ms",
    ),
    "Turn-taking": (
        "response_rate",
        "agent_interrupts_caller",
        "premature_endpoints",
        "yield_rate",
        "time_to_yield",
        "talk_through",
        "talk_over_ms",
        "silence_ms",
        "reprompts",
    ),
    "Conversation": (
        "caller_asked_to_repeat",
        "asked_twice",
        "repeated_corrections",
        "already_told_you",
        "agent_repeats_itself",
        "reply_length_ms",
        "words_per_reply",
        "call_length_ms",
        "turns_per_call",
    ),
    "Cost": ("cost_per_completed_call",),
    "Other": (),
}
TURN_TAKING, SPEECH = "Turn-taking", "The agent's speech"
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}
_DRAWN_ABOVE = frozenset({"wer"})
"""Metrics whose alignments the page draws turn by turn: here their headlines are enough."""
_MOST_OBSERVATIONS = 60


def group_of(metric: str) -> str:
    """What a metric measures: a key of the groups, ``Other`` for one that is not ours."""
    return _GROUP_OF.get(metric, "Other")


@dataclass(frozen=True, slots=True)
class ScoreReason:
    """One metric on both arms."""

    metric: MetricInfo
    values: tuple[str, str]
    evidence: tuple[str, str]
    """What the value rests on, line by line, or why there is none."""
    differs: bool
    """Whether the arms differ, in the digits that are shown."""


@dataclass(frozen=True, slots=True)
class ReasonGroup:
    """The metrics of one thing; those in which the arms differ are listed first."""

    title: str
    reasons: tuple[ScoreReason, ...]

    @property
    def differing(self) -> int:
        """How many of its metrics differ between the arms; they come first."""
        return sum(reason.differs for reason in self.reasons)


def metric_groups(metrics: Iterable[MetricInfo]) -> tuple[tuple[str, tuple[MetricInfo, ...]], ...]:
    """Metrics by what they measure; those of plug-ins by their unit."""
    found: dict[str, list[MetricInfo]] = {title: [] for title in _GROUPS}
    for metric in metrics:
        by_unit = {"ms": "Latency", "currency": "Cost"}.get(metric.unit, "Other")
        found[_GROUP_OF.get(metric.name, by_unit)].append(metric)
    return tuple((title, tuple(members)) for title, members in found.items() if members)


def score_reasons(
    report: ReportInput,
    ids: Mapping[Arm, str],
    groups: Iterable[tuple[str, tuple[MetricInfo, ...]]],
) -> Iterator[ReasonGroup]:
    """The scores of one planned call; groups without any score are left out."""
    for title, metrics in groups:
        reasons = [
            _reason(metric, before, after)
            for metric in metrics
            for before, after in [[report.scores.get((ids[arm], metric.name)) for arm in Arm]]
            if before is not None or after is not None
        ]
        if reasons:
            yield ReasonGroup(title, tuple(sorted(reasons, key=lambda reason: not reason.differs)))


def _reason(metric: MetricInfo, before: Score | None, after: Score | None) -> ScoreReason:
    values = call_value(metric, before), call_value(metric, after)
    return ScoreReason(
        metric, values, (_evidence(metric, before), _evidence(metric, after)), values[0] != values[1]
    )


def _evidence(metric: MetricInfo, score: Score | None) -> str:
    if isinstance(score, NotScored):
        return shortened(score.reason, limit=LONGEST_TEXT)
    if not isinstance(score, Scored):
        return ""
    lines = list(score.evidence)
    if metric.name in _DRAWN_ABOVE:
        lines = [line for line in lines if not line.startswith(("REF:", "HYP:", "    "))] or lines
    # A mean of waits says nothing about the one that was long: without evidence by turn, each is listed.
    if metric.unit == "ms" and 1 < len(score.observations) > len(lines):
        shown = [
            level(metric, one.numerator / one.denominator)
            for one in score.observations[:_MOST_OBSERVATIONS]
            if one.denominator
        ]
        left = len(score.observations) - _MOST_OBSERVATIONS
        more = f", and {left} more" if left > 0 else ""
        lines.insert(0, f"{len(score.observations)} observations: {', '.join(shown)}{more}")
    return shortened("\n".join(lines), limit=LONGEST_TEXT)
