"""The word-by-word alignment of a reference and what was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from voiceeval.score import Ratio


class Piece(NamedTuple):
    """Tokens ``reference[start:end]`` and the tokens ``hypothesis[heard_start:heard_end]`` they became."""

    kind: str
    """``equal``, ``substitute``, ``delete`` or ``insert``."""
    start: int
    end: int
    heard_start: int
    heard_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Fewest substitutions, deletions and insertions (Levenshtein, each counting one)."""

    length: int
    """Tokens of the reference."""
    substitutions: int
    deletions: int
    insertions: int
    pieces: tuple[Piece, ...]
    block: tuple[str, ...]
    """Reference and hypothesis one under the other, S, D and I below the errors; the bare text if none."""

    @property
    def errors(self) -> int:
        """All three kinds together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def ratio(self) -> Ratio:
        """Errors over reference tokens. An empty reference has errors (insertions) over 0."""
        return Ratio(self.errors, self.length)

    def lines(self, title: str, unit: str) -> tuple[str, ...]:
        """A headline with the counts, and the block."""
        kinds = (
            (self.substitutions, "substituted"),
            (self.deletions, "deleted"),
            (self.insertions, "inserted"),
        )
        counted = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
        errors = "1 error" if self.errors == 1 else f"{self.errors} errors"
        headline = f"{title}: {errors} in {self.length} {unit}{'' if self.length == 1 else 's'}"
        return (headline + (f" ({counted})" if counted else ""), *self.block)


@lru_cache(maxsize=16_384)
def align(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> Alignment:
    """Align two texts that went through the same normaliser.

    An empty hypothesis deletes every token; an empty reference makes every token an insertion.

    >>> align(("block", "my", "card"), ("lock", "card")).block
    ('REF: block my card', 'HYP:  lock ** card', '         S  D')
    """
    import jiwer

    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    errors = output.substitutions + output.deletions + output.insertions
    if errors:
        drawn = jiwer.visualize_alignment(output, show_measures=False)
        block = tuple(line.rstrip() for line in drawn.splitlines()[1:] if line)
    else:
        block = (f"     {' '.join(reference)}",) if reference else ()
    return Alignment(
        length=len(reference),
        substitutions=output.substitutions,
        deletions=output.deletions,
        insertions=output.insertions,
        pieces=tuple(
            Piece(chunk.type, chunk.ref_start_idx, chunk.ref_end_idx, chunk.hyp_start_idx, chunk.hyp_end_idx)
            for chunk in output.alignments[0]
        ),
        block=block,
    )


def distance(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> int:
    """The errors of ``align`` alone, where nobody reads the alignment."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(reference, hypothesis)
