"""The caller in time: when they speak, wait, interrupt, make other sounds, press keys and hang up.

What they say next is decided in ``caller.py``. People do not begin to speak while the agent speaks, unless
the scenario says so (``barge_in_ms``, ``asides``), and finish what they have begun whatever the agent does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, Protocol

from voiceeval.audio import Milliseconds
from voiceeval.call import (
    AsideStarted,
    AsideStopped,
    CallerStarted,
    CallerStopped,
    Damage,
    HungUp,
    KeyPressed,
    Stage,
)
from voiceeval.engines.call_log import CallLog
from voiceeval.engines.caller import Hangup, ScriptedCaller, Utterance
from voiceeval.engines.ear import Ear
from voiceeval.engines.faults import ask
from voiceeval.engines.medium import LEAD_MS, LineSound, Medium
from voiceeval.engines.timeline import Planned, Timeline
from voiceeval.repair_requests import normalised, says
from voiceeval.scenario import Aside, Scenario

REPLY_LIMIT_MS = 10_000
"""A caller who hears nothing for this long speaks again."""
FIRST_WORDS_MS = 400
"""Of a caller whom nobody greets."""
KEY_MS = 200
"""From one key to the next; ITU-T Q.24 lets receivers ask for 40 ms of tone and 40 ms of pause."""


class Keypad(Protocol):
    """Takes the keys that the caller presses."""

    def key_pressed(self, key: str) -> None:
        """One key."""
        ...


class CallerSide:
    """The caller of one call. `begin` once; the agent's side tells when it starts and stops speaking."""

    def __init__(
        self,
        *,
        scenario: Scenario,
        medium: Medium,
        time: Timeline,
        log: CallLog,
        ear: Ear,
        over: Callable[[], None],
    ) -> None:
        self._scenario, self._medium, self._time, self._log, self._ear = scenario, medium, time, log, ear
        self._over = over
        self._script = ScriptedCaller(scenario)
        self.damage = Damage()
        self.keypad: Keypad | None = None
        self._times_said: dict[tuple[int, str], int] = {}
        self._made: set[int] = set()
        self._audible_until_ms: Milliseconds = 0
        self._busy_until_ms: Milliseconds = 0
        """End of what the caller has begun, an afterthought included."""
        self._planned: Planned | None = None
        self._next: Utterance | None = None
        """What `_planned` is going to say."""
        self._asides: list[Planned] = []
        self._impatience: Planned | None = None
        self._agent_speaks = False
        self._answered = False
        """The reply that plays was answered by speaking over it."""
        self._heard = ""
        """Of a reply that was cut off and may go on."""
        self._sounding: CallerStarted | AsideStarted | None = None
        self._sound_ends: Planned | None = None
        self._sounds: list[tuple[Literal["turn", "aside"], Milliseconds, Milliseconds]] = []
        """What was audible from when to when."""

    def begin(self, *, greeted: bool) -> None:
        """The call is picked up; a caller whom nobody greets speaks first."""
        if greeted:
            self._wait()
        else:
            self._plan(self._script.first(), FIRST_WORDS_MS)

    # -- what the agent does ------------------------------------------------------------------------------

    def agent_started(self, text: str, speech_ms: Milliseconds, *, goes_on: bool) -> None:
        """The agent's first audible sample of a reply of ``speech_ms``."""
        # Who has answered a reply by speaking over it does not answer what is left of it.
        self._agent_speaks, self._answered = True, goes_on and self._answered
        if not goes_on:
            self._heard = ""
        self._stop_waiting()
        if self._planned is not None and self._next is not None:
            # The agent was first: what the caller was about to say comes right after its words.
            self._planned.cancel()
            self._planned = None
            self._next = replace(self._next, silence_ms=0)
        if not self._medium.full_duplex or goes_on:
            return
        for index, aside in enumerate(self._scenario.asides):
            if index not in self._made and aside.at_ms < speech_ms and _fits(aside, text):
                self._asides.append(self._time.after(aside.at_ms, partial(self._make, index)))
        if self._next is None and not self._has_begun():
            self._perhaps_barge_in(text, speech_ms)

    def agent_stopped(self, heard: str, *, cut: bool) -> None:
        """The agent's last audible sample; ``heard`` is what it has said since it started."""
        self._agent_speaks = False
        for planned in self._asides:
            planned.cancel()
        self._asides.clear()
        self._heard = f"{self._heard} {heard}".strip()
        if self._answered:
            self._heard = ""
            if not self._has_begun():
                self._wait()
            return
        if cut:
            self._wait()
            return
        text, self._heard = self._heard, ""
        action: Utterance | Hangup = self._next or self._script.next(text)
        # Nobody answers while still speaking: the caller finishes first when the agent replied too early.
        self._plan(action, self._free_ms() + self._reaction_ms())

    def hang_up(
        self, reason: Literal["done", "out of patience", "hung up", "too many exchanges", "too long"]
    ) -> None:
        """The call is over, as far as the caller or the scenario is concerned."""
        by: Literal["limit", "caller"] = "limit" if reason.startswith("too") else "caller"
        self._over()
        self._log.note(HungUp(at_ms=self._time.now_ms, turn=self._log.turn, by=by, reason=reason))

    def sounded(self, from_ms: Milliseconds, to_ms: Milliseconds) -> Literal["turn", "aside", "noise"]:
        """What was on the line between two moments: words for the agent, or asides, or neither."""
        found = {what for what, start_ms, end_ms in self._sounds if start_ms < to_ms and end_ms > from_ms}
        return "turn" if "turn" in found else "aside" if found else "noise"

    def cut_short(self) -> None:
        """Whatever the caller was saying ends here."""
        started, self._sounding = self._sounding, None
        if started is None:
            return
        if self._sound_ends is not None:
            self._sound_ends.cancel()
        now = self._time.now_ms
        what, from_ms, _ = self._sounds[-1]
        self._sounds[-1] = (what, from_ms, now)
        stopped = CallerStopped if what == "turn" else AsideStopped
        self._log.note(stopped(at_ms=now, turn=started.turn))

    # -- speaking -----------------------------------------------------------------------------------------

    def _perhaps_barge_in(self, text: str, speech_ms: Milliseconds) -> None:
        peeked = self._script.peek(text)
        if not isinstance(peeked, Utterance) or peeked.barge_in_ms is None or peeked.barge_in_ms >= speech_ms:
            return
        utterance = self._script.next(text)
        if isinstance(utterance, Utterance):
            self._next = utterance
            self._planned = self._time.after(peeked.barge_in_ms, lambda: self._say(utterance, barge_in=True))

    def _plan(self, action: Utterance | Hangup, at_ms: Milliseconds) -> None:
        self._stop_waiting()
        if self._planned is not None:
            self._planned.cancel()
        self._next = None
        if isinstance(action, Hangup):
            self._planned = self._time.at(at_ms, lambda: self.hang_up(action.reason))
            return
        self._next = action
        delay_ms = action.silence_ms if action.text or action.keys or action.hangs_up else 0
        self._planned = self._time.at(at_ms + delay_ms, lambda: self._say(action, barge_in=False))

    def _say(self, utterance: Utterance, *, barge_in: bool) -> None:
        self._planned = self._next = None
        if self._log.turn >= self._scenario.max_exchanges:
            self.hang_up("too many exchanges")
            return
        self._answered = self._agent_speaks
        if utterance.text:
            self._speak(utterance, barge_in=barge_in)
            return
        self._log.turn += 1
        if utterance.keys:
            self._press(utterance)
        elif utterance.hangs_up:
            self.hang_up("hung up")
        else:
            self._stay_silent(utterance)

    def _speak(self, utterance: Utterance, *, barge_in: bool) -> None:
        sound = self._render(utterance, lead_ms=self._lead_ms())
        self._log.turn += 1
        self._sound(utterance, sound, barge_in=barge_in)
        until_ms = self._audible_until_ms
        self._busy_until_ms = until_ms
        if utterance.afterthought:
            more = Utterance(
                text=utterance.afterthought.text, script_turn=utterance.script_turn, wording="afterthought"
            )
            gap_ms = utterance.afterthought.after_ms if self._medium.full_duplex else 0
            spoken = self._render(more, lead_ms=min(LEAD_MS, gap_ms))
            self._busy_until_ms = until_ms + gap_ms + spoken.audible_to_ms - spoken.audible_from_ms
            self._time.at(until_ms + gap_ms, lambda: self._sound(more, spoken, barge_in=False))
        if utterance.hangs_up:
            self._time.at(self._busy_until_ms, lambda: self.hang_up("hung up"))
        self._wait()

    def _lead_ms(self) -> Milliseconds:
        """How much of the line may come before a sound that begins now: what was audible stays as it was."""
        return min(LEAD_MS, max(0, self._time.now_ms - self._audible_until_ms))

    def _render(self, utterance: Utterance, *, lead_ms: Milliseconds) -> LineSound:
        said = (utterance.script_turn, utterance.wording)
        times_said = self._times_said.get(said, 0)
        return ask(
            Stage.ENDPOINTING,
            lambda: self._medium.caller_says(utterance, times_said=times_said, lead_ms=lead_ms),
        )

    def _sound(self, utterance: Utterance, sound: LineSound, *, barge_in: bool) -> None:
        said = (utterance.script_turn, utterance.wording)
        self._times_said[said] = self._times_said.get(said, 0) + 1
        now = self._time.now_ms
        started = CallerStarted(
            at_ms=now,
            turn=self._log.turn,
            text=utterance.text,
            script_turn=utterance.script_turn,
            wording=utterance.wording,
            audio=sound.digest,
            audio_from_ms=now - sound.audible_from_ms,
            barge_in=barge_in,
        )
        self._lay(sound, started)

    def _lay(self, sound: LineSound, started: CallerStarted | AsideStarted) -> None:
        # People have one mouth: an aside that still sounds is broken off.
        self.cut_short()
        self._log.note(started)
        now, self._sounding = self._time.now_ms, started
        self._audible_until_ms = now + sound.audible_to_ms - sound.audible_from_ms
        self.damage += sound.damage
        what: Literal["turn", "aside"] = "turn" if isinstance(started, CallerStarted) else "aside"
        self._sounds.append((what, now, self._audible_until_ms))
        self._ear.lay(sound, now - sound.audible_from_ms)
        self._sound_ends = self._time.at(self._audible_until_ms, self.cut_short)

    def _stay_silent(self, utterance: Utterance) -> None:
        now = self._time.now_ms
        self._log.note(
            CallerStarted(
                at_ms=now,
                turn=self._log.turn,
                text="",
                script_turn=utterance.script_turn,
                wording=utterance.wording,
                audio="",
                audio_from_ms=now,
            )
        )
        # Unless the agent asks first, the script goes on when the silence has lasted.
        self._impatience = self._time.after(utterance.silence_ms, self._speak_again)

    def _press(self, utterance: Utterance) -> None:
        turn = self._log.turn
        for number, key in enumerate(utterance.keys):

            def press(key: str = key) -> None:
                self._log.note(KeyPressed(at_ms=self._time.now_ms, turn=turn, key=key))
                if self.keypad is not None:
                    self.keypad.key_pressed(key)

            self._time.after(number * KEY_MS, press)
        self._busy_until_ms = self._time.now_ms + (len(utterance.keys) - 1) * KEY_MS
        if utterance.hangs_up:
            self._time.at(self._busy_until_ms, lambda: self.hang_up("hung up"))
        self._wait()

    def _make(self, index: int) -> None:
        if self._has_begun():
            return
        self._made.add(index)
        aside, turn, now = self._scenario.asides[index], self._log.turn, self._time.now_ms
        lead_ms = self._lead_ms()
        sound = ask(Stage.ENDPOINTING, lambda: self._medium.aside(aside, index, lead_ms=lead_ms))
        started = AsideStarted(
            at_ms=now,
            turn=turn,
            aside=aside.kind,
            text=aside.text,
            audio=sound.digest,
            audio_from_ms=now - sound.audible_from_ms,
        )
        self._lay(sound, started)

    # -- waiting ------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Nobody waits for ever: after a while the caller says it again."""
        self._stop_waiting()
        self._impatience = self._time.at(self._free_ms() + REPLY_LIMIT_MS, self._speak_again)

    def _speak_again(self) -> None:
        if not self._agent_speaks:
            self._plan(self._next or self._script.unanswered(), self._time.now_ms)

    def _stop_waiting(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _has_begun(self) -> bool:
        """Whether the caller is in the middle of a turn, or between it and its afterthought."""
        return self._time.now_ms < self._free_ms()

    def _free_ms(self) -> Milliseconds:
        """When the caller has finished what they began: now, or later."""
        return max(self._time.now_ms, self._busy_until_ms, self._audible_until_ms)

    def _reaction_ms(self) -> Milliseconds:
        # People answer within 200 to 700 ms of the end of a question (Stivers et al., PNAS 2009).
        return int(self._log.draws("reaction", self._log.turn).integers(200, 701))


def _fits(aside: Aside, text: str) -> bool:
    heard = normalised(text)
    return not aside.cue or any(says(heard, phrase) for phrase in aside.cue)
