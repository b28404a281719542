"""The behaviours that hang on sound, with sound: twelve voices, a line, a detector and a recognizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from behaviour_runs import (
    DIGITS,
    GREETING,
    SEED,
    TURNS,
    WANTS,
    YES,
    Case,
    Clerk,
    check,
    compared,
    planned,
    scenarios,
)

from voiceeval.agents import Agent, StageLatency
from voiceeval.call import Arm, Call, Stage
from voiceeval.channel.simulated_line import SimulatedLine
from voiceeval.engines.cascade import Cascade
from voiceeval.kept import KeptStages
from voiceeval.result_store import ResultStore
from voiceeval.samples import key_of
from voiceeval.scenario import Line
from voiceeval.stages.espeak import Espeak
from voiceeval.stages.pocketsphinx import PocketSphinx
from voiceeval.stages.silero import SileroEndpointer
from voiceeval.stages.simulated_tools import SimulatedTools
from voiceeval.turn_taking import TurnTaking
from voiceeval.voices import SIDE_TALK_DB, CallerVoices

pytestmark = pytest.mark.slow

VOICES = (
    *("en-us+edward", "en-us+linda", "en-us+antonio", "en-us+miguel", "en-us+benjamin", "en-us+f3"),
    *("en-gb-x-rp+m1", "en-gb-x-rp+f2", "en-gb-x-rp+pedro", "en-gb-scotland+john", "en-gb-scotland+f2"),
    "en-us+Hugo",
)
LINE = Line(id="clear", noise="pink", snr_db=30.0)
SENTENCES = (
    *("hello i want to freeze my card please", "hello i want to freeze my", "card please"),
    *("it ends in four one two nine", "it ends in four one", "two nine", "four one two nine"),
    *("yes please do that", "uh huh", "yeah right"),
)


@dataclass(frozen=True, kw_only=True)
class Ear:
    """What differs between two agents here."""

    rules: Mapping[str, Any] = field(default_factory=dict)
    pointing: Mapping[str, Any] = field(default_factory=lambda: {"silence_ms": 800})


@dataclass(frozen=True, kw_only=True)
class Studio:
    """Everything that sounds, shared by the calls."""

    engine: Cascade
    recognizer: PocketSphinx
    synthesizer: Espeak

    def agent(self, ear: Ear) -> Agent:
        return Agent(
            name="clerk",
            model_version="1",
            release_date="2026-01-01",
            greeting=GREETING,
            recognizer=self.recognizer,
            dialogue=Clerk(),
            synthesizer=self.synthesizer,
            endpointer=SileroEndpointer(**ear.pointing),
            tool_backend=SimulatedTools.from_scenario,
            turn_taking=TurnTaking(**ear.rules),
            latency={
                Stage.RECOGNIZER: StageLatency(base_ms=150, spread=0.2),
                Stage.DIALOGUE: StageLatency(base_ms=500, spread=0.2),
                Stage.SYNTHESIZER: StageLatency(base_ms=100, spread=0.2),
            },
        )

    def place(self, case: Case, agent: Agent) -> dict[str, Call]:
        stories = scenarios(case)
        keys = {call.id: key_of(call, Arm.BASELINE) for call in planned(case.behaviour, speakers=len(VOICES))}
        return {
            id_: self.engine.place(stories[key.scenario], agent, key=key, seed=key.seed(SEED))
            for id_, key in keys.items()
        }


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    for package in ("espeakng_loader", "faster_whisper", "pocketsphinx"):
        pytest.importorskip(package)
    folder: Path = tmp_path_factory.mktemp("studio")
    corpus = folder / "sentences.txt"
    corpus.write_text("\n".join(SENTENCES))
    kept = KeptStages(ResultStore(folder / "store"))
    voices = {f"speaker{number:02}": Espeak(voice=voice) for number, voice in enumerate(VOICES)}
    return Studio(
        engine=Cascade(
            voices=CallerVoices(synthesizers=voices, pauses_ms={}, recordings={}, kept=kept),
            lines={"clear": SimulatedLine(LINE)},
            far_lines={"clear": SimulatedLine(LINE.with_speech_by(SIDE_TALK_DB))},
            kept=kept,
        ),
        recognizer=PocketSphinx(
            corpus=corpus,
            language_weight=10.0,
            discount=0.1,
            downsample=2,
            fwdflat=False,
            bestpath=False,
        ),
        synthesizer=Espeak(voice="en-us+f2", rate_wpm=165),
    )


TABLE = (
    (
        Case(
            behaviour="barge_in_ms", policy="interruptions", metric="yield_rate",
            turns=(WANTS, {**DIGITS, "barge_in_ms": 1500}, YES),
            why="finish: it speaks on over who interrupts, and does not hear them",
        ),
        Ear(), Ear(rules={"interruptions": "finish"}),
    ),
    (
        Case(
            behaviour="aside.back_channel", policy="interruptions", metric="talk_through", turns=TURNS,
            changes={
                "asides": [
                    {"kind": "back_channel", "text": "uh huh", "cue": ["four digits"], "at_ms": 1500},
                    {"kind": "cough", "cue": ["shall i"], "at_ms": 1500},
                ]
            },
            why="stop: it breaks off whenever somebody shows that they listen",
        ),
        Ear(rules={"interruptions": "words"}), Ear(rules={"interrupt_after_ms": 100}),
    ),
    (
        Case(
            behaviour="hesitation", policy="end-pointing", metric="premature_endpoints",
            turns=(WANTS, {**DIGITS, "hesitation": {"after_words": 5, "ms": 550}}, YES),
            why="too short: somebody who looks for a number is taken to have finished",
        ),
        Ear(), Ear(pointing={"silence_ms": 350}),
    ),
)  # fmt: skip


@pytest.mark.parametrize(("case", "right", "wrong"), TABLE, ids=["barge_in", "back_channel", "too_short"])
def test_the_wrong_policy_fails_the_voices_whom_it_harms(
    studio: Studio, case: Case, right: Ear, wrong: Ear
) -> None:
    agents = studio.agent(right), studio.agent(wrong)
    calls = studio.place(case, agents[0]), studio.place(case, agents[1])
    plan = planned(case.behaviour, speakers=len(VOICES))
    check(case, *compared(case, agents, calls, plan))
