"""What NIST's scoring tools do with words, written anew: weighted alignment, and the segments of MAPSSWE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SUBSTITUTION, GAP = 4, 3
CLEAN_WORDS = 2
"""Words right in both systems that end a segment."""


class Errors(NamedTuple):
    """Where one system went wrong."""

    wrong: NDArray[np.int64]
    """1 for each reference word that was substituted or deleted."""
    substituted: int
    inserted: NDArray[np.int64]
    """Words inserted before each reference word, and after the last."""

    @property
    def total(self) -> int:
        return int(self.wrong.sum() + self.inserted.sum())


def weighted_alignment(reference: Sequence[str], heard: Sequence[str]) -> Errors:
    """The cheapest alignment with 4 for a substitution and 3 for a deletion or insertion."""
    n, m = len(reference), len(heard)
    cost = np.zeros((n + 1, m + 1), dtype=np.int64)
    cost[:, 0], cost[0] = GAP * np.arange(n + 1), GAP * np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            swap = SUBSTITUTION * (reference[i - 1] != heard[j - 1])
            cost[i, j] = min(cost[i - 1, j - 1] + swap, cost[i - 1, j] + GAP, cost[i, j - 1] + GAP)
    wrong, inserted = np.zeros(n, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    i, j, substituted = n, m, 0
    while i or j:
        differs = bool(i and j and reference[i - 1] != heard[j - 1])
        if i and j and cost[i, j] == cost[i - 1, j - 1] + SUBSTITUTION * differs:
            i, j = i - 1, j - 1
            wrong[i] = differs
            substituted += differs
        elif i and cost[i, j] == cost[i - 1, j] + GAP:
            i -= 1
            wrong[i] = 1
        else:
            j -= 1
            inserted[i] += 1
    return Errors(wrong, substituted, inserted)


def segment_errors(a: Errors, b: Errors) -> list[tuple[int, int]]:
    """Errors of both systems in each stretch of an utterance between two words that both got right.

    Pallett, Fisher & Fiscus (ICASSP 1990), after Gillick & Cox (ICASSP 1989).
    """
    segments: list[tuple[int, int]] = []
    errors, right = [0, 0], 0
    for position in range(len(a.inserted)):
        is_word = position < len(a.wrong)
        before = (int(a.inserted[position]), int(b.inserted[position]))
        here = (int(a.wrong[position]), int(b.wrong[position])) if is_word else (0, 0)
        errors = [old + gap + new for old, gap, new in zip(errors, before, here, strict=True)]
        right = 0 if any(here) else (0 if any(before) else right) + is_word
        if right >= CLEAN_WORDS and any(errors):
            segments.append((errors[0], errors[1]))
            errors = [0, 0]
    if any(errors):
        segments.append((errors[0], errors[1]))
    return segments
