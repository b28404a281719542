"""The worked examples' inputs and expected figures, written out so that a checkout alone tests them.

``test_oracles.py`` reproduces each, and holds this table against the shared file where there is one.
"""

from __future__ import annotations

from typing import Any

INPUTS: dict[str, Any] = {
    "mcn-bentur": {"b": 1, "c": 7, "n": 21},
    "mcn-armitage": {"b": 12, "c": 2},
    "mcn-agresti": {"b": 150, "c": 86},
    "tango-bentur": {"b": 1, "c": 7, "n": 21},
    "newcombe10": {"a": 36, "b": 12, "c": 2, "d": 0},
    "tango-zero": {"n": 52, "z": 1.644854},
    "bh1995": [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.324,
        0.4262,
        0.5719,
        0.6528,
        0.759,
        1.0,
    ],
    "holm4": [0.01, 0.04, 0.03, 0.005],
    "nan-trap": [0.01, None, 0.03],
    "gpower-mcn": {"OR": 0.25, "pdisc": 0.4, "n": 50, "alpha": 0.05},
    "connor1987": {"p01": 0.45, "p10": 0.05, "alpha": 0.05, "beta": 0.2, "sides": 2},
    "connor-155": {"pd": 0.45, "OR": 2, "delta": 0.15, "alpha": 0.05, "sides": 2},
    "sign-n": {"win": [0.6, 0.7, 0.8, 0.9]},
    "miller-n": {"w2": 0.1111111111111111, "delta": 0.03},
    "pocock": {"K": [2, 3]},
    "armitage-looks": {"K": [1, 2, 3, 4, 5, 10]},
    "kripp": {
        "data": [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
            [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
        ]
    },
    "kappa": [[20, 5], [10, 15]],
    "kappa-paradox": [[94, 3], [2, 1]],
    "passk": {"n": 8, "c": 5, "k": 3},
    "passatk": {"n": 200, "c": 10, "k": 10},
    "jiwer-doc": {
        "ref": ["short one here", "quite a bit of longer sentence"],
        "hyp": ["shoe order one", "quite bit of an even longest sentence here"],
    },
    "jiwer-empty": {"ref": "", "hyp": "peaceful silence"},
    "ratio-vs-mean": {"ref": ["a", "a b c d e f g h i"], "hyp": ["b", "a b c d e f g h i"]},
    "sclite-vs-lev": {"ref": "a c e b d b b", "hyp": "d f f a c f b"},
    "mapsswe-base": {"file": "src/sclite/testdata/base_sc_stats/test1a.stats.mapsswe"},
    "mapsswe-synth": {},
    "boot-enum": {},
    "wls-identity": {},
    "signflip-min": {"G": [3, 4, 5, 6, 8, 10]},
    "quantile-n": {"q": [0.95, 0.99]},
}

EXPECTED: dict[str, Any] = {
    "mcn-bentur": {
        "asymptotic_chi2": 4.5,
        "asymptotic_p": 0.033895,
        "exact_cond_p": 0.0703125,
        "midp": 0.0390625,
    },
    "mcn-armitage": {"chi2_cc": 5.785714, "p_cc": 0.0162, "exact_p": 0.012939},
    "mcn-agresti": {
        "chi2": 17.355932,
        "p": 3.0993e-05,
        "chi2_cc": 16.817797,
        "p_cc": 4.1146e-05,
        "exact_p": 3.7159e-05,
    },
    "tango-bentur": {"low": -0.51723, "high": -0.026},
    "newcombe10": {"low": 0.0569, "high": 0.3404},
    "tango-zero": {"half": 0.0495},
    "bh1995": {
        "reject_05": {"bonferroni": 3, "holm": 3, "hochberg": 3, "fdr_bh": 4, "fdr_by": 3},
        "bh_adj_first5": [0.0015, 0.003, 0.0095, 0.035625, 0.0603],
        "holm_adj_first5": [0.0015, 0.0056, 0.0247, 0.114, 0.2211],
    },
    "holm4": [0.03, 0.06, 0.06, 0.02],
    "nan-trap": {
        "multipletests_holm": "[.03,nan,.06] (counts NaN in m)",
        "multipletests_fdr_bh": "[nan,nan,nan]",
        "scipy_fdc": "ValueError",
        "mcnemar_asym_b0c0": "p=0.0 (!) with RuntimeWarning",
        "mcnemar_exact_b0c0": 1.0,
        "bootstrap_percentile_all_zero": "[0,0]",
        "bootstrap_bca_all_zero": "[nan,nan]",
    },
    "gpower-mcn": {"power": 0.839357, "actual_alpha": 0.0325787},
    "connor1987": {"n": 23},
    "connor-155": {"n": 155, "power": 0.801},
    "sign-n": {"n": [158, 37, 18, 8], "two_sided": [199, 49, 20, 12]},
    "miller-n": {"n": 969},
    "pocock": {"crit": [2.178, 2.289], "overall": 0.05},
    "armitage-looks": {"alpha": [0.05, 0.083, 0.107, 0.126, 0.142, 0.193]},
    "kripp": {"nominal": 0.7434, "ordinal": 0.8154, "interval": 0.8491, "ratio": 0.7974},
    "kappa": 0.4,
    "kappa-paradox": 0.2604,
    "passk": {"unbiased": 0.178571, "naive_plugin": 0.244141},
    "passatk": 0.408548,
    "jiwer-doc": {"S": 2, "D": 2, "I": 4, "H": 5, "wer": 0.8889, "mer": 0.6154, "wil": 0.7475, "wip": 0.2525},
    "jiwer-empty": {"wer": 2, "insertions": 2},
    "ratio-vs-mean": {"corpus": 0.1, "mean_of_utt": 0.5},
    "sclite-vs-lev": {"sclite_errors": 7, "sclite_CSDI": [3, 1, 3, 3], "levenshtein": 6},
    "mapsswe-base": {
        "segs": 3,
        "mean": 0.667,
        "sd": 0.577,
        "Z": 2.0,
        "stat_diff": "Yes",
        "t_p_2sided": 0.1835,
        "z_p": 0.0455,
    },
    "mapsswe-synth": {
        "words": 3345,
        "errA": 336,
        "errB": 432,
        "segs": 480,
        "mean": -0.2,
        "sd": 1.185,
        "Z": -3.697,
        "mcn_b": 34,
        "mcn_c": 32,
        "sctk_mcn_p": "<0.001 (BUG)",
        "true_mcn_exact_p": 0.9022,
        "wilcoxon_sctk_Z": -2.35,
        "wilcoxon_scipy_p": 0.01855,
        "sign_sctk_p": 0.146,
        "sign_drop_zero_p": 0.0654,
        "cluster_ratio_diff": 0.0287,
        "cluster_se": 0.00967,
        "cluster_t": 2.968,
        "cluster_p": 0.0128,
        "exact_signflip_p": 0.01367,
    },
    "boot-enum": {
        "values": [0, 0.02, 0.05, 0.06, 0.1, 0.15, 0.166667, 0.233333, 0.3],
        "counts": [1, 3, 3, 3, 7, 3, 3, 3, 1],
        "theta": 0.1,
        "linearised_se": 0.0866025,
    },
    "wls-identity": {"identity": "bse == sqrt(G/(G-1)*sum_g(sum(d-theta n))^2)/sum n ; df=G-1 with use_t"},
    "signflip-min": [0.125, 0.0625, 0.03125, 0.015625, 0.00390625, 0.0009765625],
    "quantile-n": [59, 299],
}

MAPSSWE_SPEAKERS: dict[str, list[int]] = {
    "errors_a": [34, 36, 44, 15, 9, 34, 37, 16, 24, 32, 33, 22],
    "errors_b": [29, 36, 66, 22, 10, 53, 35, 27, 26, 57, 42, 29],
    "words": [262, 292, 303, 272, 211, 296, 259, 302, 286, 289, 259, 314],
}
"""The three NIST files of ``mapsswe-synth``, summed by speaker."""

MAPSSWE_SEGMENTS: dict[int, int] = {-3: 13, -2: 37, -1: 178, 0: 81, 1: 150, 2: 18, 3: 3}
"""Errors of A less those of B in a segment, and how many segments have that many more."""

MAPSSWE_UTTERANCES: tuple[int, int] = (34, 32)
"""Utterances that only A got right, and that only B got right."""
