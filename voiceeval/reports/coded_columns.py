"""Columns of few different texts, as numbers into a list of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

NONE = -1
"""The code of a row that has no value."""


class Codes:
    """Numbers texts in the order in which they are first asked for."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._numbers: dict[str, int] = {}
        for text in known:
            self.number(text)

    def number(self, text: str) -> int:
        """The number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> list[str]:
        """All texts by number."""
        return list(self._numbers)


def coded(name: str, values: Sequence[str | None], *, order: Iterable[str] = ()) -> dict[str, Any]:
    """A ``Coded`` of the pages' data.

    Args:
        name: of the column.
        values: by row; ``None`` where there is none.
        order: how values stand in the list; those that it does not name follow, sorted.

    >>> coded("line", ["wide", None, "narrow"])
    {'name': 'line', 'values': ['narrow', 'wide'], 'codes': [1, -1, 0]}
    """
    found = {value for value in values if value is not None}
    listed = [value for value in dict.fromkeys(order) if value in found]
    listed += sorted(found.difference(listed))
    numbers: dict[str | None, int] = {text: number for number, text in enumerate(listed)}
    numbers[None] = NONE
    return {"name": name, "values": listed, "codes": [numbers[value] for value in values]}
