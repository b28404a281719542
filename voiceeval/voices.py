"""What callers sound like before the line: a person's recording, or a synthetic voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voiceeval.aside_sounds import Cough, TurnedAway
from voiceeval.audio import AudioClip, Milliseconds
from voiceeval.errors import HarnessError
from voiceeval.kept import KeptStages, Sound
from voiceeval.protocols import Synthesizer
from voiceeval.scenario import Hesitation

PAUSE_FROM_WORDS = 5
"""Nobody pauses in the middle of a shorter turn."""
SIDE_TALK_DB = -10.0
"""Level on the line of what is said to somebody else in the room, relative to speech into the telephone: a
choice, about what a handset held an arm's length away loses."""

AsideKind = Literal["back_channel", "cough", "side_talk"]


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

    def speak(
        self,
        text: str,
        *,
        scenario: str,
        caller: str,
        line: str,
        recorded_turn: int | None,
        hesitation: Hesitation | None = None,
    ) -> Sound:
        """How this caller says ``text``.

        Args:
            text: The words.
            scenario: Id of the scenario.
            caller: Id of the caller.
            line: Id of the line they speak on.
            recorded_turn: Index of the scripted turn when these are its own words, which a recording may
                hold; None for a repair or an objection.
            hesitation: A pause of this turn, instead of the caller's own in its middle. A recording is played
                as it is. A pause after the last word is none.

        Raises:
            HarnessError: There is neither a recording nor a voice.
        """
        if recorded_turn is not None:
            for owner in (caller, ""):
                path = self.recordings.get((scenario, owner, recorded_turn))
                if path is not None:
                    return self.kept.own(AudioClip.decode(path.read_bytes(), name=str(path)))
        synthesizer = self._voice(caller, f"recording of this turn of scenario {scenario!r}")
        words = text.split()
        if hesitation is not None:
            before, pause_ms = hesitation.after_words, hesitation.ms
        elif len(words) >= PAUSE_FROM_WORDS:
            before, pause_ms = len(words) // 2, self.pauses_ms.get((caller, line), 0)
        else:
            before, pause_ms = 0, 0
        if not pause_ms or before >= len(words):
            return self.kept.speak(synthesizer, text, part="caller voice")
        halves = (" ".join(words[:before]), " ".join(words[before:]))
        first, second = (self.kept.speak(synthesizer, half, part="caller voice") for half in halves)
        return self.kept.join(first, second, pause_ms=pause_ms)

    def aside(self, kind: AsideKind, text: str, *, caller: str, line: str, scenario: str) -> Sound:
        """A sound of this caller that is not meant for the agent.

        ``back_channel`` is ``text`` in the caller's voice; ``side_talk`` the same voice turned away from the
        telephone, to be put on the line `SIDE_TALK_DB` below their speech; ``cough`` a cough of their own.

        Args:
            kind: What kind of sound.
            text: What is said; nothing for a cough.
            caller: Id of the caller.
            line: Id of the line they speak on; the sound is before it and does not depend on it.
            scenario: Id of the scenario, for the message.

        Raises:
            HarnessError: Something is to be said, and the caller has no voice.
        """
        if kind == "cough":
            return self.kept.speak(Cough(caller), "", part="caller voice")
        voice = self._voice(caller, f"recordings of asides exist (scenario {scenario!r})")
        return self.kept.speak(TurnedAway(voice) if kind == "side_talk" else voice, text, part="caller voice")

    def _voice(self, caller: str, lacking: str) -> Synthesizer:
        synthesizer = self.synthesizers.get(caller)
        if synthesizer is None:
            raise HarnessError(f"caller {caller!r} has no voice, and no {lacking}")
        return synthesizer
