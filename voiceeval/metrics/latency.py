"""How long the caller waits, and where the time goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from voiceeval.audio import Milliseconds
from voiceeval.call import (
    AgentStarted,
    Call,
    CallerStarted,
    CallerStopped,
    Ending,
    EndOfTurn,
    Event,
    HungUp,
    Replied,
    Stage,
    ToolReturned,
    Transcribed,
    Turn,
    turns,
)
from voiceeval.errors import ConfigError
from voiceeval.metrics.gaps import agent_failed, failure, harness_failed, nothing_to_look_at
from voiceeval.scenario import Scenario
from voiceeval.score import Direction, MetricInfo, Ratio, Score, Scored
from voiceeval.statistics.tails import fewest_for_quantile

_WHAT_SHAPES_A_CALL = ("recognizer", "dialogue", "tools", "endpointing", "greeting")
"""Parts that decide which turns there are, and so what every duration is a duration of."""


class TimeToFirstAudio:
    """Milliseconds from the caller's last audible sample to the agent's first, one observation per turn.

    - Only turns in which the caller spoke count: after silence nothing was asked, and the greeting answers
      nobody.
    - A reply that begins before the caller has finished took 0 ms; that it interrupts is another metric's
      business.
    - A missing reply, and one later than the limit, is censored at the limit and never dropped. So is a call
      that the agent failed before the caller's first word.
    - A turn with which the caller ends the call for good is not waited on, and not counted.
    """

    limit_ms: Milliseconds = 10_000
    """Where waiting is censored."""

    info = MetricInfo(
        name="time_to_first_audio",
        version=1,
        title="Time to first audio",
        definition="Mean time from the caller's last audible sample to the agent's first audible sample, "
        "over spoken turns; a missing reply counts as 10 s.",
        unit="ms",
        direction=Direction.LOWER_IS_BETTER,
        timing=True,
        depends_on=(*_WHAT_SHAPES_A_CALL, "synthesizer", "latency"),
    )

    def score(self, scenario: Scenario, call: Call) -> Score:
        """Score one call."""
        del scenario  # simulated time is in the events
        if call.ending is Ending.HARNESS_FAILED:
            return harness_failed()
        waits = _waits(call, self.limit_ms)
        if not waits:
            return nothing_to_look_at(call, "the caller said nothing that waits for a reply")
        return Scored(
            observations=tuple(Ratio(wait.ms, 1) for wait in waits),
            evidence=tuple(wait.words for wait in waits),
        )


class SlowReplies:
    """The tail of the waiting times: 1 for a turn that waited longer than the limit, one observation a turn.

    How many turns wait longer than the 95th percentile that a team allows itself is a share, and is compared
    like any other: the percentiles themselves have no honest interval in small cohorts. Turns and missing
    replies are counted as in ``TimeToFirstAudio``.
    """

    def __init__(
        self, limit_ms: Milliseconds = 2000, quantile: float = 0.95, name: str = "slow_replies"
    ) -> None:
        """A limit on the wait, the quantile it is meant for, and the metric's name.

        The quantile decides how many calls a cohort needs before the metric gates in it: so many that the
        longest of them lies above the quantile with 95 % probability (59 for 0.95, 299 for 0.99).
        """
        if limit_ms <= 0 or limit_ms >= TimeToFirstAudio.limit_ms:
            raise ConfigError(
                f"{name}: limit_ms: given {limit_ms}; allowed: above 0 and below "
                f"{TimeToFirstAudio.limit_ms}, where waiting is censored"
            )
        if not 0.5 <= quantile < 1:
            raise ConfigError(f"{name}: quantile: given {quantile}; allowed: from 0.5 to below 1")
        self.limit_ms = limit_ms
        self.info = MetricInfo(
            name=name,
            version=1,
            title=f"Replies later than {limit_ms / 1000:g} s",
            definition=f"Share of spoken turns in which the agent's first audible sample comes more than "
            f"{limit_ms} ms after the caller's last, or not at all; a limit for the p{100 * quantile:g}.",
            unit="share",
            direction=Direction.LOWER_IS_BETTER,
            yes_no_per_turn=True,
            timing=True,
            fewest_calls=fewest_for_quantile(quantile),
            depends_on=TimeToFirstAudio.info.depends_on,
        )

    def score(self, scenario: Scenario, call: Call) -> Score:
        """Score one call."""
        del scenario
        if call.ending is Ending.HARNESS_FAILED:
            return harness_failed()
        waits = _waits(call, TimeToFirstAudio.limit_ms)
        if not waits:
            return nothing_to_look_at(call, "the caller said nothing that waits for a reply")
        return Scored(
            observations=tuple(Ratio(int(wait.ms > self.limit_ms), 1) for wait in waits),
            evidence=tuple(wait.words for wait in waits),
        )


class _Wait(NamedTuple):
    """How long one turn waited for its reply, at most the limit."""

    ms: Milliseconds
    words: str


def _waits(call: Call, limit_ms: Milliseconds) -> list[_Wait]:
    waits = []
    for turn in turns(call.events):
        if not _caller_spoke(turn):
            continue
        waited_ms = _waited_ms(turn)
        if waited_ms is None and _caller_was_done(turn):
            continue
        censored = waited_ms is None or waited_ms > limit_ms
        shown_ms = limit_ms if waited_ms is None else min(waited_ms, limit_ms)
        note = "" if not censored else " (no reply)" if waited_ms is None else " (later than the limit)"
        waits.append(_Wait(shown_ms, f"turn {turn.number}: {shown_ms} ms{note}"))
    if not waits and call.ending is Ending.AGENT_FAILED:
        waits.append(_Wait(limit_ms, f"{limit_ms} ms (no reply: the agent failed, {failure(call)})"))
    return waits


def _waited_ms(turn: Turn) -> Milliseconds | None:
    """None where no reply came."""
    replied, stopped = turn.first("agent_started"), turn.first("caller_stopped")
    if not isinstance(replied, AgentStarted):
        return None
    if not isinstance(stopped, CallerStopped):
        return 0  # the agent spoke, and the caller never got to the end
    return max(0, replied.at_ms - stopped.at_ms)


def _caller_spoke(turn: Turn) -> bool:
    started = turn.first("caller_started")
    return isinstance(started, CallerStarted) and bool(started.text)


def _caller_was_done(turn: Turn) -> bool:
    ended = turn.first("hung_up")
    return isinstance(ended, HungUp) and ended.by == "caller" and ended.reason == "done"


class StageDuration:
    """Milliseconds that one stage adds to a reply, one observation per turn in which it worked.

    Several pieces of work in a turn (rounds of the dialogue model, tool calls) are summed. The greeting's
    turn is left out, because it replies to nobody. A call the agent failed has no score.
    """

    def __init__(self, info: MetricInfo, per_turn_ms: Callable[[Turn], Milliseconds | None]) -> None:
        self.info = info
        self._per_turn_ms = per_turn_ms

    def score(self, scenario: Scenario, call: Call) -> Score:
        """Score one call."""
        del scenario  # simulated time is in the events
        if call.ending is Ending.HARNESS_FAILED:
            return harness_failed()
        if call.ending is Ending.AGENT_FAILED:
            return agent_failed(call)
        observations: list[Ratio] = []
        evidence: list[str] = []
        for turn in turns(call.events):
            took_ms = self._per_turn_ms(turn) if turn.number > 0 else None
            if took_ms is not None:
                observations.append(Ratio(took_ms, 1))
                evidence.append(f"turn {turn.number}: {took_ms} ms")
        if not observations:
            return nothing_to_look_at(call, "the stage did no work in this call")
        return Scored(observations=tuple(observations), evidence=tuple(evidence))


def _endpointing_ms(turn: Turn) -> Milliseconds | None:
    stopped, decided = turn.first("caller_stopped"), turn.first("end_of_turn")
    if not (_caller_spoke(turn) and isinstance(stopped, CallerStopped) and isinstance(decided, EndOfTurn)):
        return None
    return max(0, decided.at_ms - stopped.at_ms)


def _sum_of(kind: type[Transcribed | Replied | ToolReturned | AgentStarted]) -> Callable[[Turn], int | None]:
    def took_ms(turn: Turn) -> Milliseconds | None:
        parts = [_stage_ms(event) for event in turn.events if isinstance(event, kind)]
        return sum(parts) if parts else None

    return took_ms


def _stage_ms(event: Event) -> Milliseconds:
    return getattr(event, "stage_ms", 0)


def _info(stage: Stage, definition: str, *, adds: tuple[str, ...]) -> MetricInfo:
    return MetricInfo(
        name=f"{stage}_ms",
        version=1,
        title=f"{stage.value.capitalize()} time",
        definition=definition,
        unit="ms",
        direction=Direction.LOWER_IS_BETTER,
        timing=True,
        depends_on=(*_WHAT_SHAPES_A_CALL, *adds),
    )


STAGE_DURATIONS: Mapping[Stage, Callable[[], StageDuration]] = {
    Stage.ENDPOINTING: lambda: StageDuration(
        _info(
            Stage.ENDPOINTING,
            "Mean time per spoken turn from the caller's last audible sample to the agent's decision that "
            "the caller has finished; 0 where it decides early.",
            adds=(),
        ),
        _endpointing_ms,
    ),
    Stage.RECOGNIZER: lambda: StageDuration(
        _info(Stage.RECOGNIZER, "Mean declared time of recognition per turn.", adds=("latency",)),
        _sum_of(Transcribed),
    ),
    Stage.DIALOGUE: lambda: StageDuration(
        _info(
            Stage.DIALOGUE,
            "Mean declared time of the dialogue model per turn, all rounds together.",
            adds=("latency",),
        ),
        _sum_of(Replied),
    ),
    Stage.TOOLS: lambda: StageDuration(
        _info(Stage.TOOLS, "Mean declared time of tool calls per turn that called a tool.", adds=()),
        _sum_of(ToolReturned),
    ),
    Stage.SYNTHESIZER: lambda: StageDuration(
        _info(
            Stage.SYNTHESIZER,
            "Mean declared time from text to first audible sample per turn.",
            adds=("synthesizer", "latency"),
        ),
        _sum_of(AgentStarted),
    ),
}
"""One metric per stage: ``endpointing_ms``, ``recognizer_ms``, ``dialogue_ms``, ``tools_ms``,
``synthesizer_ms``."""
