"""Calls that were due against calls that were made, by cases counted by hand and by what always holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_report_sample import scenario

from voiceeval.call import Event, ToolCalled
from voiceeval.metrics.tool_alignment import describe
from voiceeval.metrics.tool_path import judge_tools
from voiceeval.reports.tool_path_diff import SIGNS, Fit, PathDiff, path_diff
from voiceeval.scenario import Scenario, ToolCall

BLOCK = ("block_card", {"card": "4129"})
ORDER = ("order_card", {"card": "4129", "express": False})
Made = tuple[str, Mapping[str, object]]


def due(
    *calls: Made, order: str = "exact", extra: str = "forbid", forbidden: Sequence[Made] = ()
) -> Scenario:
    path = {"calls": [_call(made) for made in calls], "order": order, "extra_calls": extra}
    return scenario(tool_paths=[path], forbidden_calls=[_call(made) for made in forbidden])


def _call(made: Made) -> dict[str, object]:
    return {"name": made[0], "arguments": made[1]}


def made(*calls: Made) -> tuple[Event, ...]:
    return tuple(
        ToolCalled(at_ms=1_000 * at, turn=at, name=name, arguments=arguments)  # type: ignore[arg-type]
        for at, (name, arguments) in enumerate(calls, start=1)
    )


def fits(diff: PathDiff) -> list[Fit]:
    return [row.fit for row in diff.rows]


@pytest.mark.parametrize(
    ("wanted", "calls", "expected"),
    [
        (due(BLOCK, ORDER), (BLOCK, ORDER), [Fit.MATCHED, Fit.MATCHED]),
        (due(BLOCK, ORDER), (BLOCK,), [Fit.MATCHED, Fit.MISSING]),
        (due(BLOCK, ORDER), (), [Fit.MISSING, Fit.MISSING]),
        (due(), (), []),
        (due(), (BLOCK,), [Fit.EXTRA]),
        (due(BLOCK), (BLOCK, BLOCK), [Fit.MATCHED, Fit.REPEATED]),
        (due(BLOCK), (BLOCK, ORDER), [Fit.MATCHED, Fit.EXTRA]),
        (due(BLOCK, extra="allow"), (BLOCK, ORDER), [Fit.MATCHED, Fit.ALLOWED]),
        (due(BLOCK), (("block_card", {"card": "4125"}),), [Fit.DIFFERS]),
        (due(BLOCK, ORDER), (ORDER, BLOCK), [Fit.MATCHED, Fit.OUT_OF_ORDER]),
        (due(BLOCK, ORDER, order="any_order"), (ORDER, BLOCK), [Fit.MATCHED, Fit.MATCHED]),
        (due(BLOCK, forbidden=[("order_card", {})]), (BLOCK, ORDER), [Fit.MATCHED, Fit.FORBIDDEN]),
    ],
)
def test_every_call_is_told_by_how_it_fits(
    wanted: Scenario, calls: tuple[Made, ...], expected: list[Fit]
) -> None:
    assert fits(path_diff(wanted, made(*calls))) == expected


def test_arguments_that_differ_are_told_by_key() -> None:
    given = ("order_card", {"card": "4125", "colour": "red"})
    [row] = path_diff(due(ORDER), made(given)).rows
    assert row.fit is Fit.DIFFERS
    assert [tuple(each) for each in row.differences] == [
        ("card", '"4129"', '"4125"'),
        ("colour", "", '"red"'),
        ("express", "false", ""),
    ]
    assert (row.turn, row.at_ms) == (1, 1_000)


def test_of_several_accepted_paths_the_one_that_fits_best_is_shown() -> None:
    either = scenario(
        tool_paths=[
            {"calls": [_call(BLOCK), _call(ORDER)]},
            {"calls": [_call(ORDER)], "order": "any_order", "extra_calls": "allow"},
        ]
    )
    diff = path_diff(either, made(ORDER))
    assert (diff.path, diff.paths, fits(diff), diff.problems) == (2, 2, [Fit.MATCHED], ())
    assert diff.asked == "in any order, other calls allowed"
    assert path_diff(either, made(BLOCK, ORDER)).path == 1


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["block_card", "order_card"]),
        st.fixed_dictionaries({"card": st.sampled_from(["4129", "4125"])}),
    ),
    max_size=5,
)


@settings(deadline=None)
@given(
    wanted=CALLS,
    calls=CALLS,
    banned=st.lists(st.just(("order_card", {"card": "4125"})), max_size=1),
    order=st.sampled_from(["exact", "in_order", "any_order"]),
    extra=st.sampled_from(["forbid", "allow"]),
)
def test_nothing_is_lost_and_nothing_invented(
    wanted: list[Made], calls: list[Made], banned: list[Made], order: str, extra: str
) -> None:
    asked = due(*wanted, order=order, extra=extra, forbidden=banned)
    events = made(*calls)
    diff = path_diff(asked, events)
    told_made = Counter((describe(row.made), row.turn) for row in diff.rows if row.made)
    was_made = Counter(
        (describe(_as_call(name, arguments)), at) for at, (name, arguments) in enumerate(calls, start=1)
    )
    assert told_made == was_made
    told_due = Counter(describe(row.due) for row in diff.rows if row.due)
    assert told_due == Counter(describe(_as_call(name, arguments)) for name, arguments in wanted)
    for row in diff.rows:
        assert bool(row.differences) == (row.fit is Fit.DIFFERS) or row.fit is Fit.FORBIDDEN
    assert (not diff.problems) == judge_tools(asked, events).right
    if all(row.fit is Fit.MATCHED for row in diff.rows) and order == "any_order":
        assert not diff.problems
    if not diff.problems:
        assert all(row.right for row in diff.rows)


def _as_call(name: str, arguments: Mapping[str, object]) -> ToolCall:
    return ToolCall.model_validate({"name": name, "arguments": arguments})


def test_each_fit_has_a_sign_and_only_the_harmless_share_one() -> None:
    assert set(SIGNS) == set(Fit)
    assert SIGNS[Fit.MATCHED] not in {sign for fit, sign in SIGNS.items() if fit is not Fit.MATCHED}
