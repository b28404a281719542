from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

from voiceeval import evaluators
from voiceeval.audio import AudioClip
from voiceeval.errors import AudioError, InputError, RegistryError
from voiceeval.evaluators import ASRAccuracy, Evaluation, TaskCompletion, ToolSelectionAccuracy, TTSAccuracy
from voiceeval.protocols import Recognition

FIND = {"name": "find_card", "arguments": {"digits": "4129"}}
BLOCK = {"name": "block_card", "arguments": {"digits": "4129"}}


class _Hears:
    """A recognizer that hears the same in any clip and counts the clips."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.clips: list[AudioClip] = []

    def transcribe(self, audio: AudioClip) -> Recognition:
        self.clips.append(audio)
        return Recognition(text=self.text)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    path.write_bytes(AudioClip.silence(200, 16_000).encode("wav"))
    return path


def test_asr_accuracy_is_one_minus_the_word_error_rate(clip: Path) -> None:
    ears = _Hears("please lock my card")
    result = ASRAccuracy(recognizer=ears).evaluate(audio_path=clip, ground_truth="Please block my card!")
    assert (result.score, result.wer, result.errors, result.words) == (0.75, 0.25, 1, 4)
    assert result.transcript == "please lock my card"
    assert result.alignment.splitlines()[:2] == ["REF: please block my card", "HYP: please  lock my card"]
    assert ears.clips[0].duration_ms == 200


def test_asr_accuracy_takes_a_transcript_in_place_of_audio() -> None:
    assert ASRAccuracy().evaluate(transcript="4129", ground_truth="four one two nine").score == 1.0


def test_asr_accuracy_is_never_below_nothing() -> None:
    result = ASRAccuracy().evaluate(transcript="a b c d", ground_truth="x")
    assert (result.score, result.wer) == (0.0, 4.0)


def test_an_empty_transcript_is_all_wrong() -> None:
    assert ASRAccuracy().evaluate(transcript="", ground_truth="block my card").score == 0.0


def test_tts_accuracy_listens_to_the_speech(clip: Path) -> None:
    result = TTSAccuracy(recognizer=_Hears("your card is blocked")).evaluate(
        audio_path=clip, text="Your card is blocked."
    )
    assert result.score == 1.0


@pytest.mark.parametrize(
    "arguments", [{"ground_truth": "a"}, {"ground_truth": "a", "transcript": "a", "audio_path": "a.wav"}]
)
def test_asr_accuracy_wants_either_audio_or_a_transcript(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="give either audio_path or transcript"):
        ASRAccuracy().evaluate(**arguments)


def test_there_is_no_accuracy_without_words() -> None:
    with pytest.raises(InputError, match="ground_truth: has no words after the normaliser english/1"):
        ASRAccuracy().evaluate(transcript="hello", ground_truth="?!")


def test_audio_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: cannot be read"):
        ASRAccuracy(recognizer=_Hears("")).evaluate(audio_path=tmp_path / "gone.wav", ground_truth="hi")


def test_a_recognizer_is_looked_up_by_name_only_when_audio_comes(clip: Path) -> None:
    unknown = ASRAccuracy(recognizer="pocketsphnx")
    assert unknown.evaluate(transcript="hi", ground_truth="hi").score == 1.0
    with pytest.raises(RegistryError, match=r"ASRAccuracy: .* Did you mean 'pocketsphinx'"):
        unknown.evaluate(audio_path=clip, ground_truth="hi")


@pytest.mark.parametrize(
    ("response", "expected", "score"),
    [
        ("Your card ending in 4129 is blocked.", "your card ending in four one two nine is blocked", 1.0),
        ("OK! Your card 4129 is blocked now, goodbye.", "your card 4129 is blocked", 1.0),
        ("Your card 4199 is blocked.", "your card 4129 is blocked", 0.0),
        ("Your card is not blocked.", "your card is blocked", 0.0),
        ("Your card is blocked.", "your card is not blocked", 0.0),
        ("The card was blocked.", "your card is blocked", 0.5),
        ("blocked blocked blocked blocked", "your card is blocked", 0.25),
        ("", "your card is blocked", 0.0),
        ("It costs 12 dollars.", "it costs twelve dollars", 1.0),
        ("forty one twenty nine", "4129", 1.0),
    ],
)
def test_task_completion_counts_expected_words_and_insists_on_facts(
    response: str, expected: str, score: float
) -> None:
    assert TaskCompletion().evaluate(response=response, expected_response=expected).score == score


def test_task_completion_takes_required_and_forbidden_phrases() -> None:
    evaluator = TaskCompletion()
    some = evaluator.evaluate(response="It is frozen.", required=["blocked|frozen", "4129"])
    assert some.score == 0.5
    assert some.evidence == ("said: 'blocked|frozen'", "not said: '4129'")
    banned = evaluator.evaluate(
        response="It is frozen, guaranteed.", required=["frozen"], forbidden=["guaranteed"]
    )
    assert banned.score == 0.0


def test_task_completion_wants_something_to_expect() -> None:
    with pytest.raises(InputError, match="give expected_response with at least one word"):
        TaskCompletion().evaluate(response="hello")


@pytest.mark.parametrize(
    ("made", "expected", "options", "score"),
    [
        ([], [FIND], {}, 0.0),
        ([], [], {}, 1.0),
        ([FIND], [], {}, 0.0),
        ([FIND], [], {"extra_calls": "allow"}, 1.0),
        ([FIND, BLOCK], [FIND, BLOCK], {}, 1.0),
        ([FIND], [FIND, BLOCK], {}, 0.5),
        ([FIND, FIND], [FIND, BLOCK], {}, 1 / 3),
        ([FIND, FIND], [FIND], {"extra_calls": "allow"}, 0.5),
        ([BLOCK, FIND], [FIND, BLOCK], {"order": "any_order"}, 1.0),
        ([BLOCK, FIND], [FIND, BLOCK], {"order": "in_order"}, 1 / 3),
        ([FIND, {"name": "log"}, BLOCK], [FIND, BLOCK], {"extra_calls": "allow"}, 2 / 3),
        ([{"name": "find_card", "arguments": {"digits": "9"}}], [FIND], {}, 0.0),
        ([{"name": "find_card", "arguments": {"digits": "9"}}], [FIND], {"compare_arguments": False}, 1.0),
    ],
)
def test_tool_selection_is_the_share_of_right_calls(
    made: list[Any], expected: list[Any], options: dict[str, Any], score: float
) -> None:
    result = ToolSelectionAccuracy().evaluate(tool_calls=made, expected_tool_calls=expected, **options)
    assert result.score == pytest.approx(score)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"tool": "find"}, r"tool_calls\[0\]: unknown keys tool; allowed: name, arguments"),
        ({"arguments": {}}, r"tool_calls\[0\]: a call needs name"),
        ({"name": "find", "arguments": "{}"}, r"tool_calls\[0\]: a call needs name"),
    ],
)
def test_a_call_of_the_wrong_shape_is_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ToolSelectionAccuracy().evaluate(tool_calls=[bad], expected_tool_calls=[])


def test_a_score_outside_its_range_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="score must be in"):
        Evaluation(score=1.2, reason="")
    assert Evaluation(score=0.9, reason="").at_least(0.9)


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(evaluators).failed == 0


def test_a_tool_call_that_is_a_bare_name_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(
        InputError, match=r"expected_tool_calls\[0\]: is a str; a call is an object with name"
    ):
        ToolSelectionAccuracy().evaluate(tool_calls=[], expected_tool_calls=["freeze_card"])  # type: ignore[list-item]
