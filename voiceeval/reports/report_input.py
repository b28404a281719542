"""Everything a report is drawn from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from voiceeval.call import Arm, Call
from voiceeval.cohort import PlannedCall
from voiceeval.protocols import AudioStore
from voiceeval.scenario import Scenario
from voiceeval.score import Score
from voiceeval.verdict import Comparison

_DIGEST = re.compile(r"[0-9A-Za-z_-]{3,128}")


def flac_in_run_folder(digest: str) -> str:
    """Where a run folder keeps a clip, relative to itself; empty for something that is no digest.

    >>> flac_in_run_folder("abcdef")
    'audio/ab/abcdef.flac'
    """
    return f"audio/{digest[:2]}/{digest}.flac" if _DIGEST.fullmatch(digest) else ""


def _nothing(digest: str) -> bool:
    del digest
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInput:
    """One run as the reports need it: the verdicts, and the calls behind them."""

    comparison: Comparison
    planned: tuple[PlannedCall, ...]
    scenarios: Mapping[str, Scenario]
    """By scenario id."""
    calls: Mapping[str, Call]
    """By ``CallKey.id``; a planned call that was not placed on an arm has no entry."""
    scores: Mapping[tuple[str, str], Score]
    """By ``CallKey.id`` and metric name."""
    audio_href: Callable[[str], str] = flac_in_run_folder
    """From a clip's digest to its file, relative to the run folder; empty where it was not kept."""
    audio: AudioStore | None = None
    """Where clips can be read, so that of a reply that was cut off just the part that was played is offered;
    without it such replies have no sound in the report."""
    audio_left_out: Callable[[str], bool] = _nothing
    """Of a clip's digest: whether there is such a clip, and the report may not let it be heard."""
    left_out: str = ""
    """What is left out of the report on purpose, in a sentence; empty where nothing is."""
    saved_by_right_words: Mapping[str, bool] = field(default_factory=dict)
    """By ``CallKey.id``: whether the same dialogue, given the right words, completes the task. Says so where
    texts were left out, which such a verdict rests on."""


def arm_call_id(planned: PlannedCall, arm: Arm) -> str:
    """The ``CallKey.id`` of a planned call on one arm."""
    return f"{planned.id}/{arm}"
