"""The agent's end of the line, held against a line painted millisecond by millisecond."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from random_calls import some_spans
from rooms import Room

from voiceeval.engines.ear import Ear
from voiceeval.engines.medium import LineSound
from voiceeval.engines.timeline import Timeline
from voiceeval.protocols import Span

BED_MS = 700
UNTIL_MS = 4000


class Line(Room):
    """A bed that repeats soon."""

    def bed(self) -> tuple[LineSound, int]:
        return sound("bed", BED_MS, *self.bed_hears), self.bed_from_ms


def sound(digest: str, duration_ms: int, *heard: Span) -> LineSound:
    return LineSound(digest=digest, duration_ms=duration_ms, audible_from_ms=0, audible_to_ms=0, heard=heard)


def span(start_ms: int, end_ms: int) -> Span:
    return Span(start_ms=start_ms, end_ms=end_ms)


@dataclass
class Listening:
    """An ear on a line, and when it told of speech."""

    line: Line = field(default_factory=Line)
    lays: list[tuple[int, LineSound, int]] = field(default_factory=list)
    """When, what, and since when its audio has been on the line."""
    told: list[tuple[int, bool]] = field(default_factory=list)

    def hear(self, until_ms: int = UNTIL_MS) -> Ear:
        time = Timeline()
        ear = Ear(
            time=time,
            medium=self.line,
            started=lambda: self.told.append((time.now_ms, True)),
            stopped=lambda: self.told.append((time.now_ms, False)),
        )
        time.at(0, ear.open)
        for moment, what, lead_ms in self.lays:
            time.at(moment, lambda what=what, from_ms=moment - lead_ms: ear.lay(what, from_ms))  # type: ignore[misc]
        time.at(until_ms, time.stop)
        time.run()
        return ear

    def painted(self) -> tuple[list[tuple[str, int]], list[bool]]:
        """What was on the line in every millisecond, and whether speech was heard in it as it passed."""
        what = [("bed", (self.line.bed_from_ms + t) % BED_MS) for t in range(UNTIL_MS)]
        known = {"bed": sound("bed", BED_MS, *self.line.bed_hears)}
        speaks = [_in_speech(known, sample) for sample in what]
        for moment, laid, lead_ms in self.lays:
            known[laid.digest] = laid
            begins = moment - lead_ms
            for t in range(begins, UNTIL_MS):
                over = t - begins >= laid.duration_ms
                what[t] = ("bed", (self.line.bed_from_ms + t) % BED_MS) if over else (laid.digest, t - begins)
            for t in range(moment, UNTIL_MS):
                speaks[t] = _in_speech(known, what[t])
        return what, speaks


def _in_speech(known: dict[str, LineSound], sample: tuple[str, int]) -> bool:
    digest, at_ms = sample
    return any(heard.start_ms <= at_ms < heard.end_ms for heard in known[digest].heard)


def some_line(seed: int) -> Listening:
    rng = np.random.default_rng(seed)
    line = Line(bed_from_ms=int(rng.integers(0, BED_MS)))
    line.bed_hears = some_spans(rng, BED_MS, 3)
    lays, moment, last = [], 0, 0
    for number in range(int(rng.integers(0, 6))):
        moment += int(rng.integers(0, 900))
        lead_ms = min(int(rng.integers(0, 300)), moment - last)
        duration_ms = lead_ms + int(rng.integers(1, 1500))
        lays.append((moment, sound(str(number), duration_ms, *some_spans(rng, duration_ms, 3)), lead_ms))
        last = moment
    return Listening(line, lays)


@pytest.mark.parametrize("seed", range(150))
def test_cuts_are_what_was_painted_without_a_gap_and_speech_is_told_as_it_passes(seed: int) -> None:
    listening = some_line(seed)
    ear = listening.hear()
    what, speaks = listening.painted()
    rng = np.random.default_rng([seed, 1])
    for _ in range(20):
        from_ms, to_ms = sorted(rng.integers(0, UNTIL_MS, size=2).tolist())
        cuts = ear.cuts(from_ms, to_ms)
        heard = [(cut.sound.digest, at) for cut in cuts for at in range(cut.from_ms, cut.to_ms)]
        assert heard == what[from_ms:to_ms]
    told = [False] * UNTIL_MS
    for moment, on in listening.told:
        told[moment:] = [on] * (UNTIL_MS - moment)
    assert told == speaks


@pytest.mark.parametrize("seed", range(150))
def test_starts_and_stops_take_turns(seed: int) -> None:
    listening = some_line(seed)
    ear = listening.hear()
    assert [on for _, on in listening.told] == [index % 2 == 0 for index in range(len(listening.told))]
    is_on = bool(listening.told) and listening.told[-1][1]
    assert ear.speech_since_ms == (listening.told[-1][0] if is_on else None)


def test_what_was_said_before_now_is_on_the_line_but_no_news() -> None:
    """The lead of a sound lies in the past: a detector that hears speech in it says so from now on."""
    early, later = sound("a", 500, span(50, 150)), sound("b", 500, span(50, 250))
    listening = Listening(lays=[(1000, early, 200), (2000, later, 200)])
    ear = listening.hear()
    assert listening.told == [(2000, True), (2050, False)]
    assert [(cut.sound.digest, cut.from_ms, cut.to_ms) for cut in ear.cuts(700, 1400)] == [
        ("bed", 0, 100),
        ("a", 0, 500),
        ("bed", 600, 700),
    ]


def test_a_sound_takes_over_and_the_bed_goes_on_where_it_would_have_been() -> None:
    listening = Listening(lays=[(1000, sound("a", 5000), 0), (1200, sound("b", 300), 0)])
    ear = listening.hear()
    assert [(cut.sound.digest, cut.from_ms, cut.to_ms) for cut in ear.cuts(900, 2000)] == [
        ("bed", 200, 300),
        ("a", 0, 200),
        ("b", 0, 300),
        ("bed", 100, 600),  # it is 1500 after the beginning, and the bed is 700 long
    ]


def test_speech_that_goes_on_from_one_sound_to_the_next_goes_on() -> None:
    lays = [(1000, sound("a", 900, span(0, 900)), 0), (1500, sound("b", 500, span(0, 300)), 0)]
    listening = Listening(lays=lays)
    listening.hear()
    assert listening.told == [(1000, True), (1800, False)]


def test_speech_that_the_next_sound_does_not_have_is_over() -> None:
    lays = [(1000, sound("a", 900, span(0, 900)), 0), (1500, sound("b", 500, span(200, 300)), 0)]
    listening = Listening(lays=lays)
    listening.hear()
    assert listening.told == [(1000, True), (1500, False), (1700, True), (1800, False)]
