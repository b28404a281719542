"""Plans which caller speaks which scenario on which line.

A block design asks every caller for a few scenarios on every line, and still gives every accent all of
them. Callers stand around a circle of scenarios: on line ``l`` the caller at place ``c`` speaks ``k``
scenarios from number ``(c + l)·k`` on. Callers of one accent stand side by side, so what an accent speaks on
a line is one stretch of the circle, and the counts of any two scenarios differ by one at most; the same holds
for everybody on a line together. Moving on by ``k`` from line to line gives each caller other scenarios on
the next line, as long as there are any: no line gets the easy words. The plan does not depend on the order of
files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from voiceeval.cohort import PlannedCall
from voiceeval.errors import ConfigError, ScenarioError
from voiceeval.scenario import Caller, Line, Scenario
from voiceeval.scenario_files import Suite


class _Assignment(NamedTuple):
    """One caller speaks one scenario on one line."""

    scenario: str
    caller: str
    line: str


def plan(suite: Suite, *, matrix: Literal["block", "full"], trials: int) -> tuple[PlannedCall, ...]:
    """Every call of a run, each to be placed with both arms.

    A caller speaks only scenarios of their language, and without a voice only what they recorded.

    Args:
        suite: The scenarios, callers and lines.
        matrix: ``full``: every caller speaks every scenario on every line. ``block``: every caller speaks
            ``suite.scenarios_per_caller`` of them on every line, balanced within each accent.
        trials: How often each call is repeated.

    Returns:
        The calls by line, caller, scenario and trial.

    Raises:
        ScenarioError: A caller has too few scenarios, a scenario would never be spoken, or tags clash.
        ConfigError: ``trials`` is below 1.
    """
    if trials < 1:
        raise ConfigError(f"trials: given {trials}; allowed: 1 or more")
    _refuse_clashing_tags(suite)
    per_caller = suite.scenarios_per_caller if matrix == "block" else None
    assignments = [
        assignment
        for scenarios, callers in _pools(suite).items()
        for assignment in _around(scenarios, callers, sorted(suite.lines), per_caller)
    ]
    _refuse_unspoken(suite, assignments, matrix)
    return tuple(
        _planned(suite, assignment, trial)
        for assignment in sorted(assignments, key=lambda a: (a.line, a.caller, a.scenario))
        for trial in range(trials)
    )


def _pools(suite: Suite) -> Mapping[tuple[str, ...], Sequence[str]]:
    """Callers, by accent and id, under the scenarios they can speak; mostly one pool per language."""
    ordered = _by_turns(suite)
    pools: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for caller in sorted(suite.callers, key=lambda name: (suite.callers[name].accent, name)):
        spoken = tuple(scenario for scenario in ordered if suite.can_speak(caller, scenario))
        if not spoken:
            raise ScenarioError(
                f"{suite.folder}: caller {caller!r} (locale {suite.callers[caller].locale!r}) can speak no "
                f"scenario; allowed: a locale of their language, and a voice or recordings"
            )
        pools[spoken].append(caller)
    return pools


def _by_turns(suite: Suite) -> list[str]:
    """Scenarios with the domains taking turns, so that a caller's few come from several."""
    seen: dict[str, int] = defaultdict(int)
    places: dict[str, tuple[int, str]] = {}
    for name in sorted(suite.scenarios):
        domain = suite.scenarios[name].domain
        places[name] = (seen[domain], domain)
        seen[domain] += 1
    return sorted(places, key=lambda name: (places[name], name))


def _around(
    scenarios: Sequence[str], callers: Sequence[str], lines: Sequence[str], per_caller: int | None
) -> Iterator[_Assignment]:
    """Walk around the circle of scenarios; ``per_caller`` None is once around for everybody."""
    count = len(scenarios) if per_caller is None else per_caller
    if count > len(scenarios):
        raise ScenarioError(
            f"suite.toml: scenarios_per_caller: given {count}; allowed: at most {len(scenarios)}, "
            f"which is all that caller {callers[0]!r} can speak"
        )
    for shift, line in enumerate(lines):
        for place, caller in enumerate(callers):
            first = (place + shift) * count
            for step in range(first, first + count):
                yield _Assignment(scenarios[step % len(scenarios)], caller, line)


def _refuse_unspoken(suite: Suite, assignments: Sequence[_Assignment], matrix: str) -> None:
    """A scenario that nobody speaks would leave the run unnoticed."""
    unspoken = sorted(suite.scenarios.keys() - {assignment.scenario for assignment in assignments})
    if unspoken:
        raise ScenarioError(
            f"suite.toml: scenarios_per_caller: given {suite.scenarios_per_caller}, which leaves "
            f"{len(unspoken)} of {len(suite.scenarios)} scenarios unspoken, first {unspoken[0]!r}, in a "
            f'{matrix} matrix of {len(suite.callers)} callers; allowed: a larger number, or matrix = "full"'
        )


def _planned(suite: Suite, assignment: _Assignment, trial: int) -> PlannedCall:
    scenario = suite.scenarios[assignment.scenario]
    caller = suite.callers[assignment.caller]
    line = suite.lines[assignment.line]
    return PlannedCall(
        scenario=scenario.id,
        caller=caller.id,
        line=line.id,
        trial=trial,
        speaker=caller.cluster,
        tags={**_own_tags(scenario, caller, line), **scenario.tags, **caller.tags, **line.tags},
        critical=scenario.critical,
    )


def _own_tags(scenario: Scenario, caller: Caller, line: Line) -> dict[str, str]:
    """The tags every call has. The locale is the caller's: it is a fact about a voice, like the accent."""
    return {
        "locale": caller.locale,
        "accent": caller.accent,
        "domain": scenario.domain,
        "call_type": scenario.call_type,
        "channel": scenario.channel,
        "device": scenario.device,
        "line": line.id,
    }


OWN_TAGS = frozenset({"locale", "accent", "domain", "call_type", "channel", "device", "line"})
"""Tags of every call; no scenario, caller or line may define one of its own by these names."""


def _refuse_clashing_tags(suite: Suite) -> None:
    owners: dict[str, str] = dict.fromkeys(OWN_TAGS, "every call")
    kinds: Sequence[tuple[str, Mapping[str, Scenario] | Mapping[str, Caller] | Mapping[str, Line]]] = (
        ("scenario", suite.scenarios),
        ("caller", suite.callers),
        ("line", suite.lines),
    )
    for kind, items in kinds:
        here: dict[str, str] = {}
        for name, item in items.items():
            here.update(dict.fromkeys(item.tags, f"{kind} {name!r}"))
        for tag in sorted(here):
            if tag in owners:
                raise ScenarioError(
                    f"{suite.folder}: {here[tag]}: tags.{tag}: {owners[tag]} has a tag of that name already; "
                    f"allowed: a name of its own"
                )
        owners.update(here)
