"""Each behaviour of callers, and each policy of an agent: the wrong policy fails the callers it harms.

The table says what is tested and why it matters. Baseline has the right policy and candidate the wrong one;
both are placed the same calls of 14 speakers, with the behaviour and without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import pytest
from behaviour_runs import DIGITS, WANTS, YES, Case, Clerk, Policy, check, placed_and_compared, rules

from voiceeval.protocols import Span
from voiceeval.scenario import Aside, CallerTurn, Scenario
from voiceeval.stages.silero import SileroEndpointer
from voiceeval.turn_taking import BACK_CHANNELS, TurnTaking


def barge_in(text: str, at_ms: int = 1500) -> tuple[Mapping[str, object], ...]:
    """The caller breaks into the question for the digits with these words, and answers it later."""
    return (WANTS, {"text": text, "cue": ["four digits"], "barge_in_ms": at_ms}, DIGITS, YES)


def aside(kind: str, text: str = "") -> dict[str, object]:
    return {"asides": [{"kind": kind, "text": text, "cue": ["four digits"], "at_ms": 1500}]}


def waits(ms: int) -> Policy:
    return Policy(waits=lambda _: ms)


def adaptive(silence_ms: int, longest_ms: int = 1_500) -> Policy:
    def wait_ms(pauses_ms: Sequence[int]) -> int:
        made = SileroEndpointer(silence_ms=silence_ms, longest_ms=longest_ms, adaptive=True)
        return made.wait_ms(pauses_ms)

    return Policy(waits=wait_ms)


def slow_to_think(while_thinking: Literal["listen", "ignore"]) -> Policy:
    return Policy(recognizer_ms=600, rules=TurnTaking(interruptions="finish", while_thinking=while_thinking))


def hesitant(first_ms: int, second_ms: int) -> tuple[Mapping[str, object], ...]:
    return (
        {**WANTS, "hesitation": {"after_words": 5, "ms": first_ms}},
        {**DIGITS, "hesitation": {"after_words": 5, "ms": second_ms}},
        YES,
    )


STORY = (
    "hello so yesterday i was in town with my sister and on the way home somebody took my purse and now i "
    "need you to freeze my card at once"
)
BURSTS = tuple(Span(start_ms=at_ms, end_ms=min(at_ms + 450, 30_000)) for at_ms in range(0, 30_600, 1_800))
ALWAYS = (Span(start_ms=0, end_ms=30_000),)
KEYED = (WANTS, {"keys": "4129", "cue": ["four digits"]}, YES)
ALL_AT_ONCE = ({"text": "freeze my card that ends in four one two nine"},)
MUST_ASK = {"outcome": {"state": {"cards.4129.status": "frozen"}, "said": ["shall i freeze it now"]}}
UNTOUCHED = {"tool_paths": [{}], "outcome": {"state": {"cards.4129.status": "active"}}}

TABLE = (
    # -- breaking into a reply --
    Case(
        behaviour="barge_in_ms", policy="interruptions", metric="yield_rate",
        turns=(WANTS, {**DIGITS, "barge_in_ms": 1500}, YES),
        right=rules(interruptions="stop"), wrong=rules(interruptions="finish"),
        why="finish: it speaks on over who interrupts, and does not hear them",
    ),
    Case(
        behaviour="barge_in_ms", policy="interruptions", metric="yield_rate", turns=barge_in("stop"),
        right=rules(interrupt_after_ms=200), wrong=rules(interrupt_after_ms=200, interruptions="words"),
        why="words: one word is too few to stop for",
    ),
    Case(
        behaviour="barge_in_ms", policy="interrupt_after_ms", metric="time_to_yield",
        turns=(WANTS, {**DIGITS, "barge_in_ms": 1500}, YES),
        right=rules(interrupt_after_ms=300), wrong=rules(interrupt_after_ms=1500),
        why="too long: it speaks on over who interrupts for all that time",
    ),
    Case(
        behaviour="barge_in_ms", policy="interrupt_words", metric="yield_rate",
        turns=(WANTS, {**DIGITS, "barge_in_ms": 1500}, YES),
        right=rules(interruptions="words", interrupt_words=2),
        wrong=rules(interruptions="words", interrupt_words=12),
        why="too many: nobody says so much while the agent speaks on",
    ),
    Case(
        behaviour="barge_in_ms", policy="back_channels", metric="yield_rate", turns=barge_in("no not that"),
        right=rules(interruptions="words"),
        wrong=rules(interruptions="words", back_channels=(*BACK_CHANNELS, "no", "not", "that")),
        why="too many: words of an objection are taken for signs of listening",
    ),
    Case(
        behaviour="barge_in_ms", policy="believes", metric="task_completion",
        turns=barge_in("please be quick about it"),
        right=rules(believes="played"), wrong=rules(believes="all"),
        why="all: it takes a question for asked that nobody heard, and does not ask it",
    ),
    Case(
        behaviour="barge_in_ms", policy="believes", metric="task_completion",
        turns=(WANTS, DIGITS, {**YES, "barge_in_ms": 1500}), changes=MUST_ASK,
        right=rules(believes="played"), wrong=rules(believes="all"),
        why="all: it takes for said what it has to say, and was not let say",
    ),
    Case(
        behaviour="barge_in_ms", policy="false_alarm", metric="reprompts",
        turns=(WANTS, DIGITS, {**YES, "text": "yes", "barge_in_ms": 6000}),
        right=rules(interrupt_after_ms=150, false_alarm="reply"),
        wrong=rules(interrupt_after_ms=150, false_alarm="resume"),
        why="resume: an answer of one word that is also a back-channel is passed over",
    ),
    # -- sounds that are not meant for the agent --
    Case(
        behaviour="aside.back_channel", policy="interruptions", metric="talk_through",
        changes=aside("back_channel", "uh huh"),
        right=rules(interruptions="words"), wrong=rules(interruptions="stop"),
        why="stop: it breaks off whenever somebody shows that they listen",
    ),
    Case(
        behaviour="aside.back_channel", policy="back_channels", metric="talk_through",
        changes=aside("back_channel", "uh huh"),
        right=rules(interruptions="words"), wrong=rules(interruptions="words", back_channels=("right",)),
        why="too few: it takes a sign of listening for words",
    ),
    Case(
        behaviour="aside.back_channel", policy="interrupt_words", metric="talk_through",
        changes=aside("back_channel", "lovely"),
        right=rules(interruptions="words", interrupt_words=2),
        wrong=rules(interruptions="words", interrupt_words=1),
        why="too few: nobody's list has every sign of listening",
    ),
    Case(
        behaviour="aside.cough", policy="interrupt_after_ms", metric="talk_through", changes=aside("cough"),
        right=rules(interrupt_after_ms=600), wrong=rules(interrupt_after_ms=150),
        why="too short: it breaks off at every cough",
    ),
    Case(
        behaviour="aside.cough", policy="false_alarm", metric="caller_asked_to_repeat",
        changes=aside("cough"),
        right=rules(interrupt_after_ms=150), wrong=rules(interrupt_after_ms=150, false_alarm="reply"),
        why="reply: it asks somebody who coughed what they said",
    ),
    Case(
        behaviour="aside.side_talk", policy="end-pointing", metric="talk_through",
        changes=aside("side_talk", "i will be there in a minute"),
        right=Policy(hears=lambda name, spans: () if name.startswith("aside") else spans),
        why="speech from farther away is taken for speech to the agent",
    ),
    Case(
        behaviour="aside.side_talk", policy="interruptions", metric="talk_through",
        changes=aside("side_talk", "i will be there in a minute"),
        right=rules(interruptions="finish"), wrong=rules(interruptions="words"),
        why="words: those to somebody else are words, too",
    ),
    # -- pauses and silences --
    Case(
        behaviour="hesitation", policy="end-pointing", metric="premature_endpoints",
        turns=hesitant(300, 700), right=waits(900), wrong=waits(400),
        why="too short: somebody who looks for a number is taken to have finished",
    ),
    Case(
        behaviour="hesitation", policy="end-pointing", metric="premature_endpoints",
        turns=hesitant(500, 700), right=adaptive(600), wrong=waits(600),
        why="not adaptive: it does not learn from the first pause to wait at the next",
    ),
    Case(
        behaviour="hesitation", policy="end-pointing", metric="time_to_first_audio",
        turns=hesitant(1200, 1400), right=adaptive(1400), wrong=adaptive(1400, longest_ms=10_000),
        why="adaptive without bounds: who hesitates once waits from then on",
    ),
    Case(
        behaviour="text", policy="end-pointing", metric="time_to_first_audio", harms="everybody",
        right=waits(700), wrong=waits(2200), why="too long: everybody waits",
    ),
    Case(
        behaviour="hesitation", policy="while_thinking", metric="caller_asked_to_repeat",
        turns=hesitant(300, 600),
        right=Policy(waits=lambda _: 400),
        wrong=Policy(waits=lambda _: 400, rules=TurnTaking(while_thinking="ignore")),
        why="ignore: the second half of a number is not heard",
    ),
    Case(
        behaviour="silence_ms", policy="no_speech_ms", metric="reprompts",
        turns=(WANTS, {**DIGITS, "silence_ms": 3000}, YES),
        right=rules(no_speech_ms=5000), wrong=rules(no_speech_ms=1500),
        why="too short: who looks for their card is asked whether they said something",
    ),
    Case(
        behaviour="silence_ms", policy="no_speech_ms", metric="silence_ms",
        turns=(
            WANTS,
            {"silence_ms": 25_000, "cue": ["four digits"]},
            {**DIGITS, "cue": ["four digits", "say it again"]},
            YES,
        ),
        right=rules(no_speech_ms=5000), wrong=rules(no_speech_ms=60_000),
        why="too long: who did not hear the question is never asked again",
    ),
    # -- more than was expected --
    Case(
        behaviour="afterthought", policy="while_thinking", metric="task_completion",
        turns=(
            WANTS,
            {
                **DIGITS,
                "text": "it ends in seven seven eight eight",
                "afterthought": {"text": "no four one two nine", "after_ms": 1000},
            },
            YES,
        ),
        right=rules(while_thinking="listen"), wrong=rules(while_thinking="ignore"),
        why="ignore: a change of mind is lost, and the wrong card frozen",
    ),
    Case(
        behaviour="text", policy="limit_ms", metric="premature_endpoints",
        turns=({"text": STORY}, DIGITS, YES), right=rules(limit_ms=15_000), wrong=rules(limit_ms=5000),
        why="too short: who tells a story is cut off",
    ),
    Case(
        behaviour="line.noise", policy="limit_ms", metric="response_rate", babble=ALWAYS,
        right=rules(interruptions="finish", limit_ms=6000),
        wrong=rules(interruptions="finish", limit_ms=60_000),
        why="too long: among voices that never stop, no turn ever ends",
    ),
    Case(
        behaviour="line.noise", policy="while_thinking", metric="response_rate", babble=BURSTS,
        right=slow_to_think("ignore"), wrong=slow_to_think("listen"),
        why="listen: a voice in the background makes it drop reply after reply",
    ),
    # -- keys --
    Case(
        behaviour="keys", policy="keys", metric="task_completion", turns=KEYED,
        right=rules(keys="accept"), wrong=rules(keys="ignore"), why="ignore: keyed digits never arrive",
    ),
    Case(
        behaviour="keys", policy="keys_pause_ms", metric="agent_repeats_itself", turns=KEYED,
        right=rules(keys_pause_ms=1500), wrong=rules(keys_pause_ms=100),
        why="too short: each key is taken for a number of its own",
    ),
    Case(
        behaviour="keys", policy="keys_pause_ms", metric="silence_ms", turns=KEYED,
        right=rules(keys_pause_ms=1500), wrong=rules(keys_pause_ms=9000),
        why="too long: nothing happens after the last key",
    ),
    # -- what callers do when it goes wrong --
    Case(
        behaviour="repairs", policy="recognizer", metric="caller_asked_to_repeat",
        turns=(WANTS, {**DIGITS, "text": "four one twenty nine", "repairs": ["four one two nine"]}, YES),
        right=Policy(makes_out=lambda words: words.replace("twenty nine", "two nine")),
        wrong=Policy(makes_out=lambda words: "" if "twenty" in words else words),
        why="who says a number in another way has to say it again",
    ),
    Case(
        behaviour="patience", policy="recognizer", metric="task_completion",
        turns=(WANTS, {**DIGITS, "text": "four one twenty nine", "repairs": ["four one two nine"]}, YES),
        changes={"patience": 0},
        right=Policy(makes_out=lambda words: words.replace("twenty nine", "two nine")),
        wrong=Policy(makes_out=lambda words: "" if "twenty" in words else words),
        why="who does not say it again hangs up",
    ),
    Case(
        behaviour="objection", policy="dialogue", metric="task_completion",
        turns=(WANTS, DIGITS, {**YES, "expects": ["4 1 2 9"], "objection": "which card do you mean"}),
        wrong=Policy(clerk=Clerk(reads_back=False)),
        why="does not read back: who wants to be sure never says yes",
    ),
    Case(
        behaviour="impatience", policy="dialogue", metric="already_told_you",
        turns=({**WANTS, "cue": ["what can i do"]}, DIGITS), plain=ALL_AT_ONCE,
        changes={"impatience": {}, "patience": 4}, plain_changes={"impatience": {}, "patience": 4},
        right=Policy(clerk=Clerk(asks_first=False)),
        wrong=Policy(clerk=Clerk(asks_first=False, remembers=False)),
        why="forgets: who says one thing after the other is asked again and again",
    ),
    Case(
        behaviour="impatience", policy="dialogue", metric="asked_twice",
        turns=({**WANTS, "cue": ["what can i do"]}, DIGITS), plain=ALL_AT_ONCE,
        changes={"impatience": {}, "patience": 4}, plain_changes={"impatience": {}, "patience": 4},
        right=Policy(clerk=Clerk(asks_first=False)),
        wrong=Policy(clerk=Clerk(asks_first=False, remembers=False)),
        why="forgets: the same, as it shows in the questions",
    ),
    Case(
        behaviour="hangs_up", policy="dialogue", metric="task_completion", changes=UNTOUCHED,
        turns=(WANTS, DIGITS, {"hangs_up": True, "cue": ["shall i"]}),
        wrong=Policy(clerk=Clerk(asks_first=False)),
        why="does not ask first: who left when it got serious finds their card frozen",
    ),
)  # fmt: skip


def named(case: Case) -> str:
    return f"{case.behaviour}-{case.policy}-{case.metric}-{case.why.partition(':')[0].replace(' ', '_')}"


@pytest.mark.parametrize("case", TABLE, ids=named)
def test_the_wrong_policy_fails_the_callers_whom_it_harms(case: Case) -> None:
    check(case, *placed_and_compared(case))


@pytest.mark.parametrize("case", TABLE[:2], ids=named)
def test_the_wrong_policy_in_both_arms_fails_nobody(case: Case) -> None:
    for comparison in placed_and_compared(replace(case, right=case.wrong)):
        assert not comparison.failed


NO_BEHAVIOUR = {
    "text": "in the table: whoever just speaks",
    "audio": "a recording of the text",
    "entities": "marks in the text, for metrics",
    "cue": "how the script is followed",
    "expects": "goes with objection",
}
"""Fields of `CallerTurn` that are nothing a caller does, with what they are."""
NO_POLICY: dict[str, str] = {}
"""Fields of `TurnTaking` without a wrong value, with why."""


def test_the_table_names_every_behaviour_that_a_scenario_can_have() -> None:
    asides = {f"aside.{kind}" for kind in get_args(Aside.model_fields["kind"].annotation)}
    turns = CallerTurn.model_fields.keys() - NO_BEHAVIOUR.keys()
    callers = {"impatience", "patience"} & Scenario.model_fields.keys()
    others = {"text", "line.noise"}
    assert {case.behaviour for case in TABLE} == asides | turns | callers | others


def test_the_table_names_every_policy_that_an_agents_turn_taking_has() -> None:
    parts = {"end-pointing", "recognizer", "dialogue"}
    assert {case.policy for case in TABLE} == (TurnTaking.model_fields.keys() - NO_POLICY.keys()) | parts


def test_every_choice_of_interrupting_is_wrong_for_somebody() -> None:
    of_interrupting = [case for case in TABLE if case.policy == "interruptions"]
    choices = get_args(TurnTaking.model_fields["interruptions"].annotation)
    assert {case.wrong.rules.interruptions for case in of_interrupting} == set(choices)


def test_each_case_changes_nothing_but_the_policy_that_it_names() -> None:
    for case in TABLE:
        right, wrong = case.right.rules.model_dump(), case.wrong.rules.model_dump()
        changed = {name for name in right if right[name] != wrong[name]}
        assert changed == {case.policy} & TurnTaking.model_fields.keys(), named(case)
