"""What of a suite a model may have been trained on: the same words, nearly the same, or the same sound.

Words are compared after the normaliser of the scenario's locale, so that case, punctuation and the way
numbers are written make no difference. A caller's text and a training text are

- ``exact``: the same tokens;
- ``contained``: all tokens of the caller's text, in order and without a gap, inside a longer training text;
- ``near``: the Jaccard index of their sets of 3-grams is 0.8 or more (as in Broder's resemblance, 1997), or
  their indel similarity as characters (`rapidfuzz.fuzz.ratio`, 0 to 100) is 90 or more.

A caller's text of fewer than five words is only compared exactly: short texts are alike by chance. Where
tokens are characters, ten take the place of five.

Sounds are compared by two digests: SHA-256 of the file's bytes, and SHA-256 of rate and decoded samples
(`AudioClip.digest`), which is the same in any lossless format. A sound that was resampled, cut or mixed with
noise is another one; its transcript still tells.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from voiceeval.normalizers import Normalizer, normalizer_for
from voiceeval.scenario import Scenario
from voiceeval.scenario_files import Suite

Kind = Literal["exact", "contained", "near", "same sound"]
CLOSEST_FIRST: tuple[Kind, ...] = ("exact", "contained", "near")
NEAR_JACCARD = 0.8
NEAR_RATIO = 90.0
SHINGLE = 3
"""Tokens in a row that count as one when texts are compared."""
FEWEST_TOKENS: Mapping[str, int] = {"word": 5, "character": 10}
"""By what a token is: texts with fewer are compared exactly and in no other way."""
_TEXTS_AT_ONCE = 16_384

Tokens = tuple[str, ...]
Lines = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """What a model was trained on, by line of its manifest."""

    texts: Mapping[str, Lines]
    """From transcript to the lines that hold it."""
    sounds: Mapping[str, Lines]
    """From a digest, of a file's bytes or of its samples, to the lines that name it."""
    recordings: int = 0
    """Lines that name a recording."""
    bytes_only: int = 0
    """Those of them whose file could not be decoded as a mono recording, and was compared by its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One text or recording of the suite that the training set holds too."""

    scenario: str
    part: str
    """Where in the scenario: ``turns[0].text``, ``turns[0].repairs[1]``, ``turns[0]`` for a recording."""
    caller: str = ""
    """Whose recording it is; empty for words, and for a recording that the scenario names itself."""
    kind: Kind
    """The closest that any of the lines comes."""
    lines: Lines
    """All lines of the manifest that come close, ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was compared, and what was found."""

    matches: tuple[Match, ...]
    """By scenario and turn; recordings after words."""
    texts: int
    """Texts of the suite that were compared."""
    too_short: int
    """Texts of the suite that were left out, because only longer ones were asked for."""
    recordings: int

    def count(self, *kinds: Kind) -> int:
        """How many matches are of these kinds."""
        return sum(match.kind in kinds for match in self.matches)


def check(suite: Suite, training: TrainingSet, *, fewest_words: int = 1) -> Checked:
    """Compare everything a suite's callers may say with a training set.

    Args:
        suite: Its turns' texts, afterthoughts, repairs and objections are compared, and its recordings.
        training: What they are looked for in.
        fewest_words: Texts of fewer tokens are left out altogether. With 1, every ``yes`` counts.
    """
    matches: list[Match] = []
    compared = left_out = 0
    found: dict[Normalizer, Mapping[Tokens, tuple[Kind, Lines]]] = {}
    said: dict[Normalizer, list[Tokens]] = defaultdict(list)
    for _, _, normalizer, tokens in _spoken(suite):
        if len(tokens) >= max(1, fewest_words):
            said[normalizer].append(tokens)
    for normalizer, texts in said.items():
        found[normalizer] = _alike(texts, _by_tokens(training.texts, normalizer), normalizer.unit)
    for scenario, part, normalizer, tokens in _spoken(suite):
        if len(tokens) < max(1, fewest_words):
            left_out += 1
            continue
        compared += 1
        if tokens in found[normalizer]:
            kind, lines = found[normalizer][tokens]
            matches.append(Match(scenario=scenario, part=part, kind=kind, lines=lines))
    matches += _same_sounds(suite, training.sounds)
    return Checked(
        matches=tuple(matches), texts=compared, too_short=left_out, recordings=len(suite.recordings)
    )


def _spoken(suite: Suite) -> Iterator[tuple[str, str, Normalizer, Tokens]]:
    """Everything a caller may say: scenario, place in it, normaliser, tokens."""
    for name, scenario in suite.scenarios.items():
        normalizer = normalizer_for(scenario.locale)
        for part, text in _parts(scenario):
            yield name, part, normalizer, normalizer.tokens(text)


def _parts(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for index, turn in enumerate(scenario.turns):
        parts = [("text", turn.text), ("objection", turn.objection)]
        parts += [("afterthought", turn.afterthought.text)] if turn.afterthought else []
        parts += [(f"repairs[{number}]", text) for number, text in enumerate(turn.repairs)]
        yield from ((f"turns[{index}].{part}", text) for part, text in parts if text)


def _by_tokens(texts: Mapping[str, Lines], normalizer: Normalizer) -> dict[Tokens, Lines]:
    """The training texts as the normaliser reads them; texts without words are in none."""
    gathered: dict[Tokens, list[int]] = defaultdict(list)
    for text, lines in texts.items():
        if tokens := normalizer.tokens(text):
            gathered[tokens].extend(lines)
    return {tokens: tuple(sorted(lines)) for tokens, lines in gathered.items()}


def _alike(
    texts: Iterable[Tokens], training: Mapping[Tokens, Lines], unit: Literal["word", "character"]
) -> dict[Tokens, tuple[Kind, Lines]]:
    """For each text that training texts come close to: how close, and their lines."""
    distinct = sorted(set(texts))
    kinds: dict[Tokens, dict[Tokens, Kind]] = defaultdict(dict)
    # Closer kinds are noted last, over what was noted before.
    long_enough = [tokens for tokens in distinct if len(tokens) >= FEWEST_TOKENS[unit]]
    for tokens, other in _similar(long_enough, list(training), glue=" " if unit == "word" else ""):
        kinds[tokens][other] = "near"
    for tokens, other, kind in _sharing_shingles(long_enough, training):
        if kinds[tokens].get(other) != "contained":
            kinds[tokens][other] = kind
    for tokens in distinct:
        if tokens in training:
            kinds[tokens][tokens] = "exact"
    return {
        tokens: (
            min(others.values(), key=CLOSEST_FIRST.index),
            tuple(sorted(line for other in others for line in training[other])),
        )
        for tokens, others in kinds.items()
    }


def _similar(
    texts: Sequence[Tokens], training: Sequence[Tokens], *, glue: str
) -> Iterator[tuple[Tokens, Tokens]]:
    """Pairs whose indel similarity as characters reaches `NEAR_RATIO`."""
    if not texts:
        return
    import numpy as np
    from rapidfuzz import fuzz, process

    written = [glue.join(tokens) for tokens in texts]
    for start in range(0, len(training), _TEXTS_AT_ONCE):
        some = training[start : start + _TEXTS_AT_ONCE]
        scores = process.cdist(
            written,
            [glue.join(tokens) for tokens in some],
            scorer=fuzz.ratio,
            score_cutoff=NEAR_RATIO,
            dtype=np.float32,
        )
        for row, column in np.argwhere(scores >= NEAR_RATIO):
            yield texts[row], some[column]


def _sharing_shingles(
    texts: Sequence[Tokens], training: Iterable[Tokens]
) -> Iterator[tuple[Tokens, Tokens, Kind]]:
    """Pairs that share enough 3-grams, and texts that lie inside a longer one, by an index of the 3-grams."""
    holders: dict[Tokens, list[int]] = defaultdict(list)
    sizes = []
    for index, tokens in enumerate(texts):
        shingles = _shingles(tokens)
        sizes.append(len(shingles))
        for shingle in shingles:
            holders[shingle].append(index)
    for other in training:
        shingles = _shingles(other)
        known = shingles & holders.keys()
        shared = Counter(index for shingle in known for index in holders[shingle])
        for index, count in shared.items():
            if count / (sizes[index] + len(shingles) - count) >= NEAR_JACCARD:
                yield texts[index], other, "near"
            if count == sizes[index] and _inside(texts[index], other):
                yield texts[index], other, "contained"


def _shingles(tokens: Tokens) -> set[Tokens]:
    return {tokens[start : start + SHINGLE] for start in range(len(tokens) - SHINGLE + 1)}


def _inside(tokens: Tokens, other: Tokens) -> bool:
    return any(other[start : start + len(tokens)] == tokens for start in range(len(other) - len(tokens) + 1))


def _same_sounds(suite: Suite, sounds: Mapping[str, Lines]) -> Iterator[Match]:
    for key in sorted(suite.recordings):
        scenario, caller, turn = key
        bytes_digest = hashlib.sha256(suite.recordings[key].read_bytes()).hexdigest()
        lines = {
            line for digest in (bytes_digest, suite.recording_digests[key]) for line in sounds.get(digest, ())
        }
        if lines:
            yield Match(
                scenario=scenario,
                part=f"turns[{turn}]",
                caller=caller,
                kind="same sound",
                lines=tuple(sorted(lines)),
            )
