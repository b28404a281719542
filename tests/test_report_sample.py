"""A run built by hand for the tests of the reports: 36 callers of six accents, two lines, three scenarios."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

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
)
from voiceeval.cohort import EVERYONE, Cohort, PlannedCall
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.scenario import Scenario
from voiceeval.score import Direction, Gap, MetricInfo, NotScored, Ratio, Score, Scored
from voiceeval.verdict import (
    Blame,
    Comparison,
    Counts,
    Estimate,
    Interval,
    NoEstimate,
    Outcome,
    Policy,
    Verdict,
)

ACCENTS = ("american", "british", "caribbean", "indian", "scottish", "welsh")
LINES = ("telephone", "wideband")
CALLERS_PER_ACCENT = 6
WORST = Cohort((("accent", "caribbean"), ("line", "telephone")))
SECOND = Cohort((("accent", "scottish"), ("line", "telephone")))


def metric(
    name: str, title: str, *, unit: str = "share", higher: bool = False, yes_no: bool = False
) -> MetricInfo:
    return MetricInfo(
        name=name,
        version=1,
        title=title,
        definition=f"{title}, as the tests have it.",
        unit=unit,  # type: ignore[arg-type]
        direction=Direction.HIGHER_IS_BETTER if higher else Direction.LOWER_IS_BETTER,
        yes_no=yes_no,
    )


WER = metric("wer", "Word error rate")
ENTITIES = metric("entity_error_rate", "Entity error rate")
TASK = metric("task_completion", "Task completion", higher=True, yes_no=True)
TOOLS = metric("tool_path", "Tool path correct", higher=True, yes_no=True)
FIRST_AUDIO = metric("time_to_first_audio", "Time to first audio", unit="ms")
GATING = (WER, ENTITIES, TASK, TOOLS, FIRST_AUDIO)
REPORTED = (
    metric("round_trip_wer", "Round-trip word error rate"),
    metric("endpointing_ms", "Endpointing", unit="ms"),
    metric("recognizer_ms", "Recognizer", unit="ms"),
    metric("cost_per_completed_call", "Cost per completed call", unit="currency"),
)
MARGINS = {
    "wer": "+2pp",
    "entity_error_rate": "+3pp",
    "task_completion": "+5pp",
    "tool_path": "+5pp",
    "time_to_first_audio": "+10%",
}
BASE = {
    "wer": 0.081,
    "entity_error_rate": 0.055,
    "task_completion": 0.903,
    "tool_path": 0.894,
    "time_to_first_audio": 1204.0,
    "round_trip_wer": 0.034,
    "endpointing_ms": 702.0,
    "recognizer_ms": 188.0,
    "cost_per_completed_call": 0.0412,
}


def estimate(
    info: MetricInfo, *, worse_by: float, half: float, base: float = -1.0, p: float = 0.4
) -> Estimate:
    base = BASE.get(info.name, 0.1) if base < 0 else base
    change = -worse_by if info.direction is Direction.HIGHER_IS_BETTER else worse_by
    return Estimate(
        baseline=base,
        candidate=base + change,
        difference=change,
        worse_by=worse_by,
        interval=Interval(lower=change - half, upper=change + half, level=0.95),
        p_worse=p / 10,
        p_adjusted=p,
        method="cluster-t, 5 df",
        detectable=1.4 * half,
        clusters_needed=14,
    )


def counts(*, pairs: int = 18, scored: int = 18, clusters: int = 6) -> Counts:
    return Counts(
        pairs=pairs,
        scored=scored,
        clusters=clusters,
        agent_failed={"baseline": 0, "candidate": 1},
        harness_failed={"baseline": 0, "candidate": 0},
    )


def verdict(
    info: MetricInfo = WER,
    cohort: Cohort = EVERYONE,
    outcome: Outcome = Outcome.PASSED,
    *,
    gating: bool = True,
    worse_by: float = 0.001,
    half: float = 0.012,
    reason: str = "the upper bound is under the margin",
    size: Counts | None = None,
    p: float = 0.4,
    flags: tuple[str, ...] = (),
) -> Verdict:
    return Verdict(
        metric=info,
        cohort=cohort,
        outcome=outcome,
        reason=reason,
        gating=gating,
        margin=MARGINS.get(info.name, "") if gating else "",
        estimate=estimate(info, worse_by=worse_by, half=half, p=p),
        counts=size or counts(),
        flags=flags,
    )


def cohorts() -> tuple[Cohort, ...]:
    return tuple(Cohort((("accent", accent), ("line", line))) for accent in ACCENTS for line in LINES)


def _gating_verdict(info: MetricInfo, cohort: Cohort) -> Verdict:
    scale = 1.0 if info.unit == "share" else 2500.0
    size = counts(pairs=216, scored=216, clusters=36) if cohort == EVERYONE else counts()
    found = verdict(info, cohort, worse_by=-0.004 * scale, half=0.011 * scale, size=size)
    if cohort == WORST and info in (WER, ENTITIES, TASK):
        worse = {"wer": 0.061, "entity_error_rate": 0.104, "task_completion": 0.222}[info.name]
        reason = (
            "3.4 pp worse (95 % interval +1.6 pp to +5.2 pp) over 6 speakers; margin +2pp; adjusted p 0.0310"
        )
        half = worse / 2.1
        low, high = 100 * (worse - half), 100 * (worse + half)
        reason = (
            f"{100 * worse:.1f} pp worse (95 % interval {low:+.1f} pp to {high:+.1f} pp) over 6 speakers; "
            f"margin {MARGINS[info.name]}; adjusted p 0.0013"
        )
        return verdict(info, cohort, Outcome.REGRESSED, worse_by=worse, half=half, p=0.0013, reason=reason)
    if cohort == WORST and info == FIRST_AUDIO:
        reason = "answers come later by more than the margin allows"
        return verdict(info, cohort, Outcome.REGRESSED, worse_by=310.0, half=96.0, p=0.00002, reason=reason)
    if cohort == SECOND and info == WER:
        reason = (
            "3.4 pp worse (95 % interval +1.6 pp to +5.2 pp) over 6 speakers; margin +2pp; adjusted p 0.0310"
        )
        return verdict(info, cohort, Outcome.REGRESSED, worse_by=0.034, half=0.018, p=0.031, reason=reason)
    if info.yes_no and cohort != EVERYONE:
        reason = "could find 19.6 pp with 6 speakers; certifying +5pp takes about 34"
        return verdict(info, cohort, Outcome.INCONCLUSIVE, half=0.14, reason=reason, flags=("underpowered",))
    if cohort == EVERYONE and info == WER:
        return verdict(info, cohort, Outcome.IMPROVED, worse_by=-0.012, half=0.006, size=size)
    return found


def verdicts() -> tuple[Verdict, ...]:
    gating = [_gating_verdict(info, cohort) for info in GATING for cohort in (EVERYONE, *cohorts())]
    reported = [
        replace(
            verdict(info, cohort, gating=False, worse_by=change, half=abs(change) + 0.001),
            margin="",
        )
        for info in REPORTED
        for cohort in (EVERYONE, *cohorts())
        for change in [_reported_change(info, cohort)]
    ]
    sliced = [
        verdict(
            info, Cohort((("domain", domain),)), gating=False, half=0.02 if info.unit == "share" else 40.0
        )
        for info in GATING
        for domain in ("banking", "pharmacy", "travel")
    ]
    first = {Outcome.REGRESSED: 0}
    return tuple(sorted([*gating, *reported, *sliced], key=lambda item: first.get(item.outcome, 1)))


def _reported_change(info: MetricInfo, cohort: Cohort) -> float:
    if info.unit == "ms":
        return {"endpointing_ms": 260.0, "recognizer_ms": 22.0}[info.name] if cohort == WORST else -3.0
    return 0.0007


def blames() -> tuple[Blame, ...]:
    found = []
    for cohort in (EVERYONE, *cohorts()):
        lost, saved = {WORST: (11, 9), SECOND: (5, 2), EVERYONE: (31, 17)}.get(cohort, (2, 1))
        found.append(Blame(cohort=cohort, arm="baseline", failed=lost // 3, saved_by_right_words=saved // 4))
        found.append(Blame(cohort=cohort, arm="candidate", failed=lost, saved_by_right_words=saved))
    return tuple(found)


def manifest() -> dict[str, object]:
    return {
        "voiceeval": "0.1.0",
        "suite": {"name": "frontdesk", "digest": "9f2c" * 16},
        "design": {"matrix": "block", "trials": 1},
        "seed": 1,
        "independent_arms": False,
        "policy": "pr",
        "partial": False,
        "planned_calls": 216,
        "speakers": 36,
        "arms": {
            "baseline": {
                "name": "frontdesk",
                "model_version": "2.3",
                "release_date": "2026-09-01",
                "parts": {"recognizer": "aa11", "dialogue": "bb22"},
            },
            "candidate": {
                "name": "frontdesk-tuned",
                "model_version": "2.4-rc1",
                "release_date": "2026-11-01",
                "parts": {"recognizer": "cc33", "dialogue": "bb22"},
            },
        },
        "differences": [
            {"key": "recognizer.model", "baseline": "small.en", "candidate": "base.en"},
            {"key": "endpointing.silence_ms", "baseline": 700, "candidate": 960},
            {"key": "recognizer.beam", "baseline": 5, "candidate": 1},
            {"key": "latency.recognizer.base_ms", "baseline": 180, "candidate": 120},
        ],
        "metrics": {info.name: info.version for info in (*GATING, *REPORTED)},
        "margins": MARGINS,
        "packages": {"faster-whisper": "1.2.0", "numpy": "2.3.1"},
        "scenarios": {"banking.block-card": "d" * 64},
    }


def comparison(*, policy: Policy = "pr", **changed: object) -> Comparison:
    facts: dict[str, object] = {
        "manifest": manifest(),
        "verdicts": verdicts(),
        "blames": blames(),
        "alarms": ("Word error rate: overall improved, but accent=caribbean × line=telephone regressed",),
        "partial": False,
    }
    return Comparison(policy=policy, **{**facts, **changed})  # type: ignore[arg-type]


SCENARIOS = ("banking.block-card", "pharmacy.refill", "travel.rebook")


def scenario(id_: str = SCENARIOS[0], **changed: object) -> Scenario:
    return Scenario.model_validate(
        {
            "id": id_,
            "goal": "Block the lost card ending in 4129 and order a new one.",
            "domain": id_.split(".", maxsplit=1)[0],
            "call_type": "service",
            "turns": [
                {"text": "hi i lost my card this morning and need it blocked"},
                {
                    "text": "it ends in four one two nine",
                    "entities": [{"type": "card", "text": "four one two nine"}],
                },
                {"text": "yes please send me a new one thanks"},
            ],
            "tools": [
                {"name": "block_card", "description": "Blocks a card.", "parameters": {}},
                {"name": "order_card", "description": "Orders a card.", "parameters": {}},
            ],
            "tool_paths": [
                {
                    "calls": [
                        {"name": "block_card", "arguments": {"card": "4129"}},
                        {"name": "order_card", "arguments": {"card": "4129", "express": False}},
                    ]
                }
            ],
            "outcome": {"state": {"cards.4129.status": "blocked"}, "said": ["blocked"]},
            **changed,
        }
    )


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def planned_calls() -> tuple[PlannedCall, ...]:
    return tuple(
        PlannedCall(
            scenario=scenario_id,
            caller=f"{accent}-{number}",
            line=line,
            trial=0,
            speaker=f"{accent}-{number}",
            tags={
                "accent": accent,
                "line": line,
                "domain": scenario_id.split(".")[0],
                "call_type": "service",
                "locale": "en-US",
            },
        )
        for accent in ACCENTS
        for number in range(CALLERS_PER_ACCENT)
        for line in LINES
        for scenario_id in SCENARIOS
    )


def call(planned: PlannedCall, arm: Arm, *, misheard: bool = False) -> Call:
    key = CallKey(
        scenario=planned.scenario, caller=planned.caller, line=planned.line, trial=planned.trial, arm=arm
    )
    events = tuple(_events(planned, arm, misheard=misheard))
    card = "4125" if misheard else "4129"
    state: dict[str, JsonValue] = {"cards": {"4129": {"status": "active"}, card: {"status": "blocked"}}}
    right: dict[str, JsonValue] = {"cards": {"4129": {"status": "blocked"}}}
    said = {event.audio: event.text for event in events if isinstance(event, AgentStarted)}
    return Call(
        key=key,
        seed=key.seed(1),
        events=events,
        ending=Ending.COMPLETED,
        final_state=state,
        usage=Usage(audio_in_ms=9000, input_tokens=1200, output_tokens=80, spoken_characters=160),
        cost=0.041,
        heard=tuple(
            Heard(audio=audio, said=text, heard=text.replace("card", "car", 1), floor_heard=text)
            for audio, text in said.items()
        ),
        given_right_words=Replay(
            events=tuple(_events(planned, arm, misheard=False)), ending=Ending.COMPLETED, final_state=right
        ),
    )


def _events(planned: PlannedCall, arm: Arm, *, misheard: bool) -> list[Event]:
    said = [turn.text for turn in scenario().turns]
    heard = list(said)
    if misheard:
        heard[0] = "hi i lost my cart this morning and blocked"
        heard[1] = "it ends in for one two five uh"
    card = "4125" if misheard else "4129"
    tools: list[tuple[str, dict[str, JsonValue]]] = [
        ("block_card", {"card": card}),
        ("order_card", {"card": card, "express": False}),
    ]
    replies = [
        "Sorry to hear that. What are the last four digits of the card?",
        f"Your card ending in {' '.join(card)} is blocked. Shall I send a new one?",
        "A new card is on its way. Goodbye.",
    ]
    audio = digest(planned.id, "greeting", arm)
    events: list[Event] = [
        AgentStarted(at_ms=300, turn=0, text="Front desk, how can I help?", audio=audio, stage_ms=180),
        AgentStopped(at_ms=2100, turn=0),
    ]
    clock = 2500
    for turn, (text, transcript, reply) in enumerate(zip(said, heard, replies, strict=True), start=1):
        wait = 960 if arm is Arm.CANDIDATE else 700
        events += [
            CallerStarted(
                at_ms=clock,
                turn=turn,
                text=text,
                script_turn=turn - 1,
                wording="text",
                audio=digest(planned.id, turn, "caller"),
                audio_from_ms=clock - 300,
            ),
            CallerStopped(at_ms=clock + 2400, turn=turn),
            EndOfTurn(at_ms=clock + 2400 + wait, turn=turn, heard_ms=2400 + wait, reason="silence"),
            Transcribed(at_ms=clock + 2600 + wait, turn=turn, text=transcript, stage_ms=200),
        ]
        clock += 2600 + wait
        if turn > 1:
            name, arguments = tools[turn - 2]
            events += [
                Replied(at_ms=clock + 310, turn=turn, text="", tool_calls=1, stage_ms=310),
                ToolCalled(at_ms=clock + 310, turn=turn, name=name, arguments=arguments),
                ToolReturned(
                    at_ms=clock + 460, turn=turn, name=name, value={"ok": True}, failed=False, stage_ms=150
                ),
            ]
            clock += 460
        events += [
            Replied(at_ms=clock + 420, turn=turn, text=reply, tool_calls=0, stage_ms=420),
            AgentStarted(
                at_ms=clock + 600,
                turn=turn,
                text=reply,
                audio=digest(planned.id, turn, arm, reply),
                stage_ms=180,
            ),
            AgentStopped(at_ms=clock + 3300, turn=turn),
        ]
        clock += 3700
    events.append(HungUp(at_ms=clock, turn=len(said), by="agent", reason="done"))
    return events


def scores_of(call_id: str, *, misheard: bool) -> dict[tuple[str, str], Score]:
    wrong = 5 if misheard else 0
    path = ("block_card: card: expected '4129', got '4125'",) if misheard else ("2 of 2 calls as expected",)
    found: dict[str, Score] = {
        "wer": Scored(
            observations=(Ratio(wrong, 26),), evidence=("REF: hi i lost my card", "HYP: hi i lost my cart")
        ),
        "entity_error_rate": Scored(observations=(Ratio(int(misheard), 1),)),
        "task_completion": Scored(observations=(Ratio(int(not misheard), 1),)),
        "tool_path": Scored(observations=(Ratio(int(not misheard), 1),), evidence=path),
        "time_to_first_audio": Scored(observations=(Ratio(1480, 1), Ratio(1790, 1))),
        "round_trip_wer": NotScored(gap=Gap.NOT_APPLICABLE, reason="the agent said nothing"),
    }
    return {(call_id, name): score for name, score in found.items()}


def misheard_on_candidate(planned: PlannedCall) -> bool:
    inside = planned.tags["accent"] in ("caribbean", "scottish") and planned.line == "telephone"
    return inside and planned.scenario != SCENARIOS[1]


def report_input(
    result: Comparison | None = None,
    planned: tuple[PlannedCall, ...] | None = None,
    scenarios: Mapping[str, Scenario] | None = None,
) -> ReportInput:
    planned = planned_calls()[72:84] if planned is None else planned
    calls: dict[str, Call] = {}
    scores: dict[tuple[str, str], Score] = {}
    for item in planned:
        for arm in Arm:
            misheard = arm is Arm.CANDIDATE and misheard_on_candidate(item)
            calls[arm_call_id(item, arm)] = call(item, arm, misheard=misheard)
            scores |= scores_of(arm_call_id(item, arm), misheard=misheard)
    return ReportInput(
        comparison=result or comparison(),
        planned=planned,
        scenarios={id_: scenario(id_) for id_ in SCENARIOS} if scenarios is None else scenarios,
        calls=calls,
        scores=scores,
    )


def invalid(cohort: Cohort = EVERYONE) -> Verdict:
    return replace(
        verdict(WER, cohort, Outcome.INVALID, reason="3 planned pairs are missing"),
        estimate=NoEstimate(reason="no pair was scored"),
    )


def test_the_sample_has_the_size_it_claims() -> None:
    assert len(planned_calls()) == 216
    assert len({planned.speaker for planned in planned_calls()}) == 36
    assert len(cohorts()) == 12
    assert comparison().failed
