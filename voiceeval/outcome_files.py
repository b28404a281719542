"""CSV, JSON, JSON lines and Parquet as named columns of plain values, each row with its place in the file.

What the columns mean is said in ``outcome_tables.py``. CSV and JSON need nothing but Python; Parquet needs
the extra ``tables``.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceeval.content_files import write_whole
from voiceeval.errors import TableError

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
"""What a table's file name ends in; nothing else says how it is read."""
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """What a file holds, before anybody asked what it means."""

    source: str
    """The file as messages name it."""
    columns: Mapping[str, Sequence[Any]]
    """Of one length. A cell is a text, a number, a boolean, an array (``observations``) or ``None``."""
    unit: str
    """What a row is called in messages: ``line`` or ``record``."""
    numbers: Sequence[int]
    """Where each row stands in the file, counted from 1."""

    def place(self, row: int, column: str = "") -> str:
        """How a message begins: ``a.csv: line 3: numerator``."""
        return ": ".join(part for part in (self.source, f"{self.unit} {self.numbers[row]}", column) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns that state their types, to be written: what a reader sees does not depend on the values."""

    types: Mapping[str, type]
    """By column, in their order: ``str``, ``int``, ``float`` or ``bool``."""
    columns: Mapping[str, Sequence[Any]]
    """Of one length. ``None`` where there is no value; a text that does not exist is empty instead."""

    @classmethod
    def of_rows(cls, types: Mapping[str, type], rows: Sequence[Mapping[str, Any]]) -> Table:
        """From rows that leave out what they do not have."""
        return cls(
            types=types,
            columns={
                name: [row.get(name, "" if kind is str else None) for row in rows]
                for name, kind in types.items()
            },
        )

    def __len__(self) -> int:
        return max(map(len, self.columns.values()), default=0)


def is_table(path: Path) -> bool:
    """Whether the file's name says that it is a table of outcomes."""
    return path.suffix.lower() in SUFFIXES


def read_columns(path: Path) -> RawTable:
    """Read a table.

    Raises:
        TableError: No such file, another kind of file, damaged, or without columns or rows.
        InputError: Parquet, and the package that reads it is not installed.
    """
    if not is_table(path):
        raise TableError(f"{path}: not a table; allowed: a file that ends in {', '.join(SUFFIXES)}")
    try:
        table = _READERS[path.suffix.lower()](path)
    except FileNotFoundError:
        raise TableError(f"{path}: no such file") from None
    except OSError as failure:
        raise TableError(f"{path}: cannot be read ({failure.strerror or type(failure).__name__})") from None
    except UnicodeDecodeError as failure:
        raise TableError(
            f"{path}: not UTF-8 (byte 0x{failure.object[failure.start]:02x} at {failure.start}); "
            "allowed: text saved as UTF-8"
        ) from None
    if not table.numbers:
        raise TableError(f"{path}: holds no rows, so that nothing could be compared")
    for name in table.columns:
        if not name or name != name.strip():
            raise TableError(f"{path}: a column is named {name!r}; allowed: a name without blanks around it")
    return table


def write_columns(
    path: Path, columns: Mapping[str, Sequence[Any]], *, types: Mapping[str, type] | None = None
) -> None:
    """Write columns of one length; ``None`` is an empty cell. A reader finds the whole table or none of it.

    Args:
        path: its name says which kind of file; one that is there is replaced.
        columns: by name, in their order.
        types: of the columns, for Parquet; by default as the values are.

    Raises:
        TableError: A name that ends in nothing known, a text that no UTF-8 file can hold, or a folder that
            cannot be written to.
    """
    if not is_table(path):
        raise TableError(f"{path}: not a table; allowed: a file that ends in {', '.join(SUFFIXES)}")
    try:
        write_whole(path, _WRITERS[path.suffix.lower()](path, columns, types or {}))
    except UnicodeEncodeError:
        raise TableError(
            f"{path}: a cell holds half of a surrogate pair; allowed: text that can be saved as UTF-8"
        ) from None
    except OSError as failure:
        raise TableError(f"{path}: cannot be written ({failure.strerror})") from None


def _read_csv(path: Path) -> RawTable:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        lines: list[int] = []
        try:
            header = next(reader, [])
            _check_header(path, header)
            columns: list[list[str]] = [[] for _ in header]
            # A stretch at a time: a row kept as a list of its own would cost the garbage collector's time.
            while rows := _next_rows(reader, lines):
                for line, row in zip(lines[-len(rows) :], rows, strict=True):
                    if len(row) != len(header):
                        raise TableError(
                            f"{path}: line {line}: {len(row)} cells, but line 1 names {len(header)} columns"
                        )
                for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
                    column.extend(cells)
        except csv.Error as failure:
            raise TableError(f"{path}: line {reader.line_num}: not CSV: {failure}") from None
    return RawTable(
        source=str(path), columns=dict(zip(header, columns, strict=True)), unit="line", numbers=lines
    )


def _next_rows(reader: CsvReader, lines: list[int]) -> list[list[str]]:
    """The next rows that are not empty, at most `_ROWS_AT_ONCE`; the line each ends in joins ``lines``."""
    rows = []
    for row in reader:
        if row:
            rows.append(row)
            lines.append(reader.line_num)
            if len(rows) == _ROWS_AT_ONCE:
                break
    return rows


def _check_header(path: Path, header: list[str]) -> None:
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise TableError(f"{path}: line 1: one column; columns are separated by commas")
    for name in header:
        if header.count(name) > 1:
            raise TableError(f"{path}: line 1: two columns are named {name!r}")


def _read_json(path: Path) -> RawTable:
    text = path.read_text(encoding="utf-8-sig")
    if not text.lstrip().startswith("["):
        return _json_lines(path, text)
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise TableError(f"{path}: not JSON: {_json_trouble(failure)}") from None
    return _of_records(path, records, "record", range(1, len(records) + 1))


def _read_json_lines(path: Path) -> RawTable:
    return _json_lines(path, path.read_text(encoding="utf-8-sig"))


def _json_lines(path: Path, text: str) -> RawTable:
    found = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:  # all at once is several times as fast
        records = json.loads(f"[{','.join(line for _, line in found)}]")
    except (ValueError, RecursionError):
        records = []
    if len(records) != len(found):
        records = [_record(path, number, line) for number, line in found]
    return _of_records(path, records, "line", [number for number, _ in found])


def _record(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as failure:
        raise TableError(
            f"{path}: line {number}: not JSON: {_json_trouble(failure)}; allowed: one object per line, "
            "or an array of objects"
        ) from None


def _json_trouble(failure: Exception) -> str:
    if isinstance(failure, json.JSONDecodeError):
        return failure.msg
    return "nested too deeply" if isinstance(failure, RecursionError) else "a number of too many digits"


def _of_records(path: Path, records: Sequence[Any], unit: str, numbers: Sequence[int]) -> RawTable:
    names: dict[str, None] = {}
    for number, record in zip(numbers, records, strict=True):
        if not isinstance(record, dict):
            raise TableError(f"{path}: {unit} {number}: not an object; allowed: one object per row")
        names.update(dict.fromkeys(record))
    columns = {name: [record.get(name) for record in records] for name in names}
    return RawTable(source=str(path), columns=columns, unit=unit, numbers=numbers)


def _read_parquet(path: Path) -> RawTable:
    parquet = _parquet(path)
    import pyarrow

    with path.open("rb") as file:
        try:
            table = parquet.read_table(file)
        except pyarrow.ArrowInvalid:
            raise TableError(f"{path}: not Parquet, or damaged") from None
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    for name in names:
        if names.count(name) > 1:
            raise TableError(f"{path}: two columns are named {name!r}")
    return RawTable(
        source=str(path),
        columns={name: table.column(name).to_pylist() for name in names},
        unit="record",
        numbers=range(1, table.num_rows + 1),
    )


def _csv_bytes(path: Path, columns: Mapping[str, Sequence[Any]], types: Mapping[str, type]) -> bytes:
    del path, types
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    # Numbers are written with the fewest digits that read back to the same double.
    writer.writerows(zip(*(map(_csv_cell, cells) for cells in columns.values()), strict=True))
    return text.getvalue().encode()


def _csv_cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _records(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    return [
        json.dumps(
            {name: value for name, value in zip(columns, row, strict=True) if value is not None},
            ensure_ascii=False,
            allow_nan=False,
        )
        for row in zip(*columns.values(), strict=True)
    ]


def _json_bytes(path: Path, columns: Mapping[str, Sequence[Any]], types: Mapping[str, type]) -> bytes:
    del path, types
    return ("[\n" + ",\n".join(_records(columns)) + "\n]\n").encode()


def _json_lines_bytes(path: Path, columns: Mapping[str, Sequence[Any]], types: Mapping[str, type]) -> bytes:
    del path, types
    return "".join(f"{record}\n" for record in _records(columns)).encode()


def _parquet_bytes(path: Path, columns: Mapping[str, Sequence[Any]], types: Mapping[str, type]) -> bytes:
    parquet = _parquet(path)
    import pyarrow

    # A column without a single value would have no type of its own.
    known = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    arrays = {
        name: pyarrow.array(list(cells), type=known[types[name]] if name in types else None)
        for name, cells in columns.items()
    }
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays), file)
    return file.getvalue()


def _parquet(path: Path) -> Any:
    """The module that reads and writes Parquet, imported now."""
    if importlib.util.find_spec("pyarrow") is None:
        raise TableError(
            f"{path}: Parquet needs the package 'pyarrow', which is not installed here; install it with: "
            "pip install 'voiceeval[tables]', or use CSV or JSON"
        )
    import pyarrow.parquet

    return pyarrow.parquet


_READERS: Mapping[str, Callable[[Path], RawTable]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}
_WRITERS: Mapping[str, Callable[[Path, Mapping[str, Sequence[Any]], Mapping[str, type]], bytes]] = {
    ".csv": _csv_bytes,
    ".json": _json_bytes,
    ".jsonl": _json_lines_bytes,
    ".ndjson": _json_lines_bytes,
    ".parquet": _parquet_bytes,
}
