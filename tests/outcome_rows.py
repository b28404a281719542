"""Tables of outcomes for tests: rows as dictionaries, written and read as users would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from voiceeval.cohort import Pair
from voiceeval.comparison_settings import Given, table_gate
from voiceeval.outcome_cells import SCORED
from voiceeval.outcome_files import RawTable, write_columns
from voiceeval.outcome_tables import OutcomeTable, outcome_table
from voiceeval.score import NotScored
from voiceeval.table_comparison import TableGate, compare_tables
from voiceeval.verdict import Comparison

Row = Mapping[str, Any]
TODAY = date(2026, 3, 1)


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def table(rows: Sequence[Row], source: str = "a.csv") -> OutcomeTable:
    return outcome_table(
        RawTable(source=source, columns=columns(rows), unit="line", numbers=range(2, len(rows) + 2))
    )


def written(rows: Sequence[Row], path: Path) -> Path:
    write_columns(path, columns(rows))
    return path


def rows_of(pairs: Iterable[Pair], metric: str, *, candidate: bool) -> list[dict[str, Any]]:
    """One arm of pairs as rows."""
    found = []
    for pair in pairs:
        score, planned = pair.candidate if candidate else pair.baseline, pair.planned
        row: dict[str, Any] = {
            "call": planned.id.removesuffix(f"/{planned.trial}"),
            "trial": planned.trial,
            "speaker": planned.speaker,
            "scenario": planned.scenario,
            "critical": planned.critical,
            **planned.tags,
            "metric": metric,
        }
        if isinstance(score, NotScored):
            row |= {"gap": str(score.gap)}
        else:
            row |= {
                "numerator": float(score.total.numerator),
                "denominator": float(score.total.denominator),
                "observations": " ".join(f"{o.numerator!r}/{o.denominator!r}" for o in score.observations),
            }
        found.append(row)
    return found


def how(*margins: str, **options: Any) -> TableGate:
    """As the command line says, without a file."""
    return table_gate(None, Given(margins=margins, **options), today=TODAY)


def compared(baseline: Sequence[Row], candidate: Sequence[Row], *margins: str, **options: Any) -> Comparison:
    return compare_tables(
        table(baseline, "a.csv"), table(candidate, "b.csv"), how(*(margins or ("wer=+2pp",)), **options)
    )


def same(one: OutcomeTable, other: OutcomeTable) -> bool:
    """Whether two tables say the same of every call."""
    texts = [
        [column[row] for row in range(len(each.gap))]
        for each in (one, other)
        for column in (each.key, each.metric, *(each.facts[name] for name in sorted(each.facts)))
    ]
    half = len(texts) // 2
    numbers = [
        [each.numerator.tolist(), each.denominator.tolist(), each.gap.tolist(), each.log_sum.tolist()]
        for each in (one, other)
    ]
    return (
        texts[:half] == texts[half:] and numbers[0] == numbers[1] and sorted(one.facts) == sorted(other.facts)
    )


__all__ = ["SCORED", "columns", "compared", "how", "rows_of", "same", "table", "written"]
