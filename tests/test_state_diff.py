"""Two worlds compared: the differences lead from one to the other, and what was due is judged as scored."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_report_sample import scenario

from voiceeval.metrics.task import judge_task
from voiceeval.reports.state_diff import Change, StateChange, due_state, state_changes, told

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "A", "blocked", "1"])
WORLDS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc."), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), WORLDS, max_size=3)


def applied(world: Any, changes: tuple[StateChange, ...]) -> Any:
    """The world after the changes, made one by one; places in lists that go are taken from the end."""
    changed = copy.deepcopy(world)
    for change in sorted(changes, key=lambda one: one.change is Change.REMOVED):
        if not change.path:
            return change.after
        *way, last = change.path
        here = changed
        for key in way:
            here = here[key]
        if change.change is not Change.REMOVED:
            if isinstance(here, list) and last == len(here):
                here.append(change.after)
            else:
                here[last] = change.after
    for change in sorted(changes, key=lambda one: _place(one.path), reverse=True):
        if change.change is Change.REMOVED:
            *way, last = change.path
            here = changed
            for key in way:
                here = here[key]
            del here[last]
    return changed


def _place(path: tuple[str | int, ...]) -> list[tuple[int, str]]:
    return [(key, "") if isinstance(key, int) else (-1, key) for key in path]


def typed(value: Any) -> Any:
    """The value with its types, so that 1 and true are told apart."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value) is bool, value)


@settings(deadline=None)
@given(before=WORLDS, after=WORLDS)
def test_the_changes_lead_from_one_world_to_the_other(before: Any, after: Any) -> None:
    changes = state_changes(before, after)
    assert typed(applied(before, changes)) == typed(after)
    assert (not changes) == (typed(before) == typed(after))


@settings(deadline=None)
@given(before=WORLDS, after=WORLDS)
def test_the_way_back_is_the_same_way(before: Any, after: Any) -> None:
    forth, back = state_changes(before, after), state_changes(after, before)
    turned = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED, Change.CHANGED: Change.CHANGED}
    assert [(one.path, turned[one.change]) for one in forth] == [(one.path, one.change) for one in back]
    assert [one.dotted for one in forth] == [one.dotted for one in back]


@settings(deadline=None)
@given(world=OBJECTS, wanted=st.dictionaries(st.sampled_from(["a", "a.b", "b.0", "c.a.b", "a.1.c"]), SCALARS))
def test_what_was_due_is_judged_as_the_task_is(world: dict[str, Any], wanted: dict[str, Any]) -> None:
    rows = due_state(wanted, world)
    judged = judge_task(scenario(outcome={"state": wanted}), (), world)
    assert [row.path for row in rows] == list(wanted)
    assert all(row.right for row in rows) == judged.completed
    wrong = [row for row in rows if not row.right]
    for row, reason in zip(wrong, judged.reasons, strict=True):
        assert reason == f"state {row.path}: expected {row.expected}, " + (
            row.found if row.found == "nothing there" else f"found {row.found}"
        )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, [("a", Change.CHANGED, ("1", "true"))]),
        ({"a": None}, {}, [("a", Change.REMOVED, ("null", "–"))]),
        ({}, {"a": None}, [("a", Change.ADDED, ("–", "null"))]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [
            ("a.1", Change.CHANGED, ("2", "3")), ("a.2", Change.ADDED, ("–", "4")),
        ]),
        ({"a.b": {"c d": 1}}, {"a.b": {"c d": 2}}, [('"a.b"."c d"', Change.CHANGED, ("1", "2"))]),
        ({"a": {"b": 1}}, {"a": [1]}, [("a", Change.CHANGED, ('{"b": 1}', "[1]"))]),
    ],
)  # fmt: skip
def test_differences_are_told_where_they_are(before: Any, after: Any, expected: list[Any]) -> None:
    assert [(one.dotted, one.change, one.values) for one in state_changes(before, after)] == expected


def test_a_long_value_is_shortened_and_says_so() -> None:
    [change] = state_changes({"a": "x" * 1_000_000}, {"a": "y"})
    assert len(change.values[0]) < 500
    assert "more characters" in change.values[0]


def test_the_phrase_counts_by_kind() -> None:
    assert told(state_changes({"a": 1, "b": 1}, {"a": 2, "c": 1})) == (
        "3 paths differ (1 added, 1 removed, 1 changed)"
    )
    assert told(()) == "the same"
