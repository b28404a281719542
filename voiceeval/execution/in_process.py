"""Places calls one after the other in this process: for debuggers. A call that hangs, hangs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from voiceeval.call import CallKey
from voiceeval.execution.placed import Place, Placed, Start


class InProcess:
    """Places calls here."""

    def __init__(self, start: Start) -> None:
        self._start = start

    @cached_property
    def _place(self) -> Place:
        return self._start()

    def place(self, chunks: Iterable[Sequence[CallKey]]) -> Iterator[Placed]:
        """Place all calls, in order, and say how each ended as soon as it has."""
        for chunk in chunks:
            for key in chunk:
                yield self._place(key)

    def close(self) -> None:
        """Nothing is left running."""
