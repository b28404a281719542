"""A comment for a pull request: found again by its first line, the same for the same result, never too long.

GitHub takes 65,536 characters and GitLab more. Whatever a run holds, the comment is shorter, cut between rows
and never within one, and says how much is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE
from voiceeval.reports.call_list import slug
from voiceeval.reports.cohort_table import CohortRow, CohortTable, gating_table, slower_stage
from voiceeval.reports.markdown import add_heading, by_importance
from voiceeval.reports.markdown_text import Budget, escaped
from voiceeval.reports.wording import (
    SIGNS,
    WAIVED_SIGN,
    answered,
    blamed,
    bounds,
    counted,
    coverage,
    difference,
    direction_word,
    is_plain,
    levels,
    outcome_word,
    severity,
    sign,
    tally,
)
from voiceeval.score import MetricInfo
from voiceeval.verdict import Comparison, Estimate, Outcome, Verdict

LIMIT_BYTES = 60_000
"""Under 64 KiB, with room for the line or two that a bot adds of its own."""
MARKER = "<!-- voiceeval:cohort-report -->"
"""What the first line begins with. A suite that has a name is named behind it, for pull requests in which
several suites report: the whole first line tells their comments apart."""

_MOST_SENTENCES = 10
_NAME = 120


def comment(comparison: Comparison, *, limit_bytes: int = LIMIT_BYTES) -> str:
    """The result as a Markdown comment of at most ``limit_bytes`` bytes, and so of as many characters."""
    table = gating_table(comparison)
    rows = by_importance(table, comparison)
    text = Budget(limit_bytes)
    text.add(first_line(comparison.manifest))
    add_heading(text, comparison, limit_bytes=limit_bytes // 6, most=_MOST_SENTENCES)
    text.add(f"\n{escaped(tally(comparison))}\n")
    places = {metric.name: place for place, metric in enumerate(table.metrics)}
    blocking = list(_blocking_rows(rows, comparison, places))
    if blocking:
        text.add_section("Why it may not ship")
        head = ("Cohort", "Metric", "Baseline → candidate", "Difference", "Why")
        text.add_table(head, blocking, "blocking cell", limit_bytes=limit_bytes // 2)
    lost = list(_lost_tasks(rows, comparison))
    text.add_all(lost, "cohort's lost tasks", "cohorts' lost tasks", limit_bytes=limit_bytes // 8)
    waived = [_waived(verdict) for row in rows for verdict in row.waived]
    if waived:
        text.add_section("Waived, not passed")
        text.add_all(waived, "waived regression", limit_bytes=limit_bytes // 8)
    _add_undecided(text, comparison)
    _add_all_cohorts(text, table, rows)
    return text.written()


def first_line(manifest: Mapping[str, object]) -> str:
    """The marker that a bot finds its comment by, with the suite's name where it has one.

    >>> first_line({"suite": "frontdesk"})
    '<!-- voiceeval:cohort-report --><!-- suite: frontdesk -->'
    """
    suite = manifest.get("suite", "")
    name = str(suite.get("name", "")) if isinstance(suite, Mapping) else str(suite or "")
    if not name:
        return MARKER
    # Nothing that could end the HTML comment it stands in; two names never become one.
    plain = all(is_plain(character) or character in "_.-" for character in name) and "--" not in name
    return f"{MARKER}<!-- suite: {name if plain and len(name) <= _NAME else slug(name)} -->"


def _blocking_rows(
    rows: list[CohortRow], comparison: Comparison, places: Mapping[str, int]
) -> Iterator[tuple[str, ...]]:
    for row in rows:
        cells = row.blocking(comparison)
        for verdict in sorted(cells, key=lambda cell: (severity(cell), places[cell.metric.name])):
            yield (
                f"**{escaped(row.cohort.name, limit=_NAME)}**",
                f"{escaped(sign(verdict))} {escaped(verdict.metric.title, limit=_NAME)}",
                *_told(verdict, comparison),
            )


def _told(verdict: Verdict, comparison: Comparison) -> tuple[str, str, str]:
    metric, estimate = verdict.metric, verdict.estimate
    if not isinstance(estimate, Estimate):
        return "", "no estimate", escaped(f"{verdict.outcome.value}: {verdict.reason}", limit=300)
    why = f"{coverage(estimate.interval)} interval {bounds(metric, estimate.interval)}"
    if verdict.margin:
        why += f"; margin {verdict.margin[:20]}"
    if verdict.outcome is not Outcome.REGRESSED:
        why = f"{verdict.outcome.value}; {why}"
    if metric.unit == "ms":
        slower = [stage.metric.title for stage in slower_stage(comparison, verdict.cohort)]
        why += "".join(f"; slower: {title}" for title in slower if title != metric.title)
    return (
        escaped(levels(metric, estimate)),
        f"{escaped(difference(metric, estimate.difference))} {direction_word(metric, estimate)}",
        escaped(why, limit=300),
    )


def _lost_tasks(rows: list[CohortRow], comparison: Comparison) -> Iterator[str]:
    for row in rows:
        blame = row.blames.get(Arm.CANDIDATE)
        if blame is not None and blame.failed and row.blocking(comparison):
            yield f"- Lost tasks of {escaped(row.cohort.name, limit=_NAME)}: {escaped(blamed(blame))}"


def _waived(verdict: Verdict) -> str:
    name, title = escaped(verdict.cohort.name, limit=_NAME), escaped(verdict.metric.title, limit=_NAME)
    who = escaped(answered(verdict.waiver), limit=400) if verdict.waiver else ""
    return f"- {WAIVED_SIGN} **{name}, {title}**: {who}"


def _add_undecided(text: Budget, comparison: Comparison) -> None:
    """Cells that were not decided and do not block, by metric: they must not read as passed."""
    cells = [
        verdict
        for verdict in comparison.verdicts
        if verdict.gating
        and verdict.outcome is Outcome.INCONCLUSIVE
        and not verdict.blocks(comparison.policy)
    ]
    found: dict[str, tuple[MetricInfo, int]] = {}
    for verdict in cells:
        found[verdict.metric.name] = verdict.metric, found.get(verdict.metric.name, (None, 0))[1] + 1
    if found:
        text.add_section("Not decided", "Too little was measured to say; these cells are not passed.")
        text.add_all(
            [
                f"- ? {escaped(metric.title, limit=_NAME)} in {counted(count, 'cohort')}"
                for _, (metric, count) in sorted(found.items())
            ],
            "metric that was not decided",
            "metrics that were not decided",
        )


def _add_all_cohorts(text: Budget, table: CohortTable, rows: list[CohortRow]) -> None:
    if not rows or not text.open_details(f"All cohorts ({len(rows)})"):
        return
    head = ["Cohort", "Calls", *(escaped(metric.title, limit=_NAME) for metric in table.metrics)]
    told = [
        [
            f"**{name}**" if row.cohort == EVERYONE else name,
            str(row.pairs),
            *(_cell(row.cells[m.name]) if m.name in row.cells else "–" for m in table.metrics),
        ]
        for row in rows
        for name in [escaped(row.cohort.name, limit=_NAME)]
    ]
    text.add_table(head, told, "cohort")
    legend = " · ".join(escaped(outcome_word(outcome)) for outcome in SIGNS)
    text.add(f"{legend} · {WAIVED_SIGN} regressed, waived")
    text.close_details()


def _cell(verdict: Verdict) -> str:
    if not isinstance(verdict.estimate, Estimate):
        return f"{escaped(sign(verdict))} {verdict.outcome.value}"
    told = f"{escaped(sign(verdict))} {escaped(difference(verdict.metric, verdict.estimate.difference))}"
    return told if verdict.gating else f"({told})"
