"""A Markdown summary for a CI step or a pull request: short, stable, and never above the host's limit."""

from __future__ import annotations

from collections.abc import Iterator

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE
from voiceeval.reports.cohort_table import (
    CohortRow,
    CohortTable,
    gating_table,
    has_own_margin,
    reported_metrics_table,
)
from voiceeval.reports.manifest_view import arm_view, changed_in_short
from voiceeval.reports.markdown_sections import sections
from voiceeval.reports.markdown_text import Budget, escaped
from voiceeval.reports.wording import (
    SIGNS,
    WAIVED_SIGN,
    answered,
    blamed,
    bounds,
    change,
    counted,
    difference,
    direction_word,
    headline,
    levels,
    outcome_word,
    reason_with_interval,
    sign,
    tally,
    verdict_words,
)
from voiceeval.verdict import Comparison, Estimate, Verdict

LIMIT_BYTES = 64 * 1024 - 1
"""Everything is under 64 KiB, which CI hosts and pull request comments accept."""

_MOST_ROWS = 60
_MOST_FAULTS = 20


def summary(comparison: Comparison, *, limit_bytes: int = LIMIT_BYTES) -> str:
    """The whole result as Markdown of at most ``limit_bytes`` bytes; what did not fit is counted."""
    table = gating_table(comparison)
    text = Budget(limit_bytes)
    for line in _heading(comparison):
        text.add(line)
    text.add(f"\n{escaped(tally(comparison))}\n")
    shown = [row for place, row in enumerate(table.rows) if place < _MOST_ROWS or row.blocking(comparison)]
    rows = [_table_row(table, row) for row in shown]
    text.add_table(_table_head(table), rows, "cohort", limit_bytes=limit_bytes // 3)
    for line in _legend(table, len(table.rows) - len(shown)):
        text.add(line)
    _add_reasons(text, table, comparison)
    for section in sections(comparison):
        text.add_section(section.title, section.told)
        text.add_table(section.head, section.rows, section.singular)
    reported = [_reported_row(verdict) for verdict in _reported(comparison)]
    head = ["Reported only, overall", "baseline → candidate", "difference", "interval"]
    text.add_table(head, reported, "metric")
    return text.written()


def _heading(comparison: Comparison) -> Iterator[str]:
    baseline, candidate = (escaped(arm_view(comparison.manifest, arm).label) for arm in Arm)
    sign = "✗" if comparison.failed else "✓"
    yield f"## {sign} {escaped(headline(comparison))}\n"
    yield f"{baseline} → {candidate}, policy {comparison.policy}. "
    yield f"What differs: {escaped(changed_in_short(comparison.manifest), limit=400)}\n"
    if comparison.partial:
        yield "**Partial:** only a selection of the suite was judged; this run cannot be blessed.\n"
    for fault in comparison.faults[:_MOST_FAULTS]:
        yield f"- **✗ Fault: {escaped(fault, limit=400)}**"
    if len(comparison.faults) > _MOST_FAULTS:
        yield f"- and {counted(len(comparison.faults) - _MOST_FAULTS, 'more fault')}"
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


def _add_reasons(text: Budget, table: CohortTable, comparison: Comparison) -> None:
    blocking = list(_blocking(table, comparison))
    if blocking:
        text.add_section("Why it may not ship")
        text.add_all(blocking, "blocking entry", "blocking entries")
    waived = [_waived(verdict) for row in table.rows for verdict in row.waived]
    if waived:
        text.add_section("Waived, not passed")
        text.add_all(waived, "waived regression")


def _waived(verdict: Verdict) -> str:
    name, title = escaped(verdict.cohort.name), escaped(verdict.metric.title)
    who = escaped(answered(verdict.waiver), limit=500) if verdict.waiver else ""
    verdict_told = escaped(f"{sign(verdict)} {verdict_words(verdict)}")
    return f"- **{verdict_told}: {name}, {title}**: {escaped(change(verdict), limit=400)}. {who}"


def _legend(table: CohortTable, hidden: int) -> Iterator[str]:
    if not table.rows:
        return
    told = [escaped(outcome_word(outcome)) for outcome in SIGNS]
    if any(row.waived for row in table.rows):
        told.append(f"{WAIVED_SIGN} regressed, waived")
    yield " · ".join(told) + "\n"
    if hidden:
        yield f"{counted(hidden, 'more cohort')} without a blocking verdict: see the report.\n"


def _table_head(table: CohortTable) -> list[str]:
    heads = []
    for metric in table.metrics:
        margins = ", ".join(escaped(margin, limit=20) for margin in table.common_margins(metric)[:3])
        heads.append(escaped(metric.title) + (f"<br>margin {margins}" if margins else ""))
    return ["Cohort", "Size", *heads]


def _table_row(table: CohortTable, row: CohortRow) -> list[str]:
    size = f"{counted(row.speakers, 'speaker')}, {counted(row.pairs, 'call')}"
    cells = [_cell(row.cells[metric.name]) if metric.name in row.cells else "–" for metric in table.metrics]
    name = escaped(row.cohort.name)
    return [f"**{name}**" if row.cohort == EVERYONE else name, size, *cells]


def _cell(verdict: Verdict) -> str:
    shown = escaped(sign(verdict))
    estimate = verdict.estimate
    if not isinstance(estimate, Estimate):
        return f"{shown} {verdict.outcome.value}"
    moved = escaped(difference(verdict.metric, estimate.difference))
    told = f"{shown} {moved}<br>{escaped(levels(verdict.metric, estimate))}"
    if has_own_margin(verdict):
        told += f"<br>own margin {escaped(verdict.margin, limit=20)}"
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
