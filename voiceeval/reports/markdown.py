"""A Markdown summary for a CI step or a pull request: short, stable, and never above the host's limit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE
from voiceeval.reports.cohort_table import CohortRow, CohortTable, gating_table, reported_metrics_table
from voiceeval.reports.manifest_view import arm_view, changed_in_short
from voiceeval.reports.wording import (
    SIGNS,
    blamed,
    bounds,
    change,
    counted,
    difference,
    direction_word,
    headline,
    levels,
    one_line,
    outcome_word,
    reason_with_interval,
    tally,
)
from voiceeval.verdict import Comparison, Estimate, Verdict

LIMIT_BYTES = 64 * 1024 - 1
"""Everything is under 64 KiB, which CI hosts and pull request comments accept."""

_SPECIAL = re.compile(r"[\\`*_{}\[\]()#+!|~$^=-]")
_JOINER = "\u2060"
"""Keeps ``@name`` from notifying anybody, and takes no room."""


def summary(comparison: Comparison, *, limit_bytes: int = LIMIT_BYTES) -> str:
    """The whole result as Markdown of at most ``limit_bytes`` bytes; what did not fit is counted."""
    table = gating_table(comparison)
    text = _Budget(limit_bytes)
    for line in _heading(comparison):
        text.add(line)
    text.add(f"\n{escaped(tally(comparison))}\n")
    text.add_all(list(_blocking(table, comparison)), "blocking entry", "blocking entries")
    text.add_table(_table_head(table), [_table_row(table, row) for row in table.rows], "cohort")
    if table.rows:
        text.add(" · ".join(escaped(outcome_word(outcome)) for outcome in SIGNS) + "\n")
    reported = [_reported_row(verdict) for verdict in _reported(comparison)]
    head = ["Reported only, overall", "baseline → candidate", "difference", "interval"]
    text.add_table(head, reported, "metric")
    return text.written()


def escaped(text: str, *, limit: int = 200) -> str:
    r"""Text as one line that Markdown leaves alone: no markup, HTML, links, mentions or table cells.

    >>> escaped("a|b <i>")
    'a\\|b &lt;i&gt;'
    """
    plain = one_line(text, limit=limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _SPECIAL.sub(lambda match: f"\\{match[0]}", plain)
    plain = plain.replace("@", f"@{_JOINER}").replace("://", f":{_JOINER}//")
    return re.sub(r"(?i)\bwww\.", lambda match: f"{match[0][:3]}{_JOINER}.", plain)


class _Budget:
    """Collects text up to a number of bytes, and keeps room to say what was left out."""

    _RESERVE = 400

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes - self._RESERVE
        self._parts: list[str] = []
        self._omitted: list[str] = []

    def add(self, line: str) -> bool:
        needed = len(line.encode("utf-8", "replace")) + 1
        if needed > self._left:
            return False
        self._left -= needed
        self._parts.append(line)
        return True

    def add_all(self, entries: Sequence[str], singular: str, plural: str = "") -> None:
        """Add entries in order while they fit; the rest is counted."""
        for index, entry in enumerate(entries):
            if not self.add(entry):
                self._omitted.append(counted(len(entries) - index, singular, plural))
                return

    def add_table(self, head: Sequence[str], rows: Sequence[Sequence[str]], singular: str) -> None:
        if not rows:
            return
        rule = "|" + "|".join(" --- " for _ in head) + "|"
        if self.add(f"\n{_line(head)}\n{rule}"):
            self.add_all([_line(row) for row in rows], singular)
        else:
            self._omitted.append(counted(len(rows), singular))
        self.add("")

    def written(self) -> str:
        if self._omitted:
            self._parts.append(
                f"\n**Shortened:** {', '.join(self._omitted)} did not fit here; see the report."
            )
        return "\n".join(self._parts).rstrip("\n") + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(comparison: Comparison) -> Iterator[str]:
    baseline, candidate = (escaped(arm_view(comparison.manifest, arm).label) for arm in Arm)
    sign = "✗" if comparison.failed else "✓"
    yield f"## {sign} {escaped(headline(comparison))}\n"
    yield f"{baseline} → {candidate}, policy {comparison.policy}. "
    yield f"What differs: {escaped(changed_in_short(comparison.manifest), limit=400)}\n"
    if comparison.partial:
        yield "**Partial:** only a selection of the suite was judged; this run cannot be blessed.\n"
    shown = comparison.alarms[:20]
    for alarm in shown:
        yield f"- **Alarm: {escaped(alarm, limit=400)}**"
    if len(comparison.alarms) > len(shown):
        yield f"- and {counted(len(comparison.alarms) - len(shown), 'more alarm')}"


def _blocking(table: CohortTable, comparison: Comparison) -> Iterator[str]:
    for row in table.rows:
        for verdict in row.blocking(comparison):
            name, title = escaped(row.cohort.name), escaped(verdict.metric.title)
            told = (
                f"{escaped(change(verdict), limit=400)}. {escaped(reason_with_interval(verdict), limit=500)}"
            )
            yield f"- **{escaped(outcome_word(verdict.outcome))}: {name}, {title}**: {told}"
        if row.blocking(comparison) and Arm.CANDIDATE in row.blames:
            yield f"  - Lost tasks: {escaped(blamed(row.blames[Arm.CANDIDATE]))}"


def _table_head(table: CohortTable) -> list[str]:
    return ["Cohort", "Size", *(escaped(metric.title) for metric in table.metrics)]


def _table_row(table: CohortTable, row: CohortRow) -> list[str]:
    size = f"{counted(row.speakers, 'speaker')}, {counted(row.pairs, 'call')}"
    cells = [_cell(row.cells[metric.name]) if metric.name in row.cells else "–" for metric in table.metrics]
    name = escaped(row.cohort.name)
    return [f"**{name}**" if row.cohort == EVERYONE else name, size, *cells]


def _cell(verdict: Verdict) -> str:
    sign = escaped(SIGNS[verdict.outcome])
    estimate = verdict.estimate
    if not isinstance(estimate, Estimate):
        return f"{sign} {verdict.outcome.value}"
    moved = escaped(difference(verdict.metric, estimate.difference))
    told = f"{sign} {moved}<br>{escaped(levels(verdict.metric, estimate))}"
    return told if verdict.gating else f"{told}<br>(not gated)"


def _reported(comparison: Comparison) -> tuple[Verdict, ...]:
    table = reported_metrics_table(comparison)
    overall = [row for row in table.rows if row.cohort == EVERYONE]
    return (
        tuple(overall[0].cells[m.name] for m in table.metrics if m.name in overall[0].cells)
        if overall
        else ()
    )


def _reported_row(verdict: Verdict) -> list[str]:
    metric, estimate = verdict.metric, verdict.estimate
    if not isinstance(estimate, Estimate):
        return [escaped(metric.title), escaped(estimate.reason), "", ""]
    return [
        escaped(metric.title),
        escaped(levels(metric, estimate)),
        escaped(f"{difference(metric, estimate.difference)} {direction_word(metric, estimate)}"),
        escaped(bounds(metric, estimate.interval)),
    ]
