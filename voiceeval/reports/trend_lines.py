"""Where the points of a drawn trend lie, and which of them a line may join. Drawing only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voiceeval.run_history import Level, Release, Trend

WIDTH, HEIGHT = 240, 48
"""Of the drawing, in its own units."""
_EDGE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """The level of one release."""

    x: float
    y: float
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendLine:
    """One trend on the releases that all trends share."""

    points: tuple[TrendPoint, ...]
    pieces: tuple[str, ...]
    """As SVG points, ``x,y x,y``: only levels that were measured alike are joined."""

    @property
    def broken(self) -> bool:
        """Whether neighbours were not measured alike."""
        return any(
            one.level.alike != other.level.alike
            for one, other in zip(self.points, self.points[1:], strict=False)
        )


def trend_line(trend: Trend, releases: Sequence[Release], *, low: float, high: float) -> TrendLine:
    """Draw one trend; ``low`` and ``high`` are the scale that the metric's trends share."""
    points = []
    for place, release in enumerate(releases):
        for level in trend.shown(release):
            across = place / max(len(releases) - 1, 1)
            up = (level.value - low) / (high - low) if high > low else 0.5
            points.append(
                TrendPoint(
                    x=round(_EDGE + (WIDTH - 2 * _EDGE) * across, 2),
                    y=round(HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * up, 2),
                    level=level,
                )
            )
    return TrendLine(points=tuple(points), pieces=tuple(_pieces(points)))


def scale(trends: Sequence[Trend], releases: Sequence[Release]) -> tuple[float, float]:
    """Lowest and highest level that is shown of any of the trends; 0 and 0 where there is none."""
    values = [level.value for trend in trends for release in releases for level in trend.shown(release)]
    return (min(values), max(values)) if values else (0.0, 0.0)


def _pieces(points: Sequence[TrendPoint]) -> list[str]:
    pieces: list[list[TrendPoint]] = []
    for point in points:
        if pieces and pieces[-1][-1].level.alike == point.level.alike:
            pieces[-1].append(point)
        else:
            pieces.append([point])
    return [" ".join(f"{point.x},{point.y}" for point in piece) for piece in pieces if len(piece) > 1]
