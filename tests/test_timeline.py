from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceeval.engines.timeline import Timeline


@settings(derandomize=True)
@given(st.lists(st.integers(min_value=0, max_value=50)))
def test_actions_run_in_order_of_time_and_then_of_planning(moments: list[int]) -> None:
    timeline = Timeline()
    ran: list[tuple[int, int]] = []
    for index, moment in enumerate(moments):
        timeline.at(moment, lambda index=index: ran.append((timeline.now_ms, index)))  # type: ignore[misc]
    timeline.run()
    assert ran == sorted((moment, index) for index, moment in enumerate(moments))


def test_time_never_goes_back() -> None:
    timeline = Timeline()
    timeline.at(10, lambda: timeline.at(9, lambda: None))
    with pytest.raises(ValueError, match="cannot plan for 9 ms: it is 10 ms already"):
        timeline.run()


def test_what_an_action_plans_runs_too() -> None:
    timeline = Timeline()
    seen: list[int] = []
    timeline.at(5, lambda: timeline.after(7, lambda: seen.append(timeline.now_ms)))
    timeline.run()
    assert seen == [12]


def test_stopping_drops_what_is_planned() -> None:
    timeline = Timeline()
    seen: list[int] = []
    timeline.at(1, timeline.stop)
    timeline.at(2, lambda: seen.append(2))
    timeline.run()
    assert seen == []
