from __future__ import annotations

import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceeval import normalizers, spoken_numbers
from voiceeval.normalizers import NORMALIZERS, normalizer_for
from voiceeval.spoken_numbers import read_numbers

ENGLISH = normalizer_for("en-US")


def _same(left: str, right: str) -> bool:
    return ENGLISH.tokens(left) == ENGLISH.tokens(right)


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("four one two nine", "4129"),
        ("forty one twenty nine", "4129"),
        ("four one two nine", "4 1 2 9"),
        ("zero zero one two", "0012"),
        ("oh seven seven double oh", "07700"),
        ("nine oh two one four", "90214"),
        ("two double six eight", "2668"),
        ("the twenty third of march", "the 23rd of March"),
        ("march third", "March 3rd"),
        ("the twenty first", "the 21st"),
        ("the two hundred and first", "the 201st"),
        ("nineteen eighty four", "1984"),
        ("nineteen oh four", "1904"),
        ("two thousand and six", "2006"),
        ("twenty twenty six", "2026"),
        ("one hundred and twenty dollars", "$120"),
        ("one dollar", "$1"),
        ("twelve dollars and fifty cents", "$12.50"),
        ("a hundred pounds", "£100"),
        ("one thousand two hundred and fifty dollars", "$1,250.00"),
        ("five million dollars", "$5 million"),
        ("three point five million euros", "€3.5 million"),
        ("i paid three point five", "I paid 3.5."),
        ("three point five per cent", "3.5%"),
        ("twelve thousand five hundred", "12,500"),
        ("two million three hundred thousand", "2,300,000"),
        ("five million", "5 million"),
        ("half past ten", "half past 10"),
        ("ten thirty a m", "10:30 a.m."),
        ("ten a.m.", "10:00 AM"),
        ("ten oh five", "10:05"),
        ("nine one nine six nine six", "919-696"),
        ("thirty six members", "36 members"),
        ("type one", "type 1"),
        ("nineteen ninety four zero two eleven", "1994-02-11"),
        ("I can't, and I won't.", "i can not and i will not"),
        ("we're here", "we are here"),
        ("it’s o’clock", "its oclock"),
        ("Um, my e-mail, uh, please", "my email please"),
        ("jo at example dot com", "jo@example.com"),
        ("cancel the cheque", "cancel the check"),
        ("a café", "a cafe"),
        ("OK", "okay"),
    ],
)
def test_the_same_said_in_words_and_written_is_equal(spoken: str, written: str) -> None:
    assert ENGLISH.tokens(spoken) == ENGLISH.tokens(written)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("fifteen", "fifty"),
        ("twenty three", "twenty third"),
        ("0012", "12"),
        ("four dollars", "forty dollars"),
        ("i can", "i can't"),
        ("$12.50", "$12"),
        ("mhm", "uh"),
        ("3.5", "35"),
    ],
)
def test_what_means_something_else_stays_different(left: str, right: str) -> None:
    assert not _same(left, right)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("0 0 1 2", "0 0 1 2"),
        ("zero zero one two", "0 0 1 2"),
        ("CO 2", "co 2"),
        ("c o 2", "c o 2"),
        ("the 21st", "the 2 1st"),
        ("10:00", "1 0"),
        ("oh one more thing", "oh 1 more thing"),
        ("three point one", "3 point 1"),
        ("one percent", "1 percent"),
        ("the answer is 0", "the answer is 0"),
        ("two thousand zero", "2 0 0 0 0"),
        ("one and two", "1 and 2"),
        ("hundreds of people", "hundreds of people"),
        ("uh huh", "uhhuh"),
        ("the ER", "the er"),
        ("AB12", "ab 1 2"),
        ("5 St James", "5 st james"),
        ("5th St", "5th st"),
    ],
)
def test_known_traps_of_other_normalisers_are_avoided(text: str, tokens: str) -> None:
    assert " ".join(ENGLISH.tokens(text)) == tokens


def test_a_wrong_digit_is_one_difference_of_four_and_not_one_of_one() -> None:
    assert len(ENGLISH.tokens("4129")) == 4


def test_how_digits_were_grouped_when_said_is_not_told_apart() -> None:
    """Written as 12 both look the same: nothing else would be fair to recognizers that write digits."""
    assert ENGLISH.tokens("one two") == ENGLISH.tokens("12") == ENGLISH.tokens("twelve")


def test_combining_vowel_signs_stay() -> None:
    hindi = normalizer_for("hi-IN")
    assert hindi.tokens("हिंदी में।") == ("हिंदी", "में")
    assert hindi.tokens("हिंदी") != hindi.tokens("हद")


def test_digits_of_any_script_are_digits() -> None:
    assert normalizer_for("hi").tokens("४१२९") == normalizer_for("hi").tokens("4 1 2 9")
    assert normalizer_for("ar").tokens("٤١") == ("4", "1")


def test_languages_without_spaces_are_compared_by_character() -> None:
    assert normalizer_for("zh-CN").tokens("你好，世界 42") == ("你", "好", "世", "界", "4", "2")
    assert normalizer_for("ja_JP").unit == "character"


def test_turkish_keeps_its_two_letters_i() -> None:
    assert normalizer_for("tr").tokens("ISPARTA İzmir") == ("ısparta", "izmir")
    assert normalizer_for("de").tokens("Straße") == normalizer_for("de").tokens("STRASSE")


def test_inaudible_joiners_separate_nothing_and_apostrophes_stay_inside_words() -> None:
    assert normalizer_for("fa").tokens("می‌روم") == ("میروم",)
    assert normalizer_for("fr").tokens("L’eau, 'oui'") == ("l'eau", "oui")


@pytest.mark.parametrize("text", ["", "   ", "?!…", "uh um"])
def test_text_without_words_has_no_tokens(text: str) -> None:
    assert ENGLISH.tokens(text) == ()


@pytest.mark.parametrize(
    ("utterance", "phrase", "said"),
    [
        ("Your card ending in 4129 is blocked.", "4 1 2 9", True),
        ("Your card ending in four one two nine is blocked.", "4129", True),
        ("That is 141 dollars.", "41 dollars", False),
        ("That is 41 dollars.", "41 dollars", True),
        ("Your new date is March 23 2026.", "march 23", True),
        ("Card four one two nine.", "forty one", False),
        ("It is not blocked.", "blocked", True),
        ("It is blocked.", "is not blocked", False),
        ("unblocked", "blocked", False),
        ("anything", "?", False),
    ],
)
def test_a_phrase_is_said_in_whole_words_and_whole_numbers(utterance: str, phrase: str, said: bool) -> None:
    assert ENGLISH.says(utterance, phrase) is said


def test_normalisers_are_named_and_versioned() -> None:
    assert {name: normalizer.name for name, normalizer in NORMALIZERS.items()} == {
        name: name for name in NORMALIZERS
    }
    assert ENGLISH.id == "english/1"


@given(st.integers(min_value=0, max_value=999_999_999))
def test_every_number_in_words_reads_as_its_digits(value: int) -> None:
    assert _digits(_in_words(value, "")) == str(value)
    assert _digits(_in_words(value, "and ")) == str(value)


@given(st.text(alphabet="0123456789", min_size=1, max_size=16))
def test_digits_spelled_out_read_as_themselves(digits: str) -> None:
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert "".join(ENGLISH.tokens(" ".join(words[int(digit)] for digit in digits))) == digits
    assert "".join(ENGLISH.tokens(" ".join(digits))) == digits


@given(st.sampled_from(sorted(NORMALIZERS)), st.text(max_size=40))
def test_normalising_any_text_ends_in_tokens_without_white_space(name: str, text: str) -> None:
    reading = NORMALIZERS[name].read(text)
    assert all(token and token.split() == [token] for token in reading.tokens)
    assert {0, len(reading.tokens)} <= reading.boundaries


@given(st.text(alphabet="abcé 0123456789.,'$%:-", max_size=30))
def test_case_and_composition_of_letters_never_matter(text: str) -> None:
    assert ENGLISH.tokens(text) == ENGLISH.tokens(text.upper())
    assert ENGLISH.tokens(text) == ENGLISH.tokens(unicodedata.normalize("NFD", text))


def test_the_examples_in_the_documentation_hold() -> None:
    for module in (normalizers, spoken_numbers):
        assert doctest.testmod(module).failed == 0


def _digits(words: str) -> str:
    read = read_numbers(words.split())
    assert len(read) == 1, read
    assert not isinstance(read[0], str)
    return read[0].digits


def _in_words(value: int, joiner: str) -> str:
    """An independent speller; ``joiner`` is the British "and" before the last two digits."""
    small = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ]
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    for size, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = value % size
            link = joiner if rest and rest < 100 else ""
            tail = f" {link}{_in_words(rest, joiner)}" if rest else ""
            return f"{_in_words(value // size, joiner)} {name}{tail}"
    if value < 20:
        return small[value]
    return tens[value // 10 - 2] + (f" {small[value % 10]}" if value % 10 else "")
