"""Two finished runs → a `Comparison`: an arm of each, scored again together by the code that runs now.

The second run says how: its metrics, margins, cohorts and policy hold. What the two have to have in common is
what a stored baseline has to (``run_fingerprint.py``), and a stored baseline may stand in the first one's
place. Timing is never gated, because the runs saw another hour and perhaps another machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from voiceeval.agents import Agent
from voiceeval.assembly import restored
from voiceeval.call import Arm, Call
from voiceeval.errors import RunFolderError
from voiceeval.experiment import Experiment, Judged, compare
from voiceeval.run_fingerprint import (
    MOST_SENTENCES,
    Fingerprint,
    differences,
    fingerprint_of,
    unlike_callers,
)
from voiceeval.run_folder import RunFolder, find_run
from voiceeval.stored_baseline import FINGERPRINT, StoredAgent, StoredBaseline, Unusable, open_stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One arm of a run, or a stored baseline."""

    calls: Mapping[str, Call]
    """By id of the planned call."""
    agent: Agent
    fingerprint: Fingerprint | None
    """``None`` where there is none that could be read."""
    trouble: str = ""
    """Why nothing can be compared with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsCompared:
    """The verdicts on two runs, and what they rest on."""

    judged: Judged
    experiment: Experiment
    calls: Mapping[str, Call]


def compare_runs(baseline: Path, candidate: Path, *, arm_a: Arm, arm_b: Arm) -> RunsCompared:
    """Compare an arm of one run with an arm of another.

    Args:
        baseline: a run, a folder of runs for the latest of them, or a stored baseline.
        candidate: a run, or a folder of runs.
        arm_a: whose calls of the first one are the baseline's; a stored baseline has only its own.
        arm_b: whose calls of the second one are the candidate's.

    Raises:
        InputError: A folder is no run or is damaged, or the second run's agents or settings have changed.
    """
    first = _side(baseline, arm_a)
    if (candidate / FINGERPRINT).is_file():
        raise RunFolderError(
            f"{candidate}: a stored baseline, which says nothing about margins and cohorts; allowed as the "
            "second: a run. Give the stored baseline first"
        )
    folder = RunFolder.open(find_run(candidate))
    experiment = restored(folder)
    calls = _as(Arm.BASELINE, first.calls) | _as(Arm.CANDIDATE, _calls_of(folder, arm_b))
    # What the second run's own baseline was, stored or not, says nothing about the first run.
    facts = {key: value for key, value in experiment.facts.items() if key != "stored_baseline"}
    experiment = replace(
        experiment,
        agents={Arm.BASELINE: first.agent, Arm.CANDIDATE: experiment.agents[arm_b]},
        stored=True,
        not_comparable="",
        facts={**facts, "compared": "two runs", "arms_of_runs": [str(arm_a), str(arm_b)]},
    )
    experiment = replace(experiment, not_comparable=_why_not(first, experiment, calls))
    return RunsCompared(judged=compare(experiment, calls), experiment=experiment, calls=calls)


def _side(path: Path, arm: Arm) -> Side:
    if (path / FINGERPRINT).is_file():
        stored = open_stored(path)
        if isinstance(stored, Unusable):
            return Side(calls={}, agent=stored.agent, fingerprint=None, trouble=stored.reason)
        return _of_stored(stored)
    folder = RunFolder.open(find_run(path))
    # As a stored baseline of the run would have it; its audio is compared call by call.
    fingerprint = fingerprint_of(folder, arm, folder.selected, audio={}, content="")
    return Side(
        calls=_calls_of(folder, arm), agent=StoredAgent.of(fingerprint.agent), fingerprint=fingerprint
    )


def _of_stored(stored: StoredBaseline) -> Side:
    return Side(
        calls=_calls_of(stored.folder, Arm.BASELINE), agent=stored.agent, fingerprint=stored.fingerprint
    )


def _calls_of(folder: RunFolder, arm: Arm) -> dict[str, Call]:
    return {
        call_id.removesuffix(f"/{arm}"): call
        for call_id, call in folder.calls().items()
        if call.key.arm is arm
    }


def _as(arm: Arm, calls: Mapping[str, Call]) -> dict[str, Call]:
    return {
        f"{planned}/{arm}": replace(call, key=replace(call.key, arm=arm)) for planned, call in calls.items()
    }


def _why_not(first: Side, experiment: Experiment, calls: Mapping[str, Call]) -> str:
    """Why the two are not comparable, in a sentence; empty if they are."""
    if first.fingerprint is None:
        return first.trouble
    found = differences(first.fingerprint, experiment)
    if not found:
        unlike = unlike_callers(experiment.planned, calls)
        found = (unlike,) if unlike else ()
    if not found:
        return ""
    more = len(found) - MOST_SENTENCES
    told = [*found[:MOST_SENTENCES], *([f"and {more} more"] if more > 0 else [])]
    return "the runs are not comparable: " + "; ".join(told).replace("the stored baseline", "the first run")
