from __future__ import annotations

import io
import textwrap
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from test_report_full_sample import (
    FAULTS,
    INDIAN,
    WAIVER,
    WELSH,
    everything,
    exploration,
    own_margin,
    quantiles,
    repeats,
    waived,
)
from test_report_sample import (
    GATING,
    TASK,
    WER,
    cohorts,
    comparison,
    invalid,
    verdict,
)

from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.reports.terminal import render
from voiceeval.reports.wording import SIGNS
from voiceeval.verdict import Blame, Comparison, Outcome, Policy

TELEPHONE = Cohort((("accent", "caribbean"), ("line", "telephone")))


def printed(result: Comparison, width: int = 100, *, encoding: str = "utf-8", **paths: str) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    render(result, Console(file=file, width=width, force_terminal=False, color_system=None), **paths)
    file.flush()
    text = raw.getvalue().decode(encoding)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def small(policy: Policy = "pr") -> Comparison:
    reason = "6.1 pp worse (90 % interval +3.2 pp to +9.0 pp) over 6 speakers; margin +2pp; adjusted p 0.0013"
    return comparison(
        policy=policy,
        verdicts=(
            verdict(WER, TELEPHONE, Outcome.REGRESSED, worse_by=0.061, half=0.029, reason=reason),
            verdict(TASK, EVERYONE, Outcome.PASSED, worse_by=-0.004),
            verdict(TASK, TELEPHONE, Outcome.INCONCLUSIVE, worse_by=0.03, reason="could find 19.6 pp"),
            verdict(WER, EVERYONE, Outcome.IMPROVED, worse_by=-0.012),
        ),
        blames=(
            Blame(cohort=TELEPHONE, arm="baseline", failed=3, saved_by_right_words=1),
            Blame(cohort=TELEPHONE, arm="candidate", failed=11, saved_by_right_words=9),
        ),
    )


def test_the_whole_of_a_small_comparison() -> None:
    assert printed(small(), 80, report_path="report/index.html") == textwrap.dedent(
        """\
        baseline frontdesk 2.3 → candidate frontdesk-tuned 2.4-rc1
        what differs: recognizer.model small.en → base.en, endpointing.silence_ms 700 →
        960, recognizer.beam 5 → 1 (+1 more)

         MAY NOT SHIP: 1 cohort regressed   (policy: pr)
        alarm: Word error rate: overall improved, but accent=caribbean × line=telephone
        regressed

                                      Word error rate       Task completion
        cohort            size        margin +2pp           margin +5pp
        ────────────────────────────────────────────────────────────────────────
        overall           6 speakers  ▲ −1.2 pp             ✓ +0.4 pp
                          18 calls    8.1→6.9 %             90.3→90.7 %
                                       ──●─┼  ┊               ───●┼──          ┊

        accent=caribbean  6 speakers  ✗ +6.1 pp             ? −3.0 pp
        × line=telephone  18 calls    8.1→14.2 %            90.3→87.3 %
                                           │  ┊ ────●────         │    ───●─── ┊
        ! invalid   ✗ regressed   ? inconclusive   ✓ passed   ▲ improved
        ─●─ interval, worse to the right   │ no difference   ┊ margin   ◂ ▸ goes on

        Why it may not ship
        accent=caribbean × line=telephone  6 speakers, 18 calls
          ✗ Word error rate regressed: 8.1 → 14.2 %, +6.1 pp worse
            6.1 pp worse (90 % interval +3.2 pp to +9.0 pp) over 6 speakers; margin
            +2pp; adjusted p 0.0013
          lost tasks: recognition or turn-taking to blame, 9 of 11 failed calls would
          have succeeded with the right words (baseline lost 3)

        Not decided: 1 gating cell
          ? Task completion in 1 cohort: accent=caribbean × line=telephone
            could find 19.6 pp

        4 gating cells: 0 invalid, 1 regressed, 1 inconclusive (not decided), 1 passed,
        1 improved
        report: report/index.html
        """
    )


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width: int) -> None:
    text = printed(comparison(), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    everything_text = printed(everything(), width)
    assert max(cell_len(line) for line in everything_text.splitlines()) <= width
    assert "…" not in everything_text
    for value in ("overall", "accent=caribbean", "× line=telephone", "+6.1 pp", "90.3→68.1 %", "+310 ms"):
        assert value in text


@pytest.mark.parametrize("width", [100, 120])
def test_five_metrics_fit_in_one_table(width: int) -> None:
    lines = printed(comparison(), width).splitlines()
    assert sum(line.startswith("overall ") for line in lines) == 1
    assert next(line for line in lines if line.startswith("overall ")).count("✓") == 4


def test_the_overall_row_leads_and_the_worst_cohort_follows() -> None:
    lines = printed(comparison()).splitlines()
    rows = [line.split("  ")[0] for line in lines if line.startswith(("overall ", "accent="))]
    assert rows[:3] == ["overall", "accent=caribbean", "accent=scottish"]
    assert len(rows) >= 13


def test_nothing_needs_colour() -> None:
    text = printed(comparison())
    assert "\x1b" not in text
    coloured = io.StringIO()
    render(comparison(), Console(file=coloured, width=100, force_terminal=True, color_system="truecolor"))
    assert "\x1b[" in coloured.getvalue()


def test_every_outcome_is_told_by_sign_and_word() -> None:
    text = printed(comparison())
    for outcome, sign in SIGNS.items():
        assert f"{sign} {outcome.value}" in text


def test_the_last_lines_count_every_outcome() -> None:
    text = printed(comparison(), gate_path="run/gate.json")
    assert text.endswith(
        "65 gating cells: 0 invalid, 5 regressed, 23 inconclusive (not decided), 36 passed, 1 improved\n"
        "gate: run/gate.json\n"
    )


def test_what_was_not_decided_blocks_a_release_and_is_told_in_a_pull_request() -> None:
    assert "Not decided: 1 gating cell" in printed(small())
    release = printed(small("release"))
    assert "MAY NOT SHIP: 1 cohort regressed, 1 cohort inconclusive" in release
    assert "? Task completion inconclusive" in release


def test_a_run_that_may_ship_says_what_was_not_decided() -> None:
    cells = (verdict(WER), verdict(TASK, TELEPHONE, Outcome.INCONCLUSIVE))
    assert "may ship: no cohort regressed; 1 gating cell not decided" in printed(comparison(verdicts=cells))


def test_an_empty_comparison_is_not_a_pass() -> None:
    text = printed(comparison(verdicts=(), blames=(), alarms=(), manifest={}))
    assert "NOT JUDGED" in text
    assert "may ship" not in text


def test_a_cell_without_an_estimate_says_so() -> None:
    text = printed(comparison(verdicts=(invalid(), verdict(TASK))))
    assert "! invalid" in text
    assert "no estimate" in text
    assert "3 planned pairs are missing" in text


def test_an_overall_that_only_reports_is_in_the_table_all_the_same() -> None:
    cells = (verdict(WER, TELEPHONE), verdict(WER, EVERYONE, gating=False))
    assert "(✓)" in printed(comparison(verdicts=cells))


def test_names_from_files_cannot_write_to_the_terminal() -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07[bold]x[/bold]\u202e"
    cells = (verdict(WER, Cohort((("accent", nasty),)), Outcome.REGRESSED, reason=nasty),)
    text = printed(
        comparison(verdicts=cells, alarms=(nasty,), manifest={"arms": {"baseline": {"name": nasty}}})
    )
    assert not set("\x1b\x07\u202e") & set(text)
    assert "[bold]x[/bold]" in text


def test_owners_reasons_and_scenarios_cannot_write_to_the_terminal() -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07[bold]x[/bold]\u202e" + "x" * 1_000_000
    cell = replace(waived(), waiver=replace(WAIVER, owner=nasty, reason=nasty))
    result = everything(
        verdicts=(cell, replace(own_margin(), margin=nasty)),
        faults=(nasty,) * 30,
        disparities=(replace(everything().disparities[0], tags=(nasty,)),),
        exploration=replace(
            exploration(), found=(replace(exploration().found[0], cohort=Cohort(((nasty, nasty),))),)
        ),
        consistency=tuple(replace(item, scenario=nasty) for item in repeats()[:2]),
        quantiles=tuple(replace(item, values={nasty: 1.0}) for item in quantiles()[:2]),
    )
    text = printed(result)
    assert not set("\x1b\x07\u202e") & set(text)
    assert text.count("[bold]x[/bold]") >= 20
    assert len(text) < 30_000
    assert "and 10 more faults" in text


def test_a_log_that_takes_only_ascii_gets_ascii() -> None:
    text = printed(comparison(), encoding="ascii")
    assert "X regressed" in text
    assert "-22.2 pp" in text


def test_many_cohorts_are_cut_only_where_nothing_blocks() -> None:
    many = [verdict(WER, Cohort((("accent", f"a{number:03}"),))) for number in range(100)]
    many[90] = verdict(WER, many[90].cohort, Outcome.REGRESSED, worse_by=0.1)
    text = printed(comparison(verdicts=tuple(many)))
    assert "accent=a090" in text
    assert "60 more cohorts without a blocking verdict" in text


def test_the_sample_covers_all_gating_metrics() -> None:
    assert len(GATING) * (1 + len(cohorts())) == 65


def test_of_many_undecided_cohorts_the_worst_is_named() -> None:
    cells = [
        replace(verdict(TASK, cohort, Outcome.INCONCLUSIVE, p=0.9 if place else 0.02), reason="why")
        for place, cohort in enumerate(reversed(cohorts()))
    ]
    text = printed(comparison(verdicts=tuple(cells)))
    assert "? Task completion in 12 cohorts, the worst: accent=welsh × line=wideband" in text
    assert text.index("accent=welsh") < text.index("accent=american")


def flat(text: str) -> str:
    """Without the line breaks that depend on the width."""
    return " ".join(text.split())


def test_the_parts_come_in_the_order_to_read_them() -> None:
    text = flat(printed(everything(), 120))
    order = (
        "MAY NOT SHIP: 2 cohorts regressed, 2 faults beside the verdicts",
        f"✗ fault: {FAULTS[0]}",
        f"✗ fault: {FAULTS[1]}",
        "alarm: Word error rate: overall improved",
        "cohort size",
        "Why it may not ship",
        "Waived, not passed: 1 known regression",
        "Not decided",
        "Gap between the worst and the best served cohort",
        "Exploration of undeclared cohorts",
        "Repeats",
        "Time to first audio, overall: p50",
        "Reported only, overall",
        "65 gating cells: 0 invalid, 6 regressed (1 of them waived)",
    )
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_a_waived_regression_has_a_sign_of_its_own_and_names_who_answers_for_it() -> None:
    text = flat(printed(comparison(verdicts=(waived(), verdict(TASK)), alarms=())))
    assert "may ship: no unwaived regression; 1 known regression waived" in text
    assert "Why it may not ship" not in text
    assert "⊘ +4.8 pp" in text
    assert "⊘ Entity error rate regressed, waived: 5.5 → 10.3 %, +4.8 pp worse" in text
    assert f"waived by asr-team until 2026-12-31: {WAIVER.reason}" in text
    assert "2 gating cells: 0 invalid, 1 regressed (1 of them waived)" in text
    assert "W Entity error rate regressed, waived" in printed(
        comparison(verdicts=(waived(),)), encoding="ascii"
    )


@pytest.mark.parametrize("policy", ["pr", "release"])
def test_a_waived_cell_does_not_hide_one_that_blocks_beside_it(policy: Policy) -> None:
    cells = (verdict(WER, WELSH, Outcome.REGRESSED, worse_by=0.06), waived())
    text = flat(printed(comparison(policy=policy, verdicts=cells)))
    assert "MAY NOT SHIP: 1 cohort regressed" in text
    why = text[text.index("Why it may not ship") : text.index("Waived, not passed")]
    assert "Word error rate regressed" in why
    assert "Entity error rate" not in why


def test_a_cohort_that_blocks_comes_before_one_that_is_waived() -> None:
    cells = (waived(WER, cohorts()[0]), verdict(WER, WELSH, Outcome.REGRESSED), verdict(WER, INDIAN))
    lines = printed(comparison(verdicts=cells)).splitlines()
    rows = [line.split()[0] for line in lines if line.startswith("accent=")]
    assert rows[:3] == ["accent=welsh", "accent=american", "accent=indian"]


def test_a_fault_alone_keeps_the_run_from_shipping() -> None:
    one = flat(printed(comparison(verdicts=(verdict(),), faults=FAULTS[:1]), 200))
    assert f"MAY NOT SHIP: {FAULTS[0].split(';')[0]} " in one
    assert f"✗ fault: {FAULTS[0]}" in one
    assert "may ship:" not in one
    both = printed(comparison(verdicts=(verdict(),), faults=FAULTS))
    assert "MAY NOT SHIP: 2 faults beside the verdicts" in both
    assert "MAY NOT SHIP" in printed(comparison(verdicts=(), faults=FAULTS))


def test_a_margin_of_its_own_is_not_taken_for_the_common_one() -> None:
    text = printed(comparison(verdicts=(verdict(WER), own_margin())))
    assert "margin +2pp" in text
    assert "varies" not in text
    assert "✓ +2.1 pp *" in text
    assert f"* a margin of its own, not the column's: +4pp for wer[{INDIAN.name}]" in flat(text)


def test_gaps_of_gating_metrics_are_told_the_widest_first() -> None:
    text = flat(printed(everything(), 120))
    assert "Task completion by accent × line: gap 8.3 → 30.1 pp, widened +21.8 pp" in text
    assert "worst 87.2 % welsh × telephone → 65.4 % caribbean × telephone" in text
    assert text.index("gap 8.3 → 30.1 pp") < text.index("gap 6.1 → 12.3 pp")
    assert "and 2 more slicings: see the report" in text
    assert "Round-trip word error rate by line" not in text


def test_retries_and_repeats_that_show_nothing_are_told() -> None:
    text = flat(printed(everything(), 120))
    assert "placed again because we failed to measure them at first: baseline 0, candidate 2 calls" in text
    assert "the same by construction and show no steadiness: baseline 6, candidate 0" in text
    quiet = flat(printed(everything(retried={"baseline": 0, "candidate": 0}, identical_repeats={}), 120))
    assert "placed again" not in quiet
    assert "by construction and show" not in quiet


def test_what_stands_out_is_called_exploration_and_five_are_named() -> None:
    text = flat(printed(everything()))
    assert "searched 412 cells (undeclared intersections × metrics); 9 stand out" in text
    assert "+28.0 pp worse when shrunken (+41.0 pp raw), q < 0.0001, 7 speakers" in text
    assert text.count("worse when shrunken") == 5
    assert "and 4 more finds" in text
    assert "never gated. Declare a cohort to gate it in the NEXT run, on fresh calls" in text


def test_where_nothing_stands_out_one_line_says_so() -> None:
    bare = printed(comparison())
    text = printed(comparison(exploration=replace(exploration(), found=())), 120)
    line = (
        "Exploration: searched 412 cells (undeclared intersections × metrics); none stands out "
        "(false discovery rate 10 %)"
    )
    assert set(text.splitlines()) - set(printed(comparison(), 120).splitlines()) == {line}
    assert "Exploration" not in bare


def test_newly_flaky_scenarios_are_named_first_and_five_at_most() -> None:
    lines = printed(everything()).splitlines()
    start = next(number for number, line in enumerate(lines) if line == "Repeats")
    assert lines[start + 1 : start + 8] == [
        "8 scenarios × 4 repeats; flaky: baseline 4, candidate 6 (3 of them new)",
        "  banking.block-card: 5 of 12 mixed (baseline 0 of 12 mixed): new",
        "  pharmacy.hours: 2 of 12 mixed (baseline 0 of 12 mixed): new",
        "  banking.dispute: 1 of 12 mixed (baseline 0 of 12 mixed): new",
        "  banking.limit: 7 of 12 mixed (baseline 4 of 12 mixed)",
        "  pharmacy.refill: 3 of 12 mixed (baseline 2 of 12 mixed)",
        "and 1 more flaky scenario: see the report",
    ]


def test_tails_are_one_line_with_what_they_rest_on() -> None:
    assert (
        "Time to first audio, overall: p50 1180 → 1310 ms, p95 2140 → 2400 ms, too few calls for p99 (299); "
        "216 calls, 648 turns per arm"
    ) in flat(printed(everything()))
    fewer = tuple(replace(item, calls=30) if item.arm == "candidate" else item for item in quantiles())
    text = flat(printed(everything(quantiles=fewer)))
    assert "; 216 calls, 648 turns → 30 calls, 648 turns" in text
