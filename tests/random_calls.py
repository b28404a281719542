"""Scenarios, agents and lines at random: whatever callers, agents and detectors may do."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rooms import Lines, Room, agent
from spoken_calls import scenario

from voiceeval.agents import Agent, StageLatency
from voiceeval.protocols import Reply, Span
from voiceeval.scenario import Scenario, ToolCall
from voiceeval.turn_taking import TurnTaking

CALLER_WORDS = ("please", "block", "my", "card", "the", "other", "four", "two", "nine", "no", "wait", "yes")
AGENT_WORDS = (
    "which",
    "number",
    "shall",
    "i",
    "block",
    "the",
    "card",
    "moment",
    "please",
    "anything",
    "else",
)
CUES = ("which", "number", "block", "moment", "anything")
PARDON = "sorry could you repeat that"


def some_words(rng: np.random.Generator, words: Sequence[str], most: int, least: int = 1) -> str:
    return " ".join(rng.choice(words, size=int(rng.integers(least, most + 1))))


def some_cue(rng: np.random.Generator, odds: float) -> list[str]:
    return [str(rng.choice(CUES))] if rng.random() < odds else []


def some_turn(rng: np.random.Generator) -> dict[str, Any]:
    turn: dict[str, Any] = {"cue": some_cue(rng, 0.6)}
    kind = rng.random()
    if kind < 0.1:
        return turn | {"silence_ms": int(rng.integers(1, 12_000))}
    if kind < 0.2:
        keys = "".join(rng.choice(list("0123456789#"), size=int(rng.integers(1, 6))))
        return turn | {"keys": keys, "silence_ms": int(rng.integers(0, 2) * rng.integers(0, 9000))}
    if kind < 0.23:
        return turn | {"hangs_up": True}
    turn["text"] = text = some_words(rng, CALLER_WORDS, 12)
    count = len(text.split())
    if rng.random() < 0.3 and count > 1:
        turn["hesitation"] = {"after_words": int(rng.integers(1, count)), "ms": int(rng.integers(50, 2000))}
    if rng.random() < 0.3:
        more = some_words(rng, CALLER_WORDS, 8)
        turn["afterthought"] = {"text": more, "after_ms": int(rng.integers(50, 2500))}
    if rng.random() < 0.4:
        turn["barge_in_ms"] = int(rng.integers(1, 1500))
    if rng.random() < 0.2:
        turn["silence_ms"] = int(rng.integers(1, 9000))
    if rng.random() < 0.2:
        turn |= {"expects": [str(rng.choice(CUES))], "objection": some_words(rng, CALLER_WORDS, 5)}
    if rng.random() < 0.3:
        turn["repairs"] = [some_words(rng, CALLER_WORDS, 6)]
    if rng.random() < 0.06:
        turn["hangs_up"] = True
    return turn


def some_aside(rng: np.random.Generator) -> dict[str, Any]:
    kind = str(rng.choice(["back_channel", "cough", "side_talk"]))
    aside: dict[str, Any] = {"kind": kind, "at_ms": int(rng.integers(1, 1200)), "cue": some_cue(rng, 0.3)}
    if kind == "back_channel":
        aside["text"] = str(rng.choice(["yeah", "uh huh", "right ok", "mm hmm i see"]))
    elif kind == "side_talk":
        aside["text"] = some_words(rng, ["the", "dog", "is", "out"], 10)
    return aside


def some_scenario(rng: np.random.Generator) -> Scenario:
    turns = [some_turn(rng) for _ in range(int(rng.integers(1, 6)))]
    return scenario(
        turns=turns,
        asides=[some_aside(rng) for _ in range(int(rng.integers(0, 4)))],
        impatience={"after": int(rng.integers(1, 3))} if rng.random() < 0.5 else None,
        patience=int(rng.integers(0, 4)),
        max_exchanges=int(rng.integers(1, 9)),
    )


def some_reply(rng: np.random.Generator) -> Reply:
    kind = rng.random()
    if kind < 0.05:
        return Reply(output_tokens=3)
    if kind < 0.15:
        return Reply(text=PARDON)
    text = some_words(rng, AGENT_WORDS, 16)
    if kind < 0.35:
        calls = tuple(ToolCall(name="log") for _ in range(int(rng.integers(1, 3))))
        return Reply(text=text if rng.random() < 0.5 else "", tool_calls=calls)
    ends: Any = str(rng.choice(["done", "handed over"])) if kind > 0.9 else "no"
    return Reply(text=text if rng.random() < 0.9 else "", ends_call=ends, output_tokens=8)


def some_rules(rng: np.random.Generator) -> TurnTaking:
    return TurnTaking(
        interruptions=rng.choice(["stop", "words", "finish"]),
        interrupt_after_ms=int(rng.integers(100, 900)),
        interrupt_words=int(rng.integers(1, 4)),
        while_thinking=rng.choice(["listen", "ignore"]),
        believes=rng.choice(["played", "all"]),
        false_alarm=rng.choice(["resume", "reply"]),
        no_speech_ms=int(rng.integers(500, 9000)),
        limit_ms=int(rng.integers(500, 12_000)),
        keys=rng.choice(["accept", "ignore"]),
        keys_pause_ms=int(rng.integers(100, 3000)),
    )


def some_agent(rng: np.random.Generator) -> tuple[Agent, Lines]:
    replies = [some_reply(rng) for _ in range(12)]
    replies.append(Reply(text=some_words(rng, AGENT_WORDS, 6), ends_call="done"))
    stages = ("recognizer", "dialogue", "synthesizer")
    slow = {stage: StageLatency(base_ms=int(rng.integers(0, 1500)), spread=0.4) for stage in stages}
    greeting = some_words(rng, AGENT_WORDS, 12) if rng.random() < 0.7 else ""
    return agent(*replies, greeting=greeting, rules=some_rules(rng), **slow)


def some_spans(rng: np.random.Generator, until_ms: int, most: int) -> tuple[Span, ...]:
    """Stretches in order and apart."""
    count = 2 * int(rng.integers(0, most + 1))
    borders = sorted(rng.choice(until_ms + 1, size=min(count, until_ms), replace=False).tolist())
    pairs = zip(borders[::2], borders[1::2], strict=False)
    return tuple(Span(start_ms=start, end_ms=end) for start, end in pairs)


def some_detector(rng: np.random.Generator) -> Callable[[str, tuple[Span, ...]], tuple[Span, ...]]:
    """Hears all, misses some, chops some, or hears what is not there; the same for the same sound."""
    kind = rng.random()
    salt = int(rng.integers(1 << 30))

    def hears(digest: str, audible: tuple[Span, ...]) -> tuple[Span, ...]:
        own = np.random.default_rng([salt, zlib.crc32(digest.encode())])
        if kind < 0.3:
            return audible
        if kind < 0.4:
            return audible if own.random() < 0.6 else ()
        if kind < 0.7:
            chopped = []
            for span in audible:
                step = int(own.integers(40, 400))
                for start in range(span.start_ms, span.end_ms, step):
                    end = min(span.end_ms, start + int(step * own.uniform(0.3, 1)))
                    chopped += [Span(start_ms=start, end_ms=end)] if own.random() < 0.8 else []
            return tuple(chopped)
        return some_spans(own, audible[-1].end_ms + 2000, 6)

    return hears


def some_room(rng: np.random.Generator) -> Room:
    wait_ms, grows = int(rng.integers(50, 1200)), bool(rng.random() < 0.5)
    clear = rng.random() < 0.6
    return Room(
        hears=some_detector(rng),
        waits=lambda pauses: wait_ms + (max(pauses, default=0) // 2 if grows else 0),
        makes_out=(lambda words: words) if rng.random() < 0.8 else (lambda words: words[:7].strip()),
        bed_hears=() if clear else some_spans(rng, 30_000, 40),
        bed_from_ms=int(rng.integers(0, 30_000)),
    )
