from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from urllib.parse import parse_qs

import numpy as np
import pytest
from test_report_full_sample import everything
from test_report_html import Page
from test_report_sample import (
    FIRST_AUDIO,
    GATING,
    TASK,
    WER,
    WORST,
    comparison,
    invalid,
    planned_calls,
    report_input,
    verdict,
)

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort, PlannedCall
from voiceeval.reports.call_list import Change, slug
from voiceeval.reports.cohort_table import gating_table
from voiceeval.reports.first_screen import blocking_findings, call_that_shows, people, worst_finding
from voiceeval.reports.forest_plot import ForestPanel, forest_panels
from voiceeval.reports.html import HtmlReport
from voiceeval.reports.index_page import index_values, policy_means
from voiceeval.reports.interval_bars import Scale, margins_over
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import SIGNS, severity
from voiceeval.score import Direction, Gap, MetricInfo, NotScored, Ratio, Score, Scored
from voiceeval.verdict import Comparison, Estimate, Outcome

COHORTS = (EVERYONE, Cohort.of({"accent": "welsh"}), WORST, Cohort.of({"accent": "nobody"}))


def drawn_scores(planned: tuple[PlannedCall, ...], seed: int) -> dict[tuple[str, str], Score]:
    """Scores with ties, gaps of every kind and calls that have nothing to score."""
    random = np.random.default_rng(seed)
    found: dict[tuple[str, str], Score] = {}
    for call in planned:
        for arm in Arm:
            for metric in (WER, TASK):
                kind = random.integers(0, 10)
                key = (arm_call_id(call, arm), metric.name)
                if kind == 0:
                    found[key] = NotScored(gap=Gap.AGENT_FAILED, reason="gone")
                elif kind > 1:
                    parts = (Ratio(int(random.integers(0, 4)), 4 if kind > 2 else 0), Ratio(0, 0))
                    found[key] = Scored(observations=parts)
    return found


def most_worsened(report: ReportInput, cohort: Cohort, metric: MetricInfo) -> list[str]:
    """By brute force: of the cohort's calls that got worse, newly failing ones if any, the worst by id."""
    worsened = {}
    for call in report.planned:
        if set(cohort.parts) <= set(call.tags.items()):
            one, other = (report.scores.get((f"{call.id}/{arm}", metric.name)) for arm in Arm)
            if isinstance(one, Scored) and isinstance(other, Scored):
                (a, b), (c, d) = (
                    (sum(r.numerator for r in s.observations), sum(r.denominator for r in s.observations))
                    for s in (one, other)
                )
                if b and d:
                    change = c / d - a / b
                    higher = metric.direction is Direction.HIGHER_IS_BETTER
                    worsened[call.id] = -change if higher else change
    worsened = {id_: worse for id_, worse in worsened.items() if worse > 0}
    lost = {
        arm: {
            call.id
            for call in report.planned
            for score in [report.scores.get((f"{call.id}/{arm}", TASK.name))]
            if isinstance(score, Scored) and not (score.total.numerator >= score.total.denominator > 0)
        }
        for arm in Arm
    }
    newly = {id_: worsened[id_] for id_ in worsened.keys() & lost[Arm.CANDIDATE] - lost[Arm.BASELINE]}
    worsened = newly or worsened
    largest = max(worsened.values(), default=0.0)
    return sorted(id_ for id_, worse in worsened.items() if worse == largest > 0)[:1]


@pytest.mark.parametrize("seed", range(8))
def test_the_call_that_shows_a_cell_best_is_what_brute_force_finds(seed: int) -> None:
    planned = planned_calls()
    report = replace(report_input(planned=planned), scores=drawn_scores(planned, seed))
    backwards = replace(report, planned=planned[::-1])
    for cohort in COHORTS:
        for metric in (WER, TASK):
            expected = most_worsened(report, cohort, metric)
            for given in (report, backwards):
                found = call_that_shows(given, cohort, metric)
                assert [call.planned.id for call in found] == expected
                assert [call.href for call in found] == [f"calls/{slug(id_)}.html" for id_ in expected]
                assert all(call.worse_by > 0 for call in found)
    assert most_worsened(report, EVERYONE, WER)
    assert not most_worsened(report, COHORTS[3], WER)


def test_where_no_call_got_worse_none_is_shown() -> None:
    report = report_input()
    assert call_that_shows(report, EVERYONE, WER)
    same = {
        (id_, name): report.scores[id_.replace("/candidate", "/baseline"), name]
        for id_, name in report.scores
    }
    assert call_that_shows(replace(report, scores=same), EVERYONE, WER) == ()
    page = HtmlReport().index(replace(report, scores=same))
    assert "no call that both arms were scored on got worse" in Page(page).text


def worst(result: Comparison) -> tuple[str, ...]:
    report = report_input(result)
    return tuple(found.verdict.id for found in worst_finding(report, gating_table(result)))


def test_the_worst_cell_is_the_one_furthest_over_its_margin_in_the_worst_cohort() -> None:
    result = comparison()
    (found,) = worst_finding(report_input(result), gating_table(result))
    assert found.verdict.cohort == WORST
    regressed = [v for v in result.verdicts if v.cohort == WORST and v.outcome is Outcome.REGRESSED]
    assert found.verdict == max(regressed, key=margins_over)
    assert margins_over(found.verdict) == pytest.approx(0.222 / 0.05)
    assert found.people == "Caribbean callers on the telephone line"


def test_everyone_together_is_named_only_where_no_other_cohort_regressed() -> None:
    cohort = Cohort.of({"accent": "welsh"})
    large = verdict(WER, EVERYONE, Outcome.REGRESSED, worse_by=0.5)
    small = verdict(WER, cohort, Outcome.REGRESSED, worse_by=0.03)
    assert worst(comparison(verdicts=(large, small))) == (small.id,)
    assert worst(comparison(verdicts=(large, verdict(WER, cohort)))) == (large.id,)


def test_without_a_regression_it_is_what_could_not_be_judged_then_what_came_closest_to_its_margin() -> None:
    a, b = Cohort.of({"accent": "a"}), Cohort.of({"accent": "b"})
    near, far = verdict(WER, b, worse_by=0.019), verdict(TASK, a, worse_by=0.02)
    assert worst(comparison(verdicts=(far, near))) == (near.id,)
    assert worst(comparison(verdicts=(far, near, invalid(a)))) == (invalid(a).id,)
    assert worst(comparison(verdicts=())) == ()
    page = Page(HtmlReport().index(report_input(comparison(verdicts=(far, near))))).text
    assert "Nothing regressed; closest to its margin" in page
    assert "Worst cohort" not in page


def test_a_cohort_that_the_average_hides_is_said_to_be_hidden() -> None:
    cohort = Cohort.of({"accent": "a"})
    cell = verdict(WER, cohort, Outcome.REGRESSED, worse_by=0.2)
    for overall, hidden in ((-0.01, True), (0.01, False), (-1e-9, False)):
        result = comparison(verdicts=(verdict(WER, EVERYONE, worse_by=overall), cell))
        text = Page(HtmlReport().index(report_input(result))).text
        assert ("the average hides this cohort" in text) is hidden
        assert ("overall looks better" in text) is hidden


def test_the_first_screen_names_who_what_how_much_how_sure_which_stage_and_the_call() -> None:
    report = report_input()
    page = HtmlReport().index(report)
    first = Page(page.split('class="card beside"')[0]).text
    assert "Caribbean callers on the telephone line" in first
    assert "Task completion 22.2 pp worse 90.3 % → 68.1 %" in first
    assert "95 % interval −32.8 to −11.6 pp ; margin +5pp" in first
    assert "recognition or turn-taking to blame – 9 of 11 failed calls" in first
    (shown,) = call_that_shows(report, WORST, TASK)
    assert f'href="{shown.href}"' in page.split('class="card beside"')[0]
    assert "yes → no" in first


def test_what_identifies_the_run_stands_on_the_first_screen() -> None:
    page = HtmlReport().index(report_input())
    text = Page(page.split('class="card this-run"')[1].split("</section>")[0]).text
    assert "12 planned calls; placed 12 baseline, 12 candidate" in text
    assert "frontdesk, digest 9f2c9f2c9f2c" in text
    assert "Seed 1" in text
    assert "voiceeval 0.1.0" in text
    assert "frontdesk-tuned 2.4-rc1, released 2026-11-01" in text
    assert re.search(r"task not done: agent hung up, nothing was left to say 0 → \d", text)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({}, "All callers"),
        ({"line": "café"}, "Callers on the café line"),
        ({"domain": "banking", "accent": "welsh"}, "Welsh callers, domain banking"),
        ({"noise": "street"}, "Callers, noise street"),
    ],
)
def test_cohorts_are_told_in_words(parts: dict[str, str], told: str) -> None:
    assert people(Cohort.of(parts)) == told


def test_the_policy_is_told_by_what_it_does() -> None:
    assert policy_means(comparison()).endswith("what was not decided only warns")
    assert policy_means(comparison(policy="release")).endswith("and so does one that was not decided")
    lenient = tuple(replace(cell, undecided_blocks=False) for cell in comparison().verdicts)
    assert "only warns, as the settings have it" in policy_means(
        comparison(policy="release", verdicts=lenient)
    )


def panels() -> tuple[ForestPanel, ...]:
    return forest_panels(gating_table(everything()))


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.metric.name)
def test_a_forest_plot_draws_what_the_verdicts_say(panel: ForestPanel) -> None:
    assert len(panel.rows) == 13
    unit = 100 if panel.metric.unit == "share" else 1
    higher = panel.metric.direction is Direction.HIGHER_IS_BETTER
    said = [float(tick.text.replace("−", "-")) for tick in panel.ticks]
    assert said == sorted(said, reverse=higher)
    assert [tick.at for tick in panel.ticks] == sorted(tick.at for tick in panel.ticks)
    assert len(panel.ticks) >= 2
    (zero,) = (tick.at for tick, value in zip(panel.ticks, said, strict=True) if value == 0)
    assert zero == panel.zero
    slope, offset = np.polyfit(said, [tick.at for tick in panel.ticks], 1)
    for row in panel.rows:
        estimate = row.verdict.estimate
        assert isinstance(estimate, Estimate)
        (drawn,) = row.bars
        assert 0 <= drawn.start <= drawn.point <= drawn.end <= 100
        ends = sorted(
            slope * unit * end + offset for end in (estimate.interval.lower, estimate.interval.upper)
        )
        assert [drawn.start, drawn.end] == pytest.approx(ends, abs=0.05)
        assert drawn.point == pytest.approx(slope * unit * estimate.difference + offset, abs=0.05)
        assert (drawn.point > drawn.zero) == (estimate.worse_by > 0)
        (margin,) = drawn.margin
        assert margin > drawn.zero == panel.zero
        # What the tick at the margin says: below zero where more is better.
        assert bool((margin - offset) / slope < 0) is higher


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.metric.name)
def test_in_a_forest_plot_overall_comes_first_and_then_the_worst_cohort(panel: ForestPanel) -> None:
    assert panel.rows[0].cohort == EVERYONE
    for one, other in combinations(panel.rows[1:], 2):
        assert severity(one.verdict) <= severity(other.verdict)
        if severity(one.verdict) == severity(other.verdict):
            assert one.bars[0].point >= other.bars[0].point


def test_a_cell_without_an_estimate_has_a_row_and_no_drawing() -> None:
    (panel,) = forest_panels(gating_table(comparison(verdicts=(invalid(),))))
    assert [row.bars for row in panel.rows] == [()]
    assert [tick.text for tick in panel.ticks] == ["0"]
    assert "no estimate" in HtmlReport().index(report_input(comparison(verdicts=(invalid(),))))


def test_a_scale_draws_what_is_outside_at_its_edge() -> None:
    scale = Scale(left=-1.0, right=3.0)
    assert scale.position(-9.0) == scale.position(-1.0) < scale.position(0.0) < scale.position(3.0)
    assert scale.position(9.0) == scale.position(3.0) <= 100


def test_every_cell_of_the_heat_map_tells_its_verdict_and_leads_to_its_calls() -> None:
    result = everything()
    page = HtmlReport().index(report_input(result))
    cells = re.findall(r'<td class="cell (\w+)"><a href="([^"]+)">(.*?)</a></td>', page, re.DOTALL)
    gating = {verdict.id: verdict for verdict in result.verdicts if verdict.gating}
    assert len(cells) == len(gating) == 65
    for kind, href, inside in cells:
        name, fragment = href.replace("&amp;", "&").split("#")
        view = {key: value for key, (value,) in parse_qs(fragment).items()}
        metric = view.pop("metric")
        cohort = Cohort.of({key.removeprefix("tag."): value for key, value in view.items()})
        cell = gating.pop(f"{metric}[{cohort.name}]")
        text = Page(inside).text
        assert name == "cohort.html"
        assert cell.outcome.value in text
        assert text.startswith("⊘" if cell.waiver else SIGNS[cell.outcome])
        assert kind == ("waived" if cell.waiver else cell.outcome.value)
    assert not gating


def test_calls_worth_opening_are_few_and_newly_failing_ones_come_first() -> None:
    report = report_input(planned=planned_calls())
    calls = index_values(report)["calls"]
    order = list(Change)
    assert [order.index(call.change) for call in calls] == sorted(order.index(call.change) for call in calls)
    assert calls[0].change is Change.NEWLY_FAILING
    # The worst cohort's before others that changed alike.
    failing = [call for call in calls if call.change is Change.NEWLY_FAILING]
    inside = [set(WORST.parts) <= set(call.planned.tags.items()) for call in failing]
    assert inside == sorted(inside, reverse=True)
    assert {True, False} == set(inside)
    page = HtmlReport().index(report)
    table = page.split('<table class="calls">')[1].split("</table>")[0]
    assert len(re.findall('<a href="calls/', table)) == min(30, len(calls))
    assert all(call.change is not Change.SAME for call in calls)


def many(cohorts: int, metrics: int) -> Comparison:
    infos = [replace((WER, FIRST_AUDIO)[n % 2], name=f"m{n}", title=f"Metric {n}") for n in range(metrics)]
    outcomes = [Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.REGRESSED, Outcome.IMPROVED]
    names = [EVERYONE, *(Cohort.of({"accent": f"accent{n:03}"}) for n in range(cohorts))]
    cells = [
        replace(
            verdict(info, cohort, outcomes[(place + number) % 4], worse_by=0.01 * (place % 7)), margin="+2pp"
        )
        for number, info in enumerate(infos)
        for place, cohort in enumerate(names)
    ]
    return comparison(verdicts=tuple(cells), blames=())


def test_two_hundred_cohorts_of_eight_metrics_are_folded_and_all_there() -> None:
    result = many(200, 8)
    report, writer = report_input(result), HtmlReport()
    page = writer.index(report)
    assert len(page) < 8_000_000
    folded = re.sub(r"<details.*?</summary>", "", page, flags=re.DOTALL)
    assert len(re.findall(r'<td class="cell ', folded)) == 201 * 8
    open_rows = page.split('<table class="heat">')[1].split("</table>")[0]
    assert open_rows.count('<th scope="row">') == 30
    assert "171 more cohorts" in page
    assert all(f"accent=accent{number:03}" in page for number in range(200))


def test_names_too_long_for_a_link_lead_to_the_page_of_cohorts() -> None:
    cohort = Cohort.of({"accent": "x" * 1_000_000})
    result = comparison(verdicts=(verdict(WER, EVERYONE), verdict(WER, cohort, Outcome.REGRESSED)))
    page = HtmlReport().index(report_input(result))
    assert len(page) < 150_000
    assert "more characters" in page
    assert 'class="cell regressed"><a href="cohort.html">' in page


def test_gating_metrics_all_have_a_panel_and_a_column() -> None:
    page = HtmlReport().index(report_input())
    for metric in GATING:
        assert f'<div class="card forest-card">\n<h3><bdi>{metric.title}</bdi>' in page
        assert f"metric={metric.name}" in page


def test_the_stage_is_that_of_the_metric_and_not_of_the_tasks_that_were_lost() -> None:
    yields = replace(TASK, name="yield_rate", title="Yields when interrupted")
    cohort = Cohort.of({"line": "telephone"})
    cells = (verdict(yields, cohort, Outcome.REGRESSED, worse_by=0.4), verdict(WER, WORST, Outcome.REGRESSED))
    report = report_input(comparison(verdicts=cells))
    findings = blocking_findings(report, gating_table(report.comparison), most=9)
    found = {each.verdict.metric.name: each for each in findings}
    assert found["yield_rate"].measured_stage == "turn-taking"
    assert found["wer"].measured_stage == ""
    assert [each.id for each in found["yield_rate"].also] == [found["wer"].verdict.id]
    assert [each.id for each in found["wer"].also] == [found["yield_rate"].verdict.id]
    text = Page(HtmlReport().index(report)).text
    assert "turn-taking – what this metric measures" in text
    assert "Also worse" in text
