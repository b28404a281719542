"""Margins as people would write them: the smallest sensible step that a cell can certify."""

from __future__ import annotations

import math
from collections.abc import Mapping

from voiceeval.margins import Margin, Unit
from voiceeval.planning.cells import Cell
from voiceeval.planning.noise import Design, Goal, Noise, chance_to_certify

STEPS: Mapping[Unit, float] = {"share": 0.005, "ms": 10.0, "currency": 0.001, "relative": 0.01}
"""Half a percentage point, ten milliseconds, a tenth of a cent, one per cent of the baseline."""
MOST_STEPS = 2000
"""Where a search for a margin gives up: 1000 pp, 20 s, 2000 %."""


def margin_of(steps: int, like: Margin) -> Margin:
    """So many steps of the other margin's unit, written as it is.

    >>> margin_of(7, Margin.parse("+2pp")).written
    '+3.5pp'
    """
    amount = steps * STEPS[like.unit]
    if like.unit in ("share", "relative"):
        return Margin.parse(f"+{100 * amount:g}{'pp' if like.unit == 'share' else '%'}")
    if like.unit == "ms":
        return Margin.parse(f"+{amount:g}ms")
    return Margin.parse(f"+{amount:g}{like.written.lstrip('+.0123456789')}")


def doubled(margin: Margin) -> Margin:
    """Twice the margin, written as it is.

    >>> doubled(Margin.parse("+2pp")).written
    '+4pp'
    """
    unit = margin.written.lstrip("+.0123456789")
    number = margin.written.removeprefix("+").removesuffix(unit)
    return Margin.parse(f"+{2 * float(number):g}{unit}")


def steps_in(margin: Margin) -> int:
    """The margin in steps of its unit, rounded up."""
    return math.ceil(margin.amount / STEPS[margin.unit] - 1e-9)


def certifiable(
    cell: Cell, noise: Noise, goal: Goal, *, design: Design | None = None, power: float | None = None
) -> Margin | None:
    """The smallest margin in steps that the cell certifies with the wished power; None where none is."""
    wished = goal.power if power is None else power

    def enough(steps: int) -> bool:
        tolerance = cell.tolerance(margin_of(steps, cell.margin))
        return chance_to_certify(noise, tolerance, goal, design) >= wished

    high = 1
    while not enough(high):
        high *= 2
        if high > MOST_STEPS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return margin_of(high, cell.margin)
