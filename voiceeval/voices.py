"""What callers sound like before the line: a person's recording, or a synthetic voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voiceeval.audio import AudioClip
from voiceeval.errors import HarnessError
from voiceeval.kept import KeptStages, Sound
from voiceeval.protocols import Synthesizer


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerVoices:
    """Every caller's voice, by caller id, and the recordings that take precedence over it."""

    synthesizers: Mapping[str, Synthesizer]
    """By caller id; a caller with recordings only has none."""
    recordings: Mapping[tuple[str, str, int], Path]
    """By scenario, caller (empty: any caller) and index of the scripted turn."""
    kept: KeptStages

    def speak(self, text: str, *, scenario: str, caller: str, recorded_turn: int | None) -> Sound:
        """How this caller says ``text``.

        Args:
            text: The words.
            scenario: Id of the scenario.
            caller: Id of the caller.
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
        return self.kept.speak(synthesizer, text, part="caller voice")
