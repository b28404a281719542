from __future__ import annotations

from dataclasses import replace

import pytest
from spoken_calls import agent, aside, call, called, caller, over, said, says, scenario

from voiceeval.call import CALL_JSON, Call, Ending, Heard, Replay
from voiceeval.metrics import BUNDLED
from voiceeval.protocols import Metric
from voiceeval.score import Gap, NotScored, Ratio, Scored

PARTS = {
    "recognizer",
    "dialogue",
    "tools",
    "synthesizer",
    "endpointing",
    "turn_taking",
    "latency",
    "prices",
    "greeting",
}
NAMES = [
    "agent_interrupts_caller",
    "agent_repeats_itself",
    "already_told_you",
    "asked_twice",
    "call_length_ms",
    "caller_asked_to_repeat",
    "cost_per_completed_call",
    "dialogue_ms",
    "endpointing_ms",
    "entity_error_rate",
    "premature_endpoints",
    "recognizer_ms",
    "repeated_corrections",
    "reply_length_ms",
    "reprompts",
    "response_rate",
    "round_trip_excess",
    "round_trip_wer",
    "silence_ms",
    "slow_replies",
    "synthesizer_ms",
    "talk_over_ms",
    "talk_through",
    "task_completion",
    "time_to_first_audio",
    "time_to_yield",
    "tool_path",
    "tool_path_given_words",
    "tools_ms",
    "transfer_rate",
    "turns_per_call",
    "very_slow_replies",
    "wer",
    "words_per_reply",
    "yield_rate",
]
SCENARIO = scenario(
    turns=[says("my card is four one two nine", entities=[{"type": "card", "text": "four one two nine"}])],
    tool_paths=[{"calls": [{"name": "block_card", "arguments": {"digits": "4129"}}]}],
    outcome={"said": ["blocked"]},
    impatience={"words": "i told you"},
)


def _whole_call(ending: Ending = Ending.COMPLETED) -> Call:
    events = (
        *said(1, SCENARIO.turns[0].text, "my card is four one nine", reply="it is blocked"),
        *called("block_card", digits="419"),
        *aside(1, 24_500, 24_900, "cough"),
        *caller(2, 26_500, 27_900, "thank you", barge_in=True),
        *agent(2, 29_000, 29_500, "goodbye"),
        *over(2, 30_000),
    )
    return call(
        *events,
        ending=ending,
        cost=0.01,
        heard=(Heard(audio="b", said="it is blocked", heard="it is", floor_heard="it is blocked"),),
        given_right_words=Replay(events=events, ending=Ending.COMPLETED, final_state={}),
    )


def test_the_bundled_metrics_are_these() -> None:
    assert sorted(BUNDLED) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_what_its_name_says_and_describes_itself(name: str) -> None:
    metric = BUNDLED[name]()
    info = metric.info
    assert isinstance(metric, Metric)
    assert info.name == name
    assert info.version >= 1
    assert info.title
    assert info.definition.endswith(".")
    assert info.depends_on
    assert set(info.depends_on) <= PARTS
    assert len(set(info.depends_on)) == len(info.depends_on)
    assert "endpointing" not in info.depends_on or "turn_taking" in info.depends_on


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_scores_a_whole_call_with_evidence(name: str) -> None:
    score = BUNDLED[name]().score(SCENARIO, _whole_call())
    assert isinstance(score, Scored)
    assert score.observations
    assert score.evidence


@pytest.mark.parametrize("name", NAMES)
def test_a_yes_no_metric_has_one_observation_of_one(name: str) -> None:
    metric = BUNDLED[name]()
    if metric.info.yes_no:
        for ending in (Ending.COMPLETED, Ending.AGENT_FAILED):
            score = metric.score(SCENARIO, _whole_call(ending))
            assert isinstance(score, Scored)
            assert [ratio.denominator for ratio in score.observations] == [1]
            assert score.total.numerator in {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_what_the_harness_failed_has_no_score_under_any_metric(name: str) -> None:
    score = BUNDLED[name]().score(SCENARIO, _whole_call(Ending.HARNESS_FAILED))
    assert isinstance(score, NotScored)
    assert score.gap is Gap.HARNESS_FAILED


@pytest.mark.parametrize("name", NAMES)
def test_a_call_read_back_from_the_journal_scores_the_same(name: str) -> None:
    metric, placed = BUNDLED[name](), _whole_call()
    read_back = CALL_JSON.validate_json(CALL_JSON.dump_json(placed))
    assert metric.score(SCENARIO, read_back) == metric.score(SCENARIO, placed)


@pytest.mark.parametrize("name", ["wer", "entity_error_rate", "task_completion", "time_to_first_audio"])
def test_a_call_the_agent_failed_counts_against_the_agent(name: str) -> None:
    score = BUNDLED[name]().score(SCENARIO, call(ending=Ending.AGENT_FAILED))
    assert isinstance(score, Scored)
    worst = {"task_completion": 0.0, "time_to_first_audio": 10_000.0}.get(name, 1.0)
    assert score.total.numerator / score.total.denominator == worst


def test_the_recognizers_own_errors_are_taken_off_the_round_trip() -> None:
    def total(heard: str, floor: str) -> Ratio:
        spoken = (Heard(audio="b", said="it is blocked now", heard=heard, floor_heard=floor),)
        score = BUNDLED["round_trip_excess"]().score(SCENARIO, replace(_whole_call(), heard=spoken))
        assert isinstance(score, Scored)
        return score.total

    assert total("it is locked now", "it is locked now") == Ratio(0, 4)
    assert total("it is locked", "it is locked now") == Ratio(1, 4)
    assert total("it is blocked now", "it was now") == Ratio(-2, 4)
