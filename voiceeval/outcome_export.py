"""An arm of a finished run as a table of outcomes: what was counted, and nothing that was said."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voiceeval.assembly import score_with
from voiceeval.call import Arm
from voiceeval.config import Config
from voiceeval.errors import ConfigError
from voiceeval.outcome_cells import RESERVED
from voiceeval.outcome_files import write_columns
from voiceeval.protocols import Metric
from voiceeval.run_folder import RunFolder
from voiceeval.samples import key_of
from voiceeval.score import Gap, NotScored, Score


def export(folder: RunFolder, arm: Arm, path: Path, *, metrics: Sequence[str] = ()) -> int:
    """Score an arm's calls again and write them; the number of rows.

    Args:
        folder: the run.
        arm: whose calls.
        path: CSV, JSON, JSON lines or Parquet, by its name; a file there is replaced.
        metrics: names or import paths; none: the run's own.

    Raises:
        InputError: The run is damaged, a metric is unknown, or the file cannot be written.
    """
    config = Config.restored(folder.stated("config"), where=f"{folder.path}/manifest.json: config")
    if str(config.folder) not in sys.path:
        sys.path.insert(0, str(config.folder))
    columns = outcome_columns(folder, arm, score_with(tuple(metrics) or config.settings.metrics))
    write_columns(path, columns)
    return len(columns["call"])


def outcome_columns(folder: RunFolder, arm: Arm, metrics: Sequence[Metric]) -> Mapping[str, list[Any]]:
    """The arm's outcomes as columns: one row per selected call and metric.

    A duration comes with its turns, because geometric means are compared: the numbers alone.
    """
    tags = sorted({tag for call in folder.selected for tag in call.tags})
    taken = sorted(set(tags) & set(RESERVED))
    if taken:
        raise ConfigError(
            f"{folder.path}: the tag {taken[0]!r} has the name of a column with a meaning of its own; "
            f"allowed: tags other than {', '.join(RESERVED)}"
        )
    calls = folder.calls()
    names = ("call", "trial", "speaker", "scenario", "critical", *tags, "metric", "numerator", "denominator")
    columns: dict[str, list[Any]] = {name: [] for name in (*names, "gap", "observations")}
    for planned in folder.selected:
        call = calls.get(key_of(planned, arm).id)
        for metric in metrics:
            score: Score = (
                NotScored(gap=Gap.NOT_RUN, reason="planned, and not placed")
                if call is None
                else metric.score(folder.scenarios[planned.scenario], call)
            )
            row = {
                "call": planned.id.removesuffix(f"/{planned.trial}"),
                "trial": planned.trial,
                "speaker": planned.speaker,
                "scenario": planned.scenario,
                "critical": planned.critical,
                "metric": metric.info.name,
                **{tag: planned.tags.get(tag, "") for tag in tags},
                **_numbers(score, each_turn=metric.info.unit == "ms"),
            }
            for name, cells in columns.items():
                cells.append(row[name])
    return columns


def _numbers(score: Score, *, each_turn: bool) -> dict[str, Any]:
    if isinstance(score, NotScored):
        return {"numerator": None, "denominator": None, "gap": str(score.gap), "observations": ""}
    turns = [f"{each.numerator!r}/{each.denominator!r}" for each in score.observations] if each_turn else []
    return {
        "numerator": math.fsum(each.numerator for each in score.observations),
        "denominator": math.fsum(each.denominator for each in score.observations),
        "gap": "",
        "observations": " ".join(turns),
    }
