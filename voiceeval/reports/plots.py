"""A small gallery of plots for a release note: verdicts, differences with intervals, and latency.

They show what the report's first screen shows, for places where a page cannot go. Drawn by matplotlib, which
is an extra.
"""

from __future__ import annotations

import io
import math
import string
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from voiceeval.call import Arm
from voiceeval.content_files import write_whole
from voiceeval.extras import require
from voiceeval.reports.call_list import slug
from voiceeval.reports.cohort_table import CohortRow, CohortTable, gating_table
from voiceeval.reports.interval_bars import margin_worse_by
from voiceeval.reports.manifest_view import arm_view
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import ELLIPSIS, SIGNS, WAIVED_SIGN, difference, headline, one_line
from voiceeval.score import Direction, MetricInfo, Scored
from voiceeval.verdict import Estimate, Outcome, Verdict

Format = Literal["svg", "png"]
FORMATS: tuple[Format, ...] = ("svg", "png")
MOST_ROWS = 40
"""Cohorts in one plot; the worst ones, and how many are left out is said."""
_LONGEST_NAME = 60
_PLAIN = frozenset(string.ascii_lowercase + string.digits + "_-")
_INK = {
    Outcome.INVALID: ("#f5e1fb", "#7a1fa2"),
    Outcome.REGRESSED: ("#ffe3e3", "#a40e26"),
    Outcome.INCONCLUSIVE: ("#fff3d1", "#7a4d00"),
    Outcome.PASSED: ("#e4f5e7", "#14632a"),
    Outcome.IMPROVED: ("#dcf0fc", "#0b5a8a"),
}
_ARM_INK = {Arm.BASELINE: "#57606a", Arm.CANDIDATE: "#0550ae"}
_SETTINGS: Mapping[str, Any] = {
    "text.parse_math": False,  # a dollar sign in a cohort's name is a dollar sign
    "svg.hashsalt": "voiceeval",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw_plots(report: ReportInput, folder: Path, *, formats: Sequence[Format] = FORMATS) -> tuple[Path, ...]:
    """Write ``verdicts``, per gated metric ``differences-<metric>``, and per gated time ``latency-<metric>``.

    Equal runs give equal files.

    Raises:
        RegistryError: matplotlib is not installed.
    """
    table = gating_table(report.comparison)
    drawings: dict[str, Callable[[], Any]] = {"verdicts": partial(_verdicts, report, table)}
    for metric in table.metrics:
        # Metrics of other packages may be called anything; a file may not.
        safe = slug(metric.name) if set(metric.name) - _PLAIN else metric.name
        drawings[f"differences-{safe}"] = partial(_differences, table, metric)
        if metric.unit == "ms":
            drawings[f"latency-{safe}"] = partial(_latency, report, metric)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with warnings.catch_warnings():
        # A character that the font lacks is drawn as a box, which is no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        with _matplotlib().rc_context(dict(_SETTINGS)):
            for name, draw in drawings.items():
                figure = draw()
                written += [_saved(figure, folder / f"{name}.{format_}", format_) for format_ in formats]
    return tuple(written)


def _matplotlib() -> Any:
    require("matplotlib", extra="plots", needed_by="a plot of a run")
    import matplotlib as mpl

    return mpl


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure without a window, whatever the machine has, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _saved(figure: Any, path: Path, format_: Format) -> Path:
    buffer = io.BytesIO()
    nothing = {"Date": None, "Creator": None} if format_ == "svg" else {"Software": None}
    figure.savefig(buffer, format=format_, dpi=160, metadata=nothing, facecolor="white")
    write_whole(path, buffer.getvalue())
    return path


def _verdicts(report: ReportInput, table: CohortTable) -> Any:
    from matplotlib.patches import Rectangle

    rows, left_out = _shown(table.rows)
    metrics = table.metrics
    figure, axes = _figure(_beside(rows) + 1.55 * max(len(metrics), 1), 1.5 + 0.38 * max(len(rows), 1))
    for down, row in enumerate(rows):
        for across, metric in enumerate(metrics):
            if metric.name not in row.cells:
                continue
            verdict = row.cells[metric.name]
            paper, ink = _INK[verdict.outcome]
            axes.add_patch(
                Rectangle((across, down), 0.96, 0.9, facecolor=paper, edgecolor=ink, linewidth=0.8)
            )
            axes.text(
                across + 0.48, down + 0.45, _cell(verdict), color=ink, ha="center", va="center", fontsize=9
            )
    axes.set(xlim=(0, max(len(metrics), 1)), ylim=(max(len(rows), 1), 0))
    axes.set_xticks(
        [place + 0.48 for place in range(len(metrics))],
        [_wrapped(metric.title) for metric in metrics],
        fontsize=9,
    )
    axes.xaxis.tick_top()
    axes.set_yticks([place + 0.45 for place in range(len(rows))], [_name(row) for row in rows], fontsize=9)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    named = [_cut(arm_view(report.comparison.manifest, arm).label) for arm in Arm]
    figure.suptitle(f"{headline(report.comparison)}: {named[0]} → {named[1]}", fontsize=11, weight="bold")
    legend = "  ".join(f"{sign} {outcome}" for outcome, sign in SIGNS.items())
    axes.set_xlabel(f"{legend}\ncandidate minus baseline{left_out}", fontsize=8)
    return figure


def _cell(verdict: Verdict) -> str:
    sign = WAIVED_SIGN if verdict.waiver else SIGNS[verdict.outcome]
    if not isinstance(verdict.estimate, Estimate):
        return f"{sign} {verdict.outcome}"
    return f"{sign} {difference(verdict.metric, verdict.estimate.difference)}"


def _differences(table: CohortTable, metric: MetricInfo) -> Any:
    rows = [
        row
        for row in table.rows
        if metric.name in row.cells and isinstance(row.cells[metric.name].estimate, Estimate)
    ]
    rows, left_out = _shown(rows)
    figure, axes = _figure(5.2 + _beside(rows), 1.4 + 0.34 * max(len(rows), 1))
    scale = 100.0 if metric.unit == "share" else 1.0
    bounds = [
        abs(bound)
        for row in rows
        for estimate in [row.cells[metric.name].estimate]
        if isinstance(estimate, Estimate)
        for bound in (estimate.interval.lower, estimate.interval.upper, estimate.difference)
    ]
    # An unbounded interval is drawn to where the widest bounded one ends.
    reach = max((bound for bound in bounds if math.isfinite(bound)), default=1.0)
    for down, row in enumerate(rows):
        _difference_row(axes, row.cells[metric.name], down, scale=scale, reach=reach)
    axes.axvline(0, color="#1b1f24", linewidth=1)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows], fontsize=9)
    axes.tick_params(axis="y", length=0)
    unit = {"share": "percentage points", "ms": "ms", "currency": "price table's currency"}.get(
        metric.unit, ""
    )
    axes.set_xlabel(
        f"candidate minus baseline, {unit or metric.unit}; {metric.direction}; dashed: margin{left_out}",
        fontsize=8,
    )
    axes.set_title(_cut(metric.title), fontsize=11, weight="bold", loc="left")
    return figure


def _difference_row(axes: Any, verdict: Verdict, down: int, *, scale: float, reach: float) -> None:
    estimate = verdict.estimate
    if not isinstance(estimate, Estimate):
        return
    _, ink = _INK[verdict.outcome]
    lower = scale * max(estimate.interval.lower, -reach)
    upper = scale * min(estimate.interval.upper, reach)
    axes.plot([lower, upper], [down, down], color=ink, linewidth=2, solid_capstyle="butt")
    axes.plot([scale * estimate.difference], [down], marker="o", color=ink, markersize=5)
    worse = -1 if verdict.metric.direction is Direction.HIGHER_IS_BETTER else 1
    for amount in margin_worse_by(verdict):
        at = worse * scale * amount
        axes.plot([at, at], [down - 0.4, down + 0.4], color="#57606a", linewidth=1, linestyle=(0, (3, 2)))
    axes.annotate(
        _cell(verdict),
        xy=(1.01, down),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=8,
        color=ink,
    )


def _latency(report: ReportInput, metric: MetricInfo) -> Any:
    figure, axes = _figure(8.0, 4.0)
    targets = report.comparison.manifest.get("targets", {})
    for arm in Arm:
        times = sorted(_observed(report, metric, arm))
        if not times:
            continue
        shares = [(place + 1) / len(times) for place in range(len(times))]
        label = f"{arm}: {len(times):,} turns"
        style = "--" if arm is Arm.BASELINE else "-"
        axes.step(times, shares, where="post", color=_ARM_INK[arm], linestyle=style, label=label)
    for name, at in (targets.get(metric.name, {}) if isinstance(targets, Mapping) else {}).items():
        axes.plot([at], [int(name[1:]) / 100], marker="D", color="#a40e26", markersize=6, linestyle="none")
        axes.annotate(f" {name} target", xy=(at, int(name[1:]) / 100), fontsize=8, color="#a40e26", va="top")
    for share in (0.5, 0.95, 0.99):
        axes.axhline(share, color="#d5d9de", linewidth=0.8, zorder=0)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 0.95, 0.99], ["0", "25 %", "p50", "75 %", "p95", "p99"], fontsize=8)
    axes.set(ylim=(0, 1.02), xlim=(0, None))
    axes.set_xlabel("ms of simulated time", fontsize=9)
    axes.set_title(f"{_cut(metric.title)}, overall", fontsize=11, weight="bold", loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def _observed(report: ReportInput, metric: MetricInfo, arm: Arm) -> list[float]:
    found: list[float] = []
    for planned in report.planned:
        score = report.scores.get((arm_call_id(planned, arm), metric.name))
        if isinstance(score, Scored):
            found += [each.numerator / each.denominator for each in score.observations if each.denominator]
    return found


def _shown(rows: Sequence[CohortRow]) -> tuple[list[CohortRow], str]:
    """The first rows, which are overall and the worst, and a remark on the rest."""
    left_out = len(rows) - MOST_ROWS
    return list(rows[:MOST_ROWS]), f"; {left_out} more cohorts are not shown" if left_out > 0 else ""


def _beside(rows: Sequence[CohortRow]) -> float:
    """Inches that the names of the rows take."""
    return 0.4 + 0.08 * max((len(_name(row)) for row in rows), default=0)


def _name(row: CohortRow) -> str:
    return _cut(row.cohort.name)


def _wrapped(title: str) -> str:
    return "\n".join(textwrap.wrap(_cut(title), width=16))


def _cut(name: str) -> str:
    """A name that leaves room for the plot beside it."""
    whole = one_line(name, limit=10 * _LONGEST_NAME)
    return whole if len(whole) <= _LONGEST_NAME else f"{whole[: _LONGEST_NAME - 1]}{ELLIPSIS}"
