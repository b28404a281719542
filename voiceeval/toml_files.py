"""Reads the TOML files people write, whatever they hold, and says in one message what is wrong with one.

A message has a line per problem, at most five: file, key, what was given, what is allowed. It repeats
numbers, ids and names; it never repeats what a caller says.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from voiceeval.errors import InputError
from voiceeval.scenario import PATTERNS_IN_WORDS

Model = TypeVar("Model", bound=BaseModel)
MOST_LINES = 5
LONGEST_GIVEN = 40

_KINDS_BY_ERROR = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": 'an array, such as ["…"]',
    "list_type": 'an array, such as ["…"]',
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "date_type": "a date, such as 2026-03-01",
    "date_from_datetime_parsing": "a date, such as 2026-03-01",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}


class Problem(NamedTuple):
    """One thing wrong with a file."""

    key: str
    """Dotted, with indexes: ``turns[1].audio``; empty for the file as a whole."""
    what: str


def read_model(path: Path, model: type[Model], *, error: type[InputError], name: str = "") -> Model:
    """The file as a model.

    Args:
        path: A TOML file in UTF-8.
        model: What it must hold.
        error: Raised for whatever is wrong with it.
        name: What messages call the file; empty: the path as given.
    """
    where = name or str(path)
    return validated(read_toml(path, error=error, name=where), model, where=where, error=error)


def read_toml(path: Path, *, error: type[InputError], name: str = "") -> dict[str, Any]:
    """The file's tables; ``error`` when it is absent, not UTF-8 or not TOML."""
    where = name or str(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise error(f"{where}: no such file") from None
    except OSError as failure:
        raise error(f"{where}: cannot be read ({failure.strerror})") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data.count(b"\n", 0, failure.start) + 1
        byte = f"byte 0x{data[failure.start]:02x} in line {line}"
        raise error(f"{where}: not UTF-8 ({byte}); allowed: TOML saved as UTF-8") from None
    try:
        return tomllib.loads(text, parse_float=_finite)
    except tomllib.TOMLDecodeError as failure:
        raise error(f"{where}: not valid TOML: {failure}") from None
    except _NotANumberError as failure:
        raise error(f"{where}: '{failure}' is not allowed as a number; allowed: finite numbers") from None


def validated(
    document: Mapping[str, Any], model: type[Model], *, where: str, error: type[InputError]
) -> Model:
    """The document as a model; ``error`` with a line per problem."""
    try:
        return model.model_validate(document)
    except ValidationError as failure:
        raise refusal(where, _problems(failure, document, model), error=error) from None


def refusal(where: str, problems: Iterable[Problem], *, error: type[InputError]) -> InputError:
    """The exception for a file's problems; several become a line each, at most `MOST_LINES`."""
    lines = [f"{where}: {key}: {what}" if key else f"{where}: {what}" for key, what in problems]
    shown = lines if len(lines) <= MOST_LINES else lines[: MOST_LINES - 1]
    if len(shown) < len(lines):
        shown.append(f"{where}: and {len(lines) - len(shown)} more problems")
    return error("\n".join(shown))


def shortened(given: str) -> str:
    """A quoted id or name, cut to `LONGEST_GIVEN` characters."""
    return repr(_cut(given))


def nearest(given: str, known: Iterable[str]) -> str:
    """``" Did you mean 'text'?"`` for a slip of the pen, or nothing."""
    near = difflib.get_close_matches(given, sorted(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def dotted(parts: Sequence[str | int]) -> str:
    """A key as people write it.

    >>> dotted(("turns", 1, "audio"))
    'turns[1].audio'
    """
    key = ""
    for part in parts:
        name = f"[{part}]" if isinstance(part, int) else _cut(part)
        key += f".{name}" if key and isinstance(part, str) else name
    return key


def _cut(given: str) -> str:
    return given if len(given) <= LONGEST_GIVEN else given[: LONGEST_GIVEN - 1] + "…"


class _NotANumberError(ValueError):
    """A float that no JSON file can hold."""


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise _NotANumberError(text)
    return value


def _problems(failure: ValidationError, document: Mapping[str, Any], model: type[BaseModel]) -> list[Problem]:
    details = failure.errors(include_url=False)
    broken = [detail["loc"] for detail in details]
    return [
        _with_named_key(Problem(dotted(_key(detail, document)), _what(detail, model)))
        for detail in details
        # An array whose only item is wrong is also "too short"; the item's own line says why.
        if not (detail["type"] == "too_short" and _has_broken_part(detail["loc"], broken))
    ]


def _with_named_key(problem: Problem) -> Problem:
    """A model's own check knows only its table; where its message begins with a key, that is the place."""
    named = re.match(r"([a-z_]+(?:\[\d+\])?): ", problem.what)
    if named is None:
        return problem
    key = f"{problem.key}.{named[1]}" if problem.key else named[1]
    return Problem(key, problem.what[named.end() :])


def _has_broken_part(array: tuple[str | int, ...], broken: Sequence[tuple[str | int, ...]]) -> bool:
    return any(len(key) > len(array) and key[: len(array)] == array for key in broken)


def _key(detail: ErrorDetails, document: Mapping[str, Any]) -> list[str | int]:
    """The location without the names of types that pydantic puts into it for unions."""
    at: Any = document
    key: list[str | int] = []
    for index, part in enumerate(detail["loc"]):
        is_there = part in at if isinstance(at, Mapping) else isinstance(at, list) and isinstance(part, int)
        if is_there:
            at = at[part]
            key.append(part)
        elif index == len(detail["loc"]) - 1 and detail["type"] == "missing":
            key.append(part)
    return key


def _what(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = _fields(model, detail["loc"][:-1])
        allowed = f" Allowed: {', '.join(sorted(known))}" if known else ""
        return f"unknown key.{nearest(str(detail['loc'][-1]), known)}{allowed}"
    if kind == "missing":
        return "missing, and required"
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    return f"given {_given(given, kind)}; allowed: {_allowed(detail, context)}"


def _given(given: object, kind: str) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, str):
        is_name = kind in {"literal_error", "string_pattern_mismatch", "enum"}
        return shortened(given) if is_name else f"a text of {len(given)} characters"
    if isinstance(given, list | tuple):
        return f"an array of {len(given)} items"
    if isinstance(given, int | float):
        return shortened(str(given)).strip("'")
    return "a table" if isinstance(given, Mapping) else "a date or time without quotes"


def _allowed(detail: ErrorDetails, context: Mapping[str, Any]) -> str:
    kind = detail["type"]
    items = "characters" if kind.startswith("string") else "items"
    match kind:
        case _ if kind in _BOUNDS:
            name, words = _BOUNDS[kind]
            allowed = f"{words} {context[name]}"
        case "string_pattern_mismatch":
            pattern = str(context["pattern"])
            allowed = PATTERNS_IN_WORDS.get(pattern, f"a text that matches {pattern}")
        case "literal_error" | "enum":
            allowed = str(context["expected"])
        case "too_short" | "string_too_short":
            allowed = f"{context['min_length']} or more {items}"
        case "too_long" | "string_too_long":
            allowed = f"at most {context['max_length']} {items}"
        case "invalid-json-value":
            allowed = "texts, numbers, true, false, arrays and tables; write a date or time in quotes"
        case _:
            allowed = _KINDS_BY_ERROR.get(kind, detail["msg"].removeprefix("Input should be "))
    return allowed


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys of the table at ``path``; none where that is not a model's table."""
    at: Any = model
    for part in path:
        table = _table(at)
        if table is not None and isinstance(part, str):
            at = table.model_fields[part].annotation if part in table.model_fields else None
        else:
            # One step into an array or a table of free keys: the last argument is the type of its values.
            values = [argument for argument in get_args(at) if argument is not Ellipsis]
            at = values[-1] if values else None
    table = _table(at)
    return tuple(table.model_fields) if table is not None else ()


def _table(annotation: Any) -> type[BaseModel] | None:
    """The model an annotation stands for, also where it may be absent."""
    candidates = [annotation, *get_args(annotation)] if not _is_container(annotation) else []
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _is_container(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, tuple | list | Mapping)
