"""Outcomes per call as a table, one row per call and metric, whoever placed the calls.

========================  ==============================================================================
``call``                  what pairs the two tables; one row per call, ``trial`` and metric
``speaker``               who called: calls of one speaker are not independent
``metric``                a bundled metric's name, or a declared one's
``numerator``,            the call's counts, such as errors and words; the denominator 0 or more
``denominator``
``value``                 in their place: a numerator over 1
``gap``                   why there is no score, in the words of ``Gap``; otherwise empty
``trial``                 which repeat of the call, from 0
``scenario``              what the call was about; without the column, the call itself
``critical``              true where losing the scenario altogether is a regression whatever the numbers
``observations``          what the sums are sums of, ``812 640`` or ``3/12 0/7``
========================  ==============================================================================

Every other column is a tag that cohorts can be made of; an empty cell is a call without the tag. Speaker,
scenario and tags are the call's: they are the same in all of its rows. Nothing is dropped: a row without a
number and without a gap is an error that names file, row and column. ``docs/outcome-tables.md`` says more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voiceeval.errors import TableError
from voiceeval.outcome_cells import (
    RESERVED,
    Coded,
    FloatArray,
    IntArray,
    check_columns,
    flags,
    gaps,
    log_sums,
    shown,
    sums,
    texts,
    trials,
)
from voiceeval.outcome_files import RawTable, read_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeTable:
    """One arm's outcomes as columns, by call, trial and metric whatever the order of the file."""

    source: str
    """The file as messages name it."""
    unit: str
    """``line`` or ``record``."""
    number: IntArray
    """Where each row stands in the file, from 1."""
    key: Coded
    """Call and trial together, ``call/trial``: what is paired."""
    call: Coded
    trial: IntArray
    metric: Coded
    numerator: FloatArray
    """0 without a score."""
    denominator: FloatArray
    """0 without a score, unless a failed call states what it would have been scored over."""
    gap: IntArray
    """An index of ``GAPS``, or ``SCORED``."""
    log_sum: FloatArray
    """Denominators times logarithms of the observations, for geometric means; at least 20 ms each."""
    facts: Mapping[str, Coded]
    """What is the call's: ``speaker``, ``scenario``, ``critical`` (``true`` or empty) and its tags, by
    name."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The columns that cohorts can be made of, sorted."""
        return tuple(sorted(self.facts.keys() - set(RESERVED)))

    def place(self, row: int, column: str = "") -> str:
        """How a message begins: ``a.csv: line 3: speaker``."""
        here = f"{self.source}: {self.unit} {self.number[row]}"
        return f"{here}: {column}" if column else here


def read_outcomes(path: Path, *, ignore: Collection[str] = ()) -> OutcomeTable:
    """Read a table and check every row of it.

    Args:
        path: CSV, JSON, JSON lines or Parquet, by its name.
        ignore: columns that are neither facts of the call nor cohort tags, such as a time of day.

    Raises:
        TableError: The first thing that is wrong, with file, row and column.
    """
    return outcome_table(read_columns(path), ignore=ignore)


def outcome_table(raw: RawTable, *, ignore: Collection[str] = ()) -> OutcomeTable:
    """What the columns mean; TableError for the first row that is wrong."""
    check_columns(raw, ignore)
    call, metric = texts(raw, "call", required=True), texts(raw, "metric", required=True)
    trial = trials(raw)
    gap = gaps(raw)
    numerator, denominator = sums(raw, gap)
    facts = {
        "speaker": texts(raw, "speaker", required=True),
        "scenario": texts(raw, "scenario", required=True) if "scenario" in raw.columns else call,
        "critical": flags(raw),
        **{
            name: texts(raw, name, required=False)
            for name in sorted(raw.columns.keys() - set(RESERVED) - set(ignore))
        },
    }
    key = _keys(call, trial)
    order = np.lexsort((key.codes, metric.codes))
    table = OutcomeTable(
        source=raw.source,
        unit=raw.unit,
        number=np.fromiter(raw.numbers, dtype=np.int64)[order],
        key=key.at(order),
        call=call.at(order),
        trial=trial[order],
        metric=metric.at(order),
        numerator=numerator[order],
        denominator=denominator[order],
        gap=gap[order],
        log_sum=log_sums(raw, numerator, denominator, gap)[order],
        facts={name: column.at(order) for name, column in facts.items()},
    )
    _refuse_duplicates(table)
    _refuse_changing_facts(table)
    return table


def _keys(call: Coded, trial: IntArray) -> Coded:
    """Call and trial as one name; each distinct one is made once."""
    repeats = int(trial.max()) + 1
    found, place = np.unique(call.codes * repeats + trial, return_inverse=True)
    names = Coded.of([f"{call.names[code // repeats]}/{code % repeats}" for code in found.tolist()])
    return names.at(place)


def _refuse_duplicates(table: OutcomeTable) -> None:
    same = (np.diff(table.key.codes) == 0) & (np.diff(table.metric.codes) == 0)
    if bool(same.any()):
        rows = sorted(int(np.argmax(same)) + step for step in (0, 1))
        first, second = sorted(rows, key=lambda row: int(table.number[row]))
        raise TableError(
            f"{table.place(second, 'call')}: {shown(table.call[second])}, trial {table.trial[second]}, has "
            f"{table.metric[second]!r} in {table.unit} {table.number[first]} already; a repeat needs a trial "
            "of its own"
        )


def _refuse_changing_facts(table: OutcomeTable) -> None:
    """A call has one speaker, one scenario and one value of each tag, whatever was measured of it."""
    as_written = np.argsort(table.number)
    codes, first = np.unique(table.call.codes[as_written], return_index=True)
    reference = np.zeros(len(table.call.names), dtype=np.int64)
    reference[codes] = as_written[first]
    for name, fact in table.facts.items():
        changed = np.flatnonzero(fact.codes != fact.codes[reference[table.call.codes]])
        if len(changed):
            row = int(changed[np.argmin(table.number[changed])])
            other = int(reference[table.call.codes[row]])
            raise TableError(
                f"{table.place(row, name)}: {shown(fact[row])}, but {shown(fact[other])} in {table.unit} "
                f"{table.number[other]} of the same call {shown(table.call[row])}"
            )
