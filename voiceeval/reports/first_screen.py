"""What a reader has to know first: who got worse, on which metric, by how much, why, and where to hear it."""

from __future__ import annotations

from dataclasses import dataclass

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort, PlannedCall
from voiceeval.reports.call_list import Change, call_value, result_change
from voiceeval.reports.cohort_table import STAGE_METRICS, CohortRow, CohortTable, doubt, slower_stage
from voiceeval.reports.heat_map import view_href
from voiceeval.reports.interval_bars import IntervalBar, bar, margins_over, scale_of
from voiceeval.reports.page_links import call_href
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.score_reasons import SPEECH, TURN_TAKING, group_of
from voiceeval.reports.wording import direction_word, one_line, severity
from voiceeval.score import Direction, MetricInfo, Scored
from voiceeval.verdict import Comparison, Estimate, Outcome, Verdict

_LONGEST_VALUE = 60
_MEASURED_STAGES = {TURN_TAKING: "turn-taking", SPEECH: "synthesizer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowingCall:
    """The planned call that shows a worsening best."""

    planned: PlannedCall
    href: str
    baseline: str
    candidate: str
    """The metric on this call, on either arm."""
    worse_by: float
    """In the metric's unit."""
    newly_fails: bool
    """Whether the candidate loses a task on it that the baseline did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cell of the verdicts, told in full."""

    verdict: Verdict
    row: CohortRow
    people: str
    """Who is in the cohort, in words."""
    href: str
    """Its calls."""
    shown_by: tuple[ShowingCall, ...]
    """One call, or none where no call that both arms were scored on got worse."""
    slower: tuple[Verdict, ...]
    """The stage that a slower answer lost most time in."""
    overall: tuple[Verdict, ...]
    """The same metric over everyone; none for the overall cell itself."""
    bars: tuple[IntervalBar, ...]
    also: tuple[Verdict, ...]
    """What else regressed and blocks."""

    @property
    def measured_stage(self) -> str:
        """The stage that the metric measures by itself; empty where lost tasks have to tell."""
        return _MEASURED_STAGES.get(group_of(self.verdict.metric.name), "")

    @property
    def times_margin(self) -> float:
        """How many times its margin it is worse; 0 without a margin."""
        return margins_over(self.verdict)

    @property
    def hidden_by_overall(self) -> bool:
        """Whether everyone together got better where this cohort got worse."""
        return self.verdict.outcome is Outcome.REGRESSED and any(
            isinstance(other.estimate, Estimate) and direction_word(other.metric, other.estimate) == "better"
            for other in self.overall
        )


def worst_finding(report: ReportInput, table: CohortTable) -> tuple[Finding, ...]:
    """The worst cell of the run; none where nothing was judged.

    A regression that blocks comes first, in the first cohort of the table that has one, everyone together
    last; of its cells the one that is furthest over its margin. Without any it is the most severe cell, and
    where all passed the one that came closest to its margin.
    """
    rows = sorted(table.rows, key=lambda row: row.cohort == EVERYONE)
    for row in rows:
        blocking = [v for v in row.blocking(report.comparison) if v.outcome is Outcome.REGRESSED]
        if blocking:
            return (finding(report, table, row, max(blocking, key=margins_over)),)
    cells = [(row, verdict) for row in rows for verdict in row.cells.values() if verdict.gating]
    if not cells:
        return ()
    row, verdict = min(cells, key=lambda cell: (_least_severe(cell[1]), -margins_over(cell[1])))
    return (finding(report, table, row, verdict),)


def blocking_findings(report: ReportInput, table: CohortTable, *, most: int) -> tuple[Finding, ...]:
    """What keeps the run from shipping, one cohort after the other as in the table, worst cell first."""
    cells = [(row, verdict) for row in table.rows for verdict in row.blocking(report.comparison)]
    return tuple(finding(report, table, row, verdict) for row, verdict in cells[:most])


def finding(report: ReportInput, table: CohortTable, row: CohortRow, verdict: Verdict) -> Finding:
    """One cell with all that is known about it."""
    name = verdict.metric.name
    others = [other.cells[name] for other in table.rows if name in other.cells]
    overall = tuple(v for v in others if v.cohort == EVERYONE != verdict.cohort)
    return Finding(
        verdict=verdict,
        row=row,
        people=people(verdict.cohort),
        href=view_href(verdict.cohort, metric=name),
        shown_by=call_that_shows(report, verdict.cohort, verdict.metric),
        slower=slower_for(report.comparison, verdict),
        overall=overall,
        bars=bar(verdict, scale_of([verdict, *overall])),
        also=tuple(
            each
            for other in table.rows
            for each in other.blocking(report.comparison)
            if each.outcome is Outcome.REGRESSED and each != verdict
        ),
    )


def call_that_shows(report: ReportInput, cohort: Cohort, metric: MetricInfo) -> tuple[ShowingCall, ...]:
    """The call of a cohort to hear for a worsening: one that the candidate newly fails, if there is any.

    Of these, or else of all, the one on which the metric got worse most, ties by id; only calls that both
    arms were scored on and that got worse.
    """
    found = [
        (result_change(report, planned) is not Change.NEWLY_FAILING, -worse_by, planned.id, planned)
        for planned in report.planned
        if inside(planned, cohort)
        for worse_by in _worse_by(report, planned, metric)
        if worse_by > 0
    ]
    return tuple(
        ShowingCall(
            planned=planned,
            href=call_href(planned),
            baseline=_value(report, planned, metric, Arm.BASELINE),
            candidate=_value(report, planned, metric, Arm.CANDIDATE),
            worse_by=-rank,
            newly_fails=not fails_alike,
        )
        for fails_alike, rank, _, planned in ([min(found, key=lambda item: item[:3])] if found else [])
    )


def slower_for(comparison: Comparison, verdict: Verdict) -> tuple[Verdict, ...]:
    """The stage to blame for a slower answer; nothing for what is no duration, or times one stage itself."""
    timed = verdict.metric.unit == "ms" and verdict.metric.name not in STAGE_METRICS
    return slower_stage(comparison, verdict.cohort) if timed else ()


def people(cohort: Cohort) -> str:
    """Who is in a cohort, in words.

    >>> people(Cohort.of({"accent": "scottish", "line": "telephone", "domain": "banking"}))
    'Scottish callers on the telephone line, domain banking'
    """
    told = {tag: one_line(value, limit=_LONGEST_VALUE) for tag, value in cohort.parts}
    if not told:
        return "All callers"
    accent, line = told.pop("accent", ""), told.pop("line", "")
    who = f"{accent[:1].upper()}{accent[1:]} callers" if accent else "Callers"
    where = f" on the {line} line" if line else ""
    rest = [f"{one_line(tag, limit=_LONGEST_VALUE)} {value}" for tag, value in told.items()]
    return ", ".join([who + where, *rest])


def inside(planned: PlannedCall, cohort: Cohort) -> bool:
    """Whether a call belongs to a cohort."""
    return all(planned.tags.get(tag) == value for tag, value in cohort.parts)


def _least_severe(verdict: Verdict) -> tuple[float, float]:
    # What improved is no closer to a margin than what passed.
    rank = min(severity(verdict), 3.0)
    return (rank, doubt(verdict) if verdict.outcome is Outcome.INCONCLUSIVE else 0.0)


def _worse_by(report: ReportInput, planned: PlannedCall, metric: MetricInfo) -> tuple[float, ...]:
    totals = [
        score.total
        for score in (report.scores.get((arm_call_id(planned, arm), metric.name)) for arm in Arm)
        if isinstance(score, Scored) and score.total.denominator > 0
    ]
    if len(totals) < len(Arm):
        return ()
    baseline, candidate = (total.numerator / total.denominator for total in totals)
    turned = -1 if metric.direction is Direction.HIGHER_IS_BETTER else 1
    return (turned * (candidate - baseline),)


def _value(report: ReportInput, planned: PlannedCall, metric: MetricInfo, arm: Arm) -> str:
    return call_value(metric, report.scores.get((arm_call_id(planned, arm), metric.name)))
