"""What a caller wants, says and sounds like, and what a good agent does about it.

The models here are what people write in TOML: frozen, and an unknown key is an error. `scenario_files.py`
reads them; nothing here opens a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from voiceeval.errors import unknown_name

_ID = r"^[a-z0-9][a-z0-9_.-]*$"
_ID_OR_EMPTY = r"^([a-z0-9][a-z0-9_.-]*)?$"
_TAG_VALUE = r"^[^\s=×/\[\]][^=×/\[\]]*$"
_LOCALE = r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"

PATTERNS_IN_WORDS: Mapping[str, str] = {
    _ID: "lower-case letters, digits, '_', '.' and '-', beginning with a letter or digit",
    _ID_OR_EMPTY: "an id of lower-case letters, digits, '_', '.' and '-', or nothing",
    _TAG_VALUE: "a text that does not begin with a space and has none of = × / [ ]",
    _LOCALE: "a language tag such as 'en-US', 'es-419' or 'hi'",
}
"""What messages say instead of a regular expression."""

Id = Annotated[str, StringConstraints(pattern=_ID, max_length=80)]
"""Lower-case letters, digits, ``_``, ``.`` and ``-``: fit for file names, test ids and links."""
IdOrEmpty = Annotated[str, StringConstraints(pattern=_ID_OR_EMPTY, max_length=80)]
TagValue = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=_TAG_VALUE)]
Locale = Annotated[str, StringConstraints(pattern=_LOCALE)]
"""Language, script where it matters, and region: ``en-US``, ``zh-Hant-TW``, ``es-419``."""


class Written(BaseModel):
    """Something a person writes in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Entity(Written):
    """A span of the reference text whose exact value matters: a card number, a date, a drug name."""

    type: Id
    text: Annotated[str, StringConstraints(min_length=1)]
    """The words as the caller says them; they must occur in the turn's text."""


class CallerTurn(Written):
    """One thing the caller says, and what they say instead when the call goes another way."""

    text: str = ""
    """The reference transcript; empty for a turn in which the caller stays silent."""
    audio: str = ""
    """A recording of ``text``, relative to the scenario file; empty: a synthetic caller speaks the text."""
    entities: tuple[Entity, ...] = ()
    silence_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    """How long the caller says nothing before speaking (or instead, where there is no text)."""
    cue: tuple[str, ...] = ()
    """Said when the agent's reply contains one of these phrases, whenever that is; empty: said in order."""
    expects: tuple[str, ...] = ()
    """Phrases the agent's last reply must contain for the caller to say ``text``, such as the card number
    read back; when one is missing, the caller says ``objection`` instead."""
    objection: str = ""
    repairs: tuple[str, ...] = ()
    """What the caller says when asked to repeat, first, second, …; empty: the same words again."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if not self.text and not self.silence_ms:
            raise ValueError("a turn needs text, or silence_ms for a caller who stays silent")
        if self.audio and not self.text:
            raise ValueError("audio needs text: the reference transcript of what is heard in it")
        if self.expects and not self.objection:
            raise ValueError("expects needs objection: what the caller says when it was not heard")
        for entity in self.entities:
            if entity.text.casefold() not in self.text.casefold():
                raise ValueError(
                    f"entities: a text of type '{entity.type}' does not occur in the turn's text"
                )
        return self


class ToolCall(Written):
    """A tool's name and the arguments it is called with."""

    name: Id
    arguments: Mapping[str, JsonValue] = Field(default_factory=dict)


class ToolPath(Written):
    """Tool calls that solve the scenario; order, multiplicity and extras are explicit."""

    calls: tuple[ToolCall, ...] = ()
    """Empty: the right thing is to call no tool at all."""
    order: Literal["exact", "in_order", "any_order"] = "exact"
    """``exact``: these calls in this order, one after the other. ``in_order``: in this order, with allowed
    extras between them. ``any_order``: each of them once, in whatever order."""
    extra_calls: Literal["forbid", "allow"] = "forbid"


class Outcome(Written):
    """How the call must end. Decided by looking at the tools' world, not by asking a language model."""

    state: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Dotted path in the tools' world -> value at the end of the call, e.g. ``"cards.4129.status"``."""
    said: tuple[str, ...] = ()
    """Phrases of which the agent must have said every one, after normalisation; ``a|b`` takes either."""
    not_said: tuple[str, ...] = ()
    """Phrases the agent must never have said."""


class Effect(Written):
    """One change a tool makes to the world, or one reason for it to refuse."""

    when: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Dotted path -> value the world must hold for this effect to apply; ``{argument}`` is filled in."""
    set: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Dotted path -> new value; ``{argument}`` is filled in, in paths and in texts."""
    returns: JsonValue = None
    """What the agent gets back; ``{argument}`` and ``{=dotted.path}`` (the world's value) are filled in."""
    fails: str = ""
    """A failure reported to the agent instead of a value."""


class Tool(Written):
    """A tool as the agent sees it (name, description, JSON Schema) and as the simulation plays it."""

    name: Id
    description: str
    parameters: Mapping[str, JsonValue]
    """JSON Schema of the arguments object."""
    duration_ms: Annotated[int, Field(ge=0, le=120_000)] = 150
    """Declared: what one call takes in simulated time."""
    effects: tuple[Effect, ...] = ()
    """The first whose ``when`` holds is applied."""


class Caller(Written):
    """A speaker: a documented synthetic voice, or a person's recordings."""

    id: Id
    speaker: IdOrEmpty = ""
    """The statistical cluster; empty: the id. Pitch or rate variants of one voice name the same speaker."""
    locale: Locale = "en-US"
    accent: TagValue
    voice: str = ""
    """The synthesizer's name of the voice, e.g. ``en-gb-scotland+Andy``; empty: recordings only."""
    rate_wpm: Annotated[int, Field(ge=80, le=400)] = 160
    pitch: Annotated[int, Field(ge=0, le=99)] = 50
    pause_ms: Annotated[int, Field(ge=0, le=3_000)] = 0
    """A pause in the middle of every turn of five words or more, for people who think while they speak."""
    pause_in_noise_ms: Annotated[int, Field(ge=0, le=3_000)] = 0
    """The same on a line with noise, where people who want to be understood speak in shorter phrases
    (clear speech: Picheny, Durlach & Braida, J. Speech Hear. Res. 1986; Hazan & Baker, JASA 2011)."""
    recordings: str = ""
    """A folder with ``<scenario>.<turn>.wav`` (or flac), relative to this file; used where a file exists."""
    description: str = ""
    tags: Mapping[Id, TagValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_a_voice(self) -> Self:
        if not self.voice and not self.recordings:
            raise ValueError("a caller needs a voice to speak with, or a folder of recordings")
        return self

    @property
    def cluster(self) -> str:
        """The speaker's name for statistics."""
        return self.speaker or self.id


class Line(Written):
    """The conditions between caller and agent."""

    id: Id
    band: Literal["wide", "telephone"] = "wide"
    """``telephone``: 300–3400 Hz at 8 kHz; ``wide``: up to 8 kHz at 16 kHz."""
    codec: Literal["none", "mulaw"] = "none"
    noise: Literal["none", "white", "pink", "babble", "car"] = "none"
    snr_db: Annotated[float, Field(ge=-10, le=60)] = 60.0
    """Speech level over noise level, where noise is not ``none``."""
    level_dbfs: Annotated[float, Field(ge=-60, le=-10)] = -26.0
    """Active speech level on the line; 0 is the level of a full-scale square wave."""
    tags: Mapping[Id, TagValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if self.codec == "mulaw" and self.band != "telephone":
            raise ValueError("codec: 'mulaw' is a codec of the telephone band; allowed: band = \"telephone\"")
        return self


class Scenario(Written):
    """What one caller wants, says and does, and what a good agent does."""

    id: Id
    goal: str
    domain: TagValue
    call_type: TagValue
    locale: Locale = "en-US"
    channel: TagValue = "phone"
    device: TagValue = "handset"
    family: IdOrEmpty = ""
    """Scenarios that are variants of one situation share a family."""
    critical: bool = False
    tags: Mapping[Id, TagValue] = Field(default_factory=dict)
    turns: Annotated[tuple[CallerTurn, ...], Field(min_length=1)]
    tools: tuple[Tool, ...] = ()
    """Tools of this scenario's own, beside those its ``tool_files`` bring."""
    tool_files: tuple[str, ...] = ()
    """Files with ``[[tools]]``, relative to the scenario file; shared by several scenarios."""
    world: Mapping[str, JsonValue] = Field(default_factory=dict)
    """The tools' world when the call begins."""
    tool_paths: Annotated[tuple[ToolPath, ...], Field(min_length=1)]
    """Any one of them is right."""
    forbidden_calls: tuple[ToolCall, ...] = ()
    """Calls that must never be made; no arguments given: whatever the arguments."""
    outcome: Outcome = Outcome()
    patience: Annotated[int, Field(ge=0, le=10)] = 2
    """How many times in a row the caller repeats before hanging up."""
    max_exchanges: Annotated[int, Field(ge=1, le=100)] = 20

    @model_validator(mode="after")
    def _names_known_tools(self) -> Self:
        if self.tool_files:
            return self  # scenario_files.py merges them first, and validates the merged scenario again
        known = {tool.name for tool in self.tools}
        if len(known) != len(self.tools):
            raise ValueError("tools: two tools share a name")
        named = [
            (f"tool_paths[{index}]", call.name)
            for index, path in enumerate(self.tool_paths)
            for call in path.calls
        ] + [("forbidden_calls", call.name) for call in self.forbidden_calls]
        for key, name in named:
            if name not in known:
                raise ValueError(f"{key}: {unknown_name('tool', name, known)}")
        return self

    def digest(self) -> str:
        """Hex SHA-256 of everything the scenario says; a changed scenario is another scenario."""
        return content_digest(self.model_dump(mode="json"))


def content_digest(value: Any) -> str:
    """Hex SHA-256 of a JSON value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
