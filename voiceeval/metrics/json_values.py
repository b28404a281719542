"""When two JSON values count as the same, and where they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue


def same_value(left: JsonValue, right: JsonValue) -> bool:
    """JSON equality, forgiving what does not change the meaning.

    Numbers are equal across ``1`` and ``1.0``; texts are equal apart from case and white space. ``true`` is
    not ``1``, ``"4129"`` is not ``4129``, lists are ordered, and ``null`` is a value, not an absence.

    >>> same_value({"name": "Ada  Lovelace", "seats": 2}, {"seats": 2.0, "name": "ada lovelace"})
    True
    >>> same_value("4129", 4129)
    False
    """
    if isinstance(left, str) and isinstance(right, str):
        return left == right or _folded(left) == _folded(right)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_value(left[key], right[key]) for key in left)
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(map(same_value, left, right))  # type: ignore[arg-type]
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    return left is None and right is None


class Absent:
    """There is nothing at a path; null is something."""


ABSENT = Absent()


def value_at(world: JsonValue | Mapping[str, JsonValue], path: str) -> JsonValue | Absent:
    """The value at a dotted path; a number counts into a list.

    >>> value_at({"orders": [{"paid": None}]}, "orders.0.paid") is None
    True
    >>> value_at({"orders": []}, "orders.0") is ABSENT
    True
    """
    here: JsonValue | Mapping[str, JsonValue] = world
    for part in path.split("."):
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif _is_list(here) and part.isdecimal() and int(part) < len(here):  # type: ignore[arg-type]
            here = here[int(part)]  # type: ignore[index]
        else:
            return ABSENT
    return here  # type: ignore[return-value]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


class Difference(NamedTuple):
    """One argument by which a call is not the expected one, in words; empty where it is absent."""

    argument: str
    expected: str
    made: str

    def __str__(self) -> str:
        if not self.made:
            return f"{self.argument}: expected {self.expected}, not given"
        if not self.expected:
            return f"{self.argument}: not expected, given {self.made}"
        return f"{self.argument}: expected {self.expected}, given {self.made}"


def differences(expected: Mapping[str, JsonValue], made: Mapping[str, JsonValue]) -> tuple[Difference, ...]:
    """The arguments that differ, by name; none when the calls agree."""
    found: list[Difference] = []
    for name in sorted(expected.keys() | made.keys()):
        if name in expected and name in made and same_value(expected[name], made[name]):
            continue
        found.append(
            Difference(
                name,
                as_json(expected[name]) if name in expected else "",
                as_json(made[name]) if name in made else "",
            )
        )
    return tuple(found)


def as_json(value: JsonValue) -> str:
    """A value as people read it in evidence."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
