"""What comes back from placing a call, wherever it ran: how it ended, not the call itself.

A call that *we* failed to measure is placed again, up to a number of retries. A call that completed, or that
the agent failed, never is: its second attempt would be the agent's second chance. The attempt that counts is
the last one, and the reasons of those before it stay with its record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from voiceeval.call import CallKey, Ending, Stage


class Placed(NamedTuple):
    """How one call ended. The call itself is in the run folder when ``recorded``."""

    key: CallKey
    ending: Ending
    failure: str = ""
    recorded: bool = True
    """False for a call that nobody could record where it ran, because that process is gone."""
    stage: Stage | None = None
    """The agent's stage that was running when an unrecorded call was given up."""
    harness_failures: tuple[str, ...] = ()
    """Why earlier attempts failed, oldest first; as many as there were retries."""


class Attempt(NamedTuple):
    """A call to be placed, and why we could not measure it before."""

    key: CallKey
    harness_failures: tuple[str, ...] = ()
    """Oldest first; empty at the first attempt."""

    def after(self, placed: Placed, *, retries: int) -> Attempt | None:
        """The attempt that follows one that ended like this; ``None`` where that one stands.

        Args:
            placed: how this attempt ended.
            retries: how many attempts may follow the first.
        """
        if placed.ending is not Ending.HARNESS_FAILED or len(self.harness_failures) >= retries:
            return None
        return Attempt(self.key, (*self.harness_failures, placed.failure))


class Place(Protocol):
    """Places one call and records it, with the reasons why earlier attempts at it failed."""

    def __call__(self, key: CallKey, /, *harness_failures: str) -> Placed:
        """Place the call. The reasons are none at the first attempt, and belong in the call's record."""
        ...


Start = Callable[[], Place]
"""Makes a `Place` in whatever process calls it; sent to worker processes, so it must be picklable."""
