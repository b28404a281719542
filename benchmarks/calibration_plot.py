"""The plot of ``calibration.py``: four small panels as one SVG, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 860, 640
PANEL_WIDTH, PANEL_HEIGHT = 330, 200
GATES = ("cohort gate", "point estimate", "percentile bootstrap", "overall only")
STYLE = """
  svg { font: 12px system-ui, sans-serif; }
  .page { fill: #ffffff; } text { fill: #1f2328; } .soft { fill: #59636e; }
  .grid { stroke: #d1d9e0; } .axis { stroke: #59636e; } .limit { stroke: #59636e; stroke-dasharray: 2 3; }
  .line { fill: none; stroke-width: 2; } .title { font-weight: 600; font-size: 13px; }
  .s0 { stroke: #0b6bcb; } .s1 { stroke: #c4531a; } .s2 { stroke: #8250df; } .s3 { stroke: #1a7f37; }
  .f0 { fill: #0b6bcb; } .f1 { fill: #c4531a; } .f2 { fill: #8250df; } .f3 { fill: #1a7f37; }
  .s4 { stroke: #59636e; stroke-dasharray: 7 3; } .f4 { fill: #59636e; }
  .s1 { stroke-dasharray: 7 3; } .s2 { stroke-dasharray: 3 3; } .s3 { stroke-dasharray: 9 3 2 3; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } text { fill: #e6edf3; } .soft { fill: #9198a1; }
    .grid { stroke: #2a313c; } .axis { stroke: #9198a1; } .limit { stroke: #9198a1; }
    .s0 { stroke: #58a6ff; } .s1 { stroke: #f0883e; } .s2 { stroke: #bc8cff; } .s3 { stroke: #3fb950; }
    .s4 { stroke: #9198a1; } .f4 { fill: #9198a1; }
    .f0 { fill: #58a6ff; } .f1 { fill: #f0883e; } .f2 { fill: #bc8cff; } .f3 { fill: #3fb950; }
  }
"""


class Panel(NamedTuple):
    """Where a panel is, and the share at its top."""

    left: float
    top: float
    highest: float

    def x(self, position: float) -> float:
        """From 0 (left) to 1 (right)."""
        return self.left + 16 + position * (PANEL_WIDTH - 32)

    def y(self, value: float) -> float:
        """From a share."""
        return self.top + PANEL_HEIGHT * (1 - value / self.highest)

    def frame(self, title: str, below: str, ticks: Sequence[float]) -> list[str]:
        """Title, horizontal grid and the name of the x axis."""
        right, bottom = self.left + PANEL_WIDTH, self.top + PANEL_HEIGHT
        parts = [text(self.left, self.top - 14, title, "title")]
        for tick in ticks:
            at = self.y(tick)
            parts.append(line(self.left, at, right, at, "axis" if tick == 0 else "grid"))
            parts.append(text(self.left - 6, at + 4, f"{100 * tick:.0f} %", "soft", "end"))
        parts.append(text(self.left + PANEL_WIDTH / 2, bottom + 36, below, "soft", "middle"))
        return parts

    def curves(
        self,
        labels: Sequence[int],
        series: Sequence[Sequence[float]],
        styles: Sequence[int] = (0, 1, 2, 3),
    ) -> list[str]:
        """One curve per series; the labels are evenly spaced."""
        places = [i / (len(labels) - 1) for i in range(len(labels))]
        parts = [
            text(self.x(at), self.top + PANEL_HEIGHT + 18, str(label), "soft", "middle")
            for at, label in zip(places, labels, strict=True)
        ]
        for which, values in zip(styles, series, strict=False):
            points = [(self.x(at), self.y(value)) for at, value in zip(places, values, strict=True)]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(f'<polyline class="line s{which}" points="{path}"/>')
            parts += [f'<circle class="f{which}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        return parts


def draw_plot(
    clusters: Sequence[int],
    type_one: Sequence[tuple[float, float, float]],
    false_blocks: Sequence[float],
    sizes: Sequence[int],
    power: Mapping[int, Sequence[tuple[float, ...]]],
) -> str:
    """The SVG.

    Args:
        clusters: speakers per cell of the first panel.
        type_one: for each, the type I error with CR2, without it, and of the bootstrap.
        false_blocks: share of unchanged runs that each of ``GATES`` blocks.
        sizes: speakers in the affected accent.
        power: by true change in pp; for each size, the share found by each of ``GATES``.
    """
    parts = errors_panel(Panel(60, 50, 0.15), clusters, type_one)
    parts += blocks_panel(Panel(490, 50, 1.0), false_blocks)
    for left, (pp, found) in zip((60, 490), sorted(power.items()), strict=True):
        panel = Panel(left, 350, 1.0)
        title = f"One accent of five +{pp} pp WER: found"
        parts += panel.frame(title, "speakers in that accent", (0, 0.25, 0.5, 0.75, 1))
        parts += panel.curves(sizes, list(zip(*found, strict=True)))
    parts += legend(610, GATES, (60, 190, 340, 520))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'aria-label="Type I error, false blocks and power of four gates">',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def errors_panel(
    panel: Panel, clusters: Sequence[int], type_one: Sequence[tuple[float, float, float]]
) -> list[str]:
    """Type I error by the number of speakers."""
    parts = panel.frame(
        "No change, one cell: called worse at 5 %", "speakers (sizes very unequal, σ 1)", (0, 0.05, 0.1, 0.15)
    )
    limit = panel.y(0.06)
    parts.append(line(panel.left, limit, panel.left + PANEL_WIDTH, limit, "limit"))
    parts.append(text(panel.left - 6, limit + 1, "6 %", "soft", "end"))
    for row, (which, name) in enumerate(((2, "percentile bootstrap"), (4, "G−1"), (0, "CR2 (the gate)"))):
        at = panel.top + 14 + 16 * row
        parts.append(line(panel.left + 176, at - 4, panel.left + 200, at - 4, f"line s{which}"))
        parts.append(text(panel.left + 206, at, name))
    return parts + panel.curves(clusters, list(zip(*type_one, strict=True)), (0, 4, 2))


def blocks_panel(panel: Panel, false_blocks: Sequence[float]) -> list[str]:
    """Bars: runs without a change that each gate blocks."""
    parts = panel.frame("No change, 50 speakers: runs blocked", "", (0, 0.25, 0.5, 0.75, 1))
    for which, (name, value) in enumerate(zip(GATES, false_blocks, strict=True)):
        middle, top = panel.x((which + 0.5) / len(GATES)), panel.y(value)
        tall = panel.top + PANEL_HEIGHT - top
        parts.append(
            f'<rect class="f{which}" x="{middle - 22:.1f}" y="{top:.1f}" width="44" height="{tall:.1f}"/>'
        )
        parts.append(text(middle, top - 6, f"{100 * value:.1f} %", "", "middle"))
        for row, word in enumerate(name.split()):
            parts.append(text(middle, panel.top + PANEL_HEIGHT + 18 + 14 * row, word, "soft", "middle"))
    return parts


def legend(top: float, names: Sequence[str], lefts: Sequence[float]) -> list[str]:
    """Names of the curves of the lower panels."""
    parts = []
    for which, (name, left) in enumerate(zip(names, lefts, strict=True)):
        parts.append(line(left, top - 4, left + 24, top - 4, f"line s{which}"))
        parts.append(text(left + 30, top, name))
    return parts


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """A line of text."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'
