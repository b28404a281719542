"""From what was observed in a call to its score, the same for every metric of turn-taking."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from voiceeval.call import Call, Ending
from voiceeval.metrics.gaps import agent_failed, failure, harness_failed, not_applicable
from voiceeval.score import NotScored, Ratio, Score, Scored


class Observed(NamedTuple):
    """One observation and the line that shows it."""

    ratio: Ratio
    line: str


def score_of(call: Call, observed: Iterable[Observed] | NotScored, *, nothing: str) -> Score:
    """The observations of a call that ran its course.

    A call that the agent failed has the gap of that name: beside a call that was held to the end it counts as
    all wrong, or, in milliseconds, as lost. So a crash never makes a call look calm.

    Args:
        call: The call.
        observed: Consumed only where the call counts; or why there can be none.
        nothing: Why there is no score where nothing was observed.
    """
    if call.ending is Ending.HARNESS_FAILED:
        return harness_failed()
    if call.ending is Ending.AGENT_FAILED:
        return agent_failed(call)
    if isinstance(observed, NotScored):
        return observed
    found = tuple(observed)
    if not found:
        return not_applicable(nothing)
    return Scored(
        observations=tuple(each.ratio for each in found), evidence=tuple(each.line for each in found)
    )


def no_occasion(call: Call, reason: str) -> NotScored:
    """The scenario gives the metric no occasion, whatever the agent does."""
    return harness_failed() if call.ending is Ending.HARNESS_FAILED else not_applicable(reason)


def yes_no(call: Call, *, happened: bool, lines: Iterable[str]) -> Score:
    """1/1 where something bad happened in a call, 0/1 where not; a call that the agent failed is 1/1."""
    if call.ending is Ending.HARNESS_FAILED:
        return harness_failed()
    if call.ending is Ending.AGENT_FAILED:
        return Scored(observations=(Ratio(1, 1),), evidence=(f"the agent failed: {failure(call)}",))
    return Scored(observations=(Ratio(int(happened), 1),), evidence=tuple(lines))


def truth(holds: bool) -> Ratio:
    """1/1 or 0/1."""
    return Ratio(int(holds), 1)
