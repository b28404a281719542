"""A report's input of any size, made without placing a call: conversations like those of the bundled suite.

For every scenario and arm some dozens of conversations are made up: the caller's words with recognition
errors, waits, tool calls that are right, missing or other ones, replies, and for all of them the scores of
the bundled metrics. Every planned call draws one of them, a worse one where its accent or line is a hard one.
The verdicts are the gate's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from voiceeval.audio import AudioClip
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    Call,
    CallerStarted,
    CallerStopped,
    CallKey,
    Ending,
    EndOfTurn,
    Event,
    Heard,
    HungUp,
    Replay,
    Replied,
    ToolCalled,
    ToolReturned,
    Transcribed,
    Usage,
    stable_seed,
)
from voiceeval.cohort import Cohort, PlannedCall, by
from voiceeval.config import load_config
from voiceeval.content_files import FlacStore
from voiceeval.design import plan
from voiceeval.disparity import disparities
from voiceeval.gate import alarms
from voiceeval.gate_settings import facts_of_the_gate, gate_of, margins, targets
from voiceeval.metrics import BUNDLED
from voiceeval.protocols import Metric
from voiceeval.quantiles import quantiles
from voiceeval.reports.report_input import ReportInput
from voiceeval.samples import CohortCalls, key_of, pairs_of_calls, samples
from voiceeval.scenario import Scenario, ToolCall
from voiceeval.scenario_files import Suite, load_suite
from voiceeval.score import MetricInfo, Score
from voiceeval.settings import Settings
from voiceeval.stages.simulated_tools import SimulatedTools
from voiceeval.verdict import Comparison, Verdict

ROOT = Path(__file__).resolve().parent.parent
ACCENTS = ("american", "british", "caribbean", "indian", "scottish", "welsh")
HARD_ACCENTS = frozenset({"caribbean", "scottish"})
VARIANTS = 32
"""Conversations of one scenario and arm, from the best to the worst recognized."""
MOST_JUDGED = 5_000
"""Of larger runs every so-manieth call is judged: verdicts do not grow with the calls."""
CLIPS = 12
RATE_HZ = 16_000
UTTERANCE_MS = 2_400
"""How long every utterance lasts."""


@dataclass(frozen=True)
class Sounds:
    """Clips that any utterance may have; none where nothing is to be heard."""

    digests: tuple[str, ...] = ()

    @classmethod
    def kept_in(cls, store: FlacStore) -> Sounds:
        """Put tones into a store."""
        at_s = np.arange(UTTERANCE_MS * RATE_HZ // 1000) / RATE_HZ
        return cls(
            tuple(
                store.put(
                    AudioClip((6_000 * np.sin(2 * np.pi * (180 + 30 * k) * at_s)).astype(np.int16), RATE_HZ)
                )
                for k in range(CLIPS)
            )
        )

    def any(self, rng: np.random.Generator) -> str:
        """One of them."""
        return self.digests[int(rng.integers(len(self.digests)))] if self.digests else ""


@dataclass(frozen=True)
class Conversation:
    """A call without its key, and what every metric says of it."""

    call: Call
    scores: Mapping[str, Score]


def synthetic_report(count: int, *, seed: int = 1, sounds_in: Path | None = None) -> ReportInput:
    """A run of so many planned calls with both arms, and its verdicts.

    Args:
        count: planned calls.
        seed: of everything that is drawn.
        sounds_in: a run folder to keep some tones in, so that calls can be heard; ``None``: no sounds.
    """
    settings = load_config(ROOT, {}, from_folder=ROOT).settings
    store = FlacStore(sounds_in / "audio") if sounds_in else None
    suite = _many_callers(load_suite(ROOT / settings.suite), count)
    whole = plan(suite, matrix="full", trials=1)
    planned = tuple(whole[at * len(whole) // count] for at in range(count))
    infos = [make().info for make in BUNDLED.values()]
    pool = _Pool(suite.scenarios, Sounds.kept_in(store) if store else Sounds(), seed)
    calls, scores = _placed(planned, pool, seed)
    return ReportInput(
        comparison=judged(settings, infos, planned[:: max(1, count // MOST_JUDGED)], scores),
        planned=planned,
        scenarios=suite.scenarios,
        calls=calls,
        scores=scores,
        audio_href=lambda digest: (
            f"audio/{digest[:2]}/{digest}.flac" if store and digest and store.path(digest).exists() else ""
        ),
        audio=store,
    )


def _many_callers(suite: Suite, count: int) -> Suite:
    some = next(iter(suite.callers.values()))
    per_caller = len(suite.scenarios) * len(suite.lines)
    callers = {}
    for number in range(max(2 * len(ACCENTS), math.ceil(count / per_caller))):
        accent = ACCENTS[number % len(ACCENTS)]
        tags = {"gender": ("female", "male")[number // 6 % 2], "age": ("19-29", "30-59", "60-99")[number % 3]}
        made = some.model_copy(update={"id": f"{accent}-{number}", "accent": accent, "tags": tags})
        callers[made.id] = made
    return replace(suite, callers=callers)


def _placed(
    planned: Sequence[PlannedCall], pool: _Pool, seed: int
) -> tuple[dict[str, Call], dict[tuple[str, str], Score]]:
    rng = np.random.default_rng(seed)
    calls: dict[str, Call] = {}
    scores: dict[tuple[str, str], Score] = {}
    luck = rng.random((len(planned), len(Arm)))
    for item, draws in zip(planned, luck, strict=True):
        for arm, draw in zip(Arm, draws, strict=True):
            hard = (item.tags["accent"] in HARD_ACCENTS) + (item.line == "telephone")
            # The candidate trades the hardest cohort for a little everywhere else.
            worse = hard * (0.35 if arm is Arm.CANDIDATE else 0.15)
            variant = min(VARIANTS - 1, int((0.5 * draw + worse) * VARIANTS))
            found = pool.conversation(item.scenario, arm, variant)
            key = key_of(item, arm)
            calls[key.id] = replace(found.call, key=key)
            for name, score in found.scores.items():
                scores[key.id, name] = score
    return calls, scores


class _Pool:
    """Conversations, each made and scored when it is first drawn."""

    def __init__(self, scenarios: Mapping[str, Scenario], sounds: Sounds, seed: int) -> None:
        self._scenarios = scenarios
        self._sounds = sounds
        self._seed = seed
        self._made: dict[tuple[str, Arm, int], Conversation] = {}

    def conversation(self, scenario_id: str, arm: Arm, variant: int) -> Conversation:
        """The one of that number, the higher the worse."""
        key = scenario_id, arm, variant
        if key not in self._made:
            scenario = self._scenarios[scenario_id]
            call = self._call(scenario, arm, variant)
            scores = {name: metric.score(scenario, call) for name, metric in self._metrics.items()}
            self._made[key] = Conversation(call, scores)
        return self._made[key]

    @cached_property
    def _metrics(self) -> Mapping[str, Metric]:
        return {name: make() for name, make in BUNDLED.items()}

    @cached_property
    def _vocabulary(self) -> list[str]:
        texts = [turn.words for scenario in self._scenarios.values() for turn in scenario.turns]
        return sorted({word for text in texts for word in text.split()})

    def _call(self, scenario: Scenario, arm: Arm, variant: int) -> Call:
        rng = np.random.default_rng(stable_seed(f"{self._seed} {scenario.id} {arm} {variant}"))
        share = variant / VARIANTS
        said = [turn.words for turn in scenario.turns if turn.text]
        heard = [self._misheard(text, 0.02 + 0.35 * share**2, rng) for text in said]
        made = list(scenario.tool_paths[0].calls)
        if made and rng.random() < 0.5 * share:
            others = [tool.name for tool in scenario.tools]
            instead = ToolCall(name=others[int(rng.integers(len(others)))], arguments={})
            made[-1:] = [[], [instead], [made[-1], made[-1]]][int(rng.integers(3))]
        talk = _Talk(scenario, self._sounds, rng, wait_ms=1500 if arm is Arm.BASELINE else 1150)
        events, state = talk.held(said, heard, made)
        right, right_state = talk.held(said, said, list(scenario.tool_paths[0].calls))
        key = CallKey(scenario=scenario.id, caller="", line="", trial=0, arm=arm)
        return Call(
            key=key,
            seed=1,
            events=events,
            ending=Ending.COMPLETED,
            final_state=state,
            usage=Usage(audio_in_ms=9000, input_tokens=1200, output_tokens=80, spoken_characters=160),
            cost=round(0.004 + 0.004 * rng.random(), 8),
            heard=tuple(
                Heard(
                    audio=event.audio,
                    said=event.text,
                    heard=self._misheard(event.text, 0.03, rng),
                    floor_heard=event.text,
                )
                for event in events
                if isinstance(event, AgentStarted)
            ),
            given_right_words=Replay(events=right, ending=Ending.COMPLETED, final_state=right_state),
        )

    def _misheard(self, text: str, rate: float, rng: np.random.Generator) -> str:
        words: list[str] = []
        for word in text.split():
            draw = rng.random() / rate
            other = self._vocabulary[int(rng.integers(len(self._vocabulary)))]
            words += [other] if draw < 0.6 else [] if draw < 0.85 else [word, other] if draw < 1 else [word]
        return " ".join(words)


class _Talk:
    """Turns of caller and agent one after the other."""

    def __init__(self, scenario: Scenario, sounds: Sounds, rng: np.random.Generator, *, wait_ms: int) -> None:
        self._scenario = scenario
        self._sounds = sounds
        self._rng = rng
        self._wait_ms = wait_ms

    def held(
        self, said: Sequence[str], heard: Sequence[str], made: Sequence[ToolCall]
    ) -> tuple[tuple[Event, ...], Mapping[str, JsonValue]]:
        """The events, and the tools' world afterwards."""
        tools = SimulatedTools.from_scenario(self._scenario)
        phrases = " and ".join(phrase.split("|")[0] for phrase in self._scenario.outcome.said)
        events: list[Event] = [*self._agent(300, 0, "front desk how can i help you")]
        clock = events[-1].at_ms + 400
        for turn, (text, transcript) in enumerate(zip(said, heard, strict=True), start=1):
            events += self._caller(clock, turn, text)
            stopped = events[-1].at_ms
            answer = stopped + int(self._wait_ms * np.exp(0.3 * self._rng.standard_normal()))
            ended = stopped + (answer - stopped) // 2
            events += [
                EndOfTurn(at_ms=ended, turn=turn, heard_ms=UTTERANCE_MS, reason="silence"),
                Transcribed(at_ms=ended + 190, turn=turn, text=transcript, stage_ms=190),
            ]
            last = turn == len(said)
            for call in made if last else ():
                result = tools.call(call)
                events += [
                    Replied(at_ms=ended + 200, turn=turn, text="", tool_calls=1, stage_ms=10),
                    ToolCalled(at_ms=ended + 200, turn=turn, name=call.name, arguments=call.arguments),
                    ToolReturned(
                        at_ms=ended + 250,
                        turn=turn,
                        name=call.name,
                        value=result.value,
                        failed=result.failed,
                        stage_ms=50,
                    ),
                ]
            reply = (
                f"all right {phrases} goodbye"
                if last and made
                else "thank you and what else can i do for you"
            )
            events.append(Replied(at_ms=answer - 150, turn=turn, text=reply, tool_calls=0, stage_ms=300))
            events += self._agent(answer, turn, reply)
            clock = events[-1].at_ms + int(200 + 300 * self._rng.random())
        events.append(HungUp(at_ms=clock, turn=len(said), by="caller", reason="done"))
        return tuple(events), tools.state()

    def _caller(self, at_ms: int, turn: int, text: str) -> tuple[Event, ...]:
        started = CallerStarted(
            at_ms=at_ms,
            turn=turn,
            text=text,
            script_turn=self._script_turn(turn),
            wording="text",
            audio=self._sounds.any(self._rng),
            audio_from_ms=at_ms,
        )
        return started, CallerStopped(at_ms=at_ms + UTTERANCE_MS, turn=turn)

    def _agent(self, at_ms: int, turn: int, text: str) -> tuple[Event, ...]:
        audio = self._sounds.any(self._rng)
        return (
            AgentStarted(at_ms=at_ms, turn=turn, text=text, audio=audio, stage_ms=150),
            AgentStopped(at_ms=at_ms + UTTERANCE_MS, turn=turn),
        )

    def _script_turn(self, turn: int) -> int:
        spoken = [index for index, scripted in enumerate(self._scenario.turns) if scripted.text]
        return spoken[turn - 1]


def judged(
    settings: Settings,
    infos: Sequence[MetricInfo],
    planned: Sequence[PlannedCall],
    scores: Mapping[tuple[str, str], Score],
) -> Comparison:
    """What the gate says of these scores, as in a run of the bundled suite."""
    # The suite's own values are expected of a run of it, not of callers who were made up.
    settings = settings.model_copy(update={"expect": {}})
    held = margins(settings, infos)
    cohorts = _cohorts(settings, planned)
    found = gate_of(settings, held, [call.tags for call in planned], today=date(2026, 11, 20)).judge(
        samples(
            [pairs_of_calls(info, planned, scores) for info in infos],
            cohorts,
            same_by_construction={info.name: False for info in infos},
        )
    )
    verdicts: tuple[Verdict, ...] = tuple(found)
    first_audio = [info for info in infos if info.name == "time_to_first_audio"]
    return Comparison(
        manifest={
            "suite": "frontdesk",
            "seed": settings.seed,
            "policy": settings.policy,
            "planned_calls": len(planned),
            "arms": {
                "baseline": {"name": "frontdesk", "model_version": "2.3", "parts": {"recognizer": "aa11"}},
                "candidate": {"name": "frontdesk", "model_version": "2.4", "parts": {"recognizer": "cc33"}},
            },
            "differences": [{"key": "recognizer.model", "baseline": "small", "candidate": "base"}],
            "metrics": {info.name: info.version for info in infos},
            "targets": targets(settings, infos),
            **facts_of_the_gate(settings, held),
        },
        verdicts=verdicts,
        blames=(),
        alarms=alarms(verdicts),
        partial=False,
        policy=settings.policy,
        disparities=disparities(verdicts, min_clusters=settings.min_clusters),
        quantiles=quantiles(first_audio, [(each.cohort, each.planned) for each in cohorts], scores),
    )


def _cohorts(settings: Settings, planned: Sequence[PlannedCall]) -> list[CohortCalls]:
    members: dict[tuple[Cohort, bool], list[PlannedCall]] = {}
    for listed, gates in ((settings.cohorts, True), (settings.report_cohorts, False)):
        for tags in listed:
            for call in planned:
                for cohort in by(*tags)(call):
                    members.setdefault((cohort, gates), []).append(call)
    return [
        CohortCalls(cohort, gates, tuple(calls))
        for (cohort, gates), calls in sorted(members.items(), key=lambda item: item[0][0])
    ]
