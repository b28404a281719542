"""Two tables of outcomes through the gate: the same verdicts as pairs, and what only tables can get wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gate_samples import estimate_of
from outcome_rows import TODAY, Row, compared, how, rows_of, table, written

from voiceeval.cli import main
from voiceeval.cohort import EVERYONE, Cohort, Pair, PairedSample, PlannedCall
from voiceeval.comparison_settings import Given, table_gate
from voiceeval.errors import ConfigError, InputError, TableError
from voiceeval.gate import CohortGate, Margin
from voiceeval.outcome_cells import RESERVED
from voiceeval.score import Direction, Gap, MetricInfo, NotScored, Ratio, Score, Scored
from voiceeval.statistics.contrast import ClusterSums, t_bounds
from voiceeval.statistics.standardised import standardised
from voiceeval.table_comparison import compare_tables
from voiceeval.verdict import Comparison, Outcome, Verdict

ACCENTS = ("irish", "scottish", "us")
GAPS = tuple(Gap)
CELLS = [
    # unit, direction, yes_no, margin
    ("share", Direction.LOWER_IS_BETTER, False, "+2pp"),
    ("share", Direction.LOWER_IS_BETTER, False, "+20%"),
    ("share", Direction.HIGHER_IS_BETTER, False, "+5pp"),
    ("share", Direction.HIGHER_IS_BETTER, True, "+5pp"),
    ("ms", Direction.LOWER_IS_BETTER, False, "+80ms"),
    ("ms", Direction.LOWER_IS_BETTER, False, "+10%"),
    ("currency", Direction.HIGHER_IS_BETTER, False, "+0.1eur"),
]


@pytest.fixture(autouse=True)
def _away_from_our_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def metric(unit: Any, direction: Direction, yes_no: bool) -> MetricInfo:
    return MetricInfo(
        name="csat", version=1, title="Csat", definition="", unit=unit, direction=direction, yes_no=yes_no
    )


def drawn(rng: np.random.Generator, info: MetricInfo, *, gaps: Sequence[Gap], share: float) -> Score:
    if rng.random() < share:
        return NotScored(gap=gaps[int(rng.integers(len(gaps)))], reason="a test says so")
    if info.yes_no:
        return Scored(observations=(Ratio(float(rng.random() < 0.8), 1),))
    if info.unit == "ms":
        return Scored(observations=tuple(Ratio(float(rng.integers(0, 900)), 1) for _ in range(3)))
    words = rng.integers(0, 9, size=2)
    return Scored(observations=tuple(Ratio(float(rng.binomial(n, 0.1)), float(n)) for n in words))


def pairs(rng: np.random.Generator, info: MetricInfo, *, gaps: Sequence[Gap], share: float) -> list[Pair]:
    return [
        Pair(
            planned=PlannedCall(
                scenario=f"scenario{call}",
                caller=f"caller{speaker}",
                line="clear",
                trial=trial,
                speaker=f"speaker{speaker}",
                tags={"accent": ACCENTS[speaker % 3]} if speaker % 5 else {},
                critical=call == 0,
            ),
            baseline=drawn(rng, info, gaps=gaps, share=share),
            candidate=drawn(rng, info, gaps=gaps, share=share),
        )
        for speaker in range(24)
        for call in range(4)
        for trial in range(2)
    ]


def by_cohort(info: MetricInfo, drawn_pairs: Sequence[Pair]) -> list[PairedSample]:
    groups = {EVERYONE: list(drawn_pairs)}
    for pair in drawn_pairs:
        if pair.planned.tags:
            groups.setdefault(Cohort.of(pair.planned.tags), []).append(pair)
    return [PairedSample(metric=info, cohort=each, pairs=tuple(groups[each])) for each in groups]


def judged(info: MetricInfo, drawn_pairs: Sequence[Pair], margin: str) -> Comparison:
    """Through tables: distinct numbers for every pair, in an order of their own."""
    sides = [rows_of(drawn_pairs, info.name, candidate=each) for each in (False, True)]
    gate = table_gate(None, Given(metrics=["csat:share:lower"], margins=["csat=+2pp"]), today=TODAY)
    gate = replace(
        gate,
        gate=CohortGate({"csat": Margin.parse(margin)}),
        metrics={info.name: info},
        cohorts=((), ("accent",)),
    )
    return compare_tables(table(sides[0][::-1], "a.csv"), table(sides[1], "b.csv"), gate)


@pytest.mark.parametrize(("unit", "direction", "yes_no", "margin"), CELLS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("gaps", [(Gap.AGENT_FAILED,), GAPS[:3], GAPS])
def test_tables_and_pairs_give_the_same_verdicts(
    unit: str, direction: Direction, yes_no: bool, margin: str, share: float, gaps: Sequence[Gap]
) -> None:
    info = metric(unit, direction, yes_no)
    drawn_pairs = pairs(np.random.default_rng(7), info, gaps=gaps, share=share)
    expected = CohortGate({"csat": Margin.parse(margin)}).judge(by_cohort(info, drawn_pairs))
    assert len(expected) == 4
    assert judged(info, drawn_pairs, margin).verdicts == expected


def calls(
    rng: np.random.Generator, *, speakers: int, each: int, rate: float, arm: str, words: int = 12
) -> list[dict[str, Any]]:
    """Outcomes of one arm whose speakers are its own."""
    ease = rng.beta(4, 4 * (1 - rate) / rate, size=speakers)
    return [
        {
            "call": f"{arm}{speaker}-{call}",
            "speaker": f"{arm}{speaker}",
            "accent": ACCENTS[speaker % 3],
            "metric": "wer",
            "numerator": int(rng.binomial(words, ease[speaker])),
            "denominator": words,
        }
        for speaker in range(speakers)
        for call in range(each)
    ]


def two_arms(seed: int, *, worse: float = 0.0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The same calls with both arms."""
    rng = np.random.default_rng(seed)
    sides = [calls(rng, speakers=24, each=10, rate=0.1 + each * worse, arm="") for each in (0, 1)]
    return sides[0], sides[1]


def overall(comparison: Comparison) -> Verdict:
    (found,) = [verdict for verdict in comparison.verdicts if verdict.cohort == EVERYONE]
    return found


def test_swapping_the_files_swaps_improved_and_regressed() -> None:
    baseline, candidate = two_arms(1, worse=0.2)
    there, back = compared(baseline, candidate), compared(candidate, baseline)
    assert (overall(there).outcome, overall(back).outcome) == (Outcome.REGRESSED, Outcome.IMPROVED)
    assert estimate_of(overall(there)).difference == pytest.approx(-estimate_of(overall(back)).difference)


def run(tmp_path: Path, baseline: Sequence[Row], candidate: Sequence[Row], *options: str) -> int:
    a, b = written(baseline, tmp_path / "a.csv"), written(candidate, tmp_path / "b.csv")
    return main(["compare", str(a), str(b), "--json", str(tmp_path / "gate.json"), *options])


MARGIN = ("--margin", "wer=+2pp", "--cohort", "accent")


def test_the_order_of_rows_changes_no_byte(tmp_path: Path) -> None:
    baseline, candidate = two_arms(2)
    found = []
    for order in (slice(None), slice(None, None, -1)):
        run(tmp_path, baseline[order], candidate[order], *MARGIN)
        found.append((tmp_path / "gate.json").read_bytes())
    assert found[0] == found[1]
    assert str(tmp_path).encode() not in found[0]


def test_calls_that_one_table_lacks_were_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    baseline, candidate = two_arms(3)
    assert run(tmp_path, baseline, candidate, *MARGIN) == 0
    assert run(tmp_path, baseline, candidate[1:], *MARGIN) == 1
    assert "calls that only the other table has: 1, missing in the candidate's" in capsys.readouterr().out
    found = {
        verdict["id"]: verdict for verdict in json.loads((tmp_path / "gate.json").read_text())["verdicts"]
    }
    assert found["wer[accent=irish]"]["outcome"] == "invalid"
    assert "1 of 80 planned pairs were not run" in found["wer[accent=irish]"]["reason"]
    assert found["wer[accent=us]"]["outcome"] != "invalid"
    assert run(tmp_path, baseline[:-1], candidate, *MARGIN) == 1


def test_a_metric_that_one_table_lacks_was_not_run() -> None:
    baseline, candidate = two_arms(4)
    more = [{**row, "metric": "entity_error_rate"} for row in baseline]
    found = compared([*baseline, *more], candidate, "entity_error_rate=+2pp")
    assert found.failed
    assert {v.outcome for v in found.verdicts if v.metric.name == "entity_error_rate"} == {Outcome.INVALID}


def test_a_cohort_in_which_a_metric_has_no_row_is_invalid_for_it() -> None:
    baseline, candidate = two_arms(5)
    more = [
        [{**row, "metric": "entity_error_rate"} for row in side if row["accent"] != "us"]
        for side in (baseline, candidate)
    ]
    margins = ("wer=+2pp", "entity_error_rate=+2pp")
    found = compared([*baseline, *more[0]], [*candidate, *more[1]], *margins, cohorts=["accent"])
    outcomes = {verdict.id: verdict for verdict in found.verdicts}
    assert outcomes["entity_error_rate[accent=us]"].outcome is Outcome.INVALID
    assert "says so in the column gap" in outcomes["entity_error_rate[accent=us]"].reason
    assert found.failed


@pytest.mark.parametrize("column", ["speaker", "accent", "scenario", "critical"])
def test_a_call_is_the_same_call_in_both_tables(column: str) -> None:
    baseline, candidate = (
        [{**row, "scenario": "s", "critical": False} for row in side] for side in two_arms(6)
    )
    candidate[3] = {**candidate[3], column: True if column == "critical" else "other"}
    with pytest.raises(
        TableError, match=rf"b\.csv: line 5: {column}: .* in a\.csv: line 5, of the same call"
    ):
        compared(baseline, candidate)


def test_paired_tables_have_the_same_columns() -> None:
    baseline, candidate = two_arms(6)
    with pytest.raises(TableError, match=r"b\.csv: no column 'accent', which a\.csv has"):
        compared(baseline, [{k: v for k, v in row.items() if k != "accent"} for row in candidate])


def test_tables_without_a_call_in_common_are_not_called_invalid_but_wrong() -> None:
    rng = np.random.default_rng(8)
    sides = [calls(rng, speakers=9, each=2, rate=0.1, arm=arm) for arm in "ab"]
    with pytest.raises(TableError, match=r"compare two sets of calls with --unpaired"):
        compared(sides[0], sides[1])


def test_a_metric_nobody_declared_is_named_with_its_row() -> None:
    baseline, candidate = two_arms(9)
    baseline[1] = {**baseline[1], "metric": "werr"}
    with pytest.raises(
        TableError, match=r"a\.csv: line 3: metric: .*Did you mean 'wer'.*--metric werr:share"
    ):
        compared(baseline, candidate)


@pytest.mark.parametrize(
    ("numerator", "denominator", "message"),
    [
        (2, 1, "numerator: given 2; allowed for task_completion: 0 or 1"),
        (1, 2, "denominator: given 2; allowed"),
    ],
)
def test_a_yes_no_metric_takes_one_yes_or_no(numerator: int, denominator: int, message: str) -> None:
    row = {"call": "c", "speaker": "s", "metric": "task_completion"}
    rows = [{**row, "numerator": numerator, "denominator": denominator}]
    with pytest.raises(TableError, match=message):
        compared(rows, rows, "task_completion=+5pp")


# Unpaired.


def unpaired_sides(
    seed: int, *, worse: float = 0.0, speakers: int = 30
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    sides = [
        calls(rng, speakers=speakers, each=6, rate=0.1 + each * worse, arm="ab"[each]) for each in (0, 1)
    ]
    return sides[0], sides[1]


def test_unpaired_rates_are_each_tables_own() -> None:
    baseline, candidate = unpaired_sides(1)
    found = overall(compared(baseline, candidate, paired=False))
    for rows, rate in ((baseline, estimate_of(found).baseline), (candidate, estimate_of(found).candidate)):
        assert rate == pytest.approx(
            sum(row["numerator"] for row in rows) / sum(row["denominator"] for row in rows)
        )
    assert found.counts.pairs == 360
    assert found.counts.clusters == 30
    assert "Welch" in estimate_of(found).method


def test_an_unchanged_unpaired_system_is_rarely_called_worse() -> None:
    """At 5 % one-sided 200 draws give 10 on average, and 19 once in 200 times; the seeds are fixed."""
    p = [estimate_of(overall(compared(*unpaired_sides(seed), paired=False))).p_worse for seed in range(200)]
    assert 2 <= sum(each < 0.05 for each in p) <= 18


def test_an_unpaired_regression_is_found_and_swaps() -> None:
    baseline, candidate = unpaired_sides(3, worse=0.15)
    assert overall(compared(baseline, candidate, paired=False)).outcome is Outcome.REGRESSED
    assert overall(compared(candidate, baseline, paired=False)).outcome is Outcome.IMPROVED


def test_a_speaker_of_both_unpaired_tables_is_refused() -> None:
    baseline, candidate = unpaired_sides(4)
    candidate[2] = {**candidate[2], "speaker": "a7"}
    candidate[2]["call"] = "other"
    with pytest.raises(TableError, match=r"b\.csv: line 4: speaker: 'a7' is in a\.csv too"):
        compared(baseline, candidate, paired=False)


def failing(rows: Sequence[Row], number: int, *, stated: bool) -> list[dict[str, Any]]:
    gone = {"numerator": None, "gap": str(Gap.AGENT_FAILED)}
    return [
        {**row, **gone, "denominator": row["denominator"] if stated else None}
        if index < number
        else dict(row)
        for index, row in enumerate(rows)
    ]


def test_an_unpaired_crash_does_not_leave_the_average() -> None:
    baseline, candidate = unpaired_sides(5)
    few, many = (failing(candidate, number, stated=False) for number in (3, 4))
    assert overall(compared(baseline, few, paired=False)).outcome is not Outcome.INVALID
    lost = overall(compared(baseline, many, paired=False))
    assert lost.outcome is Outcome.INVALID
    assert "the candidate failed 4 of 180 calls that cannot be counted" in lost.reason
    stated = overall(compared(baseline, failing(candidate, 60, stated=True), paired=False))
    everything = [{**row, "numerator": 12} if i < 60 else row for i, row in enumerate(candidate)]
    assert estimate_of(stated) == estimate_of(overall(compared(baseline, everything, paired=False)))
    assert stated.outcome is Outcome.REGRESSED


def test_an_unpaired_task_the_agent_failed_is_a_failure() -> None:
    baseline, candidate = (
        [{**row, "metric": "task_completion", "numerator": 1, "denominator": 1} for row in side]
        for side in unpaired_sides(6)
    )
    found = overall(
        compared(baseline, failing(candidate, 36, stated=False), "task_completion=+5pp", paired=False)
    )
    assert estimate_of(found).candidate == pytest.approx(0.8)
    assert found.outcome is Outcome.REGRESSED


def test_a_large_baseline_does_not_hide_that_the_candidate_crashes() -> None:
    baseline, candidate = unpaired_sides(5)
    many = [{**row, "call": f"{row['call']}-{copy}"} for row in baseline for copy in range(20)]
    found = overall(compared(many, failing(candidate, 36, stated=False), paired=False))
    assert found.outcome is Outcome.INVALID


def mixed(seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Nothing changed but who calls: the candidate's callers are mostly those who are understood badly."""
    rng = np.random.default_rng(seed)
    rate = {"us": 0.05, "irish": 0.3}
    sides: list[list[dict[str, Any]]] = []
    for arm, share in (("a", 0.8), ("b", 0.3)):
        rows = []
        for speaker in range(40):
            accent = "us" if speaker < 40 * share else "irish"
            for call in range(int(rng.integers(4, 8))):
                n = int(rng.integers(5, 15))
                rows.append(
                    {
                        "call": f"{arm}{speaker}-{call}",
                        "speaker": f"{arm}{speaker}",
                        "accent": accent,
                        "metric": "wer",
                        "numerator": int(rng.binomial(n, rate[accent])),
                        "denominator": n,
                    }
                )
        sides.append(rows)
    return sides[0], sides[1]


def test_who_calls_is_shown_and_can_be_standardised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline, candidate = mixed(1)
    assert run(tmp_path, baseline, candidate, "--unpaired", "--margin", "wer=+2pp", "--cohort", "accent") == 1
    printed = capsys.readouterr().out
    assert "each arm at its own mix" in printed
    found = overall(compared(baseline, candidate, paired=False, standardise="accent", cohorts=["accent"]))
    assert found.outcome is not Outcome.REGRESSED
    assert abs(estimate_of(found).worse_by) < 0.03
    assert estimate_of(overall(compared(baseline, candidate, paired=False))).worse_by > 0.1


def test_the_standardised_difference_is_that_of_the_strata() -> None:
    baseline, candidate = mixed(2)
    names = sorted({row["speaker"] for row in (*baseline, *candidate)})
    sums = np.zeros((len(names), 4))
    stratum = np.zeros(len(names), dtype=np.int64)
    for rows, column in ((baseline, 0), (candidate, 2)):
        for row in rows:
            at = names.index(row["speaker"])
            sums[at, column] += row["numerator"]
            sums[at, column + 1] += row["denominator"]
            stratum[at] = row["accent"] == "us"
    expected = standardised(
        ClusterSums(sums[:, 0], sums[:, 1], sums[:, 2], sums[:, 3], stratum), np.arange(len(names)), 2
    )
    found = estimate_of(overall(compared(baseline, candidate, paired=False, standardise="accent")))
    assert found.difference == pytest.approx(float(expected.estimate[0]))
    assert found.baseline == pytest.approx(float(expected.baseline[0]))
    (lower,), (upper,) = t_bounds(expected)
    assert found.interval.upper - found.interval.lower == pytest.approx(upper - lower, rel=0.1)


def test_standardising_to_the_same_mix_changes_no_rate() -> None:
    baseline, candidate = unpaired_sides(7)
    found = [
        compared(baseline, candidate, paired=False, cohorts=["accent"], standardise=tags)
        for tags in ("", "accent")
    ]
    for plain, at_mix in zip(*(sorted(each.verdicts, key=lambda v: v.id) for each in found), strict=True):
        assert estimate_of(plain).difference == pytest.approx(estimate_of(at_mix).difference)
        assert plain.counts == at_mix.counts
        # A cell of one stratum has nothing between its strata.
        if plain.cohort != EVERYONE:
            width = [each.interval.upper - each.interval.lower for each in map(estimate_of, (plain, at_mix))]
            assert width[1] == pytest.approx(width[0] / np.sqrt(1 - 1 / 10))


def test_callers_that_only_one_arm_has_cannot_be_standardised_away() -> None:
    baseline, candidate = mixed(3)
    lone = [{**row, "accent": "welsh"} if row["speaker"] == "b39" else row for row in candidate]
    for sides in ((baseline, lone), (lone, baseline)):
        found = overall(compared(*sides, paired=False, standardise="accent"))
        assert found.outcome is Outcome.INVALID
        assert "accent=welsh in one arm only" in found.reason


# Settings.

TOML = """
policy = "release"
min_clusters = 6
cohorts = [["accent"]]
expect = { accent = ["us", "welsh"] }

[margins]
csat = "+5pp"

[metrics.csat]
unit = "share"
direction = "higher"
yes_no = true
title = "Satisfied callers"
"""


def test_a_settings_file_declares_metrics_and_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "compare.toml"
    path.write_text(TOML)
    found = table_gate(path, Given(), today=TODAY)
    assert found.gate.policy == "release"
    assert found.gate.min_clusters == 6
    assert found.cohorts == ((), ("accent",))
    assert found.metrics["csat"].title == "Satisfied callers"
    assert found.metrics["csat"].yes_no
    assert found.gate.declared == (Cohort.of({"accent": "us"}), Cohort.of({"accent": "welsh"}))
    ours = table_gate(path, Given(policy="pr", margins=["wer=+1pp"], cohorts=["line", ""]), today=TODAY)
    assert ours.gate.policy == "pr"
    assert {name: margin.written for name, margin in ours.gate.margins.items()} == {"wer": "+1pp"}
    assert ours.cohorts == ((), ("line",))


def test_a_project_is_used_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no metric has a margin, so that nothing could fail"):
        how_of_folder()
    (tmp_path / "pyproject.toml").write_text('[tool.voiceeval.margins]\nwer = "+3pp"\n')
    assert how_of_folder().gate.margins["wer"].written == "+3pp"
    assert how_of_folder().cohorts == ((),)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.voiceeval]\nmargins = { wer = "+3pp" }\ncohorts = [["line"]]\nreport_cohorts = [["domain"]]\n'
    )
    assert (how_of_folder().cohorts, how_of_folder().report_cohorts) == (((), ("line",)), (("domain",),))
    ours = table_gate(None, Given(cohorts=["accent"]), today=TODAY)
    assert (ours.cohorts, ours.report_cohorts) == (((), ("accent",)), ())


def how_of_folder() -> Any:
    return table_gate(None, Given(), today=TODAY)


def test_an_expected_cohort_without_a_call_fails() -> None:
    baseline, candidate = two_arms(11)
    gate = how("wer=+2pp", cohorts=["accent"])
    expecting = replace(gate, gate=replace(gate.gate, declared=(Cohort.of({"accent": "welsh"}),)))
    found = compare_tables(table(baseline), table(candidate), expecting)
    assert {v.id: v.outcome for v in found.verdicts}["wer[accent=welsh]"] is Outcome.INVALID


def test_an_expected_tag_that_no_column_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "compare.toml"
    path.write_text('cohorts = [["accent"]]\nexpect = { acent = ["welsh"] }\n[margins]\nwer = "+2pp"')
    baseline, candidate = two_arms(11)
    with pytest.raises(ConfigError, match=r"expect: no tag column is named 'acent'.*'accent'"):
        compare_tables(table(baseline), table(candidate), table_gate(path, Given(), today=TODAY))
    other = table_gate(path, Given(cohorts=["accent"]), today=TODAY)
    assert not compare_tables(table(baseline), table(candidate), other).failed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"margins": ["wer"]}, r"--margin: .wer. is not a margin; write wer=\+2pp"),
        ({"margins": ["wer=+2pp", "wer=+3pp"]}, "one metric is given two margins"),
        ({"margins": ["wre=+2pp"]}, r"--margin\.wre: no metric is named 'wre'\. Did you mean 'wer'"),
        ({"margins": ["wer=+80ms"]}, r"--margin\.wer: '\+80ms' is in ms, but wer is measured as share"),
        ({"metrics": ["csat"]}, "--metric: 'csat' is not a metric; write name:unit:direction"),
        (
            {"metrics": ["csat:share:up"]},
            "--metric csat: direction: given 'up'; allowed: 'lower' or 'higher'",
        ),
        ({"metrics": ["csat:ms:lower:yes_no"]}, "--metric csat: yes_no is measured as ms; allowed: share"),
        ({"metrics": ["wer:share:lower"]}, "'wer' is a bundled metric; allowed: a name of its own"),
        ({"cohorts": ["accent,,line"]}, "'accent,,line' is not a list of tags; write accent or accent,line"),
        ({"report_cohorts": ["line,line"]}, "--report-cohort: 'line,line' is not a list of tags"),
        ({"policy": "prod"}, "policy: given 'prod'"),
        ({"alpha": 0.7}, r"alpha: given 0\.7; allowed: below 0\.5"),
        ({"min_clusters": 3}, "min_clusters: must be 5 or more"),
        ({"standardise": "accent"}, "--standardise: paired calls are of one mix already"),
        ({"looks": 3}, "--looks: given 3; allowed: 1, or 2 when they were declared beforehand"),
        ({"looks": 2, "look": 3}, "--look: given 3; allowed: 1 to 2"),
    ],
)
def test_a_wrong_option_is_one_message(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        table_gate(None, Given(**{"margins": ["wer=+2pp"], **given}), today=TODAY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("marginz = 1", "compare.toml: marginz: unknown key. Did you mean 'margins'?"),
        (
            '[metrics.csat]\nunit = "points"\ndirection = "higher"',
            "compare.toml: metrics.csat.unit: given 'po",
        ),
        ('[metrics.csat]\nunit = "share"', "compare.toml: metrics.csat.direction: missing, and required"),
        ('[margins]\nwer = "2"', "compare.toml: margins.wer: '2' is not a margin"),
    ],
)
def test_wrong_settings_are_one_message(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "compare.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as wrong:
        table_gate(path, Given(), today=TODAY)
    assert message in str(wrong.value)


def test_two_declared_looks_cost_what_pocock_says() -> None:
    once, twice = how("wer=+2pp").gate, how("wer=+2pp", looks=2).gate
    assert (once.alpha, once.level) == (0.05, 0.90)
    assert twice.alpha == pytest.approx(0.0294, abs=5e-5)
    assert twice.level == pytest.approx(1 - 2 * 0.0294, abs=1e-4)


def test_a_cohort_of_no_column_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"a\.csv: cohorts: no tag column is named 'acent'. Did you mean 'acc"
    ):
        compared(*two_arms(1), "wer=+2pp", cohorts=["acent"])


def test_the_command_writes_reports_and_refuses_what_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline, candidate = two_arms(12, worse=0.2)
    assert run(tmp_path, baseline, candidate, *MARGIN, "--out", str(tmp_path / "out")) == 1
    assert (tmp_path / "out" / "gate.json").read_bytes() == (tmp_path / "gate.json").read_bytes()
    assert "regressed" in (tmp_path / "out" / "report" / "summary.md").read_text()
    printed = capsys.readouterr().out
    assert "baseline a.csv → candidate b.csv" in printed
    table_path = str(tmp_path / "a.csv")
    (tmp_path / "folder").mkdir()
    assert main(["compare", table_path, table_path, *MARGIN, "--json", "folder"]) == 2
    assert "voiceeval: folder: cannot be written (Is a directory)" in capsys.readouterr().err
    assert not list(tmp_path.glob(".folder*"))
    for arguments, message in (
        ([table_path, str(tmp_path)], "a table and"),
        ([table_path, "b.xlsx"], "b.xlsx: neither a folder nor a table"),
        ([table_path, table_path, "--arm-a", "baseline"], "--arm-a: for two runs; a table has one arm"),
        ([table_path, "gone.csv", "--margin", "wer=+2pp"], "gone.csv: no such file"),
    ):
        assert main(["compare", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_every_error_of_a_table_is_an_input_error() -> None:
    assert issubclass(TableError, InputError)


def document() -> str:
    return (Path(__file__).parent.parent / "docs" / "outcome-tables.md").read_text()


def block(kind: str, number: int = 0) -> str:
    return document().split(f"```{kind}\n")[number + 1].split("```")[0]


def test_the_documents_examples_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(block("csv"))
    (tmp_path / "compare.toml").write_text(block("toml"))
    assert main(block("console").split()[2:]) == 0
    found = table_gate(tmp_path / "compare.toml", Given(), today=TODAY)
    assert sorted(found.gate.margins) == ["csat", "wer"]
    exec(block("python"), {})  # noqa: S102 # our own document
    assert capsys.readouterr().out.endswith("False\n")


def test_every_option_and_column_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert {option for option in options if option not in document()} == set()
    assert {column for column in RESERVED if f"`{column}`" not in document()} == set()


def unmeasured(rows: Sequence[Row], number: int) -> list[dict[str, Any]]:
    gone = {"numerator": None, "denominator": None, "gap": str(Gap.HARNESS_FAILED)}
    return [{**row, **gone} if index < number else dict(row) for index, row in enumerate(rows)]


def many_times(rows: Sequence[Row], copies: int) -> list[dict[str, Any]]:
    return [{**row, "call": f"{row['call']}-{copy}"} for copy in range(copies) for row in rows]


def test_a_large_baseline_does_not_hide_that_many_of_the_candidates_calls_were_not_measured() -> None:
    baseline, candidate = unpaired_sides(5)
    many = unmeasured(many_times(baseline, 10), 20)
    found = overall(compared(many, unmeasured(candidate, 18), paired=False))
    assert found.outcome is Outcome.INVALID
    assert (
        "harness failures over the cap of 2 %: baseline 20 of 1800 calls, candidate 18 of 180" in found.reason
    )
    assert overall(compared(many, unmeasured(candidate, 2), paired=False)).outcome is not Outcome.INVALID


def test_unpaired_harness_failures_are_unequal_by_the_calls_of_each_arm_and_not_by_their_number() -> None:
    baseline, candidate = unpaired_sides(5)
    large = many_times(baseline, 20)
    # 1 % of either arm: 36 of 3600 calls against 1 of 180.
    assert overall(compared(unmeasured(large, 36), unmeasured(candidate, 1), paired=False)).outcome is not (
        Outcome.INVALID
    )
    # 3 of 3600 against 3 of 180.
    found = overall(compared(unmeasured(large, 3), unmeasured(candidate, 3), paired=False))
    assert found.outcome is Outcome.INVALID
    assert "harness failures are unequal between the arms" in found.reason


def test_a_tail_gates_by_the_calls_of_the_arm_that_has_fewer() -> None:
    baseline, candidate = unpaired_sides(8)
    slow = [
        [{**row, "metric": "slow_replies", "numerator": 0} for row in side] for side in (baseline, candidate)
    ]
    few = overall(compared(many_times(slow[0], 4), slow[1][:54], "slow_replies=+20pp", paired=False))
    assert few.counts.scored > 59
    assert few.outcome is Outcome.INCONCLUSIVE
    assert "too few calls" in few.flags
    enough = overall(compared(many_times(slow[0], 4), slow[1][:60], "slow_replies=+30pp", paired=False))
    assert "too few calls" not in enough.flags


def test_an_unpaired_cohort_that_a_metric_applies_to_in_neither_arm_only_reports() -> None:
    gone = {"numerator": None, "denominator": None, "gap": str(Gap.NOT_APPLICABLE)}
    sides = [
        [{**row, "line": "quiet"} for row in rows]
        + [{**row, **gone, "line": "loud", "call": f"{row['call']}-loud"} for row in rows]
        for rows in unpaired_sides(9)
    ]
    by_name = {
        v.cohort.name: v for v in compared(sides[0], sides[1], paired=False, cohorts=("line",)).verdicts
    }
    assert not by_name["line=loud"].gating
    assert "applicable in one arm only" not in by_name["line=loud"].flags
    # Where it does apply to the baseline's calls, the candidate has made itself inapplicable.
    sides[0] = [{**row, "line": "loud"} for row in unpaired_sides(9)[0]]
    lost = {v.cohort.name: v for v in compared(sides[0], sides[1], paired=False, cohorts=("line",)).verdicts}
    assert lost["line=loud"].gating
    assert "applicable in one arm only" in lost["line=loud"].flags
