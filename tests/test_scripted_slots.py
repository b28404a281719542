"""Values in words: what people say is what the agent reads back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceeval.stages.slots import MOST_WORDS, amounts, choices, dates, digits, numbers, words

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def found_digits(text: str, length: int) -> list[object]:
    return [found.value for found in digits(words(text), length)]


def found_amounts(text: str, *, bare: bool = False) -> list[object]:
    return [found.value for found in amounts(words(text), bare=bare)]


def found_dates(text: str) -> list[tuple[object, str]]:
    return [(found.value, found.spoken) for found in dates(words(text))]


@settings(deadline=None)
@given(st.text(alphabet="0123456789", min_size=1, max_size=12))
def test_digits_said_one_by_one_are_those_digits(number: str) -> None:
    said = " ".join(NAMES[int(digit)] for digit in number)
    assert found_digits(f"it is {said} please", len(number)) == [number]


@pytest.mark.parametrize(
    "text",
    [
        "four one two nine",
        "it is 4129",
        "4 1 2 9.",
        "forty one twenty nine",
        "Four, one, two, nine!",
        "no not four one nine it is four one two nine",
    ],
)
def test_four_digits_are_found_however_they_are_said(text: str) -> None:
    assert found_digits(text, 4) == ["4129"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("three eight two double six", "38266"),
        ("oh o zero one two", "00012"),
        ("triple four one two", "44412"),
    ],
)
def test_zeros_and_doubles_are_digits(text: str, number: str) -> None:
    assert found_digits(text, 5) == [number]


@pytest.mark.parametrize("text", ["four one two", "four one two nine nine", "double", "the for to ate", ""])
def test_a_wrong_count_of_digits_is_no_number(text: str) -> None:
    assert found_digits(text, 4) == []


@pytest.mark.parametrize(
    ("text", "dollars"),
    [
        ("one hundred and twenty dollars", 120),
        ("a hundred dollars", 100),
        ("two thousand five hundred dollars", 2500),
        ("forty five dollars", 45),
        ("120 dollars please", 120),
        ("twenty bucks", 20),
    ],
)
def test_amounts_are_whole_dollars(text: str, dollars: int) -> None:
    assert found_amounts(text) == [dollars]


def test_a_number_without_dollars_is_an_amount_only_where_one_was_asked_for() -> None:
    assert found_amounts("forty five") == []
    assert found_amounts("forty five", bare=True) == [45]


def test_numbers_are_counted_the_way_people_do() -> None:
    said = [found.value for found in numbers(words("twelve or two hundred and ten or one hundred"))]
    assert said == [12, 210, 100]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("on march third", ("03-03", "March third")),
        ("march the third", ("03-03", "March third")),
        ("the twenty first of may", ("05-21", "May twenty first")),
        ("april 2", ("04-02", "April second")),
        ("April 2nd", ("04-02", "April second")),
        ("december thirty first", ("12-31", "December thirty first")),
        ("july twenty", ("07-20", "July twentieth")),
    ],
)
def test_dates_are_months_and_days(text: str, date: tuple[str, str]) -> None:
    assert found_dates(text) == [date]


@pytest.mark.parametrize("text", ["february thirtieth", "march", "third", "may i", "march forty", "of may"])
def test_what_is_no_day_of_the_year_is_no_date(text: str) -> None:
    assert found_dates(text) == []


OPTIONS = {"amoxicillin": ("amoxicillin",), "penicillin": ("penicillin",), "insulin": ("insulin",)}


def test_a_name_is_found_when_it_is_heard_nearly_right_and_not_otherwise() -> None:
    assert [found.value for found in choices(words("my amoxicilin please"), OPTIONS, 85)] == ["amoxicillin"]
    assert list(choices(words("a new bicycle"), OPTIONS, 85)) == []


def test_the_threshold_decides_whether_a_likely_name_is_taken() -> None:
    heard = words("i need my moxie selling")
    assert list(choices(heard, {"amoxicillin": ("moxicillin",)}, 90)) == []
    assert list(choices(words("my moxy cillin"), {"amoxicillin": ("moxi cillin",)}, 70))


def test_two_names_that_are_equally_like_are_none() -> None:
    assert list(choices(words("bat"), {"cat": ("cat",), "rat": ("rat",)}, 60)) == []


@settings(deadline=None)
@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    said = words(text)
    assert len(said) <= MOST_WORDS
    for found in (*digits(said, 4), *numbers(said), *amounts(said, bare=True), *dates(said)):
        assert 0 <= found.start < found.end <= len(said)
