"""Records of calls that could not be recorded where they were placed, and what records say of retries."""

from __future__ import annotations

from collections.abc import Iterable

from voiceeval.call import Arm, Call, Ending, Event, HungUp, StageFailed, Usage
from voiceeval.execution.placed import Placed


def record_of(placed: Placed, *, seed: int) -> Call:
    """The call as far as it is known: how it ended, and in which of the agent's stages.

    Its events start and end at 0 ms: what happened before the stage stopped answering went with the process.
    """
    failed: tuple[Event, ...] = ()
    if placed.stage is not None:
        failed = (
            StageFailed(at_ms=0, turn=0, stage=placed.stage, error=placed.failure),
            HungUp(at_ms=0, turn=0, by="limit", reason="failure"),
        )
    return Call(
        key=placed.key,
        seed=seed,
        events=failed,
        ending=placed.ending,
        failure=placed.failure,
        harness_failures=placed.harness_failures,
        final_state={},
        usage=Usage(),
        cost=0.0,
    )


def is_agents_fault(placed: Placed) -> bool:
    """Whether the call is data about the agent; otherwise we failed to measure."""
    return placed.ending is not Ending.HARNESS_FAILED


def placed_again(calls: Iterable[Call]) -> dict[str, int]:
    """By arm: calls that it took more than one attempt to measure.

    Equal arms need about equally many. An agent that takes its process down now and then shows up here,
    because a second attempt that works leaves no other trace in the scores.
    """
    counts = {str(arm): 0 for arm in Arm}
    for call in calls:
        counts[str(call.key.arm)] += bool(call.harness_failures)
    return counts
