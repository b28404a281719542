"""What callers sound like before the line: a person's recording, or a synthetic voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voiceeval.audio import AudioClip, Milliseconds
from voiceeval.errors import HarnessError
from voiceeval.kept import KeptStages, Sound
from voiceeval.protocols import Synthesizer

PAUSE_FROM_WORDS = 5
"""Nobody pauses in the middle of a shorter turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerVoices:
    """Every caller's voice, by caller id, and the recordings that take precedence over it."""

    synthesizers: Mapping[str, Synthesizer]
    """By caller id; a caller with recordings only has none."""
    pauses_ms: Mapping[tuple[str, str], Milliseconds]
    """By caller and line: a pause in the middle of longer turns."""
    recordings: Mapping[tuple[str, str, int], Path]
    """By scenario, caller (empty: any caller) and index of the scripted turn."""
    kept: KeptStages

    def speak(self, text: str, *, scenario: str, caller: str, line: str, recorded_turn: int | None) -> Sound:
        """How this caller says ``text``.

        Args:
            text: The words.
            scenario: Id of the scenario.
            caller: Id of the caller.
            line: Id of the line they speak on.
            recorded_turn: Index of the scripted turn when these are its own words, which a recording may
                hold; None for a repair or an objection.

        Raises:
            HarnessError: There is neither a recording nor a voice.
        """
        if recorded_turn is not None:
            for owner in (caller, ""):
                path = self.recordings.get((scenario, owner, recorded_turn))
                if path is not None:
                    return self.kept.own(AudioClip.decode(path.read_bytes(), name=str(path)))
        synthesizer = self.synthesizers.get(caller)
        if synthesizer is None:
            raise HarnessError(
                f"caller {caller!r} has no voice, and no recording of this turn of scenario {scenario!r}"
            )
        words, pause_ms = text.split(), self.pauses_ms.get((caller, line), 0)
        if not pause_ms or len(words) < PAUSE_FROM_WORDS:
            return self.kept.speak(synthesizer, text, part="caller voice")
        halves = (" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :]))
        first, second = (self.kept.speak(synthesizer, half, part="caller voice") for half in halves)
        return self.kept.join(first, second, pause_ms=pause_ms)
