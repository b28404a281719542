"""What both sides of a call share: its events, the number of the caller's turn, and chance."""

from __future__ import annotations

import numpy as np

from voiceeval.call import Event, stable_seed


class CallLog:
    """The events of one call as they happen."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.turn = 0
        """The latest turn that the caller began; 0 before the first."""
        self.events: list[Event] = []

    def note(self, event: Event) -> None:
        """Something happened now."""
        self.events.append(event)

    def draws(self, purpose: str, turn: int) -> np.random.Generator:
        """Chance for one purpose in one turn: the same for both arms, whatever else they did before."""
        return np.random.default_rng(stable_seed(f"{self._seed}:{turn}:{purpose}"))
