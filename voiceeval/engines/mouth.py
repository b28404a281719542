"""The agent's voice on the line: what plays, since when, and what of it was heard when it was cut off."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from voiceeval.audio import Milliseconds
from voiceeval.call import AgentStarted, AgentStopped
from voiceeval.engines.call_log import CallLog
from voiceeval.engines.caller_side import CallerSide
from voiceeval.engines.medium import AgentSound
from voiceeval.engines.timeline import Planned, Timeline

HowItEnds = Literal["no", "done", "handed over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """A reply as it is played, from ``offset_ms`` of its speech on."""

    text: str
    sound: AgentSound
    turn: int
    ends: HowItEnds
    """Whether the agent hangs up after it."""
    offset_ms: Milliseconds = 0

    def words_until(self, moment_ms: Milliseconds) -> str:
        """The words that are over ``moment_ms`` into the reply, were all its letters equally long."""
        said = self.text[: len(self.text) * moment_ms // max(1, self.sound.speech_ms)]
        whole = len(said) == len(self.text) or self.text[len(said)].isspace()
        return said.rstrip() if whole else re.sub(r"\S*$", "", said).rstrip()

    def words_between(self, from_ms: Milliseconds, to_ms: Milliseconds) -> str:
        """The words that are over by ``to_ms`` and were not by ``from_ms``."""
        return self.words_until(to_ms)[len(self.words_until(from_ms)) :].strip()


class Mouth:
    """Plays one reply at a time."""

    def __init__(
        self,
        *,
        time: Timeline,
        log: CallLog,
        caller: CallerSide,
        believes_all: bool,
        finished: Callable[[Speech], None],
    ) -> None:
        self._time, self._log, self._caller = time, log, caller
        self._believes_all, self._finished = believes_all, finished
        self.playing: Speech | None = None
        self._from_ms: Milliseconds = 0
        self._end: Planned | None = None

    def play(self, speech: Speech, *, stage_ms: Milliseconds) -> None:
        """The first audible sample of it is played now."""
        now = self._time.now_ms
        self.playing, self._from_ms = speech, now
        # A reply that begins is noted whole, also where a synthesizer made no sound of it.
        left = speech.words_between(speech.offset_ms, speech.sound.speech_ms)
        text = left if speech.offset_ms else speech.text
        left_ms = speech.sound.speech_ms - speech.offset_ms
        self._log.note(
            AgentStarted(
                at_ms=now,
                turn=speech.turn,
                text=text,
                audio=speech.sound.digest,
                stage_ms=stage_ms,
                offset_ms=speech.offset_ms,
            )
        )
        self._end = self._time.after(left_ms, self._finish)
        self._caller.agent_started(left, left_ms, goes_on=speech.offset_ms > 0)

    def cut(self) -> tuple[Speech, str] | None:
        """Stop now: what is left to say, and the words that the agent takes to have been heard.

        None where nothing plays.
        """
        speech, now = self.playing, self._time.now_ms
        if speech is None:
            return None
        self.playing = None
        if self._end is not None:
            self._end.cancel()
        played_ms = speech.offset_ms + now - self._from_ms
        believed = speech.text if self._believes_all else speech.words_until(played_ms)
        said = speech.words_between(speech.offset_ms, played_ms)
        self._log.note(
            AgentStopped(at_ms=now, turn=speech.turn, interrupted=True, said=said, believed=believed)
        )
        self._caller.agent_stopped(said, cut=True)
        return replace(speech, offset_ms=played_ms), believed

    def _finish(self) -> None:
        speech, self.playing = self.playing, None
        if speech is not None:
            self._log.note(AgentStopped(at_ms=self._time.now_ms, turn=speech.turn))
            self._caller.agent_stopped(
                speech.words_between(speech.offset_ms, speech.sound.speech_ms), cut=False
            )
            self._finished(speech)
