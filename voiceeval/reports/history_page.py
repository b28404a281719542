"""The page of a history: a table per metric, a row per cohort, a column per release, and the trend drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voiceeval.reports.page_frame import copy_assets, page_frame
from voiceeval.reports.page_templates import page_templates
from voiceeval.reports.trend_lines import HEIGHT, WIDTH, TrendLine, scale, trend_line
from voiceeval.reports.wording import level
from voiceeval.run_history import History, Release, Trend
from voiceeval.score import MetricInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricHistory:
    """All trends of one metric, on one scale."""

    metric: MetricInfo
    rows: tuple[tuple[Trend, TrendLine], ...]
    lowest: str
    highest: str

    @property
    def broken(self) -> bool:
        """Whether a line of it is interrupted."""
        return any(line.broken for _, line in self.rows)


def write_history(found: History, trends: Sequence[Trend], folder: Path) -> Path:
    """Write ``history.html`` with its style into ``folder``; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_assets(folder)
    releases = releases_of(found, trends)
    page = (
        page_templates()
        .get_template("history.html.j2")
        .render(
            history=found,
            releases=releases,
            metrics=metric_histories(trends, releases),
            said=level,
            width=WIDTH,
            height=HEIGHT,
            **page_frame("history"),
        )
    )
    path = folder / "history.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def releases_of(found: History, trends: Sequence[Trend]) -> tuple[Release, ...]:
    """The releases that any of the shown trends has a level of, oldest first."""
    return tuple(release for release in found.releases if any(release in trend.levels for trend in trends))


def metric_histories(trends: Sequence[Trend], releases: Sequence[Release]) -> tuple[MetricHistory, ...]:
    """The trends by metric, in their order."""
    names = list(dict.fromkeys(trend.metric.name for trend in trends))
    return tuple(
        _metric_history([trend for trend in trends if trend.metric.name == name], releases) for name in names
    )


def _metric_history(trends: Sequence[Trend], releases: Sequence[Release]) -> MetricHistory:
    low, high = scale(trends, releases)
    metric = trends[0].metric
    return MetricHistory(
        metric=metric,
        rows=tuple((trend, trend_line(trend, releases, low=low, high=high)) for trend in trends),
        lowest=level(metric, low),
        highest=level(metric, high),
    )
