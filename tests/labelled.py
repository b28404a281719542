"""Labels for tests, and the run they are of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voiceeval.labels import Label, Said

RUN = "0123456789abcdef"


def written(call: str = "a/b/c/0", arm: str = "baseline", **changed: Any) -> dict[str, Any]:
    """A label as it stands in a file."""
    return {
        "call": call,
        "arm": arm,
        "task_done": "yes",
        "tools_right": "yes",
        "tone": 4,
        "clarity": "not given",
        "note": "",
        "blind": True,
        "why": ["random sample"],
        "at": "2026-03-01T12:00:00.000Z",
        **changed,
    }


def label_file(
    path: Path, labels: Sequence[dict[str, Any]], *, reviewer: str = "AB", run: str = RUN, **more: Any
) -> Path:
    document = {"schema_version": 1, "run": run, "reviewer": reviewer, "labels": list(labels), **more}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def said(reviewer: str = "AB", call: str = "a/b/c/0", arm: str = "baseline", **changed: Any) -> Said:
    return Said(reviewer, Label.model_validate(written(call, arm, **changed)))
