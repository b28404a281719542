"""Both arms as they would be with the baseline's mix of cohorts: what remains when the callers changed.

Direct standardisation (Keiding & Clayton, Statistical Science 29, 2014; for the variances Breslow & Day,
Statistical Methods in Cancer Research II, 1987, §2.3). Each arm's rate is taken per stratum and averaged with
the baseline's shares, W_s = N_bs / N_b, taken as given and not as an estimate::

    R*_c = Σ W_s · X_cs / N_cs        R*_b = Σ W_s · X_bs / N_bs = X_b / N_b

By the delta method the influence of cluster g is Σ W_s · (x_gs − R_s·n_gs)/N_s within its arm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voiceeval.statistics.contrast import LARGEST_LEVERAGE, ClusterSums, Contrast, per_cell
from voiceeval.statistics.single_arm import welch_df

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def standardised(sums: ClusterSums, cluster: IntArray, strata: int) -> Contrast:
    """Candidate minus baseline at the baseline's mix, of one cell whose arms share no cluster.

    For ``t_bounds`` and ``t_p_above``; every array of the result has shape ``(1,)``. Each cluster's piece
    of a stratum is corrected as CR2 does, by 1/√(1 − its share of the stratum); the degrees of freedom are
    Welch's over strata and arms, and in each arm no more than its clusters less one. With a single stratum
    both are those of ``unpaired_test``.

    Args:
        sums: one row per cluster and stratum; ``cell`` is the 0-based stratum, and each cluster has
            denominators in one arm only, in as many strata as it likes.
        cluster: 0-based cluster of each row; those of the two arms have different numbers.
        strata: how many strata there are. Strata that only the candidate has weigh nothing.

    Raises:
        ValueError: NaN or infinity, a negative denominator, a cluster in both arms, or a stratum of the
            baseline with fewer than two clusters in one arm: no rate there, or no error to go with it.
    """
    _check(sums, cluster)
    stratum = sums.cell
    weight = per_cell(sums.n_baseline, stratum, strata)
    if weight.sum() <= 0:
        raise ValueError("the baseline has no denominator: there is no mix to standardise to")
    weight = weight / weight.sum()
    rates, variances, freedoms, clusters = [], [], [], []
    for name, x, n in (
        ("baseline", sums.x_baseline, sums.n_baseline),
        ("candidate", sums.x_candidate, sums.n_candidate),
    ):
        mine = ((n > 0) | (x != 0)) & (weight[stratum] > 0)
        rate, variance, df = _arm(name, x[mine], n[mine], stratum[mine], cluster[mine], weight)
        rates.append(rate)
        variances.append(variance)
        freedoms.append(df)
        clusters.append(len(np.unique(cluster[mine])))
    total = float(np.sum(variances))
    return Contrast(
        baseline=np.array([rates[0]]),
        candidate=np.array([rates[1]]),
        estimate=np.array([rates[1] - rates[0]]),
        se=np.sqrt([total]),
        df=np.array([float(welch_df(np.array(variances), np.array(freedoms)))]),
        clusters=np.array([min(clusters)]),
    )


def _arm(
    name: str, x: FloatArray, n: FloatArray, stratum: IntArray, cluster: IntArray, weight: FloatArray
) -> tuple[float, float, float]:
    """Standardised rate, its variance and its degrees of freedom."""
    strata = len(weight)
    total, rows = per_cell(n, stratum, strata), np.bincount(stratum, minlength=strata)
    short = (weight > 0) & ((rows < 2) | (total <= 0))
    if bool(np.any(short)):
        first = int(np.argmax(short))
        raise ValueError(
            f"stratum {first}: the {name} has {int(rows[first])} cluster(s) there; it needs 2 with calls"
        )
    total = np.where(weight > 0, total, 1.0)
    rate = per_cell(x, stratum, strata) / total
    share = np.minimum(n / total[stratum], LARGEST_LEVERAGE)
    piece = weight[stratum] * (x - rate[stratum] * n) / total[stratum] / np.sqrt(1 - share)
    q = share**2 / (1 - share)
    trace = per_cell(share**2 - q**2, stratum, strata) + per_cell(q, stratum, strata) ** 2
    known, code = np.unique(cluster, return_inverse=True)
    # A cluster in several strata may err in all of them alike: its pieces add up before they are squared.
    variance = float(np.sum(np.bincount(code, weights=piece) ** 2))
    parts = per_cell(piece**2, stratum, strata)
    df = float(welch_df(parts[weight > 0], 1 / trace[weight > 0]))
    return float(weight @ rate), variance, min(df, len(known) - 1.0)


def _check(sums: ClusterSums, cluster: IntArray) -> None:
    lengths = {len(array) for array in (*sums, cluster)}
    if len(lengths) != 1:
        raise ValueError(f"cluster sums and cluster numbers need one length, got {sorted(lengths)}")
    for name, array in zip(sums._fields, sums, strict=True):
        if not bool(np.all(np.isfinite(array))):
            raise ValueError(f"{name} holds NaN or infinity; leave unscored calls out before summing")
    if bool(np.any(sums.n_baseline < 0) or np.any(sums.n_candidate < 0)):
        raise ValueError("a denominator is negative")
    sides = (sums.n_baseline > 0) | (sums.x_baseline != 0), (sums.n_candidate > 0) | (sums.x_candidate != 0)
    shared = np.intersect1d(cluster[sides[0]], cluster[sides[1]])
    if len(shared):
        raise ValueError(f"cluster {int(shared[0])} has calls in both arms; compare those in pairs")
