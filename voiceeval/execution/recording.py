"""Records of calls that could not be recorded where they were placed, because that process is gone."""

from __future__ import annotations

from voiceeval.call import Call, Ending, Event, HungUp, StageFailed, Usage
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
        final_state={},
        usage=Usage(),
        cost=0.0,
    )


def is_agents_fault(placed: Placed) -> bool:
    """Whether the call is data about the agent; otherwise we failed to measure."""
    return placed.ending is not Ending.HARNESS_FAILED
