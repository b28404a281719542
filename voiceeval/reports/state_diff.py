"""The tools' world at a call's end: what was due against what is there, and one world against another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from voiceeval.metrics.json_values import ABSENT, Absent, as_json, same_value, value_at
from voiceeval.reports.wording import counted, shortened

_LONGEST_VALUE = 400
"""Characters of a value that a table cell shows."""
_PLAIN_KEY = re.compile(r"[^.\"\s]+")


class Change(StrEnum):
    """What became of a path from one world to another."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


SIGNS = {Change.ADDED: "+", Change.REMOVED: "−", Change.CHANGED: "≠"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One path at which two worlds differ."""

    path: tuple[str | int, ...]
    """Keys of objects and places in lists, from the outside in; empty for the whole."""
    change: Change
    before: JsonValue = None
    """Of no meaning where it was added."""
    after: JsonValue = None
    """Of no meaning where it was removed."""

    @property
    def dotted(self) -> str:
        """The path as people read it; keys that hold dots or spaces are in quotes."""
        return ".".join(
            str(key) if isinstance(key, int) or _PLAIN_KEY.fullmatch(key) else as_json(key)
            for key in self.path
        )

    @property
    def sign(self) -> str:
        """Of what became of it."""
        return SIGNS[self.change]

    @property
    def values(self) -> tuple[str, str]:
        """Before and after; ``–`` where there is nothing."""
        return (
            "–" if self.change is Change.ADDED else shortened(as_json(self.before), limit=_LONGEST_VALUE),
            "–" if self.change is Change.REMOVED else shortened(as_json(self.after), limit=_LONGEST_VALUE),
        )


def state_changes(before: JsonValue | Mapping[str, JsonValue], after: JsonValue) -> tuple[StateChange, ...]:
    """The paths at which two worlds differ, the deepest that tell it, in order.

    Exactly: another spelling of a text is another value, and ``1`` is not ``true``. Lists are compared place
    by place.

    >>> [(one.dotted, one.change.value) for one in state_changes({"a": {"b": 1}}, {"a": {"b": 2}, "c": None})]
    [('a.b', 'changed'), ('c', 'added')]
    """
    return tuple(_changes((), before, after))


def _changes(path: tuple[str | int, ...], before: object, after: object) -> Iterator[StateChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from _step((*path, key), before.get(key, ABSENT), after.get(key, ABSENT))
    elif _is_list(before) and _is_list(after):
        for at in range(max(len(before), len(after))):  # type: ignore[arg-type]
            yield from _step((*path, at), _item(before, at), _item(after, at))
    elif not _identical(before, after):
        yield StateChange(path=path, change=Change.CHANGED, before=before, after=after)  # type: ignore[arg-type]


def _step(path: tuple[str | int, ...], before: object, after: object) -> Iterator[StateChange]:
    if isinstance(before, Absent):
        yield StateChange(path=path, change=Change.ADDED, after=after)  # type: ignore[arg-type]
    elif isinstance(after, Absent):
        yield StateChange(path=path, change=Change.REMOVED, before=before)  # type: ignore[arg-type]
    else:
        yield from _changes(path, before, after)


def _item(items: object, at: int) -> object:
    return items[at] if at < len(items) else ABSENT  # type: ignore[arg-type,index]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _identical(left: object, right: object) -> bool:
    """Equality of JSON scalars, or of what is not both an object or both a list."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A value that was due at the end, and what a world holds there."""

    path: str
    expected: str
    found: str
    """``nothing there`` where the path leads nowhere."""
    right: bool


def due_state(wanted: Mapping[str, JsonValue], world: Mapping[str, JsonValue]) -> tuple[Due, ...]:
    """What was due at the end of a call against its world, judged as ``task_completion`` judges it."""
    return tuple(_due(path, value, world) for path, value in wanted.items())


def _due(path: str, wanted: JsonValue, world: Mapping[str, JsonValue]) -> Due:
    found = value_at(world, path)
    expected = shortened(as_json(wanted), limit=_LONGEST_VALUE)
    if isinstance(found, Absent):
        return Due(path=path, expected=expected, found="nothing there", right=False)
    told = shortened(as_json(found), limit=_LONGEST_VALUE)
    return Due(path=path, expected=expected, found=told, right=same_value(wanted, found))


def told(changes: Sequence[StateChange]) -> str:
    """How many paths differ, by kind, in a phrase."""
    kinds = [(change, sum(one.change is change for one in changes)) for change in Change]
    parts = ", ".join(f"{count} {change}" for change, count in kinds if count)
    return f"{counted(len(changes), 'path differs', 'paths differ')} ({parts})" if changes else "the same"
