"""Observed quantiles of durations, arranged for reading: overall first, then cohort by cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.reports.wording import counted, level, number, one_line
from voiceeval.score import MetricInfo
from voiceeval.statistics.tails import fewest_for_quantile
from voiceeval.verdict import Comparison, Quantiles

NAMES = ("p50", "p95", "p99")
"""Shown even where no cohort has calls enough for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantilesRow:
    """One cohort on the arms that have observations."""

    metric: MetricInfo
    cohort: Cohort
    arms: Mapping[Arm, Quantiles]

    def value(self, name: str, *, arrow: str = " → ") -> str:
        """Both arms' quantile, or that it takes more calls: ``1180 → 1301 ms``."""
        before, after = (self._value(name, arm) for arm in Arm)
        if before is None and after is None:
            return f"too few calls for {one_line(name, limit=20)}{_needed(name)}"
        told = number(self.metric, before) if before is not None else "too few calls"
        last = level(self.metric, after) if after is not None else "too few calls"
        return f"{told}{arrow}{last}"

    def has(self, name: str) -> bool:
        """Whether an arm has calls enough for this quantile."""
        return any(self._value(name, arm) is not None for arm in Arm)

    def size(self, arm: Arm) -> str:
        """What an arm's quantiles rest on: ``216 calls, 648 turns``."""
        found = self.arms.get(arm)
        if found is None:
            return "no call"
        return f"{counted(found.calls, 'call')}, {counted(found.observations, 'turn')}"

    def _value(self, name: str, arm: Arm) -> float | None:
        found = self.arms.get(arm)
        return None if found is None else found.values.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantilesTable:
    """One metric's quantiles."""

    metric: MetricInfo
    names: tuple[str, ...]
    rows: tuple[QuantilesRow, ...]


def quantile_tables(comparison: Comparison) -> tuple[QuantilesTable, ...]:
    """A table per metric, in the order they come; rows with the overall row first, then by cohort."""
    found: dict[str, dict[Cohort, dict[Arm, Quantiles]]] = {}
    metrics: dict[str, MetricInfo] = {}
    for item in comparison.quantiles:
        metrics.setdefault(item.metric.name, item.metric)
        found.setdefault(item.metric.name, {}).setdefault(item.cohort, {})[Arm(item.arm)] = item
    return tuple(
        QuantilesTable(
            metric=metric,
            names=_names(found[name]),
            rows=tuple(
                QuantilesRow(metric=metric, cohort=cohort, arms=found[name][cohort])
                for cohort in sorted(found[name], key=lambda cohort: (cohort != EVERYONE, cohort))
            ),
        )
        for name, metric in metrics.items()
    )


def overall_line(table: QuantilesTable) -> str:
    """Everyone's quantiles in a phrase; empty where there is no overall row."""
    rows = [row for row in table.rows if row.cohort == EVERYONE]
    if not rows:
        return ""
    row = rows[0]
    told = [
        f"{one_line(name, limit=20)} {row.value(name)}" if row.has(name) else row.value(name)
        for name in table.names
    ]
    sizes = {row.size(arm) for arm in Arm}
    each = f"{sizes.pop()} per arm" if len(sizes) == 1 else " → ".join(row.size(arm) for arm in Arm)
    return f"{', '.join(told)}; {each}"


def _names(cohorts: Mapping[Cohort, Mapping[Arm, Quantiles]]) -> tuple[str, ...]:
    named = {name for arms in cohorts.values() for item in arms.values() for name in item.values}
    return (*NAMES, *sorted(named - set(NAMES)))


def _needed(name: str) -> str:
    """How many calls a quantile takes: `` (59)``; nothing for a name that is no per cent."""
    share = name.removeprefix("p")
    if not share.isdecimal() or not 0 < int(share) < 100:
        return ""
    return f" ({fewest_for_quantile(int(share) / 100)})"
