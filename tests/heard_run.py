"""The sample run on disk with sounds that can be played: every clip a tone of its own length and pitch."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_report_sample import report_input

from voiceeval.audio import AudioClip
from voiceeval.call import AgentStarted, AgentStopped, Call, CallerStarted, CallerStopped, Event
from voiceeval.content_files import FlacStore
from voiceeval.reports.report_files import render_all
from voiceeval.reports.report_input import ReportInput

RATE_HZ = 16_000
LEAD_MS = 300
"""Silence around the words of every clip."""


def tone(name: str, length_ms: int) -> AudioClip:
    """A tone whose pitch tells its name, with silence before and after."""
    hertz = 200 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:2]) % 600
    at_s = np.arange(length_ms * RATE_HZ // 1000) / RATE_HZ
    loud = 9_000 * np.sin(2 * np.pi * hertz * at_s)
    lead = np.zeros(LEAD_MS * RATE_HZ // 1000)
    return AudioClip(np.concatenate([lead, loud, lead]).astype(np.int16), RATE_HZ)


def heard_run(run: Path, report: ReportInput | None = None) -> ReportInput:
    """The report, with clips in the run folder ``run`` in place of the names that the sample invents."""
    report = report_input() if report is None else report
    store = FlacStore(run / "audio")

    def href(digest: str) -> str:
        path = store.path(digest)
        return path.relative_to(run).as_posix() if digest and path.exists() else ""

    calls = {id_: _with_sound(call, store) for id_, call in report.calls.items()}
    return replace(report, calls=calls, audio_href=href, audio=store)


def _with_sound(call: Call, store: FlacStore) -> Call:
    events: list[Event] = []
    for place, event in enumerate(call.events):
        if isinstance(event, CallerStarted) and event.audio:
            ends = _next(call, place, CallerStopped)
            audio = store.put(tone(event.text, ends - event.at_ms))
            events.append(replace(event, audio=audio, audio_from_ms=event.at_ms - LEAD_MS))
        elif isinstance(event, AgentStarted) and event.audio:
            ends = _next(call, place, AgentStopped)
            events.append(replace(event, audio=store.put(tone(event.text, ends - event.at_ms))))
        else:
            events.append(event)
    return replace(call, events=tuple(events))


def _next(call: Call, place: int, kind: type[CallerStopped] | type[AgentStopped]) -> int:
    return next(event.at_ms for event in call.events[place:] if isinstance(event, kind))


@pytest.fixture(scope="session")
def heard_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report folder of the sample run, written once; tests only read it."""
    run = tmp_path_factory.mktemp("heard")
    return render_all(heard_run(run), run).html.parent
