"""The sample run with all that a comparison can hold at once: waiver, faults, gaps, finds, repeats, tails."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from test_report_sample import (
    ENTITIES,
    FIRST_AUDIO,
    LINES,
    REPORTED,
    TASK,
    TOOLS,
    WER,
    WORST,
    cohorts,
    comparison,
    counts,
    estimate,
    verdict,
    verdicts,
)

from voiceeval.call import Arm
from voiceeval.cohort import EVERYONE, Cohort
from voiceeval.score import MetricInfo
from voiceeval.verdict import (
    Comparison,
    Consistency,
    Disparity,
    Exploration,
    Explored,
    Outcome,
    Quantiles,
    Verdict,
    Waiver,
)

WELSH = Cohort((("accent", "welsh"), ("line", "telephone")))
INDIAN = Cohort((("accent", "indian"), ("line", "telephone")))
WAIVER = Waiver(
    metric="entity_error_rate",
    cohort=WELSH,
    owner="asr-team",
    reason="the vendor's fix for Welsh place names is due in 2.5",
    expires=date(2026, 12, 31),
)
FAULTS = (
    "the waiver of wer[accent=indian × line=wideband] (owner dialogue-team) expired on 2026-11-01; "
    "mend the regression, or renew it with a reason",
    "the waiver of tool_path[accent=british × line=telephone] (owner tools-team) is not needed: the cell is "
    "passed; remove it",
)


def waived(info: MetricInfo = ENTITIES, cohort: Cohort = WELSH) -> Verdict:
    reason = "4.8 pp worse (95 % interval +3.1 pp to +6.5 pp) over 6 speakers; margin +3pp; adjusted p 0.0090"
    cell = verdict(info, cohort, Outcome.REGRESSED, worse_by=0.048, half=0.017, p=0.009, reason=reason)
    return replace(cell, waiver=replace(WAIVER, metric=info.name, cohort=cohort))


def own_margin() -> Verdict:
    cell = verdict(WER, INDIAN, worse_by=0.021, half=0.012, flags=("own margin", "worse within margin"))
    return replace(cell, margin="+4pp")


def disparity(info: MetricInfo, tags: tuple[str, ...], gaps: tuple[float, float], best: float) -> Disparity:
    """Gaps on the baseline and the candidate; the best cohort's rate is the same on both."""
    full = tuple(LINES) if tags == ("line",) else ()
    names = [Cohort((("line", line),)) for line in full] or [WELSH, WORST, cohorts()[1]]
    sign = -1 if info.direction.value.startswith("higher") else 1
    return Disparity(
        metric=info,
        tags=tags,
        worst={"baseline": names[0], "candidate": names[-2]},
        best={"baseline": names[-1], "candidate": names[-1]},
        rates={arm: (best + sign * gap, best) for arm, gap in zip(Arm, gaps, strict=True)},
    )


def disparities() -> tuple[Disparity, ...]:
    both = ("accent", "line")
    return (
        disparity(WER, both, (0.061, 0.123), 0.052),
        disparity(WER, ("line",), (0.031, 0.024), 0.066),
        disparity(TASK, both, (0.083, 0.301), 0.955),
        disparity(TOOLS, both, (0.084, 0.084), 0.944),
        disparity(FIRST_AUDIO, both, (180.0, 495.0), 1090.0),
        disparity(ENTITIES, both, (0.040, 0.110), 0.030),
        disparity(ENTITIES, ("line",), (0.021, 0.020), 0.044),
        disparity(REPORTED[0], ("line",), (0.004, 0.005), 0.031),
    )


def explored(info: MetricInfo, parts: dict[str, str], worse_by: float, shrunken: float, q: float) -> Explored:
    return Explored(
        metric=info,
        cohort=Cohort.of(parts),
        estimate=estimate(info, worse_by=worse_by, half=worse_by / 2),
        q_value=q,
        shrunken=shrunken,
        counts=counts(pairs=24, scored=24, clusters=7),
    )


def exploration() -> Exploration:
    found = [
        explored(TASK, {"accent": "caribbean", "domain": "pharmacy"}, 0.41, 0.28, 0.00002),
        explored(WER, {"accent": "caribbean", "age": "60+", "noise": "street"}, 0.14, 0.091, 0.004),
        explored(FIRST_AUDIO, {"domain": "travel", "line": "telephone"}, 260.0, 140.0, 0.021),
    ] + [
        explored(WER, {"accent": "scottish", "age": f"{age}s"}, 0.05 - age / 4000, 0.03 - age / 4000, 0.06)
        for age in range(20, 80, 10)
    ]
    return Exploration(tested=412, rate=0.10, found=tuple(found))


def consistency(scenario: str, arm: Arm, mixed: int, groups: int = 12) -> Consistency:
    share = mixed / groups
    return Consistency(
        scenario=scenario,
        arm=arm,
        repeats=4,
        groups=groups,
        mixed=mixed,
        pass_hat={k: (1 - share / 2) ** k for k in range(1, 5)},
        pass_at={k: 1 - (share / 2) ** k for k in range(1, 5)},
    )


def repeats() -> tuple[Consistency, ...]:
    mixed = {
        "banking.block-card": (0, 5),
        "pharmacy.refill": (2, 3),
        "travel.rebook": (1, 0),
        "travel.cancel": (0, 0),
        "banking.dispute": (0, 1),
        "banking.limit": (4, 7),
        "pharmacy.hours": (0, 2),
        "pharmacy.transfer": (1, 1),
    }
    return tuple(
        consistency(scenario, arm, number)
        for scenario, numbers in mixed.items()
        for arm, number in zip(Arm, numbers, strict=True)
    )


def quantiles() -> tuple[Quantiles, ...]:
    found = []
    for cohort in (EVERYONE, *cohorts()):
        for arm, slower in zip(Arm, (0, 130), strict=True):
            calls = 216 if cohort == EVERYONE else 18
            values = {"p50": 1180.0 + slower, "p95": 2140.0 + 2 * slower}
            found.append(
                Quantiles(
                    metric=FIRST_AUDIO,
                    cohort=cohort,
                    arm=arm,
                    calls=calls,
                    observations=3 * calls,
                    values=values if cohort == EVERYONE else {"p50": values["p50"]},
                )
            )
    return tuple(found)


def everything(**changed: object) -> Comparison:
    special = {cell.id: cell for cell in (waived(), own_margin())}
    facts: dict[str, object] = {
        "verdicts": tuple(special.get(cell.id, cell) for cell in verdicts()),
        "faults": FAULTS,
        "disparities": disparities(),
        "exploration": exploration(),
        "consistency": repeats(),
        "quantiles": quantiles(),
        "retried": {"baseline": 0, "candidate": 2},
        "identical_repeats": {"baseline": 6, "candidate": 0},
    }
    return comparison(**{**facts, **changed})  # type: ignore[arg-type]


def test_the_sample_has_all_of_it_at_once() -> None:
    result = everything()
    assert result.faults
    assert result.disparities
    assert result.exploration.found
    assert result.consistency
    assert result.quantiles
    assert [cell.id for cell in result.verdicts if cell.waiver] == [WAIVER.verdict]
    assert any("own margin" in cell.flags for cell in result.verdicts)
