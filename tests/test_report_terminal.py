from __future__ import annotations

import io
import textwrap
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
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
        alarm: overall improved, accent=caribbean × line=telephone regressed (wer)

                                      Word error   Task
                                      rate         completion
        cohort            size        margin +2pp  margin +5pp
        ──────────────────────────────────────────────────────
        overall           6 speakers  ▲ −1.2 pp    ✓ +0.4 pp
                          18 calls    8.1→6.9 %    90.3→90.7 %

        accent=caribbean  6 speakers  ✗ +6.1 pp    ? −3.0 pp
        × line=telephone  18 calls    8.1→14.2 %   90.3→87.3 %
        ! invalid   ✗ regressed   ? inconclusive   ✓ passed   ▲ improved

        Why it may not ship
        accent=caribbean × line=telephone  6 speakers, 18 calls
          ✗ Word error rate regressed: 8.1 → 14.2 %, +6.1 pp worse
            6.1 pp worse (90 % interval +3.2 pp to +9.0 pp) over 6 speakers; margin
            +2pp; adjusted p 0.0013
          lost tasks: recognition to blame, 9 of 11 failed calls would have succeeded
          with the right words (baseline lost 3)

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
