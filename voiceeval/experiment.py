"""plan → place → score → pair → judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from voiceeval.agents import Agent, Reference, differences
from voiceeval.call import AgentStarted, Arm, Call, CallKey, Ending, Heard
from voiceeval.cohort import Cohort, Pair, PairedSample, PlannedCall, by
from voiceeval.engines.cascade import unmeasured
from voiceeval.errors import ConfigError, HarnessError, InputError, describe, unknown_name
from voiceeval.gate import alarms
from voiceeval.kept import KeptStages
from voiceeval.metrics.task import judge_task
from voiceeval.protocols import Engine, Gate, Metric
from voiceeval.scenario import Scenario
from voiceeval.score import Gap, MetricInfo, NotScored, Score
from voiceeval.verdict import Blame, Comparison, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicing:
    """Tags to slice by; none: everyone together."""

    tags: tuple[str, ...]
    gates: bool
    """Whether these cohorts may fail the run, or are reported only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Both arms, the calls to place with them, and how they will be judged."""

    scenarios: Mapping[str, Scenario]
    agents: Mapping[Arm, Agent]
    planned: tuple[PlannedCall, ...]
    seed: int
    independent_arms: bool
    """Each arm draws its own noise and timing: an A/A check."""
    metrics: tuple[Metric, ...]
    slicings: tuple[Slicing, ...]
    gate: Gate
    reference: Reference
    policy: Policy
    partial: bool = False
    """Only part of the suite was selected."""
    stored: bool = False
    """The baseline's calls were placed in an earlier run, so that no timing of theirs can be gated."""
    not_comparable: str = ""
    """Why nothing can be concluded whatever the calls say, such as a stored baseline of another suite."""
    facts: Mapping[str, Any]
    """What else describes the run: the suite's digest, the design, the margins, our version."""

    def manifest(self) -> dict[str, Any]:
        """What was run, without times of day or places on disk: equal runs have equal manifests."""
        baseline, candidate = self.agents[Arm.BASELINE], self.agents[Arm.CANDIDATE]
        return {
            **self.facts,
            "seed": self.seed,
            "independent_arms": self.independent_arms,
            "policy": self.policy,
            "partial": self.partial,
            "planned_calls": len(self.planned),
            "speakers": len({call.speaker for call in self.planned}),
            "arms": {str(arm): describe_arm(agent) for arm, agent in self.agents.items()},
            "differences": [
                {"key": found.key, "baseline": found.baseline, "candidate": found.candidate}
                for found in differences(baseline, candidate)
            ],
            "metrics": {metric.info.name: metric.info.version for metric in self.metrics},
            "reference": self.reference.fingerprint,
            "scenarios": {id_: scenario.digest() for id_, scenario in sorted(self.scenarios.items())},
        }


def describe_arm(agent: Agent) -> dict[str, Any]:
    """Name, version and the fingerprint of every part."""
    return {
        "name": agent.name,
        "model_version": agent.model_version,
        "release_date": agent.release_date,
        "parts": dict(sorted(agent.parts.items())),
    }


def keys(planned: tuple[PlannedCall, ...]) -> tuple[CallKey, ...]:
    """Every call that must exist; the two arms of a planned call stand side by side."""
    return tuple(
        CallKey(scenario=call.scenario, caller=call.caller, line=call.line, trial=call.trial, arm=arm)
        for call in planned
        for arm in Arm
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placer:
    """Places calls of one experiment, and lets the reference recognizer listen to the agent."""

    experiment: Experiment
    engine: Engine
    kept: KeptStages

    def place(self, key: CallKey) -> Call:
        """Place one call. Never raises for a fault of the agent; trouble of ours is the call's ending."""
        experiment = self.experiment
        seed = key.seed(experiment.seed, independent_arms=experiment.independent_arms)
        scenario, agent = experiment.scenarios[key.scenario], experiment.agents[key.arm]
        try:
            call = self.engine.place(scenario, agent, key=key, seed=seed)
            return replace(call, heard=self._listen(call))
        except (HarnessError, InputError) as error:
            return unmeasured(key, seed, str(error))
        except Exception as error:
            return unmeasured(key, seed, describe(error))

    def _listen(self, call: Call) -> tuple[Heard, ...]:
        reference = self.experiment.reference
        said = {event.audio: event.text for event in call.events if isinstance(event, AgentStarted)}
        heard = []
        for digest, text in said.items():
            floor = self.kept.speak(reference.synthesizer, text, part="reference voice")
            heard.append(
                Heard(
                    audio=digest,
                    said=text,
                    heard=self.kept.listen(reference.recognizer, digest),
                    floor_heard=self.kept.listen(reference.recognizer, floor.digest, floor.read),
                )
            )
        return tuple(heard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A comparison, and the scores of every call it rests on."""

    comparison: Comparison
    scores: Mapping[tuple[str, str], Score]
    """By call id and metric name."""


def compare(experiment: Experiment, calls: Mapping[str, Call]) -> Judged:
    """Score, pair and judge. Pure: the same calls give the same result, in any order.

    A planned call without a record is NotScored(NOT_RUN); it never leaves the table.
    """
    scores = _score_all(experiment, calls)
    samples = tuple(
        PairedSample(
            metric=metric.info,
            cohort=cohort,
            pairs=tuple(_pair(call, metric.info.name, scores) for call in members),
            gates=gates,
            same_by_construction=_same_by_construction(experiment, metric.info),
        )
        for cohort, gates, members in cohorts_of(experiment)
        for metric in experiment.metrics
    )
    verdicts = experiment.gate.judge(samples)
    comparison = Comparison(
        manifest=experiment.manifest(),
        verdicts=verdicts,
        blames=_blames(experiment, calls),
        alarms=alarms(verdicts),
        partial=experiment.partial,
        policy=experiment.policy,
    )
    return Judged(comparison=comparison, scores=scores)


def cohorts_of(experiment: Experiment) -> tuple[tuple[Cohort, bool, tuple[PlannedCall, ...]], ...]:
    """Every cohort with whether it gates and its planned calls, in the order of the slicings.

    Raises:
        ConfigError: A slicing names a tag that no planned call has.
    """
    found = []
    known = {tag for call in experiment.planned for tag in call.tags}
    for slicing in experiment.slicings:
        for tag in slicing.tags:
            if tag not in known:
                raise ConfigError(f"cohorts: {unknown_name('cohort tag', tag, known)}")
        members: dict[Cohort, list[PlannedCall]] = {}
        slicer = by(*slicing.tags)
        for call in experiment.planned:
            for cohort in slicer(call):
                members.setdefault(cohort, []).append(call)
        found += [(cohort, slicing.gates, tuple(members[cohort])) for cohort in sorted(members)]
    return tuple(found)


def _score_all(experiment: Experiment, calls: Mapping[str, Call]) -> dict[tuple[str, str], Score]:
    scores: dict[tuple[str, str], Score] = {}
    for key in keys(experiment.planned):
        call = calls.get(key.id)
        for metric in experiment.metrics:
            scores[key.id, metric.info.name] = (
                NotScored(gap=Gap.NOT_RUN, reason="planned, and not placed")
                if call is None
                else metric.score(experiment.scenarios[key.scenario], call)
            )
    return scores


def _pair(planned: PlannedCall, metric: str, scores: Mapping[tuple[str, str], Score]) -> Pair:
    sides = {key.arm: scores[key.id, metric] for key in keys((planned,))}
    return Pair(planned=planned, baseline=sides[Arm.BASELINE], candidate=sides[Arm.CANDIDATE])


def _same_by_construction(experiment: Experiment, info: MetricInfo) -> bool:
    baseline, candidate = experiment.agents[Arm.BASELINE], experiment.agents[Arm.CANDIDATE]
    return not experiment.independent_arms and all(
        baseline.deterministic(part)
        and candidate.deterministic(part)
        and baseline.parts[part] == candidate.parts[part]
        for part in info.depends_on
    )


def _blames(experiment: Experiment, calls: Mapping[str, Call]) -> tuple[Blame, ...]:
    lost: dict[str, bool] = {}
    for key in keys(experiment.planned):
        call = calls.get(key.id)
        if call is None or call.ending is Ending.HARNESS_FAILED:
            continue
        scenario = experiment.scenarios[key.scenario]
        if judge_task(scenario, call.events, call.final_state).completed and call.ending is Ending.COMPLETED:
            continue
        replay = call.given_right_words
        lost[key.id] = replay is not None and (
            replay.ending is Ending.COMPLETED
            and judge_task(scenario, replay.events, replay.final_state).completed
        )
    blames = []
    for cohort, _, members in cohorts_of(experiment):
        for arm in Arm:
            failed = [lost[key.id] for key in keys(members) if key.arm is arm and key.id in lost]
            blames.append(
                Blame(cohort=cohort, arm=str(arm), failed=len(failed), saved_by_right_words=sum(failed))
            )
    return tuple(blames)
