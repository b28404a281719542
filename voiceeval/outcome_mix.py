"""Who called in each arm, and both arms as they would be with the baseline's mix of callers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voiceeval.call import Arm
from voiceeval.outcome_cells import Coded, FloatArray, IntArray
from voiceeval.outcome_tables import OutcomeTable
from voiceeval.pair_table import COMPARED, CohortRows, PairTable


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
    candidate's calls in stratum s, the rate is Σ (N_bs / N_b) · X_cs / N_cs, as in
    ``statistics/standardised.py``; the baseline's own rate stays. The weights are taken as given. Errors are
    those of the weighted clusters around the arm's rate, which are wider than the stratified ones where the
    strata differ: what is certified here would be certified there.

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
        weight, lacking = _weights(table, each.rows, strata.codes, len(strata.names), in_baseline)
        values[own, 2:] *= weight[:, None]
        why = f"no call to weigh against: {_named(strata, lacking)}" if len(lacking) else ""
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


def _weights(
    table: PairTable, rows: IntArray, stratum: IntArray, strata: int, in_baseline: NDArray[np.bool_]
) -> tuple[FloatArray, IntArray]:
    """What the denominators of a cell's rows are multiplied by, and the strata that only one arm has."""
    at, compared = stratum[rows], table.kind[rows] == COMPARED
    totals = []
    for mine, column in ((in_baseline[rows], 1), (~in_baseline[rows], 3)):
        n = np.where(mine & compared, table.values[rows, column], 0.0)
        totals.append(np.bincount(at, weights=n, minlength=strata))
    b, c = totals
    lacking = np.flatnonzero((b > 0) != (c > 0))
    if len(lacking) or not b.sum():
        return np.ones(len(rows)), lacking
    weight = (b / b.sum()) / np.where(c > 0, c / c.sum(), 1.0)
    return np.where(in_baseline[rows], 1.0, weight[at]), lacking


def _named(strata: Coded, lacking: IntArray) -> str:
    names = [strata.names[code] for code in lacking[:3].tolist()]
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    return f"{'; '.join(names)}{more} in one arm only"
