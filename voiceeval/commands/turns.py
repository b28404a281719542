"""``voiceeval turns``: the turn-taking of a recorded call."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from voiceeval.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from voiceeval.audio import AudioClip
    from voiceeval.call import Event
    from voiceeval.protocols import Metric, Span
    from voiceeval.score import Score


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    turns = commands.add_parser("turns", help="measure the turn-taking of a recorded call")
    turns.add_argument(
        "recording",
        type=Path,
        metavar="FILE",
        help="WAV, FLAC or Ogg with two channels, or one with --diarize",
    )
    turns.add_argument(
        "--caller-channel", type=int, choices=(0, 1), default=0, help="the channel of the caller; default: 0"
    )
    turns.add_argument(
        "--diarize", metavar="MODEL", help="for a file with one channel: the model that tells who speaks when"
    )
    turns.add_argument(
        "--agent-speaks-second",
        action="store_true",
        help="with --diarize: whoever speaks first is the caller; default: the agent",
    )
    turns.add_argument("--json", action="store_true", help="print JSON instead of a table")
    turns.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when the call could be measured."""
    from voiceeval.audio_turns import NOT_FROM_AUDIO

    events = _events(given)
    rows = _rows(events)
    if given.json:
        sys.stdout.write(f"{json.dumps(_as_json(given.recording, events, rows), indent=2)}\n")
        return 0
    _print(given.recording, events, rows, NOT_FROM_AUDIO)
    return 0


class _Row(NamedTuple):
    metric: Metric
    score: Score


def _events(given: argparse.Namespace) -> tuple[Event, ...]:
    from voiceeval.audio_turns import turns_of_spans

    channels = _channels(given.recording)
    name = given.recording
    if len(channels) == 1:
        if not given.diarize:
            raise ConfigError(
                f"{name}: has one channel; allowed: two, one for the caller and one for the agent, or one "
                "with --diarize MODEL"
            )
        caller, agent = _diarized(given, channels[0])
        return turns_of_spans(caller, agent, ends_ms=channels[0].duration_ms)
    if given.diarize:
        raise ConfigError(
            f"--diarize: {name}: has two channels, which tell who speaks; allowed: a file with one"
        )
    if given.agent_speaks_second:
        raise ConfigError("--agent-speaks-second: allowed only with --diarize; use --caller-channel here")
    from voiceeval import registry

    detector = registry.component("endpointer", "silero", {}, where="voiceeval turns")
    spans = [detector.speech(channel) for channel in channels]
    for index, who in ((given.caller_channel, "caller"), (1 - given.caller_channel, "agent")):
        if not spans[index]:
            raise AudioError(f"{name}: channel {index}: no speech of the {who} is heard in it")
    caller, agent = spans[given.caller_channel], spans[1 - given.caller_channel]
    return turns_of_spans(caller, agent, ends_ms=channels[0].duration_ms)


def _channels(path: Path) -> tuple[AudioClip, ...]:
    """One clip for each channel of a file."""
    import numpy as np

    from voiceeval.audio import AudioClip, read_channels

    if not path.is_file():
        raise AudioError(f"{path}: no such file; allowed: WAV, FLAC or Ogg")
    samples, rate_hz = read_channels(path, name=str(path))
    frames, count = samples.shape
    if not frames:
        raise AudioError(f"{path}: holds no samples")
    if count > 2:
        raise AudioError(f"{path}: has {count} channels; allowed: two, or one with --diarize MODEL")
    return tuple(AudioClip(np.ascontiguousarray(samples[:, i]), rate_hz) for i in range(count))


def _diarized(given: argparse.Namespace, audio: AudioClip) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The stretches of caller and agent, by who speaks first."""
    from voiceeval.diarization import who_spoke_when

    found = who_spoke_when(audio, model=given.diarize)
    speaking = [spans for spans in found.speakers.values() if spans]
    if len(speaking) != 2:
        raise AudioError(
            f"{given.recording}: the model hears {len(speaking)} speakers; allowed: two, the caller and the "
            "agent"
        )
    first, second = sorted(speaking, key=lambda spans: min(span.start_ms for span in spans))
    return (first, second) if given.agent_speaks_second else (second, first)


def _rows(events: tuple[Event, ...]) -> list[_Row]:
    """Every metric that audio gives, scored on a call that holds nothing but these events."""
    from voiceeval.audio_turns import FROM_AUDIO
    from voiceeval.call import Arm, Call, CallKey, Ending, Usage
    from voiceeval.metrics import BUNDLED
    from voiceeval.scenario import CallerTurn, Scenario, ToolPath

    scenario = Scenario(
        id="recording",
        goal="Unknown.",
        domain="unknown",
        call_type="unknown",
        turns=(CallerTurn(silence_ms=1),),
        tool_paths=(ToolPath(),),
    )
    call = Call(
        key=CallKey(scenario="recording", caller="caller", line="line", trial=0, arm=Arm.CANDIDATE),
        seed=0,
        events=events,
        ending=Ending.COMPLETED,
        final_state={},
        usage=Usage(),
        cost=0.0,
    )
    metrics = [BUNDLED[name]() for name in FROM_AUDIO]
    return [_Row(metric, metric.score(scenario, call)) for metric in metrics]


def _as_json(path: Path, events: tuple[Event, ...], rows: list[_Row]) -> dict[str, Any]:
    from dataclasses import asdict

    from voiceeval.audio_turns import NOT_FROM_AUDIO
    from voiceeval.score import Scored

    metrics: dict[str, Any] = {}
    for metric, score in rows:
        if not isinstance(score, Scored):
            metrics[metric.info.name] = {"not_scored": score.reason}
            continue
        total = score.total
        metrics[metric.info.name] = {
            "value": total.numerator / total.denominator,
            "unit": metric.info.unit,
            "observations": [each.numerator / each.denominator for each in score.observations],
            "evidence": list(score.evidence),
        }
    return {
        "schema_version": 1,
        "recording": str(path),
        "metrics": metrics,
        "not_from_audio": dict(NOT_FROM_AUDIO),
        "events": [
            {
                key: value
                for key, value in asdict(event).items()
                if key in ("kind", "at_ms", "turn", "interrupted", "barge_in")
            }
            for event in events
        ],
    }


def _print(path: Path, events: tuple[Event, ...], rows: list[_Row], unheard: Any) -> None:
    from rich.console import Console
    from rich.text import Text

    from voiceeval.reports.terminal_style import console_width, grid
    from voiceeval.reports.wording import counted, level, one_line
    from voiceeval.score import Scored
    from voiceeval.statistics.tails import quantile

    console = Console(highlight=False, width=console_width())
    turns = sum(event.kind == "caller_started" for event in events)
    asides = sum(event.kind == "aside_started" for event in events)
    ends_ms = events[-1].at_ms if events else 0
    console.print(
        Text(
            f"{one_line(path.name)}: {ends_ms / 1000:.1f} s, "
            f"{counted(turns, 'utterance')} of the caller, {counted(asides, 'back-channel')}\n"
        )
    )
    table = grid()
    for title in ("metric", "", "rests on"):
        table.add_column(title)
    for metric, score in rows:
        if not isinstance(score, Scored):
            table.add_row(Text(metric.info.title), "–", Text(score.reason))
            continue
        value = level(metric.info, score.total.numerator / score.total.denominator)
        values = [each.numerator for each in score.observations]
        on = counted(len(values), "observation")
        if metric.info.unit == "ms" and len(values) > 1:
            on += f", median {quantile(values, 0.5):.0f} ms, longest {max(values):.0f} ms"
        table.add_row(Text(metric.info.title), Text(value), on)
    console.print(table)
    console.print(Text(f"\nNot from audio: {', '.join(unheard)} (docs/turn-taking.md says why)"))
