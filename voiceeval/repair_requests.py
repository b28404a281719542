"""How agents ask callers to repeat, by language, and how phrases are looked for in what somebody says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

REPAIR_REQUESTS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "say that again",
        "say it again",
        "repeat that",
        "repeat it",
        "could you repeat",
        "can you repeat",
        "please repeat",
        "did not catch",
        "didn't catch",
        "did not understand",
        "didn't understand",
        "did not get",
        "didn't get",
        "did not hear",
        "didn't hear",
        "one more time",
        "come again",
        "pardon",
        "are you still there",
    ),
    "de": ("noch einmal", "wiederholen", "nicht verstanden", "wie bitte", "sind sie noch da"),
    "es": ("otra vez", "repetir", "puede repetirlo", "no le entendí", "no he entendido", "sigue ahí"),
    "fr": ("répéter", "encore une fois", "pas compris", "pas entendu", "êtes-vous toujours là"),
}
"""Phrases by which an agent asks to repeat, by language. A language that is not listed has English's."""


def repair_requests(locale: str) -> tuple[str, ...]:
    """The phrases by which an agent asks to repeat in a locale's language."""
    language = locale.replace("_", "-").split("-")[0].lower()
    return REPAIR_REQUESTS.get(language, REPAIR_REQUESTS["en"])


def asks_to_repeat(text: str, phrases: Iterable[str]) -> bool:
    """Whether an agent's words ask the caller to say something again.

    >>> asks_to_repeat("Sorry, I didn't catch that.", repair_requests("en-GB"))
    True
    """
    heard = normalised(text)
    return any(says(heard, phrase) for phrase in phrases)


@lru_cache(maxsize=4_096)
def normalised(text: str) -> str:
    """Lower case, words and digits only, one space around each."""
    letters = "".join(c if c.isalnum() else "" if c in "'’" else " " for c in text.casefold())
    return f" {' '.join(letters.split())} "


def says(heard: str, phrase: str) -> bool:
    """Whether words that `normalised` returned contain a phrase, or one of its ``|`` alternatives."""
    wanted = (normalised(option) for option in phrase.split("|"))
    return any(words.strip() and words in heard for words in wanted)
