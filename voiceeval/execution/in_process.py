"""Places calls one after the other in this process: for debuggers. A call that hangs, hangs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from voiceeval.call import CallKey
from voiceeval.execution.placed import Attempt, Place, Placed, Start


class InProcess:
    """Places calls here.

    Args:
        start: Makes the function that places one call; it is called once.
        retries: How often a call that we failed to measure is placed again, at once.
    """

    def __init__(self, start: Start, *, retries: int = 0) -> None:
        self._start = start
        self._retries = retries

    @cached_property
    def _place(self) -> Place:
        return self._start()

    def place(self, chunks: Iterable[Sequence[CallKey]]) -> Iterator[Placed]:
        """Place all calls, in order, and say how each ended as soon as it has."""
        for chunk in chunks:
            for key in chunk:
                yield self._settled(key)

    def close(self) -> None:
        """Nothing is left running."""

    def _settled(self, key: CallKey) -> Placed:
        attempt: Attempt | None = Attempt(key)
        while attempt is not None:
            placed = self._place(attempt.key, *attempt.harness_failures)
            placed = placed._replace(harness_failures=attempt.harness_failures)
            attempt = attempt.after(placed, retries=self._retries)
        return placed
