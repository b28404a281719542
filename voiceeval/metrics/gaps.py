"""Why a metric has no score, in the same words for every metric."""

from __future__ import annotations

from voiceeval.call import Call, Ending
from voiceeval.score import Gap, NotScored


def harness_failed() -> NotScored:
    """The call says nothing about the agent."""
    return NotScored(gap=Gap.HARNESS_FAILED, reason="the harness failed to measure this call")


def agent_failed(call: Call) -> NotScored:
    """The agent ended the call before there was anything to score."""
    return NotScored(gap=Gap.AGENT_FAILED, reason=f"the agent failed: {failure(call)}")


def failure(call: Call) -> str:
    """What failed, by type and place, never by its text."""
    return call.failure or "no stage named"


def not_applicable(reason: str) -> NotScored:
    """There is nothing this metric could look at."""
    return NotScored(gap=Gap.NOT_APPLICABLE, reason=reason)


def nothing_to_look_at(call: Call, reason: str) -> NotScored:
    """Nothing was found: the agent's fault where it failed, otherwise there is nothing to find."""
    return agent_failed(call) if call.ending is Ending.AGENT_FAILED else not_applicable(reason)
