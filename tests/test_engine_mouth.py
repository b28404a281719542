"""Which words of a reply are over at a moment of it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceeval.engines.medium import AgentSound
from voiceeval.engines.mouth import Speech


def speech(text: str, speech_ms: int) -> Speech:
    sound = AgentSound(digest="d", lead_ms=0, speech_ms=speech_ms)
    return Speech(text=text, sound=sound, turn=1, ends="no")


@pytest.mark.parametrize(
    ("moment_ms", "over"),
    [
        (0, ""),
        (399, ""),  # three of four letters
        (400, "your"),
        (500, "your"),
        (800, "your"),
        (899, "your"),
        (900, "your card"),
        (1199, "your card"),
        (1200, "your card is"),
        (1499, "your card is"),
    ],
)
def test_a_word_is_over_with_its_last_letter(moment_ms: int, over: str) -> None:
    assert speech("your card is ok", 1500).words_until(moment_ms) == over


def test_all_is_over_at_the_end_and_nothing_where_there_is_no_sound() -> None:
    assert speech("your card", 900).words_until(900) == "your card"
    assert speech("your card", 0).words_until(0) == ""


@pytest.mark.parametrize("gap", ["\n", "  ", "\t"])
def test_words_are_apart_by_any_white_space(gap: str) -> None:
    text = f"one{gap}two three"
    assert speech(text, 100 * len(text)).words_until(100 * (3 + len(gap) + 2)) == "one"


TEXTS = st.lists(st.sampled_from(["a", "the", "card", "blocked", "né"]), min_size=1, max_size=12).map(
    " ".join
)


@settings(derandomize=True)
@given(TEXTS, st.integers(1, 5000), st.lists(st.integers(0, 5000), max_size=4))
def test_the_parts_of_a_reply_that_was_cut_are_its_words(text: str, speech_ms: int, cuts: list[int]) -> None:
    """However often it is cut off and goes on: no word is lost, and none is said twice."""
    played = speech(text, speech_ms)
    borders = [0, *sorted(min(cut, speech_ms) for cut in cuts), speech_ms]
    parts = [played.words_between(a, b) for a, b in itertools.pairwise(borders)]
    assert " ".join(part for part in parts if part) == text
    for border in borders:
        assert text.split()[: len(played.words_until(border).split())] == played.words_until(border).split()
