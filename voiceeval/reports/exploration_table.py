"""The search of undeclared intersections, in words: what stands out, and what may be concluded from it."""

from __future__ import annotations

from dataclasses import dataclass

from voiceeval.reports.wording import counted, difference, one_line, probability
from voiceeval.verdict import Exploration, Explored

CAUTION = (
    "Exploration: reported, never gated. Declare a cohort to gate it in the NEXT run, on fresh calls: "
    "what was picked because it looked bad tends to look better when it is measured again."
)
HEADINGS = ("Undeclared cohort", "Metric", "Worse by, shrunken", "Worse by, raw", "q-value", "Speakers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploredRow:
    """One find as it is shown."""

    cohort: str
    metric: str
    shrunken: str
    """How much worse, shrunk towards the metric's other cells: the better guess."""
    raw: str
    """How much worse, as it was measured in just these calls."""
    q_value: str
    speakers: int

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of ``HEADINGS``."""
        return (
            self.cohort,
            self.metric,
            self.shrunken,
            self.raw,
            self.q_value,
            f"{self.speakers:,}",
        )


def searched(exploration: Exploration) -> str:
    """The search in a sentence: how much was looked at, and how much of it stands out."""
    if not exploration.tested:
        return "no undeclared intersection was searched"
    looked = f"searched {counted(exploration.tested, 'cell')} (undeclared intersections × metrics)"
    rate = f"false discovery rate {100 * exploration.rate:g} %"
    found = len(exploration.found)
    if not found:
        return f"{looked}; none stands out ({rate})"
    return f"{looked}; {found:,} {'stands' if found == 1 else 'stand'} out ({rate})"


def explored_rows(exploration: Exploration, *, most: int) -> tuple[ExploredRow, ...]:
    """The first ``most`` finds, largest shrunken worsening first."""
    return tuple(_row(found) for found in exploration.found[:most])


def _row(found: Explored) -> ExploredRow:
    relation = probability(found.q_value)
    return ExploredRow(
        cohort=one_line(found.cohort.name, limit=160),
        metric=one_line(found.metric.title, limit=60),
        shrunken=difference(found.metric, found.shrunken),
        raw=difference(found.metric, found.estimate.worse_by),
        q_value=relation.removeprefix("= "),
        speakers=found.counts.clusters,
    )
