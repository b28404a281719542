"""The plan of a run: who speaks what on which line, stated as balances."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceeval.design import plan
from voiceeval.errors import ConfigError, ScenarioError
from voiceeval.scenario import Caller, CallerTurn, Line, Scenario, ToolPath
from voiceeval.scenario_files import Suite


def scenario(name: str, *, locale: str = "en-US", tags: Mapping[str, str] | None = None) -> Scenario:
    return Scenario(
        id=name,
        goal="Be heard.",
        domain=f"domain{len(name) % 2}{name[-1]}",
        call_type="request",
        locale=locale,
        tags=tags or {},
        turns=(CallerTurn(text="hello"),),
        tool_paths=(ToolPath(),),
        critical=name == "s0",
    )


def suite(
    *,
    scenarios: Sequence[Scenario],
    callers: Sequence[Caller],
    lines: int | Sequence[Line] = 2,
    per_caller: int = 1,
    recordings: Sequence[tuple[str, str, int]] = (),
) -> Suite:
    made = [Line(id=f"line{index}") for index in range(lines)] if isinstance(lines, int) else lines
    return Suite(
        folder=Path("suite"),
        name="made-up",
        scenarios={item.id: item for item in scenarios},
        callers={item.id: item for item in callers},
        lines={item.id: item for item in made},
        recordings={key: Path("x.wav") for key in recordings},
        recording_digests={},
        matrix="block",
        scenarios_per_caller=per_caller,
    )


def callers_of(accent: str, count: int, *, locale: str = "en-US") -> list[Caller]:
    return [Caller(id=f"{accent}{index}", accent=accent, locale=locale, voice="v") for index in range(count)]


@st.composite
def suites(draw: st.DrawFn) -> Suite:
    count = draw(st.integers(1, 12))
    per_caller = draw(st.integers(1, count))
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    callers = [caller for index, size in enumerate(sizes) for caller in callers_of(f"accent{index}", size)]
    # As many callers as it takes for every scenario to be spoken.
    needed = -(-count // per_caller) - len(callers)
    return suite(
        scenarios=[scenario(f"s{index}") for index in range(count)],
        callers=callers + callers_of("many", max(0, needed)),
        lines=draw(st.integers(1, 4)),
        per_caller=per_caller,
    )


def spread(counts: Counter[str], names: Mapping[str, object]) -> int:
    """The largest count minus the smallest, over all names."""
    return max(counts[name] for name in names) - min(counts[name] for name in names)


@settings(max_examples=150, deadline=None)
@given(suites())
def test_every_caller_speaks_equally_many_different_scenarios_on_every_line(made: Suite) -> None:
    spoken: dict[tuple[str, str], list[str]] = defaultdict(list)
    for call in plan(made, matrix="block", trials=1):
        spoken[call.caller, call.line].append(call.scenario)
    assert spoken.keys() == {(caller, line) for caller in made.callers for line in made.lines}
    for names in spoken.values():
        assert len(names) == len(set(names)) == made.scenarios_per_caller


@settings(max_examples=150, deadline=None)
@given(suites())
def test_every_accent_covers_the_scenarios_evenly_on_every_line(made: Suite) -> None:
    covered: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for call in plan(made, matrix="block", trials=1):
        covered[call.tags["accent"], call.line][call.scenario] += 1
    sizes = Counter(caller.accent for caller in made.callers.values())
    for (accent, _), counts in covered.items():
        is_multiple = sizes[accent] * made.scenarios_per_caller % len(made.scenarios) == 0
        assert spread(counts, made.scenarios) <= (0 if is_multiple else 1)


@settings(max_examples=150, deadline=None)
@given(suites())
def test_all_callers_together_cover_the_scenarios_evenly_on_every_line(made: Suite) -> None:
    covered: dict[str, Counter[str]] = defaultdict(Counter)
    for call in plan(made, matrix="block", trials=1):
        covered[call.line][call.scenario] += 1
    assert all(spread(counts, made.scenarios) <= 1 for counts in covered.values())


@settings(max_examples=150, deadline=None)
@given(suites())
def test_a_caller_repeats_a_scenario_on_another_line_only_when_none_is_left(made: Suite) -> None:
    heard: dict[str, Counter[str]] = defaultdict(Counter)
    for call in plan(made, matrix="block", trials=1):
        heard[call.caller][call.scenario] += 1
    for counts in heard.values():
        assert spread(counts, made.scenarios) <= 1


@settings(max_examples=50, deadline=None)
@given(suites(), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_files(made: Suite, shuffler: random.Random) -> None:
    def shuffled(items: Sequence[Scenario | Caller | Line]) -> list[Scenario | Caller | Line]:
        return shuffler.sample(items, len(items))

    other = Suite(
        folder=Path("elsewhere"),
        name=made.name,
        scenarios={item.id: item for item in shuffled(list(made.scenarios.values()))},  # type: ignore[misc]
        callers={item.id: item for item in shuffled(list(made.callers.values()))},  # type: ignore[misc]
        lines={item.id: item for item in shuffled(list(made.lines.values()))},  # type: ignore[misc]
        recordings={},
        recording_digests={},
        matrix="block",
        scenarios_per_caller=made.scenarios_per_caller,
    )
    assert plan(other, matrix="block", trials=1) == plan(made, matrix="block", trials=1)


@settings(max_examples=50, deadline=None)
@given(suites(), st.integers(1, 3))
def test_trials_repeat_every_call_and_a_full_matrix_holds_every_block(made: Suite, trials: int) -> None:
    once = {call.id for call in plan(made, matrix="block", trials=1)}
    full = {call.id for call in plan(made, matrix="full", trials=1)}
    assert once <= full
    assert len(full) == len(made.scenarios) * len(made.callers) * len(made.lines)
    repeated = plan(made, matrix="block", trials=trials)
    assert len(repeated) == len({call.id for call in repeated}) == trials * len(once)
    assert {call.id for call in repeated if call.trial == 0} == once


def test_a_callers_few_scenarios_come_from_several_domains() -> None:
    made = suite(
        scenarios=[
            scenario(f"s{index}").model_copy(update={"domain": "abc"[index // 4]}) for index in range(12)
        ],
        callers=callers_of("american", 4),
        per_caller=3,
    )
    domains: dict[tuple[str, str], set[str]] = defaultdict(set)
    for call in plan(made, matrix="block", trials=1):
        domains[call.caller, call.line].add(call.tags["domain"])
    assert all(spoken == {"a", "b", "c"} for spoken in domains.values())


def test_a_call_has_the_tags_of_scenario_caller_and_line() -> None:
    made = suite(
        scenarios=[scenario("s0", tags={"tone": "angry"})],
        callers=[
            Caller(
                id="c", speaker="person", accent="indian", locale="en-IN", voice="v", tags={"age": "adult"}
            )
        ],
        lines=[Line(id="phone", tags={"noise": "noisy"})],
    )
    (call,) = plan(made, matrix="block", trials=1)
    assert call.tags == {
        "locale": "en-IN",
        "accent": "indian",
        "domain": "domain00",
        "call_type": "request",
        "channel": "phone",
        "device": "handset",
        "line": "phone",
        "tone": "angry",
        "age": "adult",
        "noise": "noisy",
    }
    assert call.speaker == "person"
    assert call.critical


@pytest.mark.parametrize("owner", ["scenario", "caller", "line"])
def test_a_tag_that_is_taken_is_refused(owner: str) -> None:
    tags = {"accent": "mine"}
    made = suite(
        scenarios=[scenario("s0", tags=tags if owner == "scenario" else {})],
        callers=[Caller(id="c", accent="indian", voice="v", tags=tags if owner == "caller" else {})],
        lines=[Line(id="phone", tags=tags if owner == "line" else {})],
    )
    with pytest.raises(
        ScenarioError, match=rf"{owner} '\w+': tags.accent: every call has a tag of that name"
    ):
        plan(made, matrix="full", trials=1)


def test_a_tag_of_both_a_caller_and_a_line_is_refused() -> None:
    made = suite(
        scenarios=[scenario("s0")],
        callers=[Caller(id="c", accent="indian", voice="v", tags={"noise": "street"})],
        lines=[Line(id="phone", tags={"noise": "pink"})],
    )
    with pytest.raises(ScenarioError, match=r"line 'phone': tags.noise: caller 'c' has a tag of that name"):
        plan(made, matrix="full", trials=1)


def test_callers_speak_the_scenarios_of_their_language() -> None:
    made = suite(
        scenarios=[scenario("en0"), scenario("en1"), scenario("es0", locale="es-ES")],
        callers=callers_of("american", 2) + callers_of("mexican", 1, locale="es-MX"),
    )
    for matrix in ("block", "full"):
        pairs = {(call.caller, call.scenario) for call in plan(made, matrix=matrix, trials=1)}
        assert {pair for pair in pairs if pair[0].startswith("mexican")} == {("mexican0", "es0")}
        assert len(pairs) == 5 if matrix == "full" else 3


def test_a_caller_of_a_language_without_scenarios_is_refused() -> None:
    made = suite(
        scenarios=[scenario("s0")], callers=callers_of("american", 1) + callers_of("x", 1, locale="hi")
    )
    with pytest.raises(ScenarioError, match=r"caller 'x0' \(locale 'hi'\) can speak no scenario"):
        plan(made, matrix="full", trials=1)


def test_a_caller_without_a_voice_speaks_what_they_recorded() -> None:
    made = suite(
        scenarios=[scenario("s0"), scenario("s1"), scenario("s2")],
        callers=[*callers_of("american", 3), Caller(id="p", accent="american", recordings="p")],
        recordings=[("s1", "p", 0)],
    )
    spoken = {call.scenario for call in plan(made, matrix="full", trials=1) if call.caller == "p"}
    assert spoken == {"s1"}


def test_more_scenarios_per_caller_than_there_are_is_refused() -> None:
    made = suite(scenarios=[scenario("s0")], callers=callers_of("american", 2), per_caller=2)
    with pytest.raises(ScenarioError, match="scenarios_per_caller: given 2; allowed: at most 1"):
        plan(made, matrix="block", trials=1)
    assert len(plan(made, matrix="full", trials=1)) == 4


def test_a_block_that_leaves_a_scenario_unspoken_is_refused() -> None:
    made = suite(
        scenarios=[scenario(f"s{index}") for index in range(9)], callers=callers_of("a", 2), per_caller=2
    )
    with pytest.raises(ScenarioError, match="leaves 3 of 9 scenarios unspoken"):
        plan(made, matrix="block", trials=1)


def test_no_trials_are_refused() -> None:
    made = suite(scenarios=[scenario("s0")], callers=callers_of("a", 1))
    with pytest.raises(ConfigError, match="trials: given 0; allowed: 1 or more"):
        plan(made, matrix="block", trials=0)
