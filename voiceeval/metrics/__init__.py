"""What voiceeval measures of one call; one module per family.

Every metric has an ``info`` and scores one call against its scenario. Summing over a cohort and comparing
arms happen elsewhere. Whatever the metric, a call that the harness failed is ``NotScored(HARNESS_FAILED)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from voiceeval.call import Stage
from voiceeval.metrics.call_shape import (
    CallLength,
    ReplyLength,
    Reprompts,
    Silence,
    TransferRate,
    TurnsPerCall,
)
from voiceeval.metrics.cost import CostPerCompletedCall
from voiceeval.metrics.entities import EntityErrorRate
from voiceeval.metrics.interruptions import TalkThrough, TimeToYield, YieldRate
from voiceeval.metrics.latency import STAGE_DURATIONS, SlowReplies, TimeToFirstAudio
from voiceeval.metrics.round_trip import RoundTripExcess, RoundTripWordErrorRate
from voiceeval.metrics.suffered import (
    AgentRepeatsItself,
    AlreadyToldYou,
    AskedTwice,
    CallerAskedToRepeat,
    RepeatedCorrections,
    WordsPerReply,
)
from voiceeval.metrics.task import TaskCompletion, TaskJudgement, completes, judge_task
from voiceeval.metrics.tool_path import ToolPathGivenWords, ToolPathTaken
from voiceeval.metrics.transcription import WordErrorRate
from voiceeval.metrics.turn_taking import (
    AgentInterruptsCaller,
    PrematureEndpoints,
    ResponseRate,
    TalkOver,
)
from voiceeval.protocols import Metric

BUNDLED: Mapping[str, Callable[[], Metric]] = MappingProxyType(
    {
        "wer": WordErrorRate,
        "entity_error_rate": EntityErrorRate,
        "round_trip_wer": RoundTripWordErrorRate,
        "round_trip_excess": RoundTripExcess,
        "task_completion": TaskCompletion,
        "tool_path": ToolPathTaken,
        "tool_path_given_words": ToolPathGivenWords,
        "time_to_first_audio": TimeToFirstAudio,
        "slow_replies": SlowReplies,
        "very_slow_replies": lambda: SlowReplies(limit_ms=4000, quantile=0.99, name="very_slow_replies"),
        "endpointing_ms": STAGE_DURATIONS[Stage.ENDPOINTING],
        "recognizer_ms": STAGE_DURATIONS[Stage.RECOGNIZER],
        "dialogue_ms": STAGE_DURATIONS[Stage.DIALOGUE],
        "tools_ms": STAGE_DURATIONS[Stage.TOOLS],
        "synthesizer_ms": STAGE_DURATIONS[Stage.SYNTHESIZER],
        "response_rate": ResponseRate,
        "agent_interrupts_caller": AgentInterruptsCaller,
        "premature_endpoints": PrematureEndpoints,
        "yield_rate": YieldRate,
        "time_to_yield": TimeToYield,
        "talk_through": TalkThrough,
        "talk_over_ms": TalkOver,
        "silence_ms": Silence,
        "reprompts": Reprompts,
        "caller_asked_to_repeat": CallerAskedToRepeat,
        "asked_twice": AskedTwice,
        "repeated_corrections": RepeatedCorrections,
        "already_told_you": AlreadyToldYou,
        "agent_repeats_itself": AgentRepeatsItself,
        "reply_length_ms": ReplyLength,
        "words_per_reply": WordsPerReply,
        "call_length_ms": CallLength,
        "turns_per_call": TurnsPerCall,
        "transfer_rate": TransferRate,
        "cost_per_completed_call": CostPerCompletedCall,
    }
)
"""Every bundled metric by name; calling a value makes the metric."""

__all__ = [
    "BUNDLED",
    "AgentInterruptsCaller",
    "AgentRepeatsItself",
    "AlreadyToldYou",
    "AskedTwice",
    "CallLength",
    "CallerAskedToRepeat",
    "CostPerCompletedCall",
    "EntityErrorRate",
    "PrematureEndpoints",
    "RepeatedCorrections",
    "ReplyLength",
    "Reprompts",
    "ResponseRate",
    "RoundTripExcess",
    "RoundTripWordErrorRate",
    "Silence",
    "SlowReplies",
    "TalkOver",
    "TalkThrough",
    "TaskCompletion",
    "TaskJudgement",
    "TimeToFirstAudio",
    "TimeToYield",
    "ToolPathGivenWords",
    "ToolPathTaken",
    "TransferRate",
    "TurnsPerCall",
    "WordErrorRate",
    "WordsPerReply",
    "YieldRate",
    "completes",
    "judge_task",
]
