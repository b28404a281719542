"""What counts as the same words: named, versioned, per language.

Both arms of a comparison, the references and the phrases a scenario asks for all pass through the same
normaliser, chosen by the scenario's locale:

- ``english``: case, punctuation, contractions, a few spellings that sound alike, hesitations, and numbers
  as their digits, one token each: ``four one two nine``, ``forty one twenty nine`` and ``4129`` are equal,
  a wrong digit is one error of four, leading zeros stay, and ``23rd`` is ``twenty third`` and not ``23``.
- ``characters``: for languages written without spaces. One token per character (code point), so that an
  error rate over its tokens is the character error rate.
- ``unicode``: every other language, and deliberately conservative: case and punctuation go, digits of any
  script become ASCII digits, and combining vowel signs stay, because without them Hindi words change.

Text that normalises to nothing has no words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from voiceeval.spoken_numbers import Number, read_numbers

_KEPT_TEXTS = 65_536


class Reading(NamedTuple):
    """A text as tokens, and where a word or a number may begin or end."""

    tokens: tuple[str, ...]
    boundaries: frozenset[int]
    """Positions between tokens that do not lie inside a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalizer:
    """A named, versioned way to turn text into comparable tokens."""

    name: str
    version: int
    unit: Literal["word", "character"]
    """What a token is; the digits of numbers are tokens of their own."""
    read: Callable[[str], Reading]

    @property
    def id(self) -> str:
        """Name and version, for evidence and fingerprints: ``english/1``."""
        return f"{self.name}/{self.version}"

    def tokens(self, text: str) -> tuple[str, ...]:
        """The text's tokens; none for a text without words.

        >>> normalizer_for("en-GB").tokens("It's the Twenty-Third of March, at 10:30.")
        ('its', 'the', '2', '3rd', 'of', 'march', 'at', '1', '0', '3', '0')
        """
        return self.read(text).tokens

    def says(self, utterance: str, phrase: str) -> bool:
        """Whether the phrase's words occur in the utterance, one after the other.

        A number is whole: ``141 dollars`` does not say ``41 dollars``. A phrase without words is never said.

        >>> normalizer_for("en").says("Your card 4129 is blocked.", "four one two nine is blocked")
        True
        """
        sought, heard = self.read(phrase).tokens, self.read(utterance)
        if not sought:
            return False
        return any(
            heard.tokens[start : start + len(sought)] == sought
            and {start, start + len(sought)} <= heard.boundaries
            for start in range(len(heard.tokens) - len(sought) + 1)
        )


def normalizer_for(locale: str) -> Normalizer:
    """The normaliser of a locale such as ``en-US``; only its language counts.

    >>> [normalizer_for(locale).name for locale in ("en-GB", "hi-IN", "th")]
    ['english', 'unicode', 'characters']
    """
    language = re.split(r"[-_]", locale, maxsplit=1)[0].casefold()
    if language == "en":
        return NORMALIZERS["english"]
    if language in _WITHOUT_SPACES:
        return NORMALIZERS["characters"]
    return NORMALIZERS["turkic" if language in {"tr", "az"} else "unicode"]


def _reading(items: list[tuple[str, ...]]) -> Reading:
    """Items are words and numbers; digits that were read out one by one are one number."""
    boundaries = {0}
    at, spelling_out = 0, False
    for item in items:
        single = len(item) == 1 and len(item[0]) == 1 and item[0].isdecimal()
        if single and spelling_out:
            boundaries.discard(at)
        at += len(item)
        boundaries.add(at)
        spelling_out = single
    return Reading(tuple(token for item in items for token in item), frozenset(boundaries))


# --- every language -------------------------------------------------------------------------------------

_WITHOUT_SPACES = frozenset({"zh", "yue", "wuu", "ja", "th", "lo", "km", "my", "bo", "dz"})
_NUMBER_EDGES = re.compile(r"(?<=\d)(?!\d|(?:st|nd|rd|th)(?!\w))|(?<!\d)(?=\d)")
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ´`＇", "'"))


def _words(text: str) -> list[str]:
    """Runs of letters and marks, or of ASCII digits, or 23rd; apostrophes inside words stay."""
    kept: list[str] = []
    for character in text.translate(_APOSTROPHES):
        category = unicodedata.category(character)
        if category == "Nd":
            kept.append(str(unicodedata.decimal(character)))
        elif category[0] in "LMN" or character == "'":
            kept.append(character)
        elif category != "Cf":  # joiners and direction marks are inaudible and separate nothing
            kept.append(" ")
    parts = _NUMBER_EDGES.sub(" ", "".join(kept)).split()
    return [word for part in parts if (word := part.strip("'"))]


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=_KEPT_TEXTS)
def _unicode(text: str) -> Reading:
    words = _words(_fold(text))
    return _reading([tuple(word) if word.isdecimal() else (word,) for word in words])


@lru_cache(maxsize=_KEPT_TEXTS)
def _turkic(text: str) -> Reading:
    return _unicode(text.replace("İ", "i").replace("I", "ı"))


@lru_cache(maxsize=_KEPT_TEXTS)
def _characters(text: str) -> Reading:
    items: list[tuple[str, ...]] = []
    for word in _words(_fold(text)):
        items.extend([tuple(word)] if word.isdecimal() else [(character,) for character in word])
    return _reading(items)


# --- English --------------------------------------------------------------------------------------------

_HESITATIONS = frozenset({"uh", "uhm", "um", "umm", "erm", "hm", "hmm", "mm"})
"""Not ``mhm`` and ``uh huh``, which say yes, and not ``er``, which is also a place in a hospital."""
_CONTRACTIONS = {
    "can't": "can not",
    "cannot": "can not",
    "won't": "will not",
    "shan't": "shall not",
    "let's": "let us",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "got to",
    "o'clock": "oclock",
}
_ENDINGS = {"n't": "not", "'m": "am", "'re": "are", "'ll": "will", "'ve": "have"}
"""``'s`` and ``'d`` are left alone: each stands for two different words."""
_SPELLINGS = {
    "okay": "ok",
    "mister": "mr",
    "missus": "mrs",
    "dr": "doctor",
    "cheque": "check",
    "cheques": "checks",
    "colour": "color",
    "colours": "colors",
    "favourite": "favorite",
    "favour": "favor",
    "neighbour": "neighbor",
    "honour": "honor",
    "labour": "labor",
    "centre": "center",
    "theatre": "theater",
    "metre": "meter",
    "metres": "meters",
    "litre": "liter",
    "litres": "liters",
    "cancelled": "canceled",
    "cancelling": "canceling",
    "travelled": "traveled",
    "travelling": "traveling",
    "traveller": "traveler",
    "licence": "license",
    "defence": "defense",
    "programme": "program",
    "grey": "gray",
    "tyre": "tire",
    "tyres": "tires",
    "apologise": "apologize",
    "authorise": "authorize",
    "authorised": "authorized",
    "organise": "organize",
    "organised": "organized",
    "recognise": "recognize",
    "recognised": "recognized",
    "realise": "realize",
    "prioritise": "prioritize",
    "enrol": "enroll",
    "jewellery": "jewelry",
    "catalogue": "catalog",
    "mum": "mom",
}
_JOINED = {
    ("e", "mail"): "email",
    ("e", "mails"): "emails",
    ("per", "cent"): "percent",
    ("wi", "fi"): "wifi",
    ("all", "right"): "alright",
    ("uh", "huh"): "uhhuh",
    ("o", "clock"): "oclock",
    ("on", "line"): "online",
}
_CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "pence"), "€": ("euro", "cent")}
_LARGE_MONEY = re.compile(r"([$£€])\s?(\d+(?:\.\d+)? (?:thousand|million|billion))\b")
_MONEY = re.compile(r"([$£€])\s?(\d+)(?:\.(\d\d))?(?!\d)")


def _money(found: re.Match[str]) -> str:
    large, small = _CURRENCIES[found[1]]
    text = f" {found[2]} {large if int(found[2]) == 1 else large + 's'} "
    if found[3] and int(found[3]):
        ending = "s" if small == "cent" and int(found[3]) != 1 else ""
        text += f"{int(found[3])} {small}{ending} "
    return text


_REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),  # 12,500 is one number
    (_LARGE_MONEY, lambda found: f" {found[2]} {_CURRENCIES[found[1]][0]}s "),  # $5 million
    (_MONEY, _money),
    (re.compile(r"(?<![\d:])(\d{1,2}):00(?![\d:])"), r"\1"),  # 10:00 is said ten
    (re.compile(r"(?<![\d.])(\d+)\.(?=\d+(?!\d|\.\d))"), r"\1 point "),
    (re.compile(r"(?<=[a-z0-9])\.(?=(?:com|org|net|co|uk|io|edu|gov)\b)"), " dot "),
    (re.compile(r"\b([a-z])\.(?=[a-z]\b)"), r"\1"),  # p.m. is pm
    (re.compile(r"%"), " percent "),
    (re.compile(r"&"), " and "),
    (re.compile(r"@"), " at "),
    (re.compile(r"\+(?=\s?\d)"), " plus "),
)
_ACCENTS = re.compile(r"(?<=[a-z])[\u0300-\u036f]+")


@lru_cache(maxsize=_KEPT_TEXTS)
def _english(text: str) -> Reading:
    folded = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", _fold(text))))
    for pattern, replacement in _REWRITES:
        folded = pattern.sub(replacement, folded)
    words = [part for word in _words(folded) for part in _expanded(word)]
    read = read_numbers(_joined(words))
    return _reading(
        [
            (item,) if isinstance(item, str) else item.tokens()
            for at, item in enumerate(read)
            if not _is_and_of_money(read, at)
        ]
    )


def _expanded(word: str) -> list[str]:
    if word in _CONTRACTIONS:
        return _CONTRACTIONS[word].split()
    for ending, full in _ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending) and word != "ain't":
            return [word.removesuffix(ending), full]
    plain = word.replace("'", "")
    return [_SPELLINGS.get(plain, plain)]


def _joined(words: list[str]) -> list[str]:
    joined: list[str] = []
    for word in words:
        before = joined[-1] if joined else ""
        if (before, word) in _JOINED:
            joined[-1] = _JOINED[before, word]
        elif word == "m" and before in {"a", "p"} and len(joined) > 1:
            joined[-1] = before + word  # a recognizer that spells: nine p m
        else:
            joined.append(word)
    return [word for word in joined if word not in _HESITATIONS]


def _is_and_of_money(read: list[str | Number], at: int) -> bool:
    """The ``and`` of ``twelve dollars and fifty cents``, which ``$12.50`` does not show."""
    return (
        read[at] == "and"
        and 0 < at < len(read) - 1
        and read[at - 1] in {"dollar", "dollars", "pound", "pounds", "euro", "euros"}
        and isinstance(read[at + 1], Number)
    )


NORMALIZERS: Mapping[str, Normalizer] = {
    "characters": Normalizer(name="characters", version=1, unit="character", read=_characters),
    "english": Normalizer(name="english", version=1, unit="word", read=_english),
    "turkic": Normalizer(name="turkic", version=1, unit="word", read=_turkic),
    "unicode": Normalizer(name="unicode", version=1, unit="word", read=_unicode),
}
"""All normalisers by name. ``turkic`` is ``unicode`` with the dotted and dotless i kept apart."""
