"""The table of cohorts and metrics, whose cells lead to the calls behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voiceeval.cohort import Cohort
from voiceeval.reports.cohort_table import CohortRow, CohortTable
from voiceeval.reports.page_links import cohort_href

_LONGEST_HREF = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRow:
    """One cohort, with the link of each of its cells."""

    number: int
    """Its place in the table; ids on the page are made of it, never of a name."""
    row: CohortRow
    href: str
    hrefs: Mapping[str, str]
    """By metric name."""


def heat_rows(table: CohortTable) -> tuple[HeatRow, ...]:
    """The table's rows with their links."""
    return tuple(
        HeatRow(
            number=number,
            row=row,
            href=view_href(row.cohort),
            hrefs={name: view_href(row.cohort, metric=name) for name in row.cells},
        )
        for number, row in enumerate(table.rows)
    )


def view_href(cohort: Cohort, *, metric: str = "") -> str:
    """The page of a cohort; just the page where names are too long for a link."""
    href = cohort_href(cohort, metric=metric)
    return href if len(href) <= _LONGEST_HREF else cohort_href(Cohort())
