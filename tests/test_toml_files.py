"""What a wrong TOML file is told, whatever kind of file it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, JsonValue, model_validator

from voiceeval.errors import AgentError, ConfigError
from voiceeval.scenario import Id, Written
from voiceeval.toml_files import MOST_LINES, dotted, read_model, read_toml, validated


class Part(Written):
    size: Annotated[int, Field(gt=0, lt=10)] = 1
    kind: Literal["round", "square"] = "round"


class Thing(Written):
    name: Id
    title: Annotated[str, Field(min_length=2, max_length=4)] = "abc"
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    is_open: bool = False
    parts: Annotated[tuple[Part, ...], Field(max_length=2)] = ()
    named: Mapping[str, Part] = Field(default_factory=dict)
    perhaps: Part | None = None
    free: Mapping[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_not_odd(self) -> Thing:
        if self.name == "odd":
            raise ValueError("parts[0]: odd things have no parts; allowed: none")
        return self


def told(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        validated(tomllib.loads(text), Thing, where="x.toml", error=ConfigError)
    return str(caught.value).removeprefix("x.toml: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "name: missing, and required"),
        ("name = 5", "name: given 5; allowed: a text in quotes"),
        ("name = 2026-01-01", "name: given a date or time without quotes; allowed: a text in quotes"),
        (
            "name = 'a'\ntitle = 'private'",
            "title: given a text of 7 characters; allowed: at most 4 characters",
        ),
        ("name = 'a'\ntitle = ''", "title: given a text of 0 characters; allowed: 2 or more characters"),
        ("name = 'a'\nshare = -0.5", "share: given -0.5; allowed: at least 0.0"),
        ("name = 'a'\nshare = 'half'", "share: given a text of 4 characters; allowed: a number"),
        ("name = 'a'\nis_open = []", "is_open: given an array of 0 items; allowed: true or false"),
        ("name = 'a'\nparts = true", 'parts: given true; allowed: an array, such as ["…"]'),
        ("name = 'a'\nparts = [{}, {}, {}]", "parts: given an array of 3 items; allowed: at most 2 items"),
        ("name = 'a'\nparts = [{size = 0}]", "parts[0].size: given 0; allowed: above 0"),
        ("name = 'a'\nparts = [{size = 10}]", "parts[0].size: given 10; allowed: below 10"),
        ("name = 'a'\nparts = [{size = 1.5}]", "parts[0].size: given 1.5; allowed: a whole number"),
        ("name = 'a'\nparts = [7]", "parts[0]: given 7; allowed: a table"),
        (
            "name = 'a'\nparts = [{knd = 1}]",
            "parts[0].knd: unknown key. Did you mean 'kind'? Allowed: kind, size",
        ),
        ("name = 'a'\nnamed.x.siz = 1", "named.x.siz: unknown key. Did you mean 'size'? Allowed: kind, size"),
        ("name = 'a'\nperhaps.siz = 1", "perhaps.siz: unknown key. Did you mean 'size'? Allowed: kind, size"),
        ("name = 'a'\nfree = 1", "free: given 1; allowed: a table"),
        ("name = 'odd'", "parts[0]: odd things have no parts; allowed: none"),
    ],
)
def test_a_wrong_value_is_told_with_its_key_what_was_given_and_what_is_allowed(
    text: str, message: str
) -> None:
    assert told(text) == message


@given(st.text().map("secret {}".format))
def test_a_text_is_never_repeated(text: str) -> None:
    for key in ("title", "share", "is_open", "parts", "named", "perhaps", "free"):
        with pytest.raises(ConfigError) as caught:
            validated({"name": "a", key: text}, Thing, where="x.toml", error=ConfigError)
        assert "secret" not in str(caught.value)


@given(st.dictionaries(st.text(min_size=1), st.none() | st.integers() | st.text() | st.lists(st.integers())))
def test_whatever_is_given_the_message_is_short_and_each_line_names_the_file(
    document: dict[str, Any],
) -> None:
    try:
        validated(document, Thing, where="x.toml", error=ConfigError)
    except ConfigError as error:
        lines = str(error).split("\nx.toml: ")
        assert len(lines) <= MOST_LINES


def test_a_long_key_is_cut() -> None:
    assert dotted(("turns", 1, "x" * 100)) == f"turns[1].{'x' * 39}…"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfname = 'a'\r\ntitle = 'abc'\r\n")
    assert read_model(tmp_path / "x.toml", Thing, error=AgentError) == Thing(name="a")


def test_an_absent_and_an_unreadable_file_are_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"^agent\.toml: no such file$"):
        read_toml(tmp_path / "x.toml", error=AgentError, name="agent.toml")
    with pytest.raises(AgentError, match=r"^agent\.toml: cannot be read \(Is a directory\)$"):
        read_toml(tmp_path, error=AgentError, name="agent.toml")
