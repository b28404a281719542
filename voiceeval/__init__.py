"""Tells a team whether a changed voice agent may ship: the same calls, both agents, judged per cohort."""

from __future__ import annotations

__version__ = "0.1.0"
