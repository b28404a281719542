"""English as spoken by people who grew up with another language: substitutions on phonemes.

What is substituted is a matter of the speaker, the rule and the word, not of chance: a word keeps its sound
throughout a call, and two accents of one speaker that differ in strength are nested. The stronger one makes
every substitution of the weaker one, and more.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from voiceeval.stages.accent_rules import ALIASES, IN_HINDI, RETROFLEX, RULES, Rule, is_vowel

_STRESSES = "',%="
_HINDI = "hi"


class Clause(NamedTuple):
    """Phonemes of a part of a text between two of its pauses."""

    phonemes: str
    """Words separated by spaces, their phonemes by ``|``; a stress mark stands before its vowel."""
    ending: str
    """The punctuation after it, which makes the pause and the tune."""


class Sound(NamedTuple):
    """One phoneme: its stress mark, or nothing, and its mnemonic."""

    stress: str
    name: str


class Site(NamedTuple):
    """A place in a word where a rule fits, and from which strength on the speaker follows it."""

    at: int
    rule: Rule
    replaced: str
    from_strength: float


def accented(
    clauses: Sequence[Clause], *, first_language: str, strength: float, table: str, speaker: str
) -> str:
    """What a voice is given to speak: phonemes in brackets, with the text's punctuation after them.

    Args:
        clauses: The text's phonemes as English has them.
        first_language: One of `RULES`.
        strength: From 0, no substitution, to 1, all that apply.
        table: The voice's phoneme table, as in ``en-us``.
        speaker: Whose habits decide which substitutions come first.

    Returns:
        The phonemes, or an empty text where no substitution is made.
    """
    spoken, changed = [], 0
    for clause in clauses:
        words = []
        for word in clause.phonemes.split():
            sounds = _sounds(word)
            made = made_sites(sounds, first_language, strength, table=table, speaker=speaker)
            changed += len(made)
            words.append(_written(sounds, made))
        if words:
            spoken.append(f"[[{_in_tables(words, table)}]]{clause.ending}")
    return " ".join(spoken) if changed else ""


def made_sites(
    sounds: Sequence[Sound], first_language: str, strength: float, *, table: str, speaker: str
) -> tuple[Site, ...]:
    """The substitutions that this speaker makes in a word."""
    found = sites(sounds, first_language, table=table, speaker=speaker)
    return tuple(site for site in found if site.from_strength < strength)


def sites(sounds: Sequence[Sound], first_language: str, *, table: str, speaker: str) -> Iterator[Site]:
    """Everything that could be substituted in a word: of the rules that fit a sound, the first takes it.

    Every rule looks at the English word, never at what another rule has made of it, so that a substitution
    does not depend on whether another one is made.
    """
    same = {**ALIASES[""], **ALIASES.get(table, {})}
    names = tuple(same.get(sound.name, sound.name) for sound in sounds)
    rules = RULES[first_language]
    for at, name in enumerate(names):
        for rank, rule in enumerate(rules):
            if name in rule.change and rule.where(names, at):
                mark = _uniform(first_language, rule.name, speaker, *names)
                place = _place(first_language, rank)
                yield Site(at, rule, rule.change[name], _evened((place + mark) / 2))
                break


@functools.cache
def _place(first_language: str, rank: int) -> float:
    """Where a rule stands between the first and the last substitution to be given up, from 0 to 1."""
    often = [rule.often for rule in RULES[first_language]]
    return (sum(often[:rank]) + often[rank] / 2) / sum(often)


def _evened(mean: float) -> float:
    """The distribution function of the mean of two uniform numbers, which makes it uniform again."""
    return 2 * mean**2 if mean < 0.5 else 1 - 2 * (1 - mean) ** 2


def _uniform(*parts: str) -> float:
    """A number in [0, 1) that is always the same for the same parts."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _sounds(word: str) -> list[Sound]:
    found = []
    for part in word.split("|"):
        name = part.lstrip(_STRESSES)
        if name:
            found.append(Sound(part[: len(part) - len(name)], name))
    return found


def _written(sounds: Sequence[Sound], made: Sequence[Site]) -> list[Sound]:
    """The word with its substitutions; a stress stays on the vowel it was on."""
    replaced = {site.at: site.replaced.split() for site in made}
    written: list[Sound] = []
    for at, sound in enumerate(sounds):
        written += _stressed(replaced[at], sound.stress) if at in replaced else [sound]
    return written


def _stressed(names: Sequence[str], stress: str) -> list[Sound]:
    vowels = [at for at, name in enumerate(names) if is_vowel(name)]
    stressed = vowels[0] if stress and vowels else -1
    return [Sound(stress if at == stressed else "", name) for at, name in enumerate(names)]


def _in_tables(words: Sequence[Sequence[Sound]], table: str) -> str:
    """A clause as espeak-ng reads it, with ``_^_`` where another phoneme table begins.

    A table stays in use until another one is named; every clause begins with the voice's own.
    """
    written, now = [], table
    for word in words:
        needed = _HINDI if any(sound.name in RETROFLEX for sound in word) else table
        if needed != now:
            written.append(f"_^_{needed}")
            now = needed
        sounds = word if needed == table else _hindi(word)
        written.append("|".join(sound.stress + sound.name for sound in sounds))
    return " ".join(written)


def _hindi(word: Sequence[Sound]) -> list[Sound]:
    written: list[Sound] = []
    for sound in word:
        for new in _stressed(IN_HINDI.get(sound.name, sound.name).split(), sound.stress):
            if new.name != ";" and not (new.name == "*" and written and written[-1].name == "*"):
                written.append(new)
    return written
