"""How far a run is, while it runs: one live line on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as LiveProgress

from voiceeval.call import Arm, CallKey, Ending
from voiceeval.reports.wording import counted

PLAIN_STEPS = 4
"""Without a terminal: a line at every quarter."""


class CallProgress:
    """Counts calls as they end, and shows the count."""

    def __init__(self, total: int, console: Console, *, quiet: bool = False) -> None:
        self._total = total
        self._console = console
        self._placed = dict.fromkeys(Arm, 0)
        self._agent_failed = dict.fromkeys(Arm, 0)
        self._unmeasured = 0
        self._quiet = quiet
        self._live = console.is_terminal and not quiet
        self._bar = LiveProgress(
            TextColumn("placing calls"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, counts="")

    def __enter__(self) -> CallProgress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._bar.stop()
            self._console.print(self._line())

    def advance(self, key: CallKey, ending: Ending) -> None:
        """One call has ended."""
        self._placed[key.arm] += 1
        if ending is Ending.AGENT_FAILED:
            self._agent_failed[key.arm] += 1
        elif ending is Ending.HARNESS_FAILED:
            self._unmeasured += 1
        if self._live:
            self._bar.update(self._task, advance=1, counts=self._counts())
        elif not self._quiet and self._quarter(self._done) != self._quarter(self._done - 1):
            self._console.print(self._line())

    def _quarter(self, done: int) -> int:
        return done * PLAIN_STEPS // self._total

    @property
    def _done(self) -> int:
        return sum(self._placed.values())

    def _line(self) -> str:
        return f"{self._done} of {counted(self._total, 'call')} placed: {self._counts()}"

    def _counts(self) -> str:
        arms = [
            f"{arm} {self._placed[arm]}"
            + (f" ({failed} failed)" if (failed := self._agent_failed[arm]) else "")
            for arm in Arm
        ]
        unmeasured = [f"{self._unmeasured} not measured"] if self._unmeasured else []
        return ", ".join(arms + unmeasured)
