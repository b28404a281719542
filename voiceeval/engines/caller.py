"""What the caller says next: the script of a scenario, followed by rules and never by chance.

After each reply of the agent the first rule that applies decides:

1. The reply contains the ``cue`` of a turn that was not said yet: that turn, the earliest first, also when
   the agent asks to repeat in the same breath ("I did not get that. What is the order number?").
2. The agent asks to repeat: the caller says the last thing again, with that turn's ``repairs``. After a turn
   in which the caller stayed silent there is nothing to repeat, and the next rule is tried.
3. The reply contains the ``cue`` of a turn that was said before: the agent asks again, and is told again,
   with that turn's ``repairs``.
4. The next turn without a cue that was not said yet.
5. Nothing is left to say: the caller hangs up, done.

An answer that was repeated as often as the scenario's ``impatience`` allows has its words put in front.

A turn found by 1, 3 or 4 whose ``expects`` the reply does not fulfil is not said; its ``objection`` is, and
the turn stays unsaid. Repetitions and objections in a row that exceed the scenario's ``patience`` make the
caller hang up, out of patience.

Phrases are compared without regard to case, punctuation and spacing, as whole words, digits as written:
``4 1 2 9`` does not occur in ``4129``. ``a|b`` takes either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from voiceeval.repair_requests import normalised, repair_requests, says
from voiceeval.scenario import Afterthought, Hesitation, Scenario

Wording = Literal["text", "repair", "objection", "impatient", "afterthought"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """The caller speaks, or stays silent."""

    text: str
    """Empty: the caller says nothing for ``silence_ms``."""
    script_turn: int
    """Index in the scenario's turns."""
    wording: Wording
    recorded: bool = False
    """These are the turn's own ``text``, which a recording may hold, said for the first time or again."""
    silence_ms: int = 0
    """How long the caller says nothing before speaking."""
    keys: str = ""
    """Pressed instead of words."""
    hesitation: Hesitation | None = None
    afterthought: Afterthought | None = None
    barge_in_ms: int | None = None
    """The caller begins this long after the agent did, if the agent still speaks."""
    hangs_up: bool = False
    """The caller leaves right after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup:
    """The caller ends the call."""

    reason: Literal["done", "out of patience", "hung up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerMemory:
    """All that the caller's next decision depends on, beside the agent's words."""

    said: frozenset[int] = frozenset()
    """Turns whose text was said."""
    last: Utterance | None = None
    in_a_row: int = 0
    """Repetitions and objections since the caller last said something new."""
    repairs: tuple[int, ...] = ()
    """How many times each turn was repeated, by index."""


class Decision(NamedTuple):
    """What the caller does, and what they remember afterwards."""

    action: Utterance | Hangup
    memory: CallerMemory


def begin(scenario: Scenario) -> Decision:
    """What the caller says first: the first turn without a cue, whatever the greeting was."""
    memory = CallerMemory(repairs=(0,) * len(scenario.turns))
    index = next((i for i, turn in enumerate(scenario.turns) if not turn.cue), 0)
    return _say(scenario, memory, index, reply=None)


def respond(
    scenario: Scenario, memory: CallerMemory, reply: str, repair_phrases: Iterable[str] | None = None
) -> Decision:
    """What the caller does after a reply. Pure: same arguments, same decision.

    Args:
        scenario: The script.
        memory: As it was after the caller's last decision.
        reply: The agent's words; empty when the agent said nothing, which asks for a repetition too.
        repair_phrases: Phrases that ask to repeat; by default those of the scenario's language.
    """
    phrases = repair_requests(scenario.locale) if repair_phrases is None else repair_phrases
    heard = normalised(reply)
    asks_again = not heard.strip() or any(says(heard, phrase) for phrase in phrases)
    index, is_asked_anew = next(_candidates(scenario, memory, heard), (None, False))
    last = memory.last
    if asks_again and not is_asked_anew and last is not None and (last.text or last.keys):
        return _repeat(scenario, memory, last)
    if index is None:
        return Decision(Hangup(reason="done"), memory)
    return _say(scenario, memory, index, reply=heard)


class ScriptedCaller:
    """A scenario's caller in one call; remembers what was said."""

    def __init__(self, scenario: Scenario, *, repair_phrases: Iterable[str] | None = None) -> None:
        self._scenario = scenario
        self._phrases = None if repair_phrases is None else tuple(repair_phrases)
        self._memory = CallerMemory(repairs=(0,) * len(scenario.turns))

    @property
    def memory(self) -> CallerMemory:
        """What the caller remembers now."""
        return self._memory

    def first(self) -> Utterance | Hangup:
        """The caller's first words, after the greeting if there is one."""
        return self._keep(begin(self._scenario))

    def peek(self, agent_text: str) -> Utterance | Hangup:
        """What `next` would answer, without answering."""
        return self._decide(agent_text).action

    def next(self, agent_text: str) -> Utterance | Hangup:
        """The caller's answer to the agent's words; their first words if they have said nothing yet."""
        return self._keep(self._decide(agent_text))

    def unanswered(self) -> Utterance | Hangup:
        """What the caller does when the agent stays silent: says it again, up to their patience."""
        return self.next("")

    def _decide(self, agent_text: str) -> Decision:
        if self._memory.last is None:
            return begin(self._scenario)
        return respond(self._scenario, self._memory, agent_text, self._phrases)

    def _keep(self, decision: Decision) -> Utterance | Hangup:
        self._memory = decision.memory
        return decision.action


def _candidates(scenario: Scenario, memory: CallerMemory, heard: str) -> Iterator[tuple[int, bool]]:
    """Turns that fit the reply, best first, and whether it asks for them and they were not said yet."""
    cued = [i for i, turn in enumerate(scenario.turns) if any(says(heard, phrase) for phrase in turn.cue)]
    yield from ((i, True) for i in cued if i not in memory.said)
    yield from ((i, False) for i in cued if i in memory.said)
    rest = (i for i, turn in enumerate(scenario.turns) if not turn.cue and i not in memory.said)
    yield from ((i, False) for i in rest)


def _say(scenario: Scenario, memory: CallerMemory, index: int, *, reply: str | None) -> Decision:
    turn = scenario.turns[index]
    if reply is not None and not all(says(reply, phrase) for phrase in turn.expects):
        objection = Utterance(text=turn.objection, script_turn=index, wording="objection")
        return _again(scenario, memory, objection)
    if index in memory.said:
        return _again(scenario, memory, _repair(scenario, index, memory))
    words = Utterance(
        text=turn.text,
        script_turn=index,
        wording="text",
        recorded=True,
        silence_ms=turn.silence_ms,
        keys=turn.keys,
        hesitation=turn.hesitation,
        afterthought=turn.afterthought,
        barge_in_ms=turn.barge_in_ms,
        hangs_up=turn.hangs_up,
    )
    return Decision(words, replace(memory, said=memory.said | {index}, last=words, in_a_row=0))


def _repeat(scenario: Scenario, memory: CallerMemory, last: Utterance) -> Decision:
    if last.wording == "objection":
        return _again(scenario, memory, last)
    return _again(scenario, memory, _repair(scenario, last.script_turn, memory))


def _repair(scenario: Scenario, index: int, memory: CallerMemory) -> Utterance:
    """The next of the turn's other wordings; the last one again when they are used up."""
    turn, times = scenario.turns[index], memory.repairs[index]
    if turn.keys:
        return Utterance(text="", script_turn=index, wording="repair", keys=turn.keys)
    words = turn.repairs[min(times, len(turn.repairs) - 1)] if turn.repairs else turn.words
    if scenario.impatience and times >= scenario.impatience.after:
        return Utterance(text=f"{scenario.impatience.words} {words}", script_turn=index, wording="impatient")
    return Utterance(text=words, script_turn=index, wording="repair", recorded=words == turn.text)


def _again(scenario: Scenario, memory: CallerMemory, words: Utterance) -> Decision:
    if memory.in_a_row >= scenario.patience:
        return Decision(Hangup(reason="out of patience"), memory)
    repairs = list(memory.repairs)
    repairs[words.script_turn] += words.wording in ("repair", "impatient")
    return Decision(words, replace(memory, last=words, in_a_row=memory.in_a_row + 1, repairs=tuple(repairs)))
