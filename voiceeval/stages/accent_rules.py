"""Which sounds speakers of German, Spanish, Hindi and Mandarin put in place of those of English.

Phonemes are espeak-ng's mnemonics, near Kirshenbaum's: ``T`` think, ``D`` this, ``S`` she, ``I`` bit, ``i:``
beat, ``a`` bat, ``V`` but. The tables are in the order in which the substitutions are given up: first
those that stay even in a slight accent. ``docs/accents.md`` tells each with its source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

VERSION = 1
"""Raised when the same words would get other phonemes."""
FirstLanguage = Literal["de", "es", "hi", "zh"]

Word = Sequence[str]
Context = Callable[[Word, int], bool]
"""Whether a rule fits the sound at an index of a word, looking at the word as English has it."""

VOICELESS = frozenset(("p", "t", "k", "f", "T", "s", "S", "tS", "h", "x"))
VOICED = frozenset(("b", "d", "g", "v", "D", "z", "Z", "dZ"))
OBSTRUENTS = VOICELESS | VOICED
STOPS = frozenset(("p", "t", "k", "b", "d", "g"))


def is_vowel(sound: str) -> bool:
    """Also for diphthongs, and for vowels coloured by a following r."""
    return sound[:1] in set("aAeEiIoOuU0@3V")


def anywhere(_word: Word, _at: int) -> bool:
    """Wherever the sound occurs."""
    return True


def initial(_word: Word, at: int) -> bool:
    """The word's first sound."""
    return at == 0


def final(word: Word, at: int) -> bool:
    """The word's last sound."""
    return at == len(word) - 1


def not_final(word: Word, at: int) -> bool:
    """Before another sound of the word."""
    return at < len(word) - 1


def ending(word: Word, at: int) -> bool:
    """Among the obstruents that end the word, however many."""
    return all(sound in OBSTRUENTS for sound in word[at:])


def closing(word: Word, at: int) -> bool:
    """The word's last sound, after a vowel."""
    return final(word, at) and at > 0 and is_vowel(word[at - 1])


def after_another(word: Word, at: int) -> bool:
    """The last of several consonants that end the word."""
    return final(word, at) and at > 1 and not is_vowel(word[at - 1])


def between_vowels(word: Word, at: int) -> bool:
    """A vowel on either side."""
    return 0 < at < len(word) - 1 and is_vowel(word[at - 1]) and is_vowel(word[at + 1])


def in_onset(word: Word, at: int) -> bool:
    """After a consonant and before a vowel."""
    return 0 < at < len(word) - 1 and not is_vowel(word[at - 1]) and is_vowel(word[at + 1])


def before_vowel(word: Word, at: int) -> bool:
    """A vowel follows in the word."""
    return at < len(word) - 1 and is_vowel(word[at + 1])


def begins_a_cluster(word: Word, at: int) -> bool:
    """The word's first sound, before another consonant."""
    return at == 0 and len(word) > 1 and not is_vowel(word[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One substitution: what becomes of some sounds in one context."""

    name: str
    often: int
    """How many times it fits in 1,000 words of calls. All substitutions lined up in the order of the table, a
    rule stands in the middle of its own."""
    change: Mapping[str, str]
    """English sound -> the sounds said instead, separated by spaces; nothing: the sound is left out."""
    where: Context = anywhere


_DEVOICED = {"b": "p", "d": "t", "g": "k", "v": "f", "D": "s", "z": "s", "Z": "S", "dZ": "tS"}

GERMAN = (
    Rule(name="th", often=85, change={"T": "s", "D": "z"}, where=not_final),
    Rule(name="final devoicing", often=196, change=_DEVOICED | {"T": "s"}, where=ending),
    Rule(name="w as v", often=61, change={"w": "v", "w#": "v"}),
    Rule(name="bat as bet", often=63, change={"a": "E"}),
    Rule(name="judge as church", often=11, change={"dZ": "tS", "Z": "S"}, where=not_final),
    Rule(name="pure long vowels", often=124, change={"eI": "e:", "oU": "o:"}),
    Rule(name="but as a", often=68, change={"V": "a#"}),
)

SPANISH = (
    Rule(name="bit as beat", often=248, change={"I": "i", "I2": "i", "I#": "i", "i:": "i"}),
    Rule(name="e before s and a consonant", often=12, change={"s": "e s"}, where=begins_a_cluster),
    Rule(name="z as s", often=102, change={"z": "s"}),
    Rule(name="b for v between vowels", often=52, change={"v": "B", "b": "B"}, where=between_vowels),
    Rule(name="v as b", often=35, change={"v": "b"}),
    Rule(name="th", often=101, change={"T": "t", "D": "d"}),
    Rule(name="bat and but as a", often=131, change={"a": "a#", "V": "a#"}),
    Rule(name="tapped r", often=84, change={"r": "*", "r-": "*"}, where=before_vowel),
    Rule(name="full as fool", often=76, change={"U": "u", "u:": "u"}),
    Rule(name="pure o", often=162, change={"oU": "o", "0": "o", "O2": "o", "O:": "o", "O": "o"}),
    Rule(
        name="last of several consonants left out",
        often=53,
        change={"t": "", "d": "", "k": ""},
        where=after_another,
    ),
    Rule(name="h as in loch", often=14, change={"h": "x"}),
    Rule(name="m as n at the end", often=26, change={"m": "n", "N": "n"}, where=final),
    Rule(name="yes as jes", often=23, change={"j": "dZ"}, where=initial),
    Rule(name="she as che", often=4, change={"S": "tS"}),
)

HINDI = (
    Rule(name="retroflex t and d", often=397, change={"t": "t.", "d": "d."}),
    Rule(name="th", often=101, change={"T": "t[", "D": "d["}),
    Rule(name="v and w alike", often=131, change={"v": "v#", "w": "v#", "w#": "v#"}),
    Rule(name="pure long vowels", often=124, change={"eI": "e:", "oU": "o:"}),
    Rule(name="tapped r", often=84, change={"r": "*", "r-": "*"}, where=before_vowel),
    Rule(name="but as a schwa", often=68, change={"V": "@"}),
    Rule(name="cot and caught alike", often=90, change={"0": "O", "O2": "O", "O:": "O"}),
    Rule(name="r after a vowel said", often=58, change={"3": "@ *", "3:": "@ *"}),
    Rule(name="i before s and a consonant", often=12, change={"s": "I s"}, where=begins_a_cluster),
    Rule(name="z as j", often=13, change={"z": "dZ", "Z": "dZ"}, where=not_final),
)

MANDARIN = (
    Rule(name="th", often=85, change={"T": "s", "D": "z"}, where=not_final),
    Rule(name="bit as beat", often=248, change={"I": "i", "I2": "i", "I#": "i", "i:": "i"}),
    Rule(
        name="last of several consonants left out",
        often=54,
        change=dict.fromkeys(STOPS, ""),
        where=after_another,
    ),
    Rule(
        name="final fricatives voiceless",
        often=142,
        change={"v": "f", "z": "s", "D": "s", "T": "s", "dZ": "tS"},
        where=ending,
    ),
    Rule(
        name="schwa after a final voiced stop",
        often=35,
        change={"b": "b @", "d": "d @", "g": "g @"},
        where=closing,
    ),
    Rule(
        name="final voiceless stop as a glottal one",
        often=110,
        change={"p": "?", "t": "?", "k": "?"},
        where=closing,
    ),
    Rule(name="final l as a vowel", often=36, change={"l": "o", "L": "o", "@L": "o"}, where=final),
    Rule(name="bat as bet", often=63, change={"a": "E"}),
    Rule(name="v as w", often=38, change={"v": "w"}),
    Rule(name="full as fool", often=76, change={"U": "u", "u:": "u"}),
    Rule(name="alveolo-palatals", often=33, change={"S": "S;", "tS": "tS;", "dZ": "tS;", "Z": "S;"}),
    Rule(name="h as in loch", often=14, change={"h": "x"}),
    Rule(name="r as l after a consonant", often=56, change={"r": "l"}, where=in_onset),
    Rule(name="m as ng at the end", often=9, change={"m": "N"}, where=final),
)

RULES: Mapping[str, tuple[Rule, ...]] = {"de": GERMAN, "es": SPANISH, "hi": HINDI, "zh": MANDARIN}

ALIASES: Mapping[str, Mapping[str, str]] = {
    "": {"t#": "t", "t2": "t", "t'": "t", "d#": "d", "r/": "r"},
    "en-us": {"aa": "a"},
    "en-us-nyc": {"aa": "a"},
}
"""By phoneme table (empty: all): mnemonics that stand for the same English phoneme, a flapped t for one."""

RETROFLEX = frozenset(("t.", "d."))
"""Not in the tables of English voices: a word with one is spoken with the table of Hindi."""
IN_HINDI: Mapping[str, str] = {
    "i:": "i",
    "I2": "I",
    "I#": "I",
    "A:": "a:",
    "aa": "a:",
    "a#": "a",
    "A@": "a: *",
    "0": "O",
    "O2": "O",
    "O@": "O: *",
    "o@": "O: *",
    "V": "@",
    "@2": "@",
    "@5": "@",
    "@-": "@",
    "@L": "@ l",
    "3": "@ *",
    "3:": "@ *",
    "eI": "e:",
    "oU": "o:",
    "OI": "O I",
    "e@": "e: *",
    "i@": "I @",
    "i@3": "I *",
    "U@": "U *",
    "aI@": "aI @",
    "aI3": "aI *",
    "aI2": "aI",
    "aU@": "aU @",
    "r": "*",
    "r-": "*",
    "w#": "w",
    "v": "v#",
    "t#": "t.",
    "t2": "t.",
}
"""English sounds that the table of Hindi lacks or says otherwise -> the nearest it has."""
