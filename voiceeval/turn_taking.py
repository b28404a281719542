"""How an agent takes turns: when it yields, when it goes on, when it asks again. Part of an agent's file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voiceeval.scenario import Written

BACK_CHANNELS = (
    *("uh huh", "mm hmm", "mhm", "hmm", "mm", "yeah", "yes", "yep", "ok", "okay", "right", "sure"),
    *("i see", "got it", "alright", "oh"),
)
"""What people say to show that they listen."""


class TurnTaking(Written):
    """``[turn_taking]``: what the agent does when both could speak."""

    interruptions: Literal["stop", "words", "finish"] = "stop"
    """While it speaks and hears speech: ``stop`` after ``interrupt_after_ms`` of it; ``words``: only once the
    recognizer has made out ``interrupt_words`` that are no back-channel; ``finish``: never, and it does not
    listen until it has finished."""
    interrupt_after_ms: Annotated[int, Field(ge=100, le=5_000)] = 300
    interrupt_words: Annotated[int, Field(ge=1, le=20)] = 2
    back_channels: tuple[str, ...] = BACK_CHANNELS
    """What does not count for ``interruptions = "words"``, and asks for no reply after a false alarm."""
    while_thinking: Literal["listen", "ignore"] = "listen"
    """When the caller goes on before the reply has begun: ``listen`` drops the reply and
    hears them out, unless a tool was called for it; ``ignore`` does not hear it."""
    believes: Literal["played", "all"] = "played"
    """What it takes to have been heard of a reply that was cut off; it goes on from there."""
    false_alarm: Literal["resume", "reply"] = "resume"
    """After it was cut off and no words, or only back-channels, were made out: go on where it stopped, or
    reply to that."""
    no_speech_ms: Annotated[int, Field(ge=100, le=600_000)] = 5_000
    """It prompts again when nothing was said for this long."""
    limit_ms: Annotated[int, Field(ge=100, le=600_000)] = 15_000
    """The caller's turn ends here whatever is heard."""
    keys: Literal["accept", "ignore"] = "accept"
    """What becomes of keys the caller presses."""
    keys_pause_ms: Annotated[int, Field(ge=100, le=60_000)] = 1_500
    """No further key for this long, or ``#``, ends the entry."""

    @model_validator(mode="after")
    def _knows_some(self) -> Self:
        if self.interruptions == "words" and not self.back_channels:
            raise ValueError('back_channels: interruptions = "words" needs to know some')
        return self
