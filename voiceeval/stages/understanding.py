"""What a caller's words mean to a policy: intents by their cues, slots by their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from voiceeval.stages.dialogue_policy import Intent, Policy, Slot
from voiceeval.stages.slots import Found, amounts, choices, dates, digits, numbers

_SKIPPED = frozenset({"the", "a", "on"})


class IntentScore(NamedTuple):
    """How strongly words point at an intent."""

    intent: Intent
    score: float


class Understood(NamedTuple):
    """What is known of an intent's slots after an utterance."""

    found: Mapping[str, Found]
    news: bool
    """Whether the utterance said the value of at least one slot."""


def says(said: tuple[str, ...], phrases: Iterable[str]) -> bool:
    """Whether any of the phrases occurs in the words, as whole words."""
    heard = f" {' '.join(said)} "
    return any(f" {phrase} " in heard for phrase in phrases)


def scores(policy: Policy, said: tuple[str, ...]) -> list[IntentScore]:
    """Every intent with the sum of its cues' weights, best first; equals stay in the file's order."""
    heard = f" {' '.join(said)} "
    rated = [
        IntentScore(intent, sum(weight for cue, weight in intent.cues.items() if f" {cue} " in heard))
        for intent in policy.intents
    ]
    return sorted(rated, key=lambda rating: -rating.score)


def fill(
    policy: Policy, intent: Intent, said: tuple[str, ...], *, known: Mapping[str, Found], asked: str
) -> Understood:
    """The intent's slots as known so far, with what the words say about them.

    A word is used once. The slot that was asked for goes first, then those that are announced by a word
    (``to april second``), then the others in the policy's order. A value that is said replaces one that was
    known.
    """
    order = sorted(intent.slots, key=lambda name: (name != asked, not policy.slots[name].after))
    taken: list[Found] = []
    news: dict[str, Found] = {}
    for name in order:
        slot = policy.slots[name]
        fitting = [
            found
            for found in _found(slot, said, policy.understanding.similarity, is_asked=name == asked)
            if not any(found.overlaps(other) for other in taken)
            and (name == asked or not slot.after or _follows(said, found, slot.after))
        ]
        if fitting:
            # The last one: people correct themselves as they go.
            news[name] = fitting[-1]
            taken.append(fitting[-1])
    return Understood({**known, **news}, bool(news))


def _found(slot: Slot, said: tuple[str, ...], similarity: float, *, is_asked: bool) -> list[Found]:
    match slot.type:
        case "digits":
            return list(digits(said, slot.length or 1))
        case "number":
            return list(numbers(said))
        case "amount":
            # Without the word "dollars", a number is an amount only as the answer to "how much?".
            return list(amounts(said, bare=False)) or (list(amounts(said, bare=True)) if is_asked else [])
        case "date":
            return list(dates(said))
        case "choice":
            return list(choices(said, slot.options, similarity))


def _follows(said: tuple[str, ...], found: Found, announcements: Iterable[str]) -> bool:
    before = [word for word in said[: found.start] if word not in _SKIPPED]
    return any(before[-len(phrase.split()) :] == phrase.split() for phrase in announcements)
