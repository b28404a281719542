"""One conversation: who acts next and when, on one timeline.

speech end → end of turn → transcript → reply ⇄ tools (bounded) → first audio → the caller speaks. The agent
does not listen between its end of turn and the end of its reply; words the caller still says then are lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from pydantic import JsonValue

from voiceeval.agents import Agent
from voiceeval.audio import Milliseconds
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    CallerStarted,
    CallerStopped,
    Ending,
    EndOfTurn,
    Event,
    HungUp,
    Replied,
    Stage,
    StageFailed,
    ToolCalled,
    ToolReturned,
    Transcribed,
    Usage,
)
from voiceeval.engines.caller import Hangup, ScriptedCaller, Utterance
from voiceeval.engines.medium import CallerSound, Medium
from voiceeval.engines.timeline import Timeline
from voiceeval.errors import HarnessError, InputError, describe
from voiceeval.kept import NonsenseError
from voiceeval.protocols import Message, Reply, ToolBackend, ToolResult
from voiceeval.scenario import Scenario, ToolCall
from voiceeval.stopwatch import PROCESS

MAX_ROUNDS = 6
"""Replies with tool calls in one exchange; a dialogue model that wants more is going round in circles."""
REPLY_LIMIT_MS = 10_000
"""A caller who hears nothing for this long speaks again."""
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a conversation leaves behind."""

    events: tuple[Event, ...]
    ending: Ending
    failure: str
    final_state: Mapping[str, JsonValue]
    usage: Usage


class _StageFailureError(Exception):
    """A stage of the agent raised; carries what may be told about it."""

    def __init__(self, stage: Stage, error: str) -> None:
        super().__init__(error)
        self.stage = stage
        self.error = error


class Conversation:
    """The state machine of one call. `run` it once."""

    def __init__(
        self, *, scenario: Scenario, agent: Agent, medium: Medium, tools: ToolBackend, seed: int
    ) -> None:
        self._scenario, self._agent, self._medium, self._tools = scenario, agent, medium, tools
        self._seed = seed
        self._time = Timeline()
        self._caller = ScriptedCaller(scenario)
        self._history: list[Message] = []
        self._events: list[Event] = []
        self._usage = Usage()
        self._turn = 0
        self._times_said: dict[tuple[int, str], int] = {}
        self._pending: tuple[Utterance, ...] = ()
        self._spoken_with_tools: list[str] = []
        self._caller_silent_from_ms = 0

    def run(self) -> Record:
        """Hold the conversation and return its record; faults of the agent are in the record.

        Raises:
            HarnessError: We could not measure.
        """
        ending, failure = Ending.COMPLETED, ""
        self._time.at(0, self._begin)
        try:
            self._time.run()
        except _StageFailureError as error:
            ending, failure = Ending.AGENT_FAILED, f"{error.stage}: {error.error}"
            now = self._time.now_ms
            self._note(StageFailed(at_ms=now, turn=self._turn, stage=error.stage, error=error.error))
            self._note(HungUp(at_ms=now, turn=self._turn, by="agent", reason="failure"))
        events = tuple(sorted(self._events, key=lambda event: event.at_ms))
        state = json.loads(json.dumps(self._tools.state()))
        return Record(events=events, ending=ending, failure=failure, final_state=state, usage=self._usage)

    # -- the caller ---------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._agent.greeting:
            self._history.append(Message(role="assistant", content=self._agent.greeting))
            self._speak(self._agent.greeting, then=lambda: self._caller_turn(self._caller.first()))
        else:
            self._caller_turn(self._caller.first())

    def _caller_turn(self, action: Utterance | Hangup) -> None:
        if isinstance(action, Hangup):
            self._note(HungUp(at_ms=self._time.now_ms, turn=self._turn, by="caller", reason=action.reason))
            return
        utterance = action
        if self._turn >= self._scenario.max_exchanges:
            self._note(
                HungUp(at_ms=self._time.now_ms, turn=self._turn, by="limit", reason="too many exchanges")
            )
            return
        self._turn += 1
        said = (utterance.script_turn, utterance.wording)
        times_said = self._times_said.get(said, 0)
        sound = self._ask(
            Stage.ENDPOINTING, lambda: self._medium.caller_says(utterance, times_said=times_said)
        )
        if utterance.text and sound.endpoint.at_ms <= sound.speech_from_ms:
            # The agent lost patience before the caller spoke: nothing was said yet.
            self._pending = (replace(utterance, silence_ms=0),)
            self._listen(replace(utterance, text=""), sound)
        else:
            self._times_said[said] = times_said + 1
            self._listen(utterance, sound)

    def _listen(self, utterance: Utterance, sound: CallerSound) -> None:
        start_ms, turn = self._time.now_ms, self._turn
        self._note(
            CallerStarted(
                at_ms=start_ms,
                turn=turn,
                text=utterance.text,
                script_turn=utterance.script_turn,
                wording=utterance.wording,
                audio=sound.digest,
            )
        )
        self._caller_silent_from_ms = start_ms
        if utterance.text:
            self._caller_silent_from_ms = start_ms + sound.speech_to_ms
            self._note(CallerStopped(at_ms=self._caller_silent_from_ms, turn=turn))
        heard_ms = sound.endpoint.at_ms
        self._time.at(start_ms + heard_ms, lambda: self._end_of_turn(utterance, sound))

    # -- the agent ----------------------------------------------------------------------------------------

    def _end_of_turn(self, utterance: Utterance, sound: CallerSound) -> None:
        heard_ms = sound.endpoint.at_ms
        self._note(
            EndOfTurn(
                at_ms=self._time.now_ms, turn=self._turn, heard_ms=heard_ms, reason=sound.endpoint.reason
            )
        )
        if sound.endpoint.reason == "no speech":
            self._understand("", stage_ms=0)
            return
        text = self._ask(Stage.RECOGNIZER, lambda: self._medium.recognize(sound, utterance))
        self._usage = replace(self._usage, audio_in_ms=self._usage.audio_in_ms + heard_ms)
        took_ms = self._declared(Stage.RECOGNIZER, heard_ms / 1000, 0)
        self._time.after(took_ms, lambda: self._understand(text, stage_ms=took_ms))

    def _understand(self, text: str, *, stage_ms: Milliseconds) -> None:
        self._note(Transcribed(at_ms=self._time.now_ms, turn=self._turn, text=text, stage_ms=stage_ms))
        self._history.append(Message(role="user", content=text))
        self._spoken_with_tools = []
        self._think(1)

    def _think(self, round_number: int) -> None:
        reply = self._ask(
            Stage.DIALOGUE,
            lambda: _checked(self._agent.dialogue.reply(tuple(self._history), self._scenario.tools)),
            measured=True,
        )
        self._usage = replace(
            self._usage,
            input_tokens=self._usage.input_tokens + reply.input_tokens,
            output_tokens=self._usage.output_tokens + reply.output_tokens,
        )
        took_ms = self._declared(Stage.DIALOGUE, reply.output_tokens, round_number)
        self._time.after(took_ms, lambda: self._act(reply, round_number, took_ms))

    def _act(self, reply: Reply, round_number: int, took_ms: Milliseconds) -> None:
        self._note(
            Replied(
                at_ms=self._time.now_ms,
                turn=self._turn,
                text=reply.text,
                tool_calls=len(reply.tool_calls),
                stage_ms=took_ms,
            )
        )
        self._history.append(Message(role="assistant", content=reply.text, tool_calls=reply.tool_calls))
        if reply.tool_calls:
            if round_number >= MAX_ROUNDS:
                raise _StageFailureError(Stage.DIALOGUE, f"asked for tools {round_number} times in one turn")
            # Words that come with tool calls are spoken in front of the reply that follows them.
            self._spoken_with_tools += [reply.text] if reply.text else []
            self._use_tools(reply.tool_calls, lambda: self._think(round_number + 1))
            return
        self._answer(" ".join([*self._spoken_with_tools, reply.text]).strip(), reply)

    def _use_tools(self, calls: tuple[ToolCall, ...], then: Callable[[], None]) -> None:
        if not calls:
            then()
            return
        call, rest, turn = calls[0], calls[1:], self._turn
        self._note(
            ToolCalled(at_ms=self._time.now_ms, turn=turn, name=call.name, arguments=dict(call.arguments))
        )
        result = self._ask(Stage.TOOLS, lambda: _result(self._tools.call(call)), measured=True)

        def returned() -> None:
            self._note(
                ToolReturned(
                    at_ms=self._time.now_ms,
                    turn=turn,
                    name=call.name,
                    value=result.value,
                    failed=result.failed,
                    stage_ms=result.duration_ms,
                )
            )
            content = json.dumps(result.value, sort_keys=True)
            self._history.append(
                Message(role="tool", content=content, tool_name=call.name, failed=result.failed)
            )
            self._use_tools(rest, then)

        self._time.after(result.duration_ms, returned)

    def _answer(self, text: str, reply: Reply) -> None:
        if reply.ends_call != "no":
            self._speak(text, then=lambda: self._agent_hangs_up(reply))
        elif text:
            self._speak(text, then=lambda: self._caller_reacts(text))
        else:
            self._time.after(REPLY_LIMIT_MS, lambda: self._caller_turn(self._caller.unanswered()))

    def _agent_hangs_up(self, reply: Reply) -> None:
        reason: Literal["handed over", "done"] = "handed over" if reply.ends_call == "handed over" else "done"
        self._note(HungUp(at_ms=self._time.now_ms, turn=self._turn, by="agent", reason=reason))

    def _speak(self, text: str, then: Callable[[], None]) -> None:
        turn = self._turn
        if not text:
            self._time.after(0, then)
            return
        sound = self._ask(Stage.SYNTHESIZER, lambda: self._medium.agent_says(text))
        self._usage = replace(self._usage, spoken_characters=self._usage.spoken_characters + len(text))
        lead_ms = self._declared(Stage.SYNTHESIZER, len(text), 0) + sound.lead_ms

        def started() -> None:
            self._note(
                AgentStarted(
                    at_ms=self._time.now_ms, turn=turn, text=text, audio=sound.digest, stage_ms=lead_ms
                )
            )
            self._time.after(sound.speech_ms, stopped)

        def stopped() -> None:
            self._note(AgentStopped(at_ms=self._time.now_ms, turn=turn))
            then()

        self._time.after(lead_ms, started)

    def _caller_reacts(self, heard: str) -> None:
        if self._pending:
            action: Utterance | Hangup = self._pending[0]
            self._pending = ()
        else:
            action = self._caller.next(heard)
        # Nobody answers while still speaking: the caller finishes first when the agent replied too early.
        begin_ms = max(self._time.now_ms, self._caller_silent_from_ms) + self._reaction_ms()
        self._time.at(begin_ms, lambda: self._caller_turn(action))

    # -- chance, time and faults --------------------------------------------------------------------------

    def _draws(self, purpose: str) -> np.random.Generator:
        content = f"{self._seed}:{self._turn}:{purpose}".encode()
        return np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()[:8]))

    def _declared(self, stage: Stage, units: float, round_number: int) -> Milliseconds:
        return self._agent.latency[stage].declared(units, self._draws(f"{stage}:{round_number}"))

    def _reaction_ms(self) -> Milliseconds:
        # People answer within 200 to 700 ms of the end of a question (Stivers et al., PNAS 2009).
        return int(self._draws("reaction").integers(200, 701))

    def _note(self, event: Event) -> None:
        self._events.append(event)

    def _ask(self, stage: Stage, question: Callable[[], _Answer], *, measured: bool = False) -> _Answer:
        """Ask a stage; whatever it raises ends the call as the agent's failure, except trouble of ours.

        ``measured``: the stage is asked each time; the others are measured where their results are kept.
        """
        try:
            with PROCESS.measuring(stage) if measured else nullcontext():
                return question()
        except (HarnessError, _StageFailureError):
            raise
        except InputError as error:
            raise HarnessError(str(error)) from error
        except NonsenseError as error:
            raise _StageFailureError(stage, str(error)) from error
        except Exception as error:
            raise _StageFailureError(stage, describe(error)) from error


def _checked(reply: object) -> Reply:
    if not isinstance(reply, Reply) or not isinstance(reply.text, str):
        raise NonsenseError(f"reply returned {type(reply).__name__}, not a Reply")
    if not all(isinstance(call, ToolCall) for call in reply.tool_calls):
        raise NonsenseError("reply asked for something that is not a ToolCall")
    return reply


def _result(result: object) -> ToolResult:
    if not isinstance(result, ToolResult):
        raise NonsenseError(f"a tool call returned {type(result).__name__}, not a ToolResult")
    return result
