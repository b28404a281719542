"""From the sound of a call to who speaks when: two channels, or the stretches of two speakers.

What comes out are the events that calls of ours have, so that the metrics of turn-taking score a recording as
they score a simulated call. Words, the agent's decisions and what anybody meant cannot be heard; the rules:

- **A speaker's pauses.** What one of them says is one stretch as long as its pauses are at most 1 s and the
  other says nothing in them: brief pauses are under 200 ms, medium ones up to 1 s (Campione & Véronis, Speech
  Prosody 2002). Pauses of at most 300 ms never part a stretch. A caller who goes on within 1 s goes on with
  the same utterance even though the agent began to speak meanwhile.
- **Turns.** A turn of the caller lasts until the agent speaks, or until the caller has been silent for more
  than 3 s: what they say then is another turn, and the first was never answered.
- **Back-channels.** Of at most 1 s, wholly inside the agent's speech, which goes on for 1 s more at least
  (short, and without taking the turn: Heldner & Edlund, J. Phonetics 2010; Gravano & Hirschberg, Computer
  Speech & Language 2011). They are asides and no turns. Coughs that the detector takes for speech are among
  them.
- **Barge-ins.** Any other turn that begins inside the agent's speech, 200 ms or more before its end. People
  need about that long to react (Stivers et al., PNAS 2009), so that with a shorter overlap the agent
  finished by itself. Speech of the agent that ends within 2 s of a barge-in was cut off by it.
- **The end.** A caller whose last turn gets no answer within the recording said goodbye if that ends within
  2 s, and otherwise waited in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from voiceeval.audio import AudioClip, Milliseconds
from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    AsideStarted,
    AsideStopped,
    CallerStarted,
    CallerStopped,
    Event,
    HungUp,
)
from voiceeval.protocols import Span

BRIEF_PAUSE_MS = 300
PAUSE_MS = 1_000
UNANSWERED_MS = 3_000
BACK_CHANNEL_MS = 1_000
GOES_ON_MS = 1_000
REACTION_MS = 200
CUT_OFF_MS = 2_000
GOODBYE_MS = 2_000

FROM_AUDIO = (
    *("response_rate", "time_to_first_audio", "slow_replies", "very_slow_replies"),
    *("agent_interrupts_caller", "yield_rate", "time_to_yield", "talk_over_ms", "silence_ms"),
    *("reply_length_ms", "call_length_ms", "turns_per_call"),
)
"""Metrics that mean on these events what they mean on a call of ours."""

_DECISIONS = "the agent's decision that a turn is over cannot be heard"
_WORDS = "nobody transcribed the call"
NOT_FROM_AUDIO: Mapping[str, str] = MappingProxyType(
    {
        "premature_endpoints": _DECISIONS,
        "reprompts": _DECISIONS,
        "talk_through": "a short sound is told from a turn by whether the agent went on",
        "caller_asked_to_repeat": _WORDS,
        "asked_twice": _WORDS,
        "repeated_corrections": _WORDS,
        "already_told_you": _WORDS,
        "agent_repeats_itself": _WORDS,
        "words_per_reply": _WORDS,
        "transfer_rate": "who ended the call, and why, cannot be heard",
    }
)
"""The other metrics of turn-taking, and why audio does not give them."""


def turns_of_channels(
    caller: AudioClip, agent: AudioClip, *, hears: Callable[[AudioClip], Sequence[Span]]
) -> tuple[Event, ...]:
    """Who speaks when in a call with a channel for each, in order of time.

    Args:
        caller: The caller's channel, from the beginning of the call.
        agent: The agent's, from the same moment; no more of the other must be heard in either than a
            detector of speech passes over.
        hears: Where somebody speaks in a clip, such as `voiceeval.stages.silero.speech_spans`.
    """
    ends_ms = max(caller.duration_ms, agent.duration_ms)
    return turns_of_spans(hears(caller), hears(agent), ends_ms=ends_ms)


def turns_of_spans(
    caller: Sequence[Span], agent: Sequence[Span], *, ends_ms: Milliseconds | None = None
) -> tuple[Event, ...]:
    """The same from the stretches in which each of the two speaks, as a diarisation gives them.

    Args:
        caller: Stretches in any order; those that touch or overlap are one.
        agent: Likewise.
        ends_ms: When the call ends; by default with the last stretch.
    """
    said, answered = _joined(caller, BRIEF_PAUSE_MS), _joined(agent, BRIEF_PAUSE_MS)
    if ends_ms is None:
        ends_ms = max((span.end_ms for span in (*said, *answered)), default=0)
    speech = _without_pauses(answered, said)
    asides = _back_channels(said, speech)
    words = sorted({*said} - {*asides}, key=lambda span: span.start_ms)
    turns = _turns(words, speech)
    events = [
        *_callers_events(turns, speech),
        *_aside_events(asides, turns),
        *_agents_events(speech, words, turns),
    ]
    if events or ends_ms:
        events.append(_end(turns, speech, ends_ms))
    return tuple(sorted(events, key=lambda event: event.at_ms))


@dataclass(slots=True)
class _Turn:
    number: int
    utterances: list[Span] = field(default_factory=list)

    @property
    def begins_ms(self) -> Milliseconds:
        return self.utterances[0].start_ms

    @property
    def ends_ms(self) -> Milliseconds:
        return self.utterances[-1].end_ms


def _joined(spans: Sequence[Span], pause_ms: Milliseconds) -> list[Span]:
    """In order, with pauses of at most ``pause_ms`` closed; stretches without length are left out."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start_ms, each.end_ms)):
        if span.end_ms <= span.start_ms:
            continue
        if joined and span.start_ms - joined[-1].end_ms <= pause_ms:
            last = joined.pop()
            joined.append(Span(start_ms=last.start_ms, end_ms=max(last.end_ms, span.end_ms)))
        else:
            joined.append(span)
    return joined


def _without_pauses(spans: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Pauses of up to ``PAUSE_MS`` closed, where the other says nothing in them."""
    joined: list[Span] = []
    for span in spans:
        if joined:
            last = joined[-1]
            pause = Span(start_ms=last.end_ms, end_ms=span.start_ms)
            if _length_ms(pause) <= PAUSE_MS and not any(_parts(each, pause) for each in other):
                joined[-1] = Span(start_ms=last.start_ms, end_ms=span.end_ms)
                continue
        joined.append(span)
    return joined


def _parts(sound: Span, pause: Span) -> bool:
    """Whether a sound of the other makes two stretches of what is before and after a pause.

    Their words do, and so does a short answer that lies in the pause; a short sound that overlaps with either
    side does not.
    """
    if sound.end_ms <= pause.start_ms or sound.start_ms >= pause.end_ms:
        return False
    inside = sound.start_ms >= pause.start_ms and sound.end_ms <= pause.end_ms
    return inside or _length_ms(sound) > BACK_CHANNEL_MS


def _length_ms(span: Span) -> Milliseconds:
    return span.end_ms - span.start_ms


def _back_channels(said: Sequence[Span], speech: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    before: Span | None = None
    for span in said:
        # Soon after other words it is still the same utterance, unless those were a back-channel themselves.
        same = before is not None and before not in found[-1:] and span.start_ms - before.end_ms <= PAUSE_MS
        if not same and _length_ms(span) <= BACK_CHANNEL_MS and _goes_on(span, speech):
            found.append(span)
        before = span
    return found


def _goes_on(span: Span, speech: Sequence[Span]) -> bool:
    return any(each.start_ms < span.start_ms and each.end_ms >= span.end_ms + GOES_ON_MS for each in speech)


def _turns(words: Sequence[Span], speech: Sequence[Span]) -> list[_Turn]:
    turns: list[_Turn] = []
    for span in words:
        last = turns[-1] if turns else None
        if last is not None and _goes_on_with(last, span, speech):
            last.utterances[-1] = Span(start_ms=last.utterances[-1].start_ms, end_ms=span.end_ms)
        elif last is not None and _adds_to(last, span, speech):
            last.utterances.append(span)
        else:
            turns.append(_Turn(len(turns) + 1, [span]))
    return turns


def _goes_on_with(turn: _Turn, span: Span, speech: Sequence[Span]) -> bool:
    """Whether it is the same utterance: after a pause in which the agent may have begun, but not ended."""
    answered = any(each.start_ms >= turn.ends_ms and each.end_ms <= span.start_ms for each in speech)
    return span.start_ms - turn.ends_ms <= PAUSE_MS and not answered


def _adds_to(turn: _Turn, span: Span, speech: Sequence[Span]) -> bool:
    """Whether it is another utterance of the same turn: after a longer pause in which nobody spoke."""
    heard = any(each.end_ms > turn.ends_ms and each.start_ms < span.start_ms for each in speech)
    return span.start_ms - turn.ends_ms <= UNANSWERED_MS and not heard


def _callers_events(turns: Sequence[_Turn], speech: Sequence[Span]) -> Iterator[Event]:
    for turn in turns:
        for index, span in enumerate(turn.utterances):
            yield CallerStarted(
                at_ms=span.start_ms,
                turn=turn.number,
                text="",
                script_turn=-1,
                wording="afterthought" if index else "text",
                audio="",
                barge_in=not index and any(_broken_into(each, span) for each in speech),
            )
            yield CallerStopped(at_ms=span.end_ms, turn=turn.number)


def _broken_into(speech: Span, by: Span) -> bool:
    return speech.start_ms < by.start_ms <= speech.end_ms - REACTION_MS


def _aside_events(asides: Sequence[Span], turns: Sequence[_Turn]) -> Iterator[Event]:
    for span in asides:
        number = _number_at(span.start_ms, turns)
        yield AsideStarted(
            at_ms=span.start_ms,
            turn=number,
            aside="back_channel",
            text="",
            audio="",
            audio_from_ms=span.start_ms,
        )
        yield AsideStopped(at_ms=span.end_ms, turn=number)


def _agents_events(speech: Sequence[Span], words: Sequence[Span], turns: Sequence[_Turn]) -> Iterator[Event]:
    for span in speech:
        number = _number_at(span.start_ms, turns)
        cut = any(_broken_into(span, word) and span.end_ms - word.start_ms <= CUT_OFF_MS for word in words)
        yield AgentStarted(at_ms=span.start_ms, turn=number, text="", audio="", stage_ms=0)
        yield AgentStopped(at_ms=span.end_ms, turn=number, interrupted=cut)


def _number_at(at_ms: Milliseconds, turns: Sequence[_Turn]) -> int:
    """The latest turn begun at a moment; 0 before the first."""
    return sum(turn.begins_ms <= at_ms for turn in turns)


def _end(turns: Sequence[_Turn], speech: Sequence[Span], ends_ms: Milliseconds) -> Event:
    in_vain = bool(turns) and (
        ends_ms - turns[-1].ends_ms > GOODBYE_MS
        and not any(
            # What the caller broke into, and did not stop, is no answer.
            each.start_ms >= turns[-1].begins_ms and each.end_ms > turns[-1].ends_ms
            for each in speech
        )
    )
    return HungUp(
        at_ms=ends_ms, turn=len(turns), by="caller", reason="out of patience" if in_vain else "done"
    )
