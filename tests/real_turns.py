"""Calls with barge-ins, asides and afterthoughts, placed for real, and what their audio says of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voiceeval.assembly import build, start
from voiceeval.audio_turns import FROM_AUDIO, turns_of_spans
from voiceeval.call import Arm, AsideStarted, AsideStopped, Call, CallerStarted, CallerStopped, Event
from voiceeval.call_audio import TwoTracks, duration_ms, playings, two_tracks
from voiceeval.config import load_config
from voiceeval.experiment import keys
from voiceeval.metrics import BUNDLED
from voiceeval.protocols import Span
from voiceeval.run_folder import RunFolder
from voiceeval.scenario import Scenario
from voiceeval.score import Ratio, Scored

ROOT = Path(__file__).resolve().parent.parent
VOICES = ("en-us+linda", "en-gb-scotland+john", "en-gb-x-rp+Mike")
SCENARIO = """
goal = "Freeze the lost card; the caller is in a hurry."
domain = "banking"
call_type = "request"
tool_files = ["banking.toml"]
asides = [
    { kind = "back_channel", text = "uh huh", cue = ["last four digits"], at_ms = 700 },
    { kind = "back_channel", text = "yeah right", cue = ["shall i"], at_ms = 900 },
]

[[turns]]
text = "i lost my wallet and i need to freeze my card"
barge_in_ms = 1500
repairs = ["please freeze my card i lost it"]

[[turns]]
text = "the last four digits are four one two nine"
afterthought = { text = "please be quick about it", after_ms = 1200 }
repairs = ["four one two nine"]

[[turns]]
text = "yes please freeze it now"
barge_in_ms = 2000

[world.cards.4129]
status = "active"
monthly_fee = 5

[[tool_paths]]
calls = [{ name = "freeze_card", arguments = { card = "4129" } }]
"""
LINES = """
[[lines]]
id = "wideband"

[[lines]]
id = "telephone"
band = "telephone"
codec = "mulaw"
noise = "pink"
snr_db = 24.0
"""
AGENT = """
name = "of the tests"
model_version = "1"
release_date = 2026-01-01
greeting = "Hello, this is the front desk. How can I help you on this fine day?"
recognizer = { use = "pocketsphinx", corpus = "{root}/fixtures/lm/domain.txt", downsample = 2 }
dialogue = { use = "scripted", policy = "{root}/fixtures/policies/frontdesk.toml" }
synthesizer = { use = "espeak", voice = "en-us+edward" }
endpointing = { use = "silero", silence_ms = 700 }
latency.dialogue = { base_ms = 260, per_unit_ms = 6, spread = 0.2 }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A placed call as sound, and who spoke when in it by its events."""

    scenario: Scenario
    call: Call
    tracks: TwoTracks
    caller: tuple[Span, ...]
    """Utterances and asides, from the first to the last audible sample."""
    agent: tuple[Span, ...]


def place_calls(folder: Path) -> list[Heard]:
    """Each voice on each line, one call each."""
    suite = folder / "suite"
    suite.mkdir()
    (suite / "suite.toml").write_text(
        'name = "turns"\nscenarios = ["hurry.toml"]\ncallers = ["callers.toml"]\n'
        'lines = ["lines.toml"]\nmatrix = "full"\n'
    )
    shutil.copy(ROOT / "scenarios" / "tools" / "banking.toml", suite)
    (suite / "hurry.toml").write_text(SCENARIO)
    (suite / "lines.toml").write_text(LINES)
    callers = [
        f'[[callers]]\nid = "caller-{number}"\naccent = "any"\nvoice = "{voice}"\n'
        for number, voice in enumerate(VOICES)
    ]
    (suite / "callers.toml").write_text("\n".join(callers))
    (folder / "agent.toml").write_text(AGENT.replace("{root}", str(ROOT)))
    (folder / "pyproject.toml").write_text("[tool.voiceeval]\n")
    agent = str(folder / "agent.toml")
    given = {"suite": str(suite), "baseline": agent, "candidate": agent, "metrics": ("wer",)}
    config = load_config(folder, given | {"margins": {"wer": "+2pp"}}, from_folder=folder)
    experiment = build(config).experiment
    run = RunFolder.create(
        folder / "run",
        manifest={"config": config.document(), "comparison": experiment.manifest()},
        planned=experiment.planned,
        scenarios=experiment.scenarios,
    )
    place = start(config, run.path, folder / "store")
    for key in keys(experiment.planned):
        if key.arm is Arm.BASELINE:
            place(key)
    return [heard(experiment.scenarios[call.key.scenario], call, run) for call in run.calls().values()]


def heard(scenario: Scenario, call: Call, run: RunFolder) -> Heard:
    """A call with the spans that its events state."""
    tracks = two_tracks(call, run.audio)
    caller: list[Span] = []
    begun: dict[str, int] = {}
    for event in call.events:
        if isinstance(event, CallerStarted | AsideStarted):
            begun[event.kind.removesuffix("_started")] = event.at_ms
        elif isinstance(event, CallerStopped | AsideStopped):
            start_ms = begun.pop(event.kind.removesuffix("_stopped"))
            caller.append(Span(start_ms=start_ms, end_ms=event.at_ms))
    caller += [Span(start_ms=at_ms, end_ms=duration_ms(call)) for at_ms in begun.values()]
    return Heard(
        scenario=scenario,
        call=call,
        tracks=tracks,
        caller=tuple(sorted(caller, key=lambda span: span.start_ms)),
        agent=tuple(Span(start_ms=item.started.at_ms, end_ms=item.end_ms) for item in playings(call)),
    )


def common_ms(spans: Sequence[Span], others: Sequence[Span]) -> int:
    """How long both go on at once."""
    return sum(
        max(0, min(span.end_ms, other.end_ms) - max(span.start_ms, other.start_ms))
        for span in spans
        for other in others
    )


def edge_errors_ms(truth: Sequence[Span], found: Sequence[Span]) -> tuple[list[int], list[int]]:
    """Signed errors of the first onset and the last offset found within each true span."""
    onsets, offsets = [], []
    for span in truth:
        inside = [item for item in found if item.start_ms < span.end_ms and span.start_ms < item.end_ms]
        if inside:
            onsets.append(min(item.start_ms for item in inside) - span.start_ms)
            offsets.append(max(item.end_ms for item in inside) - span.end_ms)
    return onsets, offsets


def median_and_p90(errors: Sequence[int]) -> tuple[float, float]:
    """Of their sizes."""
    sizes = np.abs(errors)
    return float(np.median(sizes)), float(np.percentile(sizes, 90))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far what is told from audio lies from what the events say."""

    of: str
    onsets_ms: tuple[int, ...]
    offsets_ms: tuple[int, ...]
    missed: int
    """Utterances of which nothing was found."""
    talk_over_ms: int
    """By the events."""
    talk_over_found_ms: int
    talk_over_shared_ms: int
    """Where both say that both speak."""

    def __str__(self) -> str:
        onset, offset = median_and_p90(self.onsets_ms), median_and_p90(self.offsets_ms)
        return (
            f"{self.of}: {len(self.onsets_ms)} utterances found, {self.missed} missed; "
            f"onset error median {onset[0]:.0f} ms, p90 {onset[1]:.0f} ms; "
            f"offset error median {offset[0]:.0f} ms, p90 {offset[1]:.0f} ms; "
            f"talk-over {self.talk_over_ms} ms by events, {self.talk_over_found_ms} ms by audio, "
            f"{self.talk_over_shared_ms} ms by both"
        )


def agreement(
    of: str, calls: Sequence[Heard], found: Sequence[tuple[Sequence[Span], Sequence[Span]]]
) -> Agreement:
    """Over all calls; ``found`` has the caller's spans and the agent's of each."""
    onsets: list[int] = []
    offsets: list[int] = []
    missed = talk_over = talk_over_found = shared = 0
    for one, (caller, agent) in zip(calls, found, strict=True):
        for truth, spans in ((one.caller, caller), (one.agent, agent)):
            begins, ends = edge_errors_ms(truth, spans)
            onsets += begins
            offsets += ends
            missed += len(truth) - len(begins)
        by_events, by_audio = both(one.caller, one.agent), both(caller, agent)
        talk_over += lasting_ms(by_events)
        talk_over_found += lasting_ms(by_audio)
        shared += common_ms(by_events, by_audio)
    return Agreement(
        of=of,
        onsets_ms=tuple(onsets),
        offsets_ms=tuple(offsets),
        missed=missed,
        talk_over_ms=talk_over,
        talk_over_found_ms=talk_over_found,
        talk_over_shared_ms=shared,
    )


def both(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Where both go on."""
    pairs = [
        (max(span.start_ms, other.start_ms), min(span.end_ms, other.end_ms))
        for span in spans
        for other in others
    ]
    return [Span(start_ms=start_ms, end_ms=end_ms) for start_ms, end_ms in pairs if start_ms < end_ms]


def lasting_ms(spans: Sequence[Span]) -> int:
    """Of spans that lie apart: how long they last together."""
    return sum(span.end_ms - span.start_ms for span in spans)


def scores(calls: Sequence[Heard], events: Sequence[Sequence[Event]]) -> Mapping[str, Ratio]:
    """What the metrics that audio gives make of these events of each call, pooled over the calls."""
    pooled = {}
    for name in FROM_AUDIO:
        metric = BUNDLED[name]()
        found = [
            metric.score(one.scenario, replace(one.call, events=tuple(given)))
            for one, given in zip(calls, events, strict=True)
        ]
        pooled[name] = Ratio.pooled(score.total for score in found if isinstance(score, Scored))
    return pooled


def scores_side_by_side(
    calls: Sequence[Heard], found: Sequence[tuple[Sequence[Span], Sequence[Span]]]
) -> dict[str, tuple[float, float]]:
    """Metric -> its value on the calls' own events, and on the turns read off what was found in the audio."""
    turns = [
        turns_of_spans(caller, agent, ends_ms=duration_ms(one.call))
        for one, (caller, agent) in zip(calls, found, strict=True)
    ]
    own, heard = scores(calls, [one.call.events for one in calls]), scores(calls, turns)
    return {
        name: (own[name].numerator / own[name].denominator, heard[name].numerator / heard[name].denominator)
        for name in FROM_AUDIO
        if own[name].denominator and heard[name].denominator
    }


def table(values: Mapping[str, tuple[float, float]]) -> str:
    """A line per metric."""
    rows = [f"{name:24} {own:10.2f} {heard:10.2f}" for name, (own, heard) in values.items()]
    return "\n".join([f"{'metric':24} {'events':>10} {'audio':>10}", *rows])
