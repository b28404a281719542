"""An interval drawn in a line of text: ``  ─│─●─ ┊``, beside its zero and its margin, worse to the right.

A column of text is coarse: rounding could put an interval on the wrong side of what it is held against. Here
it never does: a bound is drawn left of, on or right of zero and of the margin just as the number is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from voiceeval.reports.interval_bars import margin_worse_by
from voiceeval.score import Direction
from voiceeval.verdict import Estimate, Verdict

POINT, LINE, ZERO, MARGIN, CROSSED, FARTHER_LEFT, FARTHER_RIGHT = "●─│┊┼◂▸"
ASCII = str.maketrans({POINT: "o", LINE: "-", ZERO: "|", MARGIN: ":", CROSSED: "+", "◂": "<", "▸": ">"})
"""For terminals whose encoding lacks them."""
LEAST_WIDTH = 9
_COLUMNS_PER_MARGIN = 2
_LEAST_MARGIN = 1e-9
_SHARE_BETTER = 0.4
"""Of a drawing that has not room for everything, how much is left for what is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """An interval turned so that + is worse, and what it is held against."""

    lower: float
    upper: float
    point: float
    margin: float
    """0 where none is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """From a worsening to a column; linear, and the same for every cohort of a metric."""

    per_column: float
    zero: int
    width: int

    def column(self, worse_by: float) -> int:
        """Where it lies, which may be beyond the drawing."""
        if math.isinf(worse_by):
            return -1 if worse_by < 0 else self.width
        far = min(max(worse_by / self.per_column, -2.0 * self.width), 2.0 * self.width)
        return self.zero + round(far)

    def beside(self, worse_by: float, marks: Sequence[tuple[float, int]]) -> int:
        """Its column, moved where rounding would put it on the wrong side of a mark, or onto one."""
        column = self.column(worse_by)
        for value, at in marks:
            if worse_by < value:
                column = min(column, at - 1)
            elif worse_by > value:
                column = max(column, at + 1)
            else:
                return at
        return column


def interval_lines(verdicts: Iterable[Verdict], width: int) -> Mapping[str, str]:
    """A drawing of ``width`` columns per verdict id, on one scale: for the verdicts of one metric.

    A margin takes two columns at least, even where not all has room then: an interval that goes on beyond the
    edge ends in an arrow. Verdicts without an estimate have no drawing.
    """
    if width < LEAST_WIDTH:
        return {}
    held = {verdict.id: found for verdict in verdicts for found in _held(verdict)}
    axis = _axis(list(held.values()), width)
    return {id_: _drawn(found, axis) for id_, found in held.items()}


def _held(verdict: Verdict) -> tuple[_Held, ...]:
    estimate = verdict.estimate
    if not isinstance(estimate, Estimate):
        return ()
    lower, upper = estimate.interval.lower, estimate.interval.upper
    if verdict.metric.direction is Direction.HIGHER_IS_BETTER:
        lower, upper = -upper, -lower
    margin = next((amount for amount in margin_worse_by(verdict) if amount > _LEAST_MARGIN), 0.0)
    return (_Held(lower=lower, upper=upper, point=estimate.worse_by, margin=margin),)


def _axis(held: Sequence[_Held], width: int) -> _Axis:
    bounds = [bound for each in held for bound in (each.lower, each.upper) if math.isfinite(bound)]
    margins = [each.margin for each in held if each.margin]
    left, right = min([0.0, *bounds]), max([0.0, *bounds, *margins])
    inside = width - 3
    per_column = (right - left) / inside or 1.0
    if margins:
        # The margin that most cohorts have; a smaller one of a single cohort must be seen all the same.
        per_column = min(per_column, min(margins) / _COLUMNS_PER_MARGIN)
    needed_left, needed_right = math.ceil(-left / per_column) + 1, math.ceil(right / per_column) + 1
    if needed_left + needed_right < width:
        spare = width - 1 - needed_left - needed_right
        return _Axis(per_column=per_column, zero=needed_left + spare // 2, width=width)
    room_left = max(round(_SHARE_BETTER * (width - 1)), width - 1 - needed_right)
    return _Axis(per_column=per_column, zero=min(needed_left, room_left), width=width)


def _drawn(held: _Held, axis: _Axis) -> str:
    marks = [(0.0, axis.zero)]
    if held.margin:
        marks.append((held.margin, axis.column(held.margin)))
    cells = [" "] * axis.width
    for (_, at), mark in zip(marks, (ZERO, MARGIN), strict=False):
        if at < axis.width:
            cells[at] = mark
    lower, upper = axis.beside(held.lower, marks), axis.beside(held.upper, marks)
    last = axis.width - 1
    for column in range(max(lower, 0), min(upper, last) + 1):
        cells[column] = LINE if cells[column] == " " else CROSSED
    if lower < 0:
        cells[0] = FARTHER_LEFT
    if upper > last:
        cells[last] = FARTHER_RIGHT
    point = min(max(axis.column(held.point), lower), upper)
    if 0 <= point <= last:
        cells[point] = POINT
    return "".join(cells)
