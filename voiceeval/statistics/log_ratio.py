"""Durations on a log scale: the ratio of geometric means, as the difference of milliseconds that people read.

Waiting times are skewed, and a change acts on them as a factor. The clustered contrast of mean logarithms
estimates log(candidate / baseline) per turn; where the arms have the same turns it is the mean of the paired
log-ratios.
"""

from __future__ import annotations

import math
from dataclasses import replace

from voiceeval.statistics.paired_test import PairedResult


def from_log_scale(found: PairedResult) -> PairedResult:
    """A result of logarithms, as the difference of geometric means.

    With g the baseline's geometric mean, a log-ratio θ is a difference of g·(exp(θ) − 1): the same test and
    the same bounds in other words, with g taken as the scale.
    """
    g = math.exp(found.baseline)
    tolerated = g * math.expm1(found.tolerated)
    worse_by, lower, upper, detectable = (
        g * math.expm1(value) for value in (found.worse_by, found.lower, found.upper, found.detectable)
    )
    return replace(
        found,
        baseline=g,
        candidate=math.exp(found.candidate),
        worse_by=worse_by,
        lower=lower,
        upper=upper,
        excess=worse_by - tolerated,
        excess_upper=g * math.exp(found.tolerated) * math.expm1(found.excess_upper),
        tolerated=tolerated,
        detectable=detectable,
        method=f"{found.method}, of log-ratios (geometric means)",
    )
