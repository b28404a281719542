"""The tables of ``calibration.py``: how many replicates, what a figure looks like, Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED = 20250101


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """How many replicates each section takes."""

    cells: int = 40_000
    bootstrapped_cells: int = 10_000
    suites: int = 10_000
    bootstrapped_suites: int = 2_000
    power: int = 4_000
    end_to_end: int = 60


QUICK = Runs(cells=400, bootstrapped_cells=200, suites=100, bootstrapped_suites=50, power=50, end_to_end=2)


class Section(NamedTuple):
    """A table of the page, by its marker."""

    marker: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def share(happened: NDArray[np.bool_]) -> float:
    """Mean, as a plain number."""
    return float(np.mean(happened))


def percent(value: float) -> str:
    """One decimal under 10 %, none above."""
    return f"{100 * value:.1f}" if value < 0.0995 else f"{100 * value:.0f}"


def markdown(section: Section) -> str:
    """A GitHub table; figures to the right."""
    numeric = [i > 0 and value[:1].isdigit() for i, value in enumerate(section.rows[-1])]
    rule = ["--:" if number else "---" for number in numeric]
    lines = [section.header, rule, *section.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
