"""The pairs of one metric as columns: what the gate sums, whether they come from a run or from a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceeval.cohort import Cohort
from voiceeval.score import MetricInfo

COMPARED, NOT_APPLICABLE, AGENT_FAILED, HARNESS_FAILED, NOT_RUN = range(5)
"""What became of a pair; ``tally.py`` has the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTable:
    """All pairs of one metric, in an order that depends on nothing but their names.

    In an unpaired table a row is one call of one arm: the other arm's columns are 0, and no speaker occurs in
    both arms.
    """

    metric: MetricInfo
    kind: NDArray[np.int64]
    """Shape ``(pairs,)``: ``COMPARED``, ``NOT_APPLICABLE``, …"""
    values: NDArray[np.float64]
    """Shape ``(pairs, 4)``: numerator and denominator of the baseline, then of the candidate; turned so that
    + is worse, logarithms where ``log_scale``."""
    speaker: NDArray[np.int64]
    """Code of each pair's speaker, counted from 0 in the order of their names."""
    scenario: NDArray[np.int64]
    critical: NDArray[np.bool_]
    gaps: NDArray[np.bool_]
    """Shape ``(pairs, 2, 3)``: by arm, whether agent or harness failed, or the metric did not apply."""
    scenarios: tuple[str, ...]
    """Names of the scenario codes."""
    log_scale: bool = False
    """Numerators are sums of logarithms: geometric means are compared, and margins are factors."""
    paired: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortRows:
    """One cohort of a table, and how it is to be judged."""

    cohort: Cohort
    rows: NDArray[np.int64]
    """Which rows of the table belong to it, ascending."""
    gates: bool = True
    same_by_construction: bool = False
    ungated: str = ""
    invalid: str = ""
    """As in ``PairedSample``."""
