"""Who called in each arm, and both arms as they would be with the baseline's mix of callers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceeval.call import Arm
from voiceeval.outcome_cells import Coded, FloatArray, IntArray
from voiceeval.outcome_tables import OutcomeTable
from voiceeval.pair_table import COMPARED, CohortRows, PairTable
from voiceeval.statistics.contrast import LARGEST_LEVERAGE, per_cell
from voiceeval.statistics.paired_test import FEWEST_DIFFERING

FEWEST_IN_STRATUM = 8
"""Speakers of an arm in a stratum without which its own rate is too uncertain to err around."""


def mix(baseline: OutcomeTable, candidate: OutcomeTable, tag: str) -> dict[str, dict[str, float]]:
    """By value of a tag and arm: the share of the arm's calls. Calls without the tag have an empty one."""
    found: dict[str, dict[str, float]] = {}
    for arm, table in zip(Arm, (baseline, candidate), strict=True):
        _, first = np.unique(table.key.codes, return_index=True)
        column = table.facts[tag]
        counts = np.bincount(column.codes[first], minlength=len(column.names))
        for name, count in zip(column.names, counts.tolist(), strict=True):
            found.setdefault(name, {str(each): 0.0 for each in Arm})[str(arm)] = count / len(first)
    return {name: found[name] for name in sorted(found)}


def at_the_baselines_mix(
    table: PairTable, cohorts: Sequence[CohortRows], strata: Coded, *, in_baseline: NDArray[np.bool_]
) -> tuple[PairTable, list[CohortRows]]:
    """The same cells, with the candidate's calls weighing as much as the baseline's of their stratum.

    Direct standardisation: with w_s = (N_bs / N_b) / (N_cs / N_c) on the numerators and denominators of the
    candidate's calls in stratum s, the rate is R* = Σ (N_bs / N_b) · X_cs / N_cs, as in
    ``statistics/standardised.py``; the baseline's own rate stays. The weights are taken as given.

    An arm errs within its strata, and not by what lies between them. So each call is moved to where its arm
    is: x' = w_s · (R*·n + f_s·(x − R_s·n)), which leaves the rate, and the ordinary error of x'/n' is the
    stratified one. f_s = 1/sqrt(1 − Σ h²), h a speaker's share of the stratum, pays for estimating R_s. Where
    a stratum of an arm has too little for that (fewer than eight speakers; of a yes/no metric fewer than five
    with a failure, or with a success) the cell's calls are only weighted, and its errors are wider.

    A cell with a stratum that only one arm has is INVALID: there is nothing to weigh it against.

    Args:
        table: unpaired.
        cohorts: its cells; each gets rows of its own in the result.
        strata: of every row of the table.
        in_baseline: which rows are the baseline's.
    """
    rows = np.concatenate([each.rows for each in cohorts]) if cohorts else np.zeros(0, dtype=np.int64)
    order = np.argsort(table.speaker[rows], kind="stable")
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = np.arange(len(rows))
    values, weighted, start = table.values[rows], [], 0
    for each in cohorts:
        own = slice(start, start + len(each.rows))
        arms = _arms(table, each.rows, strata, in_baseline)
        why = _lacking(arms, strata)
        if not why:
            values[own] = _at_mix(table, each.rows, arms)
        weighted.append(replace(each, rows=place[own], invalid=each.invalid or why))
        start = own.stop
    rows = rows[order]
    copied = replace(
        table,
        kind=table.kind[rows],
        values=values[order],
        speaker=table.speaker[rows],
        scenario=table.scenario[rows],
        critical=table.critical[rows],
        gaps=table.gaps[rows],
    )
    return copied, weighted


class _Arm(NamedTuple):
    """The calls of one arm in a cell, and its strata."""

    calls: IntArray
    """Which of the cell's rows are its compared calls."""
    stratum: IntArray
    """Of each of them."""
    x: FloatArray
    n: FloatArray
    speaker: IntArray
    total: FloatArray
    """Denominators by stratum."""


def _arms(
    table: PairTable, rows: IntArray, strata: Coded, in_baseline: NDArray[np.bool_]
) -> tuple[_Arm, _Arm]:
    found = []
    compared = table.kind[rows] == COMPARED
    for mine, column in ((in_baseline[rows], 0), (~in_baseline[rows], 2)):
        calls = np.flatnonzero(mine & compared)
        x, n = table.values[rows[calls], column], table.values[rows[calls], column + 1]
        stratum = strata.codes[rows[calls]]
        total = per_cell(n, stratum, len(strata.names))
        found.append(_Arm(calls, stratum, x, n, table.speaker[rows[calls]], total))
    return found[0], found[1]


def _lacking(arms: tuple[_Arm, _Arm], strata: Coded) -> str:
    lacking = np.flatnonzero((arms[0].total > 0) != (arms[1].total > 0))
    return f"no call to weigh against: {_named(strata, lacking)}" if len(lacking) else ""


def _at_mix(table: PairTable, rows: IntArray, arms: tuple[_Arm, _Arm]) -> FloatArray:
    """Values of a cell's rows at the baseline's mix."""
    values = table.values[rows]
    mix_b = arms[0].total / max(float(arms[0].total.sum()), 1e-300)
    within = all(_enough(arm, yes_no=table.metric.is_proportion) for arm in arms)
    for arm, column in zip(arms, (0, 2), strict=True):
        there = arm.total > 0
        total = np.where(there, arm.total, 1.0)
        own = arm.total / max(float(arm.total.sum()), 1e-300)
        weight = np.where(there, mix_b / np.where(there, own, 1.0), 1.0)[arm.stratum]
        x = arm.x
        if within:
            rate = per_cell(arm.x, arm.stratum, len(total)) / total
            residual = (arm.x - rate[arm.stratum] * arm.n) / np.sqrt(1 - _concentration(arm))[arm.stratum]
            x = float(mix_b @ rate) * arm.n + residual
        values[arm.calls, column] = weight * x
        values[arm.calls, column + 1] = weight * arm.n
    return values


def _enough(arm: _Arm, *, yes_no: bool) -> bool:
    """Whether every stratum holds what its own rate takes."""
    counts = [(arm.n > 0, FEWEST_IN_STRATUM)]
    if yes_no:
        counts += [(arm.x > 0, FEWEST_DIFFERING), (arm.x < arm.n, FEWEST_DIFFERING)]
    many = len(arm.total)
    for which, fewest in counts:
        seen = np.unique(arm.speaker[which] * many + arm.stratum[which]) % many
        if bool(np.any(np.bincount(seen, minlength=many)[arm.total > 0] < fewest)):
            return False
    return True


def _concentration(arm: _Arm) -> FloatArray:
    """Σ h² by stratum, h each speaker's share of it; 1/G where they are equal."""
    many = len(arm.total)
    pieces, place = np.unique(arm.speaker * many + arm.stratum, return_inverse=True)
    share = per_cell(arm.n, place, len(pieces)) / np.where(arm.total > 0, arm.total, 1.0)[pieces % many]
    found = per_cell(share**2, pieces % many, many)
    return np.minimum(found, LARGEST_LEVERAGE)


def _named(strata: Coded, lacking: IntArray) -> str:
    names = [strata.names[code] for code in lacking[:3].tolist()]
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    return f"{'; '.join(names)}{more} in one arm only"
