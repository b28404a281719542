"""What comes back from placing a call, wherever it ran: how it ended, not the call itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

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


Place = Callable[[CallKey], Placed]
"""Places one call and records it."""

Start = Callable[[], Place]
"""Makes a `Place` in whatever process calls it; sent to worker processes, so it must be picklable."""
