"""The plot of ``recognizers.py``: WER by accent strength and by noise, a column of panels per recognizer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from calibration_plot import PANEL_HEIGHT, PANEL_WIDTH, STYLE, Panel, line, text
from numpy.typing import NDArray

Curve = tuple[str, str, NDArray[np.float64]]
"""Recognizer, what changes, and the WER by level."""

MORE_STYLES = """
  .s5 { stroke: #9a6700; stroke-dasharray: 1 3; } .f5 { fill: #9a6700; }
  @media (prefers-color-scheme: dark) { .s5 { stroke: #d29922; } .f5 { fill: #d29922; } }
"""
LEFT, TOP, ACROSS, DOWN = 60, 50, 430, 310
TICKS = (0, 0.25, 0.5, 0.75, 1, 1.25)


def draw_plot(
    by_accent: Sequence[Curve],
    by_noise: Sequence[Curve],
    strengths: Sequence[str],
    ratios: Sequence[str],
) -> str:
    """The SVG. WER above 125 % is drawn at the top of its panel."""
    names = list(dict.fromkeys(recognizer for recognizer, _, _ in by_accent))
    width, height = ACROSS * len(names), TOP + 2 * DOWN
    parts = []
    for row, (curves, below, labels) in enumerate(
        ((by_accent, "strength of the accent", strengths), (by_noise, "signal-to-noise ratio, dB", ratios))
    ):
        all_of_them = list(dict.fromkeys(what for _, what, _ in curves))
        for column, name in enumerate(names):
            panel = Panel(LEFT + ACROSS * column, TOP + DOWN * row, TICKS[-1])
            mine = {what: rates for recognizer, what, rates in curves if recognizer == name}
            parts += panel.frame(f"{name}: WER", below, TICKS)
            parts += drawn(panel, labels, [mine.get(what) for what in all_of_them])
            if column == 0:
                parts += legend(panel, all_of_them)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-label="Word error rate by accent strength and by signal-to-noise ratio">',
            f"<style>{STYLE}{MORE_STYLES}</style>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def drawn(panel: Panel, labels: Sequence[str], series: Sequence[NDArray[np.float64] | None]) -> list[str]:
    """One curve per series that was measured; the levels are evenly spaced."""
    places = [at / (len(labels) - 1) for at in range(len(labels))]
    parts = [
        text(panel.x(at), panel.top + PANEL_HEIGHT + 18, label, "soft", "middle")
        for at, label in zip(places, labels, strict=True)
    ]
    for which, values in enumerate(series):
        if values is None:
            continue
        points = [
            (panel.x(at), panel.y(min(float(value), panel.highest)))
            for at, value in zip(places, values, strict=True)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line s{which}" points="{path}"/>')
        parts += [f'<circle class="f{which}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return parts


def legend(panel: Panel, names: Sequence[str]) -> list[str]:
    """Below the panels, once a row."""
    parts, left, top = [], panel.left, panel.top + PANEL_HEIGHT + 58
    for which, name in enumerate(names):
        parts.append(line(left, top - 4, left + 24, top - 4, f"line s{which}"))
        parts.append(text(left + 30, top, name))
        left += PANEL_WIDTH / 3.2
    return parts
