"""How caller and agent hear each other: through audio, or, in a replay, as the words themselves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from voiceeval.agents import Agent
from voiceeval.audio import Milliseconds
from voiceeval.call import CallKey, Stage
from voiceeval.engines.caller import Utterance
from voiceeval.errors import HarnessError, VoiceEvalError, describe
from voiceeval.kept import KeptStages, Sound
from voiceeval.protocols import Channel, Endpoint
from voiceeval.voices import CallerVoices

LEAD_MS = 300
"""The agent listens this long before the caller speaks."""
TAIL_MS = 2500
"""The caller's line stays open this long after the last word, for the agent to notice the end."""
SILENT_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSound:
    """What one utterance of the caller is to the agent. Times count from the start of its audio."""

    digest: str
    speech_from_ms: Milliseconds
    speech_to_ms: Milliseconds
    """End of the last audible sample; equal to ``speech_from_ms`` when the caller says nothing."""
    endpoint: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSound:
    """One reply as sound: ``lead_ms`` of silence, then ``speech_ms`` up to the last audible sample."""

    digest: str
    lead_ms: Milliseconds
    speech_ms: Milliseconds


class Medium(Protocol):
    """What carries words between the two."""

    def caller_says(self, utterance: Utterance, *, times_said: int) -> CallerSound:
        """Carry the caller's words to the agent, up to where the agent stops listening."""
        ...

    def recognize(self, sound: CallerSound, utterance: Utterance) -> str:
        """The agent's transcript of it."""
        ...

    def agent_says(self, text: str) -> AgentSound:
        """Carry the agent's words to the caller."""
        ...


class AcousticMedium:
    """Real audio: the caller's voice, the line, the agent's end-pointing, recognizer and synthesizer."""

    def __init__(
        self, *, key: CallKey, agent: Agent, voices: CallerVoices, line: Channel, kept: KeptStages, seed: int
    ) -> None:
        self._key, self._agent, self._voices = key, agent, voices
        self._line, self._kept, self._seed = line, kept, seed
        self._delivered: dict[str, Sound] = {}

    def caller_says(self, utterance: Utterance, *, times_said: int) -> CallerSound:
        """Render, carry over the line, and ask the agent's end-pointer."""
        lead_ms = LEAD_MS + utterance.silence_ms
        try:
            clean = self._clean(utterance)
            delivered = self._kept.carry(
                self._line,
                clean,
                lead_ms=lead_ms,
                tail_ms=TAIL_MS,
                seed=self._noise_seed(utterance, times_said),
            )
        except VoiceEvalError as error:
            raise HarnessError(str(error)) from error
        except Exception as error:
            raise HarnessError(f"rendering the caller failed: {describe(error)}") from error
        self._delivered[delivered.digest] = delivered
        return CallerSound(
            digest=delivered.digest,
            speech_from_ms=lead_ms + clean.first_ms,
            speech_to_ms=lead_ms + clean.last_ms,
            endpoint=self._kept.endpoint(self._agent.endpointer, delivered),
        )

    def recognize(self, sound: CallerSound, utterance: Utterance) -> str:
        """Ask the agent's recognizer, which hears the audio up to the end of turn."""
        del utterance
        heard_ms = sound.endpoint.at_ms
        return self._kept.transcribe(
            self._agent.recognizer, self._delivered[sound.digest], heard_ms=heard_ms
        ).text

    def agent_says(self, text: str) -> AgentSound:
        """Ask the agent's synthesizer."""
        sound = self._kept.speak(self._agent.synthesizer, text, part=Stage.SYNTHESIZER)
        return AgentSound(
            digest=sound.digest, lead_ms=sound.first_ms, speech_ms=sound.last_ms - sound.first_ms
        )

    def _clean(self, utterance: Utterance) -> Sound:
        if not utterance.text:
            return self._kept.silence(0, SILENT_RATE_HZ)
        return self._voices.speak(
            utterance.text,
            scenario=self._key.scenario,
            caller=self._key.caller,
            line=self._key.line,
            recorded_turn=utterance.script_turn if utterance.wording == "text" else None,
        )

    def _noise_seed(self, utterance: Utterance, times_said: int) -> int:
        # By what is said, not by when: both arms hear the same noise under the same words, also after one of
        # them has asked to repeat something else.
        said = f"{self._seed}:{utterance.script_turn}:{utterance.wording}:{times_said}"
        return int.from_bytes(hashlib.sha256(said.encode()).digest()[:8])


WORD_MS = 400
"""In a replay nobody listens; a word takes this long so that its events are spread plausibly."""


class GivenWords:
    """The reference transcript instead of the recognizer's, and no audio at all."""

    def caller_says(self, utterance: Utterance, *, times_said: int) -> CallerSound:
        """The words take nominal time; the end of the turn is found at once."""
        del times_said
        speech_ms = WORD_MS * len(utterance.text.split())
        return CallerSound(
            digest="",
            speech_from_ms=0,
            speech_to_ms=speech_ms,
            endpoint=Endpoint(at_ms=speech_ms, reason="silence" if utterance.text else "no speech"),
        )

    def recognize(self, sound: CallerSound, utterance: Utterance) -> str:
        """The reference transcript."""
        del sound
        return utterance.text

    def agent_says(self, text: str) -> AgentSound:
        """The words take nominal time."""
        return AgentSound(digest="", lead_ms=0, speech_ms=WORD_MS * len(text.split()))
