"""Checks a table of options against the signature of what it is meant for."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, Strict, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails

from voiceeval.errors import AgentError

_SCALARS = (int, float, bool, str)
_LONGEST_GIVEN = 60


def checked_options(
    make: Callable[..., Any], options: Mapping[str, object], *, use: str, where: str, skip_first: bool = False
) -> dict[str, Any]:
    """The options with the types that ``make`` asks for.

    Numbers, texts and booleans must be of the annotated type; a text becomes a ``Path`` and an array a
    tuple where the annotation says so. What has no annotation is taken as it is.

    Args:
        make: A class or function; options are its keyword arguments.
        options: As written.
        use: What messages call it.
        where: File and key for messages.
        skip_first: Whether the first argument is not an option.

    Raises:
        AgentError: an option is unknown, missing or of the wrong type; a line for each.
    """
    parameters = _parameters(make, skip_first=skip_first)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = {
        parameter.name: parameter
        for parameter in parameters
        if parameter.kind in {parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD}
    }
    unknown = [] if takes_any else [name for name in options if name not in named]
    if unknown:
        raise AgentError("\n".join(_unknown(name, named, use=use, where=where) for name in unknown))
    hints = _hints(make)
    # Aliases, because an option may have a name that a model keeps for itself.
    numbered = {f"option_{index}": name for index, name in enumerate(named)}
    wanted = {
        field: (
            _strict(hints.get(name, Any)),
            Field(alias=name, default=... if named[name].default is inspect.Parameter.empty else None),
        )
        for field, name in numbered.items()
    }
    try:
        model = create_model(  # type: ignore[call-overload]
            "Options", __config__=ConfigDict(arbitrary_types_allowed=True, extra="ignore"), **wanted
        )
        checked = model.model_validate(dict(options))
    except ValidationError as failure:
        lines = [_wrong(detail, use=use, where=where) for detail in failure.errors(include_url=False)]
        raise AgentError("\n".join(lines)) from None
    except PydanticUserError:  # an annotation that pydantic cannot check: the constructor must
        return dict(options)
    return {
        **{name: value for name, value in options.items() if name not in named},
        **{numbered[field]: getattr(checked, field) for field in sorted(checked.model_fields_set)},
    }


def option_names(make: Callable[..., Any]) -> frozenset[str]:
    """The names that ``make`` takes by keyword."""
    return frozenset(parameter.name for parameter in _parameters(make, skip_first=False))


def _parameters(make: Callable[..., Any], *, skip_first: bool) -> tuple[inspect.Parameter, ...]:
    try:
        parameters = tuple(inspect.signature(make).parameters.values())
    except (TypeError, ValueError):  # written in C: it takes what it takes
        return (inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD),)
    return parameters[1:] if skip_first else parameters


def _hints(make: Callable[..., Any]) -> dict[str, Any]:
    annotated = make.__init__ if isinstance(make, type) else make  # type: ignore[misc]
    try:
        return get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


def _strict(hint: Any) -> Any:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return Annotated[hint, Strict()] if plain in _SCALARS else hint


def _unknown(name: str, named: Mapping[str, object], *, use: str, where: str) -> str:
    near = difflib.get_close_matches(name, named, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{where}.{name}: {use!r} has no such option.{hint} Allowed: {', '.join(sorted(named)) or 'none'}"


def _wrong(detail: ErrorDetails, *, use: str, where: str) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{where}.{key}: missing, and {use!r} requires it"
    given = repr(detail["input"])
    shown = given if len(given) <= _LONGEST_GIVEN else given[: _LONGEST_GIVEN - 1] + "…"
    return f"{where}.{key}: {detail['msg'][0].lower()}{detail['msg'][1:]}, got {shown}"
