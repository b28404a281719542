"""A dialogue model without a language model: a policy file, followed to the letter.

It speaks the protocol of a chat-completions model with tools, and like one it is stateless: each reply is
worked out from the whole history. What the caller and the tools said moves it; what the assistant said is
not read again, because it follows from them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voiceeval.errors import AgentError
from voiceeval.protocols import Message, Reply
from voiceeval.scenario import Tool, ToolCall
from voiceeval.stages import dialogue_policy, dialogue_state, slots, understanding
from voiceeval.stages.dialogue_policy import Policy, load_policy
from voiceeval.stages.dialogue_state import Dialogue
from voiceeval.stages.fingerprints import file_digest, fingerprint

VERSION = 1
"""Raised when this module replies otherwise to the same policy and history; the others' code is digested."""


class ScriptedDialogue:
    """A deterministic dialogue model that is declared in a file.

    Args:
        policy: The policy file; ``docs/dialogue-policies.md`` describes it.
        prompt_version: The version the policy must state, so that an agent's file cannot name one prompt
            and use another; empty: whichever it states.

    Raises:
        AgentError: the file is wrong, or of another version.
    """

    def __init__(self, policy: Path, *, prompt_version: str = "") -> None:
        self._policy = load_policy(policy)
        if prompt_version and prompt_version != self._policy.version:
            raise AgentError(
                f"prompt_version: given '{prompt_version}'; '{policy}' states '{self._policy.version}'"
            )
        self._fingerprint = fingerprint(
            "scripted",
            version=VERSION,
            options={},
            contents={"policy": file_digest(policy, key="policy")} | _code(),
            distributions=("rapidfuzz",),
        )

    @property
    def fingerprint(self) -> str:
        """Equal for equal policy files and equal code."""
        return self._fingerprint

    @property
    def policy(self) -> Policy:
        """The policy as read."""
        return self._policy

    def reply(self, history: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        """Answer the last message; with no caller yet, ask what they want.

        Tokens are counted as four thirds of a word, of the history and the tools for the input.
        """
        dialogue = Dialogue(self._policy, frozenset(tool.name for tool in tools))
        state, reply = dialogue.start()
        for message in history:
            if message.role == "user":
                state, reply = dialogue.hear(state, message.content)
            elif message.role == "tool":
                state, reply = dialogue.receive(state, message)
        said = sum(_words(message.content, message.tool_calls) for message in history)
        offered = sum(_tool_words(tool) for tool in tools)
        return replace(
            reply,
            input_tokens=_tokens(said + offered),
            output_tokens=_tokens(_words(reply.text, reply.tool_calls)),
        )


def _code() -> dict[str, str]:
    """Digests of the modules that work out a reply: who changes one need not think of `VERSION`."""
    paths = (
        Path(module.__file__ or "") for module in (dialogue_policy, dialogue_state, slots, understanding)
    )
    return {path.stem: file_digest(path, key="source") for path in paths}


def _words(text: str, calls: Sequence[ToolCall]) -> int:
    return len(text.split()) + sum(1 + len(json.dumps(dict(call.arguments)).split()) for call in calls)


def _tool_words(tool: Tool) -> int:
    return _counted_tool(tool.name, tool.description, tool.model_dump_json(include={"parameters"}))


@functools.lru_cache(maxsize=256)
def _counted_tool(name: str, description: str, schema: str) -> int:
    return len(f"{name} {description} {schema.replace(',', ', ')}".split())


def _tokens(words: int) -> int:
    return (4 * words + 1) // 3
