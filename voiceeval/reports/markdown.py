"""A Markdown summary for a CI step: everything but the calls, stable, and never above the host's limit.

The short form for a pull request is in ``comment.py``.
"""

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
    severity,
    sign,
    tally,
    verdict_words,
)
from voiceeval.verdict import Comparison, Estimate, Verdict

LIMIT_BYTES = 1_000_000
"""A step's summary may have 1 MiB on GitHub; the rest is left to what else the step has to say."""

_MOST_SENTENCES = 100


def summary(comparison: Comparison, *, limit_bytes: int = LIMIT_BYTES) -> str:
    """The whole result as Markdown of at most ``limit_bytes`` bytes; what did not fit is counted."""
    table = gating_table(comparison)
    text = Budget(limit_bytes)
    add_heading(text, comparison, limit_bytes=limit_bytes // 6)
    text.add(f"\n{escaped(tally(comparison))}\n")
    rows = [_table_row(table, row) for row in by_importance(table, comparison)]
    text.add_table(_table_head(table), rows, "cohort", limit_bytes=limit_bytes // 3)
    for line in _legend(table):
        text.add(line)
    _add_reasons(text, table, comparison)
    for section in sections(comparison):
        text.add_section(section.title, section.told)
        text.add_table(section.head, section.rows, section.singular)
    reported = [_reported_row(verdict) for verdict in _reported(comparison)]
    head = ["Reported only, overall", "baseline → candidate", "difference", "interval"]
    text.add_table(head, reported, "metric")
    return text.written()


def add_heading(
    text: Budget, comparison: Comparison, *, limit_bytes: int, most: int = _MOST_SENTENCES
) -> None:
    """Add the verdict, what was compared, and the faults and alarms, each in ``limit_bytes`` at most."""
    baseline, candidate = (escaped(arm_view(comparison.manifest, arm).label) for arm in Arm)
    sign = "✗" if comparison.failed else "✓"
    text.add(f"## {sign} {escaped(headline(comparison))}\n")
    differs = escaped(changed_in_short(comparison.manifest), limit=400)
    text.add(f"{baseline} → {candidate}, policy {comparison.policy}. What differs: {differs}\n")
    if comparison.partial:
        text.add("**Partial:** only a selection of the suite was judged; this run cannot be blessed.\n")
    for word, sentences in (("✗ Fault", comparison.faults), ("Alarm", comparison.alarms)):
        told = [f"- **{word}: {escaped(sentence, limit=400)}**" for sentence in sentences[:most]]
        noun = word.split()[-1].lower()
        text.add_all(told, noun, limit_bytes=limit_bytes)
        if len(sentences) > most:
            text.add(f"- and {counted(len(sentences) - most, f'more {noun}')}")


def by_importance(table: CohortTable, comparison: Comparison) -> list[CohortRow]:
    """Everyone, then what blocks, then the rest from worst to best; by name among equals.

    A number that moved a little moves no row: of two runs, a comparison shows what really changed.
    """

    def place(row: CohortRow) -> tuple[bool, bool, float, int, str]:
        blocking = len(row.blocking(comparison))
        return row.cohort != EVERYONE, not blocking, severity(row.worst), -blocking, row.cohort.name

    return sorted(table.rows, key=place)


def _blocking(table: CohortTable, comparison: Comparison) -> Iterator[str]:
    for row in by_importance(table, comparison):
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


def _legend(table: CohortTable) -> Iterator[str]:
    if not table.rows:
        return
    told = [escaped(outcome_word(outcome)) for outcome in SIGNS]
    if any(row.waived for row in table.rows):
        told.append(f"{WAIVED_SIGN} regressed, waived")
    yield " · ".join(told) + "\n"


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
