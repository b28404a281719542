"""How much worse is tolerated, as people write it: ``"+2pp"``, ``"+10%"``, ``"+80ms"``, ``"+0.02eur"``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from voiceeval.cohort import Cohort
from voiceeval.errors import ConfigError, unknown_name
from voiceeval.score import Direction, MetricInfo
from voiceeval.statistics.paired_test import MarginTerms

Unit = Literal["share", "ms", "currency", "relative"]

LEAST_RELATIVE_BASELINE = 0.01
"""A relative margin on a smaller rate would tolerate next to nothing: say percentage points."""

_WRITTEN = re.compile(
    r"\+?\s*(?P<amount>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>pp|%|ms|[a-z]{3}|[€$£])", re.IGNORECASE
)
_EXAMPLES: Mapping[str, str] = {
    "share": "+2pp or +10%",
    "ms": "+80ms or +10%",
    "currency": "+0.02eur or +10%",
    "count": "+10%",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """The largest worsening that is tolerated; always of the worse direction, whatever the metric's."""

    written: str
    """As in the configuration, without blanks."""
    amount: float
    """A share (2 pp is 0.02), milliseconds or currency; of the baseline's rate where relative. Above 0."""
    unit: Unit

    def __post_init__(self) -> None:
        if not self.amount > 0:
            raise ValueError(f"a margin must be above 0, got {self.amount}")

    @property
    def relative(self) -> bool:
        """Whether it is a part of the baseline's rate (of its failures, where higher is better)."""
        return self.unit == "relative"

    @classmethod
    def parse(cls, text: str, *, key: str = "margin") -> Margin:
        """Read a margin.

        Args:
            text: a number and ``pp``, ``%``, ``ms`` or a currency (three letters or a sign); ``+`` is
                optional.
            key: where it was written, for the message.

        Raises:
            ConfigError: not a margin, or 0, which no finite number of calls can certify.

        >>> Margin.parse("+2pp")
        Margin(written='+2pp', amount=0.02, unit='share')
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise ConfigError(
                f"{key}: {text!r} is not a margin; write +2pp (percentage points), +10% (of the baseline), "
                "+80ms or +0.02eur; + means worse, also where higher is better"
            )
        amount, unit = float(found["amount"]), found["unit"].lower()
        if amount == 0:
            raise ConfigError(
                f"{key}: {text!r} tolerates nothing, which no number of calls can certify; write the "
                "smallest worsening that would matter, such as +1pp"
            )
        written = "+" + text.strip().removeprefix("+").replace(" ", "")
        if unit in ("pp", "%"):
            return cls(written=written, amount=amount / 100, unit="share" if unit == "pp" else "relative")
        return cls(written=written, amount=amount, unit="ms" if unit == "ms" else "currency")

    def check(self, metric: MetricInfo, *, key: str = "margin") -> None:
        """Raise ConfigError if the margin's unit is not the metric's, or if nothing could exceed it."""
        if self.unit not in ("relative", metric.unit):
            given = "percentage points" if self.unit == "share" else self.unit
            raise ConfigError(
                f"{key}: {self.written!r} is in {given}, but {metric.name} is measured as "
                f"{metric.unit}; write {_EXAMPLES[metric.unit]}"
            )
        if self.relative and self._negated(metric) and self.amount >= 1:
            raise ConfigError(
                f"{key}: {self.written!r} would tolerate anything, because {metric.name} is better where it "
                "is higher, and cannot lose more than all of it; write less than +100%"
            )

    def on_log_scale(self, metric: MetricInfo) -> bool:
        """Whether geometric means are compared: durations, when the margin is a part of the baseline's."""
        return self.relative and metric.timing and metric.unit == "ms"

    def terms(self, metric: MetricInfo) -> MarginTerms:
        """What the contrast of numerators turned so that + is worse is held against."""
        if self.on_log_scale(metric):
            return MarginTerms(1.0, math.log1p(self.amount))
        if not self.relative:
            return MarginTerms(1.0, self.amount)
        return MarginTerms(1 - self.amount if self._negated(metric) else 1 + self.amount, 0.0)

    @staticmethod
    def _negated(metric: MetricInfo) -> bool:
        """Whether numerators are negated: higher is better, and rates have no complement."""
        return metric.direction is Direction.HIGHER_IS_BETTER and metric.unit != "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMargin:
    """A margin that one cohort has in place of the metric's."""

    metric: str
    cohort: Cohort
    margin: Margin
    reason: str
    until: date
    """The last day on which it holds; after it the cell cannot be judged until somebody decides again."""


def parse_margins(
    written: Mapping[str, str],
    metrics: Iterable[MetricInfo],
    *,
    key: str = "margins",
    kind: str = "metric",
) -> dict[str, Margin]:
    """The margins of a configuration table, by metric.

    Args:
        written: from metric name to margin, as in ``[tool.voiceeval.margins]``.
        metrics: the metrics that are scored.
        key: the table's name, for messages.
        kind: what messages call a metric.

    Raises:
        ConfigError: an unknown metric, an unreadable margin or one in another unit.
    """
    known = {metric.name: metric for metric in metrics}
    margins = {}
    for name, text in written.items():
        if name not in known:
            raise ConfigError(f"{key}.{name}: {unknown_name(kind, name, known)}")
        margins[name] = Margin.parse(text, key=f"{key}.{name}")
        margins[name].check(known[name], key=f"{key}.{name}")
    return margins
