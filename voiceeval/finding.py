"""What is known of one cell, whether it can be judged at all, and the one function that chooses its outcome.

The first rule that holds wins:

================  ==================================================================================
``invalid``       arms that are not comparable, planned pairs not run, a declared cohort without pairs,
                  harness failures over the cap or unequal between the arms, the candidate's crashes leaving
                  an average, a margin of its own that ran out, a relative margin on next to nothing
``regressed``     Holm-adjusted p below alpha and the point estimate above the margin; or a critical
                  scenario lost altogether
``improved``      upper bound below 0
``passed``        upper bound below the margin; or unchanged by construction; neither of them where many
                  pairs were left out because the metric applied to one arm only
``inconclusive``  everything else: too little data is never a pass
================  ==================================================================================

Only gating cells can be ``regressed``. A cell that reports (no margin, or a cohort that does not gate) says
``improved`` or ``passed`` where that holds and ``inconclusive`` otherwise, with the flag *worse* when its
whole interval is on the worse side: a word that blocks elsewhere never stands where it does not block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from voiceeval.cohort import EVERYONE
from voiceeval.margins import LEAST_RELATIVE_BASELINE, Margin
from voiceeval.pair_table import CohortRows, PairTable
from voiceeval.score import Direction, MetricInfo
from voiceeval.statistics.independent import fisher_midp
from voiceeval.statistics.paired_test import PairedResult
from voiceeval.tally import Tally
from voiceeval.verdict import Estimate, Outcome, Verdict

UNEQUAL_HARNESS_LEVEL = 0.01
"""Two-sided test of the pairs that failed on our side in one arm only; without pairs, of the calls."""
OVERALL_FLAGS = ("overall improved", "overall looks better")
"""By verdict, or only by the point estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Everything that is known of one cell before its outcome is decided."""

    metric: MetricInfo
    members: CohortRows
    tally: Tally
    margin: Margin | None
    gating: bool
    invalid: str
    """Why the cell cannot be judged; empty if it can."""
    result: PairedResult | None
    """``None`` where fewer than two speakers, or no denominators, leave nothing to compute."""
    enough: bool
    """Enough speakers, and for quantiles enough calls, to gate."""
    unchanged: bool
    """No difference was possible, and none was seen."""
    lopsided: bool = False
    """More pairs than the cap allows were left out because the metric applied to one arm only: an agent can
    make itself inapplicable, and what is left proves nothing good."""
    own_margin: bool = False
    """The margin is this cohort's own and not the metric's."""
    p_adjusted: float = 1.0

    @property
    def tested(self) -> bool:
        """Whether it belongs to Holm's family: a cell that could be found regressed."""
        return self.gating and self.enough and not self.invalid and not self.unchanged


def decide(finding: Finding, *, alpha: float) -> tuple[Outcome, tuple[str, ...]]:
    """The outcome of one cell, and its flags: the only place where an outcome is chosen."""
    result = finding.result if finding.enough else None
    severe = finding.gating and bool(finding.tally.severe)
    regressed = finding.tested and finding.p_adjusted < alpha and result is not None and result.excess > 0
    improved = result is not None and result.upper < 0 and not finding.lopsided
    certified = finding.margin is not None and result is not None and result.excess_upper < 0
    certified = certified and not finding.lopsided
    worse = result is not None and result.lower > 0
    rules: tuple[tuple[bool, Outcome, tuple[str, ...]], ...] = (
        (bool(finding.invalid), Outcome.INVALID, ()),
        (severe or regressed, Outcome.REGRESSED, ()),
        (improved, Outcome.IMPROVED, ()),
        (finding.unchanged, Outcome.PASSED, ("unchanged by construction",)),
        (certified, Outcome.PASSED, ("worse within margin",) if worse else ()),
        (True, Outcome.INCONCLUSIVE, _why_inconclusive(finding)),
    )
    outcome, flags = next((outcome, flags) for holds, outcome, flags in rules if holds)
    return outcome, flags + _remarks(finding, severe=bool(finding.tally.severe))


def why_invalid(
    cell: Tally,
    table: PairTable,
    margin: Margin | None,
    result: PairedResult | None,
    *,
    cap: float,
) -> str:
    """Why a cell cannot be judged, in a sentence; empty if it can."""
    counts, metric = cell.counts, table.metric
    if counts.pairs == 0:
        return "the cohort is declared, but no call belongs to it"
    if counts.not_run:
        return f"{counts.not_run} of {counts.pairs} planned pairs were not run in both arms"
    trouble = harness_trouble(cell, cap=cap) if table.paired else unpaired_harness_trouble(cell, cap=cap)
    if not trouble and margin is not None and table.paired:
        trouble = crashes_left_out(cell, cap=cap)
    if trouble or margin is None or not margin.relative or result is None:
        return trouble
    if metric.unit != "share":
        return "" if result.baseline else f"the margin {margin.written} is relative to a baseline of 0"
    if result.baseline >= LEAST_RELATIVE_BASELINE:
        return ""
    what = "share of failures" if metric.direction is Direction.HIGHER_IS_BETTER else "rate"
    return (
        f"the margin {margin.written} is relative to a baseline {what} of {100 * result.baseline:.2f} %; "
        "under 1 % it would tolerate next to nothing: write it in pp"
    )


def harness_trouble(cell: Tally, *, cap: float) -> str:
    """Why our own failures leave a cell unjudged; empty if they do not.

    Pairs that failed on our side leave the comparison, and with them what they would have shown: at most the
    cap's share of a cell. One pair may fail in a cell of any size, so that a provider's bad second does not
    void a run. Failures that keep to one arm are suspect below the cap as well: with each arm equally likely
    to be hit, eight against none come up once in 128 times.

    Args:
        cell: what was counted.
        cap: share of the cell's pairs.
    """
    counts = cell.counts
    allowed = max(1, math.floor(cap * counts.pairs))
    baseline, candidate = counts.harness_failed["baseline"], counts.harness_failed["candidate"]
    arms = f"baseline {baseline}, candidate {candidate}, of {counts.pairs} pairs"
    if candidate + cell.harness_alone[0] > allowed:
        return f"harness failures over the cap of {allowed}: {arms}; mend the harness and run again"
    if sign_test_p(*cell.harness_alone) < UNEQUAL_HARNESS_LEVEL:
        return f"harness failures are unequal between the arms: {arms}; a crash must not hide as ours"
    return ""


def unpaired_harness_trouble(cell: Tally, *, cap: float) -> str:
    """The same without pairs: each arm is held to the cap by itself, or a large one would hide a small one.

    How the failures divide between the arms is held against how the calls do.
    """
    failed = cell.counts.harness_failed["baseline"], cell.counts.harness_failed["candidate"]
    arms = ", ".join(
        f"{arm} {number} of {calls} calls"
        for arm, number, calls in zip(("baseline", "candidate"), failed, cell.calls, strict=True)
    )
    allowed = [max(1, math.floor(cap * calls)) for calls in cell.calls]
    if failed[0] > allowed[0] or failed[1] > allowed[1]:
        return f"harness failures over the cap of {100 * cap:g} %: {arms}; mend the harness and run again"
    if not any(failed):
        return ""
    # Mid-p of Fisher's test that every call of either arm is as likely to be hit.
    p = float(fisher_midp(failed[1], cell.calls[1], failed[0], cell.calls[0]))
    if 2 * min(p, 1 - p) < UNEQUAL_HARNESS_LEVEL:
        return f"harness failures are unequal between the arms: {arms}; a crash must not hide as ours"
    return ""


def crashes_left_out(cell: Tally, *, cap: float) -> str:
    """Why the candidate's failures leave a cell unjudged; empty if they do not.

    A call that the agent failed has no duration and no price. Those that only the candidate failed leave the
    average, and with them what they would have cost: at most the cap's share, or a crash on the hard calls
    would look like an improvement.
    """
    if cell.lost_by_candidate <= max(1, math.floor(cap * cell.counts.pairs)):
        return ""
    return (
        f"the candidate alone failed {cell.lost_by_candidate} of {cell.counts.pairs} calls, which have no "
        "value here and would leave the average; see the metrics that count failures"
    )


def sign_test_p(baseline_only: int, candidate_only: int) -> float:
    """Two-sided exact p for "either arm is equally likely to be hit"; 1 where nothing was."""
    trials, fewer = baseline_only + candidate_only, min(baseline_only, candidate_only)
    p: float = 2 * sum(math.comb(trials, hits) for hits in range(fewer + 1)) / 2**trials
    return min(1.0, p)


def alarms(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """Sentences for regressions that the overall figure hides (Simpson), by metric and cohort.

    ``overall improved`` is the verdict on everyone; where only the estimate is on the better side, the words
    are ``overall looks better``.
    """
    return tuple(
        f"{verdict.metric.title}: {flag}, but {verdict.cohort.name} regressed"
        for verdict in sorted(verdicts, key=lambda each: (each.metric.name, each.cohort))
        for flag in verdict.flags
        if flag in OVERALL_FLAGS
    )


def with_overall_flags(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same verdicts; regressed cohorts of a metric that is better overall carry a flag that says so."""
    hiding: dict[str, str] = {}
    for verdict in verdicts:
        if verdict.cohort == EVERYONE and isinstance(verdict.estimate, Estimate):
            if verdict.outcome is Outcome.IMPROVED:
                hiding[verdict.metric.name] = OVERALL_FLAGS[0]
            elif verdict.outcome is not Outcome.INVALID and verdict.estimate.worse_by < 0:
                hiding[verdict.metric.name] = OVERALL_FLAGS[1]
    return [
        replace(verdict, flags=(*verdict.flags, hiding[verdict.metric.name]))
        if verdict.outcome is Outcome.REGRESSED
        and verdict.cohort != EVERYONE
        and verdict.metric.name in hiding
        else verdict
        for verdict in verdicts
    ]


def _why_inconclusive(finding: Finding) -> tuple[str, ...]:
    if finding.result is None or not finding.enough:
        few_calls = finding.tally.scored < finding.metric.fewest_calls
        return ("underpowered", "too few calls" if few_calls else "too few speakers")
    if finding.margin is None or finding.lopsided:
        return ()
    few = finding.result.clusters_needed > finding.result.clusters
    return ("underpowered",) if few else ("borderline",)


def _remarks(finding: Finding, *, severe: bool) -> tuple[str, ...]:
    """Flags that hold whatever the outcome."""
    result, cell = finding.result, finding.tally
    remarks = (
        (severe, "severity"),
        (finding.own_margin, "own margin"),
        (result is not None and not finding.gating and result.lower > 0, "worse"),
        (
            finding.members.same_by_construction and cell.counts.scored > 0 and not cell.unchanged,
            "differs though the same by construction",
        ),
        (cell.one_arm_only > 0, "applicable in one arm only"),
    )
    return tuple(words for holds, words in remarks if holds)
