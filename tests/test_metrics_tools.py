from __future__ import annotations

import doctest
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rooms import DONE, agent, hold
from spoken_calls import call, called, says, scenario

from voiceeval.agents import StageLatency
from voiceeval.call import Ending, Replay
from voiceeval.engines.medium import GivenWords
from voiceeval.metrics import ToolPathGivenWords, ToolPathTaken, json_values
from voiceeval.metrics.json_values import differences, same_value
from voiceeval.metrics.tool_alignment import align_path, closest_path, forbidden_among
from voiceeval.protocols import Reply
from voiceeval.scenario import Scenario, ToolCall, ToolPath
from voiceeval.score import Gap, NotScored, Ratio, Scored
from voiceeval.turn_taking import TurnTaking

FIND = {"name": "find_card", "arguments": {"digits": "4129"}}
BLOCK = {"name": "block_card", "arguments": {"digits": "4129", "reason": "lost"}}


def _path(*calls: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"calls": list(calls), **options}


def _wants(*paths: dict[str, Any], **changes: Any) -> Scenario:
    return scenario(tool_paths=list(paths), **changes)


def _made(*calls: dict[str, Any], ending: Ending = Ending.COMPLETED, scenario_: Scenario) -> Scored:
    events = [event for each in calls for event in called(each["name"], **each.get("arguments", {}))]
    score = ToolPathTaken().score(scenario_, call(*events, ending=ending))
    assert isinstance(score, Scored)
    return score


def _right(score: Scored) -> bool:
    assert len(score.observations) == 1
    assert score.observations[0].denominator == 1
    return score.observations[0] == Ratio(1, 1)


def test_the_expected_calls_are_right_and_say_so() -> None:
    score = _made(FIND, BLOCK, scenario_=_wants(_path(FIND, BLOCK)))
    assert _right(score)
    assert score.evidence == (
        "the calls are as wanted (exact, extras forbid)",
        '  as wanted find_card(digits="4129")',
        '  as wanted block_card(digits="4129", reason="lost")',
    )


def test_no_call_is_a_failure_where_one_was_expected() -> None:
    score = _made(scenario_=_wants(_path(FIND)))
    assert not _right(score)
    assert score.evidence[0].startswith("no call was made where 1 call was expected")


def test_no_call_is_right_where_none_was_expected() -> None:
    assert _right(_made(scenario_=_wants(_path())))
    assert not _right(_made(FIND, scenario_=_wants(_path())))
    assert _right(_made(FIND, scenario_=_wants(_path(extra_calls="allow"))))


def test_the_closest_path_shows_what_differs() -> None:
    other = {"name": "block_card", "arguments": {"digits": "4199", "note": "x"}}
    refund = {"name": "refund", "arguments": {"amount": 5}}
    score = _made(other, scenario_=_wants(_path(refund), _path(FIND, BLOCK)))
    assert not _right(score)
    assert "\n".join(score.evidence) == (
        "1 expected call was not made; 1 call was made with other arguments "
        "(tool_paths[1], the closest of 2; exact, extras forbid)\n"
        '  missing   find_card(digits="4129")\n'
        '  differs   block_card(digits="4199", note="x")\n'
        '            digits: expected "4129", given "4199"\n'
        '            note: not expected, given "x"\n'
        '            reason: expected "lost", not given'
    )


def test_any_acceptable_path_will_do() -> None:
    s = _wants(_path(FIND), _path(FIND, BLOCK))
    assert _right(_made(FIND, scenario_=s))
    assert _right(_made(FIND, BLOCK, scenario_=s))
    assert not _right(_made(BLOCK, scenario_=s))


@pytest.mark.parametrize(
    ("order", "extra_calls", "made", "right"),
    [
        ("exact", "forbid", "fb", True),
        ("exact", "forbid", "bf", False),
        ("exact", "forbid", "fbl", False),
        ("exact", "allow", "lfb", True),
        ("exact", "allow", "flb", False),
        ("exact", "allow", "fbb", False),
        ("in_order", "forbid", "fb", True),
        ("in_order", "forbid", "flb", False),
        ("in_order", "allow", "flb", True),
        ("in_order", "allow", "blf", False),
        ("in_order", "allow", "flbf", False),
        ("any_order", "forbid", "bf", True),
        ("any_order", "forbid", "bfl", False),
        ("any_order", "allow", "blf", True),
        ("any_order", "allow", "bl", False),
        ("any_order", "allow", "bff", False),
    ],
)
def test_order_and_extras_are_as_the_path_declares(
    order: str, extra_calls: str, made: str, right: bool
) -> None:
    letters: dict[str, dict[str, Any]] = {"f": FIND, "b": BLOCK, "l": {"name": "log"}}
    s = _wants(_path(FIND, BLOCK, order=order, extra_calls=extra_calls))
    assert _right(_made(*(letters[letter] for letter in made), scenario_=s)) is right


def test_one_call_never_satisfies_two_expectations() -> None:
    for order in ("exact", "in_order", "any_order"):
        s = _wants(_path(FIND, FIND, order=order, extra_calls="allow"))
        assert not _right(_made(FIND, scenario_=s))
        assert _right(_made(FIND, FIND, scenario_=s))
        assert not _right(_made(FIND, FIND, FIND, scenario_=s))


def test_a_repeated_call_is_never_a_permitted_extra() -> None:
    score = _made(FIND, BLOCK, BLOCK, scenario_=_wants(_path(FIND, BLOCK, extra_calls="allow")))
    assert not _right(score)
    assert score.evidence[0].startswith("1 call was repeated")


def test_a_forbidden_call_is_wrong_even_where_extras_are_allowed() -> None:
    s = _wants(_path(FIND, extra_calls="allow"), forbidden_calls=[{"name": "refund"}])
    assert _right(_made(FIND, BLOCK, scenario_=s))
    score = _made(FIND, {"name": "refund", "arguments": {"amount": 5}}, scenario_=s)
    assert not _right(score)
    assert "forbidden: refund(amount=5)" in score.evidence[0]


def test_a_forbidden_call_with_arguments_forbids_only_those() -> None:
    banned = [ToolCall(name="refund", arguments={"card": "4199"})]
    right = ToolCall(name="refund", arguments={"card": "4129", "amount": 5})
    wrong = ToolCall(name="refund", arguments={"card": "4199", "amount": 5})
    assert forbidden_among(banned, [right, wrong]) == (wrong,)


def test_a_call_the_agent_failed_is_wrong_whatever_it_called_before() -> None:
    score = _made(FIND, scenario_=_wants(_path(FIND)), ending=Ending.AGENT_FAILED)
    assert not _right(score)
    assert score.evidence[0] == "the agent failed: recognizer: ValueError at asr.py:3"


def test_a_call_the_harness_failed_is_not_scored() -> None:
    for metric in (ToolPathTaken(), ToolPathGivenWords()):
        score = metric.score(scenario(), call(ending=Ending.HARNESS_FAILED))
        assert isinstance(score, NotScored)
        assert score.gap is Gap.HARNESS_FAILED


@pytest.mark.parametrize(
    ("part", "one", "other"),
    [
        ("turn_taking", {"rules": TurnTaking(keys="accept")}, {"rules": TurnTaking(keys="ignore")}),
        ("latency", {}, {"dialogue": StageLatency(base_ms=11_000)}),
    ],
)
def test_a_replay_depends_on_what_changes_it(part: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    story = scenario(turns=[says("hello"), says("", keys="4129")])
    asked = []
    for changed in (one, other):
        made, lines = agent(Reply(text="the number please"), DONE, **changed)
        hold(story, made, GivenWords())
        asked.append(lines.heard())
    assert asked[0] != asked[1]
    assert part in ToolPathGivenWords().info.depends_on


def test_the_path_given_the_right_words_looks_at_the_replay_alone() -> None:
    s = _wants(_path(FIND))
    metric = ToolPathGivenWords()
    right = Replay(events=tuple(called("find_card", digits="4129")), ending=Ending.COMPLETED, final_state={})
    crashed = Replay(events=right.events, ending=Ending.AGENT_FAILED, final_state={})
    assert metric.score(s, call(given_right_words=right)).total == Ratio(1, 1)  # type: ignore[union-attr]
    assert metric.score(s, call(given_right_words=crashed)).total == Ratio(0, 1)  # type: ignore[union-attr]
    unreplayed = metric.score(s, call(*right.events))
    assert isinstance(unreplayed, NotScored)
    assert unreplayed.gap is Gap.NOT_APPLICABLE


# --- relations ------------------------------------------------------------------------------------------

CALLS = [
    ToolCall(name=name, arguments={"n": value}) for name, value in itertools.product(("find", "log"), (1, 2))
]
lists_of_calls = st.lists(st.sampled_from(CALLS), max_size=4)


def _aligned(wanted: list[ToolCall], made: list[ToolCall], order: Any, extra_calls: Any = "forbid") -> Any:
    return align_path(ToolPath(calls=tuple(wanted), order=order, extra_calls=extra_calls), tuple(made))


@given(lists_of_calls, lists_of_calls, st.sampled_from(["exact", "in_order", "any_order"]))
def test_every_call_stands_in_exactly_one_step(
    wanted: list[ToolCall], made: list[ToolCall], order: str
) -> None:
    steps = _aligned(wanted, made, order).steps
    assert sorted(step.expected for step in steps if step.expected is not None) == list(range(len(wanted)))
    assert sorted(step.made for step in steps if step.made is not None) == list(range(len(made)))


@given(lists_of_calls, lists_of_calls)
def test_with_extras_forbidden_a_path_is_taken_exactly_when_the_calls_are_the_same(
    wanted: list[ToolCall], made: list[ToolCall]
) -> None:
    def ordered(calls: list[ToolCall]) -> list[str]:
        return sorted(call.model_dump_json() for call in calls)

    assert _aligned(wanted, made, "exact").taken == (wanted == made)
    assert _aligned(wanted, made, "in_order").taken == (wanted == made)
    assert _aligned(wanted, made, "any_order").taken == (ordered(wanted) == ordered(made))


@given(lists_of_calls, lists_of_calls)
def test_a_stricter_order_never_accepts_more(wanted: list[ToolCall], made: list[ToolCall]) -> None:
    for extra_calls in ("forbid", "allow"):
        taken = [
            _aligned(wanted, made, order, extra_calls).taken for order in ("exact", "in_order", "any_order")
        ]
        assert taken == sorted(taken)


@given(lists_of_calls, st.randoms(use_true_random=False))
def test_any_order_accepts_every_permutation(wanted: list[ToolCall], chance: Any) -> None:
    made = list(wanted)
    chance.shuffle(made)
    assert _aligned(wanted, made, "any_order").taken


@given(lists_of_calls, lists_of_calls)
def test_the_closest_path_costs_no_more_than_any_other_and_is_free_when_taken(
    wanted: list[ToolCall], made: list[ToolCall]
) -> None:
    paths = [ToolPath(calls=tuple(wanted)), ToolPath(calls=tuple(made))]
    closest = closest_path(paths, tuple(made))
    assert closest.taken
    assert closest.cost == 0


# --- arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("4129", 4129, False),
        ("Maple  Street", " maple street", True),
        ("maple", "mapel", False),
        ([1, 2], [2, 1], False),
        ([1, "A"], [1.0, "a"], True),
        ({"a": 1, "b": None}, {"b": None, "a": 1}, True),
        ({"a": None}, {}, False),
        (None, None, True),
        (None, "", False),
        ("ab", ["a", "b"], False),
    ],
)
def test_values_are_the_same_when_json_says_so(left: Any, right: Any, same: bool) -> None:
    assert same_value(left, right) is same
    assert same_value(right, left) is same


def test_null_is_not_absent() -> None:
    (difference,) = differences({"note": None}, {})
    assert str(difference) == "note: expected null, not given"


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(json_values).failed == 0
