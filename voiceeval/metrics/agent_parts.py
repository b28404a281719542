"""Which parts of an agent can change a metric."""

from __future__ import annotations

SHAPES_A_CALL = (
    *("recognizer", "endpointing", "turn_taking", "dialogue", "tools", "greeting"),
    *("synthesizer", "latency"),
)
"""Parts that decide which turns there are and what is heard in them. The synthesizer and the latency are
among them: how long a reply lasts, and when it begins, decides where callers break in, cough or go on."""
