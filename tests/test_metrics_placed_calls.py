"""Two agents on the same call, placed by the engine: the one that takes turns worse scores worse."""

from __future__ import annotations

from typing import Any

from rooms import DONE, Room, agent, hold
from spoken_calls import call, says, scenario

from voiceeval.agents import StageLatency
from voiceeval.metrics import BUNDLED
from voiceeval.protocols import Reply
from voiceeval.scenario import Scenario
from voiceeval.score import NotScored, Scored
from voiceeval.turn_taking import TurnTaking

LONG = Reply(text="i can tell you all about it " * 9)
"""Of 63 words, so of 6.3 s."""
SLOW = StageLatency(base_ms=600)


def rates(story: Scenario, *replies: Any, room: Room | None = None, **rules: Any) -> dict[str, Any]:
    """Every metric's pooled rate, or why there is none."""
    made, _ = agent(*replies, rules=TurnTaking(**rules), dialogue=SLOW)
    events = hold(story, made, room).events
    found: dict[str, Any] = {}
    for name, make in BUNDLED.items():
        score = make().score(story, call(*events))
        if isinstance(score, Scored) and score.total.denominator:
            found[name] = score.total.numerator / score.total.denominator
        elif isinstance(score, NotScored):
            found[name] = score.reason
    return found


def test_an_agent_that_yields_and_one_that_does_not() -> None:
    story = scenario(
        turns=[
            says("please tell me about my card"),
            says("no stop that is enough thank you", barge_in_ms=1000),
        ]
    )
    yields, finishes = (rates(story, LONG, DONE, interruptions=mode) for mode in ("stop", "finish"))
    assert (yields["yield_rate"], finishes["yield_rate"]) == (1, 0)
    assert (yields["time_to_yield"], finishes["time_to_yield"]) == (300, 2000)
    assert (yields["talk_over_ms"], finishes["talk_over_ms"]) == (300, 700)
    assert yields["response_rate"] == 1
    assert yields["time_to_first_audio"] == 500 + 600 + 50
    assert finishes["wer"] > yields["wer"] == 0


def test_an_agent_that_talks_through_a_cough_and_one_that_does_not() -> None:
    story = scenario(turns=[says("please tell me about my card")], asides=[{"kind": "cough", "at_ms": 1000}])
    stops = rates(story, LONG, interrupt_after_ms=200)
    weighs = rates(story, LONG, interruptions="words")
    assert (weighs["talk_through"], stops["talk_through"]) == (1, 0)
    assert weighs["talk_over_ms"] == stops["talk_over_ms"] == 0
    assert weighs["wer"] == stops["wer"] == 0
    assert weighs["reply_length_ms"] == stops["reply_length_ms"] == 6300
    assert stops["call_length_ms"] > weighs["call_length_ms"]


def test_an_agent_that_waits_for_a_caller_who_hesitates_and_one_that_does_not() -> None:
    story = scenario(
        turns=[says("my number is four one two nine", hesitation={"after_words": 3, "ms": 1400})]
    )
    waits = rates(story, DONE, room=Room(waits=lambda _: 1500))
    hasty = rates(story, DONE, room=Room(waits=lambda _: 300))
    for name in ("premature_endpoints", "agent_interrupts_caller"):
        assert (waits[name], hasty[name]) == (0, 1)
    assert waits["talk_over_ms"] == 0 < hasty["talk_over_ms"]
    assert waits["endpointing_ms"] == 1500
    assert waits["time_to_first_audio"] == 1500 + 600 + 50


def test_an_afterthought_is_waited_for_from_its_end() -> None:
    story = scenario(turns=[says("block my card", afterthought={"text": "no wait the other one"})])
    drops = rates(story, DONE)
    assert drops["premature_endpoints"] == drops["agent_interrupts_caller"] == 0
    assert drops["time_to_first_audio"] == 500 + 600 + 50
    assert drops["wer"] == 0


def test_an_agent_that_takes_keys_and_one_that_does_not() -> None:
    story = scenario(turns=[says("hello there"), {"keys": "4129#"}])
    replies = (Reply(text="please enter your number"), DONE)
    takes, ignores = (rates(story, *replies, keys=mode) for mode in ("accept", "ignore"))
    assert (takes["reprompts"], ignores["reprompts"]) == (0, 0.5)
    assert takes["response_rate"] == 1
    assert takes["wer"] == 0


def test_an_agent_that_never_answers_is_waited_for_and_told_again() -> None:
    story = scenario(turns=[says("hello there")], impatience={})
    mute = rates(story, Reply(text=""))
    assert mute["response_rate"] == 0
    assert mute["time_to_first_audio"] == 10_000
    assert mute["repeated_corrections"] == 1
    assert mute["silence_ms"] >= 10_000


def test_an_agent_that_asks_again_what_it_was_told() -> None:
    story = scenario(
        turns=[says("hello there"), says("four one two nine", cue=["which card"])], impatience={}
    )
    asks = Reply(text="which card is it please")
    forgets, listens = rates(story, asks, asks, asks, DONE), rates(story, asks, DONE)
    for name in ("asked_twice", "already_told_you", "repeated_corrections", "agent_repeats_itself"):
        assert listens[name] == 0 < forgets[name], name
    assert forgets["caller_asked_to_repeat"] == 0
    deaf = rates(story, Reply(text="sorry could you repeat that please"), asks, DONE)
    assert deaf["asked_twice"] == 0 < deaf["caller_asked_to_repeat"]


def test_a_caller_who_leaves_waits_for_nothing() -> None:
    story = scenario(turns=[says("hello there"), says("never mind goodbye", hangs_up=True)])
    assert rates(story, LONG)["response_rate"] == 1
