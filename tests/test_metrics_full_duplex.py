"""Words and tasks in calls with several utterances a turn, asides, keys, and replies that were cut off."""

from __future__ import annotations

from typing import Any

from spoken_calls import agent, aside, call, caller, heard, over, pressed, says, scenario

from voiceeval.call import Call, Ending, Event
from voiceeval.metrics import BUNDLED
from voiceeval.scenario import Scenario
from voiceeval.score import NotScored, Ratio, Scored

CARD = {"type": "card", "text": "four one two nine"}
NAME = {"type": "name", "text": "miller"}
CHANGES_MIND = scenario(
    turns=[
        says(
            "block four one two nine",
            entities=[CARD, NAME],
            afterthought={"text": "the name is miller"},
        ),
        says("yes please"),
    ]
)
FIRST = caller(1, 1000, 3000, "block four one two nine")
MORE = caller(1, 3700, 5000, "the name is miller", script_turn=0, wording="afterthought")


def ratios(name: str, *events: Event, of: Scenario = CHANGES_MIND, **changes: Any) -> tuple[Ratio, ...]:
    score = BUNDLED[name]().score(of, call(*events, **changes))
    assert isinstance(score, Scored), score
    return score.observations


def completed(of: Scenario, *events: Event) -> bool:
    return ratios("task_completion", *events, of=of) == (Ratio(1, 1),)


def test_an_afterthought_belongs_to_its_turn_and_its_transcripts_are_joined() -> None:
    in_two = [*heard(1, 3400, "block four one two"), *heard(1, 5400, "nine the name is miller")]
    assert ratios("wer", *FIRST, *MORE, *in_two) == (Ratio(0, 9),)
    assert ratios("entity_error_rate", *FIRST, *MORE, *in_two) == (Ratio(0, 1), Ratio(0, 1))
    first_only = heard(1, 3400, "block four one two nine")
    assert ratios("wer", *FIRST, *MORE, *first_only) == (Ratio(4, 9),)
    assert ratios("entity_error_rate", *FIRST, *MORE, *first_only) == (Ratio(0, 1), Ratio(1, 1))


def test_words_made_out_of_noise_are_insertions_wherever_they_are() -> None:
    right = [*FIRST, *heard(1, 3400, "block four one two nine")]
    assert ratios("wer", *right, *heard(1, 9000, "the the", "noise")) == (Ratio(2, 5),)
    keyed = [*pressed(2, 8000, "41"), *heard(2, 9000, "thank you", "noise")]
    assert ratios("wer", *right, *keyed) == (Ratio(0, 5), Ratio(2, 0))
    assert ratios("wer", *heard(0, 500, "hello", "noise"), *right) == (Ratio(1, 0), Ratio(0, 5))


def test_asides_keys_and_silence_are_no_hypothesis() -> None:
    right = [*FIRST, *heard(1, 3400, "block four one two nine")]
    beside = [*aside(1, 6000, 6400), *heard(1, 7000, "uh huh", "aside")]
    keyed = [*pressed(2, 8000, "41"), *heard(2, 9000, "4 1", "keys"), *heard(2, 9500, "", "noise")]
    assert ratios("wer", *right, *beside, *keyed) == (Ratio(0, 5),)


def test_an_aside_in_place_of_the_words_leaves_them_never_transcribed() -> None:
    assert ratios("wer", *FIRST, *heard(1, 3400, "block four one two nine", "aside")) == (Ratio(5, 5),)


def test_a_turn_in_which_the_caller_only_hangs_up_is_not_spoken() -> None:
    score = BUNDLED["wer"]().score(CHANGES_MIND, call(*over(1, 3000, reason="hung up")))
    assert isinstance(score, NotScored)


def test_a_crash_owes_the_afterthought_and_all_later_turns() -> None:
    crash: dict[str, Any] = {"ending": Ending.AGENT_FAILED}
    half = [*FIRST, *heard(1, 3400, "block four one two nine")]
    assert ratios("wer", *half, **crash) == (Ratio(0, 5), Ratio(4, 4), Ratio(2, 2))
    assert ratios("entity_error_rate", *half, **crash) == (Ratio(0, 1), Ratio(1, 1))
    assert ratios("wer", **crash) == (Ratio(9, 9), Ratio(2, 2))
    assert ratios("entity_error_rate", **crash) == (Ratio(1, 1), Ratio(1, 1))
    whole = [*half, *MORE, *heard(1, 5400, "the name is miller")]
    assert ratios("wer", *whole, **crash) == (Ratio(0, 9), Ratio(2, 2))


def test_what_was_cut_off_before_it_was_said_was_not_said() -> None:
    wants = scenario(outcome={"said": ["is now blocked"]})
    words = "your card is now blocked"
    assert completed(wants, *agent(1, 4000, 6000, words))
    cut = agent(1, 4000, 5000, words, cut=True, said="your card")
    assert not completed(wants, *cut)
    assert completed(wants, *cut, *agent(1, 6000, 7000, "is now blocked", offset_ms=1000, audio=words))
    assert completed(wants, *cut, *agent(2, 6000, 7000, words, audio="again"))


def test_what_must_not_be_said_must_not_be_begun() -> None:
    wants = scenario(outcome={"not_said": ["is now blocked"]})
    words = "your card is now blocked"
    assert completed(wants, *agent(1, 4000, 6000, "it is not"))
    assert not completed(wants, *agent(1, 4000, 5000, words, cut=True, said="your card"))


def test_stages_add_up_all_their_work_and_what_was_dropped_is_among_it() -> None:
    work = [*heard(1, 3400, "block"), *heard(1, 5400, "the name"), *heard(1, 9000, "uh huh", "aside")]
    assert ratios("recognizer_ms", *FIRST, *MORE, *work) == (Ratio(300, 1),)


def test_a_call_is_not_changed_by_the_order_in_which_equal_moments_are_noted() -> None:
    """The caller breaks in at the very moment at which an aside ends and the agent stops."""
    events: list[Event] = [
        *FIRST,
        *agent(1, 4000, 6000, cut=True),
        *aside(1, 5600, 6000),
        *caller(2, 6000, 7000, barge_in=True),
    ]
    one, other = call(*events), call(*reversed(events[2:]), *events[:2])
    for name in ("talk_through", "yield_rate", "talk_over_ms", "response_rate", "silence_ms"):
        assert _seen(name, one) == _seen(name, other)


def _seen(name: str, c: Call) -> object:
    score = BUNDLED[name]().score(CHANGES_MIND, c)
    return score.observations if isinstance(score, Scored) else score.gap
