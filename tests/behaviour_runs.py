"""The same calls with two policies, judged: whether the wrong one fails the callers whom it harms.

Calls are held by the engine over a line without audio, on which a word takes as long as its speaker takes for
it. The dialogue model reads what it was told; tools, metrics and gate are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rooms import Deaf, Room

from voiceeval.agents import Agent, Reference, StageLatency
from voiceeval.call import Arm, Call, CallKey, Stage
from voiceeval.cohort import Cohort, PlannedCall
from voiceeval.engines.conversation import Conversation
from voiceeval.engines.medium import TAIL_MS, AgentSound, LineSound, Medium
from voiceeval.experiment import Experiment, Slicing, compare
from voiceeval.gate import CohortGate, Margin
from voiceeval.metrics import BUNDLED
from voiceeval.protocols import Message, Reply, Span
from voiceeval.scenario import Aside, Scenario, Tool, ToolCall
from voiceeval.stages.simulated_tools import SimulatedTools
from voiceeval.turn_taking import TurnTaking
from voiceeval.verdict import Comparison, Outcome, Verdict

SPEAKERS = 14
SEED = 7
PLAIN = "none"
"""The cohort of the same calls without the behaviour."""

MARGINS: Mapping[str, str] = {
    "response_rate": "+5pp",
    "agent_interrupts_caller": "+5pp",
    "premature_endpoints": "+5pp",
    "yield_rate": "+5pp",
    "talk_through": "+5pp",
    "reprompts": "+5pp",
    "caller_asked_to_repeat": "+5pp",
    "asked_twice": "+5pp",
    "already_told_you": "+5pp",
    "repeated_corrections": "+5pp",
    "agent_repeats_itself": "+5pp",
    "task_completion": "+5pp",
    "time_to_yield": "+200ms",
    "time_to_first_audio": "+200ms",
    "talk_over_ms": "+300ms",
    "silence_ms": "+1000ms",
    "call_length_ms": "+2000ms",
}
OF_SOME_CALLS = frozenset({"yield_rate", "time_to_yield", "talk_through", "already_told_you"})
"""Metrics for which plain calls have no occasion."""

GREETING = "hello this is the front desk of your bank how may i help you today"
AGAIN = "sorry i did not catch that could you say it again"
ASK = "i am sorry to hear that and i will take care of it right away please tell me the last four digits"
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBERS = {word: digit for digit, word in enumerate(_WORDS)}
FREEZE: Mapping[str, Any] = {
    "name": "freeze_card",
    "description": "Freeze a bank card.",
    "duration_ms": 300,
    "parameters": {
        "type": "object",
        "required": ["card"],
        "properties": {"card": {"type": "string", "pattern": "^[0-9]{4}$"}},
    },
    "effects": [{"set": {"cards.{card}.status": "frozen"}, "returns": True}],
}
WANTS = {"text": "hello i want to freeze my card please"}
DIGITS = {"text": "it ends in four one two nine", "cue": ["four digits"]}
YES = {"text": "yes please do that", "cue": ["shall i"]}
TURNS = (WANTS, DIGITS, YES)


@dataclass(frozen=True, kw_only=True)
class Clerk:
    """A dialogue model that needs what is wanted, four digits and a yes, and then freezes a card."""

    remembers: bool = True
    """All of the conversation, or only the last message of each side."""
    asks_first: bool = True
    """Whether it acts only after a yes."""
    reads_back: bool = True
    """Whether it says which card it understood."""

    def reply(self, history: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        """Answer the last message."""
        told = [message.content for message in history if message.role == "user"]
        said = [message.content for message in history if message.role == "assistant"]
        told, said = (told, said) if self.remembers else (told[-1:], said[-1:])
        if history[-1].role == "tool":
            return Reply(text="your card is frozen and a new one is on its way goodbye", ends_call="done")
        if not told[-1]:
            return Reply(text=AGAIN)
        known = " ".join(told)
        digits = _digits(known)[-4:]
        if "freeze" not in known:
            return Reply(text="what can i do for you today i can freeze cards and much more")
        if len(digits) < 4:
            return self._ask(told[-1], said)
        confirmed = any("shall i" in words for words in said) and "yes" in told[-1].split()
        if confirmed or not self.asks_first:
            return Reply(tool_calls=(ToolCall(name="freeze_card", arguments={"card": digits}),))
        which = f"the card that ends in {' '.join(digits)}" if self.reads_back else "your card"
        return Reply(text=f"thank you i have found {which} and before i do anything shall i freeze it now")

    @staticmethod
    def _ask(heard: str, said: Sequence[str]) -> Reply:
        """For the digits, unless that was asked already."""
        if _digits(heard):
            return Reply(text=AGAIN)
        asked = any("four digits" in words for words in said)
        return Reply(text="all right please take your time and go ahead" if asked else ASK)


def _digits(text: str) -> str:
    spoken = (str(NUMBERS.get(word, word)) for word in text.split())
    return "".join(word for word in spoken if word.isdecimal())


def nothing_else(_: str, spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """What is audible is heard as speech."""
    return spans


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What differs between two agents."""

    rules: TurnTaking = field(default_factory=TurnTaking)
    waits: Callable[[Sequence[int]], int] = lambda _: 700
    hears: Callable[[str, tuple[Span, ...]], tuple[Span, ...]] = nothing_else
    """From a sound's name (``aside:0``) and what is audible in it to where it hears speech."""
    makes_out: Callable[[str], str] = lambda words: words
    clerk: Clerk = Clerk()
    recognizer_ms: int = 150

    def agent(self) -> Agent:
        """An agent that acts so."""
        deaf = Deaf()
        return Agent(
            name="clerk",
            model_version="1",
            release_date="2026-01-01",
            greeting=GREETING,
            recognizer=deaf,
            dialogue=self.clerk,
            synthesizer=deaf,
            endpointer=deaf,
            tool_backend=SimulatedTools.from_scenario,
            turn_taking=self.rules,
            latency={
                Stage.RECOGNIZER: StageLatency(base_ms=self.recognizer_ms, spread=0.2),
                Stage.DIALOGUE: StageLatency(base_ms=500, spread=0.2),
                Stage.SYNTHESIZER: StageLatency(base_ms=100, spread=0.2),
            },
        )


def rules(**changes: Any) -> Policy:
    """The default agent, apart from its turn-taking."""
    return Policy(rules=TurnTaking(**changes))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A behaviour of callers, and a policy that is right or wrong for it. The table is made of these."""

    behaviour: str
    """As in ``scenario.py``: a field of `CallerTurn`, ``aside.<kind>``, or a field of `Scenario`."""
    policy: str
    """A field of `TurnTaking`, or the part of the agent that is right or wrong instead."""
    metric: str
    why: str
    """How the wrong policy harms these callers."""
    right: Policy = field(default_factory=Policy)
    wrong: Policy = field(default_factory=Policy)
    turns: Sequence[Mapping[str, Any]] = TURNS
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What else makes the scenario differ from a plain one."""
    plain: Sequence[Mapping[str, Any]] = TURNS
    """What a plain caller says."""
    plain_changes: Mapping[str, Any] = field(default_factory=dict)
    babble: tuple[Span, ...] = ()
    """Where speech is heard in the line's noise, in calls of the behaviour."""
    harms: Literal["some", "everybody"] = "some"
    """Whether plain calls are harmed, too."""


@dataclass
class _Pace(Room):
    """A room in which a word, and a cough, take as long as the speaker takes for it."""

    word_ms: int = 300

    def agent_says(self, text: str) -> AgentSound:
        return AgentSound(digest=f"agent {text}", lead_ms=50, speech_ms=280 * len(text.split()))

    def aside(self, aside: Aside, index: int, *, lead_ms: int) -> LineSound:
        return self._sound(f"aside:{index}", [aside.text.split() or [""]], lead_ms, pause_ms=0)

    def _sound(self, digest: str, parts: list[list[str]], lead_ms: int, *, pause_ms: int) -> LineSound:
        at_ms, audible = lead_ms, []
        self.words[digest] = placed = []
        for part in parts:
            audible.append(Span(start_ms=at_ms, end_ms=at_ms + self.word_ms * len(part)))
            for word in part:
                placed.append((word, at_ms, at_ms + self.word_ms))
                at_ms += self.word_ms
            at_ms += pause_ms
        end_ms = at_ms - pause_ms
        heard = self.hears(digest, tuple(audible))
        return LineSound(
            digest=digest,
            duration_ms=end_ms + TAIL_MS,
            audible_from_ms=lead_ms,
            audible_to_ms=end_ms,
            heard=tuple(_merged((*heard, *self.bed_hears), until_ms=end_ms + TAIL_MS)),
        )


def _merged(spans: Iterable[Span], *, until_ms: int) -> Iterator[Span]:
    """Where any of them is, up to a moment."""
    start_ms = end_ms = -1
    for span in sorted(spans, key=lambda each: each.start_ms):
        if span.start_ms >= until_ms:
            break
        if span.start_ms > end_ms:
            if end_ms > start_ms:
                yield Span(start_ms=start_ms, end_ms=end_ms)
            start_ms = span.start_ms
        end_ms = max(end_ms, min(span.end_ms, until_ms))
    if end_ms > start_ms:
        yield Span(start_ms=start_ms, end_ms=end_ms)


def scenarios(case: Case) -> dict[str, Scenario]:
    """The calls with the behaviour, and the plain ones."""

    def written(name: str, turns: Sequence[Mapping[str, Any]], changes: Mapping[str, Any]) -> Scenario:
        frozen = {"name": "freeze_card", "arguments": {"card": "4129"}}
        return Scenario.model_validate(
            {
                "id": name,
                "goal": "Freeze the lost card.",
                "domain": "banking",
                "call_type": "request",
                "turns": turns,
                "tools": [FREEZE],
                "tool_paths": [{"calls": [frozen]}],
                "outcome": {"state": {"cards.4129.status": "frozen"}},
                "world": {"cards": {card: {"status": "active"} for card in ("4129", "7788")}},
            }
            | dict(changes)
        )

    return {
        "behaviour": written("behaviour", case.turns, case.changes),
        "plain": written("plain", case.plain, case.plain_changes),
    }


def planned(behaviour: str, *, speakers: int = SPEAKERS) -> tuple[PlannedCall, ...]:
    """Every speaker, with the behaviour and without."""
    return tuple(
        PlannedCall(
            scenario=scenario,
            caller=f"speaker{number:02}",
            line="clear",
            trial=0,
            speaker=f"speaker{number:02}",
            tags={"behaviour": value},
        )
        for number in range(speakers)
        for scenario, value in (("behaviour", behaviour), ("plain", PLAIN))
    )


def place(case: Case, policy: Policy) -> dict[str, Call]:
    """Every planned call with an agent of this policy, by the id of the planned call."""
    stories, agent = scenarios(case), policy.agent()
    calls = {}
    for call in planned(case.behaviour):
        key = CallKey(
            scenario=call.scenario, caller=call.caller, line=call.line, trial=call.trial, arm=Arm.BASELINE
        )
        medium = _Pace(
            hears=policy.hears,
            waits=policy.waits,
            makes_out=policy.makes_out,
            bed_hears=case.babble if call.scenario == "behaviour" else (),
            word_ms=240 + 12 * int(call.caller.removeprefix("speaker")),
        )
        calls[call.id] = _placed(stories[call.scenario], agent, key, medium)
    return calls


def _placed(story: Scenario, agent: Agent, key: CallKey, medium: Medium) -> Call:
    tools, seed = agent.tool_backend(story), key.seed(SEED)
    record = Conversation(scenario=story, agent=agent, medium=medium, tools=tools, seed=seed).run()
    return Call(
        key=key,
        seed=seed,
        events=record.events,
        ending=record.ending,
        failure=record.failure,
        final_state=record.final_state,
        usage=record.usage,
        cost=0.0,
    )


def judged(
    stories: Mapping[str, Scenario],
    calls: Mapping[Arm, Mapping[str, Call]],
    agents: Mapping[Arm, Agent],
    plan: tuple[PlannedCall, ...],
    metrics: Sequence[str],
) -> Comparison:
    """Both arms' calls, by planned call, through pairs and gate."""
    deaf = Deaf()
    experiment = Experiment(
        scenarios=stories,
        agents=agents,
        planned=plan,
        seed=SEED,
        independent_arms=False,
        metrics=tuple(BUNDLED[name]() for name in metrics),
        slicings=(Slicing(tags=("behaviour",), gates=True),),
        gate=CohortGate({name: Margin.parse(MARGINS[name]) for name in metrics}),
        reference=Reference(recognizer=deaf, synthesizer=deaf),
        policy="pr",
        facts={},
    )
    by_id = {
        key.id: replace(call, key=key)
        for arm, placed in calls.items()
        for call in placed.values()
        for key in [replace(call.key, arm=arm)]
    }
    return compare(experiment, by_id).comparison


def compared(
    case: Case,
    agents: tuple[Agent, Agent],
    calls: tuple[Mapping[str, Call], Mapping[str, Call]],
    plan: tuple[PlannedCall, ...],
) -> tuple[Comparison, Comparison]:
    """The right policy as baseline and the wrong one as candidate, and the other way round.

    ``agents`` and ``calls``: of the right policy, and of the wrong one.
    """
    metrics = [name for name in MARGINS if name == case.metric or name not in OF_SOME_CALLS]
    stories = scenarios(case)
    there, back = (
        judged(
            stories,
            dict(zip(Arm, calls[::step], strict=True)),
            dict(zip(Arm, agents[::step], strict=True)),
            plan,
            metrics,
        )
        for step in (1, -1)
    )
    return there, back


def placed_and_compared(case: Case) -> tuple[Comparison, Comparison]:
    """The same, with the calls placed in text."""
    calls = place(case, case.right), place(case, case.wrong)
    return compared(case, (case.right.agent(), case.wrong.agent()), calls, planned(case.behaviour))


def check(case: Case, there: Comparison, back: Comparison) -> None:
    """The wrong policy is regressed where it harms, there alone, and the right one nowhere there."""
    found = verdict(there, case.metric, case.behaviour)
    assert found.outcome is Outcome.REGRESSED
    assert found.blocks("pr")
    assert verdict(back, case.metric, case.behaviour).outcome is Outcome.IMPROVED
    plain = {
        each.metric.name: each.outcome
        for each in there.verdicts
        if each.gating and each.cohort.parts == (("behaviour", PLAIN),)
    }
    if case.harms == "everybody":
        assert plain[case.metric] is Outcome.REGRESSED
    else:
        assert not {Outcome.REGRESSED, Outcome.INVALID} & set(plain.values())


def verdict(comparison: Comparison, metric: str, behaviour: str) -> Verdict:
    """The verdict of one metric for the callers with one behaviour."""
    cohort = Cohort.of({"behaviour": behaviour})
    (found,) = [each for each in comparison.verdicts if each.cohort == cohort and each.metric.name == metric]
    return found
