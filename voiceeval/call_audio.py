"""What could be heard in a call, put together again from its events and clips: two tracks on one clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip, Milliseconds, audible_span
from voiceeval.call import AgentStarted, AgentStopped, AsideStarted, Call, CallerStarted, Event, HungUp
from voiceeval.protocols import AudioStore

RATE_HZ = 16_000
"""A whole number of samples per millisecond, so that every time of an event is exactly a sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTracks:
    """Both sides of a call, each as long as the call."""

    caller: AudioClip
    """As it reached the agent."""
    agent: AudioClip
    """What was played, and no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playing:
    """One stretch in which the agent played a reply."""

    started: AgentStarted
    end_ms: Milliseconds
    """The last audible sample played, or the moment of the cut; the call's end where it says neither."""
    cut: bool
    """The reply did not play to its own end."""

    @property
    def whole(self) -> bool:
        """Whether all of the reply's clip was played in this stretch."""
        return not self.cut and not self.started.offset_ms


def two_tracks(call: Call, audio: AudioStore) -> TwoTracks:
    """The sounds of a call on two tracks of `RATE_HZ`; digital silence where nobody's clip lies.

    - The caller's: what the line delivered, where it was delivered. A later clip takes over from its first
      sample. The line's noise between clips belongs to no event, and is not in it.
    - The agent's: of every reply exactly what was played, nothing from the moment at which it stopped.

    Raises:
        RunFolderError: a clip was not kept.
    """
    length = duration_ms(call) * RATE_HZ // 1000
    caller, agent = np.zeros(length, dtype=np.int16), np.zeros(length, dtype=np.int16)
    sounds = [event for event in call.events if isinstance(event, CallerStarted | AsideStarted)]
    for event in sorted((event for event in sounds if event.audio), key=lambda event: event.audio_from_ms):
        _take_over(caller, audio.get(event.audio).resampled(RATE_HZ).samples, event.audio_from_ms)
    for playing in playings(call):
        if playing.started.audio:
            clip = played(audio.get(playing.started.audio), playing, rate_hz=RATE_HZ)
            _take_over(agent, clip.samples, playing.started.at_ms)
    return TwoTracks(caller=AudioClip(caller, RATE_HZ), agent=AudioClip(agent, RATE_HZ))


def playings(call: Call) -> Iterator[Playing]:
    """The stretches in which the agent played something, in order; it plays one thing at a time."""
    open_one: AgentStarted | None = None
    for event in call.events:
        if isinstance(event, AgentStopped) and open_one:
            yield Playing(started=open_one, end_ms=event.at_ms, cut=event.interrupted)
            open_one = None
        elif isinstance(event, AgentStarted):
            if open_one:
                yield Playing(started=open_one, end_ms=event.at_ms, cut=True)
            open_one = event
    if open_one:
        yield Playing(started=open_one, end_ms=max(open_one.at_ms, duration_ms(call)), cut=True)


def played(clip: AudioClip, playing: Playing, *, rate_hz: int = 0) -> AudioClip:
    """The part of a reply's clip that was heard, at ``rate_hz``, or else at the clip's own rate."""
    from_ms = audible_span(clip)[0] + playing.started.offset_ms
    # Resampled as a whole: at another rate the cut's moment may lie between two samples of the clip.
    whole = clip.resampled(rate_hz or clip.rate_hz)
    return whole.part(from_ms, from_ms + playing.end_ms - playing.started.at_ms)


def duration_ms(call: Call) -> Milliseconds:
    """How long the call took: until somebody hung up, or else until the last thing that happened."""
    ends = [event.at_ms for event in call.events if isinstance(event, HungUp)]
    return ends[0] if ends else max(map(_at_ms, call.events), default=0)


def _at_ms(event: Event) -> Milliseconds:
    return event.at_ms


def _take_over(track: NDArray[np.int16], samples: NDArray[np.int16], from_ms: Milliseconds) -> None:
    """Lay samples over a track from a moment on; what lay there from then on goes."""
    first = from_ms * RATE_HZ // 1000
    samples, first = samples[max(0, -first) :], max(0, first)
    track[first:] = 0
    place = track[first : first + len(samples)]
    place[:] = samples[: len(place)]
