"""Calls as pytest items: their names, their markers, and when one of them fails."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from voiceeval.call import Arm, CallKey, Ending
from voiceeval.cohort import PlannedCall
from voiceeval.errors import HarnessError
from voiceeval.execution.placed import Placed
from voiceeval.experiment import Experiment, keys


def call_name(key: CallKey) -> str:
    """An item's name: ``freeze-card[scottish-04-telephone-0-candidate]``."""
    return f"{key.scenario}[{key.caller}-{key.line}-{key.trial}-{key.arm}]"


def to_place(experiment: Experiment, planned: tuple[PlannedCall, ...]) -> tuple[CallKey, ...]:
    """The calls to place of these planned ones: both arms side by side, or the candidate's alone."""
    return tuple(key for key in keys(planned) if key.arm is Arm.CANDIDATE or not experiment.stored)


def scenario_id(path: Path) -> str:
    """The id of the scenario in a file that was checked before; empty where it holds none."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return ""
    return str(document.get("id", path.stem))


class CallItem(pytest.Item):
    """One call. It fails when we could not measure it, and never for what the agent did."""

    def __init__(
        self, *, key: CallKey, planned: PlannedCall, place: Callable[[CallKey], Placed], **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.key = key
        self._place = place
        tags = {**planned.tags, "scenario": key.scenario, "caller": key.caller, "arm": str(key.arm)}
        self.add_marker(pytest.mark.voice(**tags))
        # Tag values answer to -k, as names do.
        self.extra_keyword_matches.update(tags.values())

    def runtest(self) -> None:
        """Note how the call ended."""
        placed = self._place(self.key)
        self.user_properties.append(("ending", str(placed.ending)))
        if placed.ending is Ending.HARNESS_FAILED:
            raise HarnessError(placed.failure or "the call could not be measured")
        if placed.failure:
            self.user_properties.append(("failure", placed.failure))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our own failures in a sentence, without a traceback."""
        if isinstance(excinfo.value, HarnessError):
            return f"not measured: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """The scenario's file."""
        return self.path, None, self.name


class ScenarioFile(pytest.File):
    """A scenario file, with its planned calls."""

    EXPERIMENT = pytest.StashKey[Experiment]()
    PLANNED = pytest.StashKey[tuple[PlannedCall, ...]]()
    PLACE = pytest.StashKey[Callable[[CallKey], Placed]]()

    def collect(self) -> Iterable[CallItem]:
        """One item per call that is to be placed."""
        place, experiment = self.stash[self.PLACE], self.stash[self.EXPERIMENT]
        for planned in self.stash[self.PLANNED]:
            for key in to_place(experiment, (planned,)):
                yield CallItem.from_parent(self, name=call_name(key), key=key, planned=planned, place=place)
