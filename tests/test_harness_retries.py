"""Calls that we failed to measure are placed again; calls the agent failed are not.

The toy here fails an attempt in a given way, and says in a file that it was asked.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from voice_project import CALLERS_PER_ACCENT, TOY_AGENT, VoiceProject

from voiceeval.call import CALL_JSON, Arm, Call, CallKey, Ending, Stage, Usage
from voiceeval.execution.in_process import InProcess
from voiceeval.execution.placed import Place, Placed
from voiceeval.execution.pool import Pool
from voiceeval.execution.recording import placed_again, record_of
from voiceeval.stopwatch import PROCESS

DIED = "the worker process died (signal 9)"
RAISED = "HarnessError at toy.py:1"
LIMIT_S = 1.0
HUNG = f"no answer within {LIMIT_S:g} s, in the agent's recognizer"
STUCK = f"no answer within {LIMIT_S:g} s, outside the agent"
HOW = {"raises": (Ending.HARNESS_FAILED, RAISED), "fails": (Ending.AGENT_FAILED, "ValueError at agent.py:1")}
Script = Mapping[str, Sequence[str]]
"""By caller: what goes wrong in each attempt, in order; nothing goes wrong in later ones."""


def begin(script: Script, folder: Path) -> Place:
    """What a worker sets up; sent there by its name."""

    def place(key: CallKey, *harness_failures: str) -> Placed:
        with (folder / "asked").open("a") as asked:
            asked.write(f"{key.id} {len(harness_failures)}\n")
        attempts = asked_of(folder)[key.id]
        trouble = "".join(script.get(key.caller, ())[attempts - 1 : attempts])
        if trouble == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble == "hangs":
            with PROCESS.measuring(Stage.RECOGNIZER):
                time.sleep(600)
        if trouble == "is stuck":
            time.sleep(600)
        return Placed(key, *HOW.get(trouble, (Ending.COMPLETED, "")))

    return place


def asked_of(folder: Path) -> Counter[str]:
    """How often each call was placed."""
    return Counter(line.split()[0] for line in (folder / "asked").read_text().splitlines())


def key(caller: str, arm: Arm = Arm.CANDIDATE) -> CallKey:
    return CallKey(scenario="pay", caller=caller, line="clean", trial=0, arm=arm)


def in_pool(script: Script, folder: Path, *, retries: int, limit_s: float = 60) -> dict[str, Placed]:
    with Pool(partial(begin, script, folder), workers=1, limit_s=limit_s, retries=retries) as pool:
        return {placed.key.caller: placed for placed in pool.place([[key(caller) for caller in script]])}


def here(script: Script, folder: Path, *, retries: int) -> dict[str, Placed]:
    places = InProcess(partial(begin, script, folder), retries=retries)
    return {placed.key.caller: placed for placed in places.place([[key(caller) for caller in script]])}


def test_a_worker_that_dies_once_costs_an_attempt_and_not_the_call(tmp_path: Path) -> None:
    script = {"ann": (), "bob": ("dies",), "cyd": ("dies", "raises"), "dan": ("dies",) * 9, "eve": ()}
    placed = in_pool(script, tmp_path, retries=2)
    assert {caller: (how.ending, how.harness_failures) for caller, how in placed.items()} == {
        "ann": (Ending.COMPLETED, ()),
        "bob": (Ending.COMPLETED, (DIED,)),
        "cyd": (Ending.COMPLETED, (DIED, RAISED)),
        "dan": (Ending.HARNESS_FAILED, (DIED, DIED)),
        "eve": (Ending.COMPLETED, ()),
    }
    assert (placed["dan"].failure, placed["dan"].recorded) == (DIED, False)
    assert asked_of(tmp_path) == {
        key(caller).id: attempts for caller, attempts in zip(script, (1, 2, 3, 3, 1), strict=True)
    }


def test_a_call_given_up_is_placed_again_only_if_no_stage_of_the_agent_was_running(tmp_path: Path) -> None:
    script = {"ann": ("hangs",), "bob": ("is stuck",), "cyd": ("is stuck", "hangs")}
    placed = in_pool(script, tmp_path, retries=1, limit_s=LIMIT_S)
    assert {caller: (how.ending, how.failure, how.harness_failures) for caller, how in placed.items()} == {
        "ann": (Ending.AGENT_FAILED, HUNG, ()),
        "bob": (Ending.COMPLETED, "", (STUCK,)),
        "cyd": (Ending.AGENT_FAILED, HUNG, (STUCK,)),
    }
    assert asked_of(tmp_path)[key("ann").id] == 1


def test_two_workers_settle_every_call_once(tmp_path: Path) -> None:
    script = {f"caller{n}": ("dies",) if n == 3 else ("raises",) * (n % 3) for n in range(12)}
    with Pool(partial(begin, script, tmp_path), workers=2, limit_s=60, retries=1) as pool:
        placed = list(pool.place([[key(caller)] for caller in script]))
    assert sorted(how.key.caller for how in placed) == sorted(script)
    expected = {caller: min(len(trouble), 1) for caller, trouble in script.items()}
    assert {how.key.caller: len(how.harness_failures) for how in placed} == expected
    assert {how.key.caller for how in placed if how.ending is Ending.HARNESS_FAILED} == {
        caller for caller, trouble in script.items() if len(trouble) > 1
    }


@pytest.mark.parametrize(
    ("retries", "attempts", "ending"),
    [(0, 1, Ending.HARNESS_FAILED), (1, 2, Ending.HARNESS_FAILED), (2, 3, Ending.COMPLETED)],
)
def test_in_this_process_a_call_is_placed_again_at_once(
    tmp_path: Path, retries: int, attempts: int, ending: Ending
) -> None:
    placed = here({"ann": ("raises", "raises"), "bob": ()}, tmp_path, retries=retries)
    assert list(placed) == ["ann", "bob"]
    assert (placed["ann"].ending, placed["ann"].harness_failures) == (ending, (RAISED,) * (attempts - 1))
    assert asked_of(tmp_path) == {key("ann").id: attempts, key("bob").id: 1}


@pytest.mark.parametrize("trouble", ["fails", ""])
def test_what_the_agent_did_stands(tmp_path: Path, trouble: str) -> None:
    """A second attempt at a call the agent failed would be the agent's second chance."""
    placed = here({"ann": (trouble,)}, tmp_path, retries=5)["ann"]
    assert placed.ending is (Ending.AGENT_FAILED if trouble else Ending.COMPLETED)
    assert placed.harness_failures == ()
    assert asked_of(tmp_path) == {key("ann").id: 1}


def test_the_place_is_told_why_earlier_attempts_failed(tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []

    def place(key: CallKey, *harness_failures: str) -> Placed:
        told.append(harness_failures)
        return Placed(key, Ending.HARNESS_FAILED, f"reason {len(told)}")

    (placed,) = InProcess(lambda: place, retries=2).place([[key("ann")]])
    assert told == [(), ("reason 1",), ("reason 1", "reason 2")]
    assert (placed.failure, placed.harness_failures) == ("reason 3", ("reason 1", "reason 2"))


# -- in the record ------------------------------------------------------------------------------------------


def test_a_call_nobody_could_record_keeps_the_reasons_of_its_attempts() -> None:
    placed = Placed(key("ann"), Ending.HARNESS_FAILED, DIED, recorded=False, harness_failures=(RAISED, DIED))
    call = record_of(placed, seed=7)
    assert (call.failure, call.harness_failures) == (DIED, (RAISED, DIED))
    assert CALL_JSON.validate_json(CALL_JSON.dump_json(call)) == call


def test_a_record_of_a_run_without_retries_still_reads() -> None:
    call = record_of(Placed(key("ann"), Ending.HARNESS_FAILED, DIED), seed=7)
    without = CALL_JSON.dump_json(call).replace(b'"harness_failures":[],', b"")
    assert b"harness_failures" not in without
    assert CALL_JSON.validate_json(without) == call


def test_calls_placed_again_are_counted_by_arm() -> None:
    def record(caller: str, arm: Arm, *failures: str) -> Call:
        return Call(
            key=key(caller, arm), seed=1, events=(), ending=Ending.COMPLETED, harness_failures=failures,
            final_state={}, usage=Usage(), cost=0.0,
        )  # fmt: skip

    calls = [
        record("ann", Arm.BASELINE), record("ann", Arm.CANDIDATE, DIED, DIED),
        record("bob", Arm.BASELINE), record("bob", Arm.CANDIDATE, DIED),
    ]  # fmt: skip
    assert placed_again(calls) == {"baseline": 0, "candidate": 2}
    assert placed_again([]) == {"baseline": 0, "candidate": 0}


# -- in a whole run -----------------------------------------------------------------------------------------

LAPSES = '''

from pathlib import Path

from voiceeval.errors import HarnessError


class Lapses:
    """Ears of an agent that takes its process down, or finds no network, at its first call for each sound."""

    fingerprint = "lapses"

    def __init__(self, how):
        self._how, self._ears = how, Ears()

    def transcribe(self, audio):
        heard = Path(__file__).parent / "heard" / audio.digest()
        heard.parent.mkdir(exist_ok=True)
        if not heard.exists():
            heard.touch()
            if self._how == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            raise HarnessError("no network")
        return self._ears.transcribe(audio)


lapsing = Agent(
    name="lapsing", model_version="1", release_date="2026-01-01", recognizer=Lapses("raises"),
    dialogue=Clerk(), synthesizer=Tone(pitch=60), endpointer=Ends(), tool_backend=desk,
)
crashing = Agent(
    name="crashing", model_version="1", release_date="2026-01-01", recognizer=Lapses("dies"),
    dialogue=Clerk(), synthesizer=Tone(pitch=60), endpointer=Ends(), tool_backend=desk,
)
'''
ONE_CALLER = "voice(caller='low-0')"


@pytest.fixture
def lapsing(voice_project: VoiceProject) -> VoiceProject:
    (voice_project.path / "toy_agent.py").write_text(TOY_AGENT + LAPSES)
    return voice_project


def recorded(project: VoiceProject) -> list[Call]:
    return [
        CALL_JSON.validate_json(path.read_bytes())
        for path in sorted((project.path / "run" / "calls").glob("*.json"))
    ]


@pytest.mark.parametrize(
    ("candidate", "workers", "reason"),
    [("toy_agent:lapsing", "0", "no network"), ("toy_agent:crashing", "1", DIED)],
)
def test_a_lapse_of_ours_is_made_good_and_written_down(
    lapsing: VoiceProject, candidate: str, workers: str, reason: str
) -> None:
    result = lapsing.run(
        "--voice-run", "run", "--voice-candidate", candidate, "--voice-workers", workers, "-m", ONE_CALLER
    )
    assert result.parseoutcomes().get("failed", 0) == 0
    calls = recorded(lapsing)
    assert len(calls) == 4
    assert {call.ending for call in calls} == {Ending.COMPLETED}
    lapsed = [call for call in calls if call.harness_failures]
    assert lapsed
    assert {call.key.arm for call in lapsed} == {Arm.CANDIDATE}
    assert {call.harness_failures for call in lapsed} == {(reason,)}
    assert placed_again(calls)["candidate"] == len(lapsed)


def test_a_stage_that_raises_is_not_asked_again(voice_project: VoiceProject) -> None:
    voice_project.run(
        "--voice-run", "run", "--voice-candidate", "toy_agent:raising", "-m", "voice(accent='high')"
    )
    failed = [call for call in recorded(voice_project) if call.ending is Ending.AGENT_FAILED]
    assert len(failed) == 2 * CALLERS_PER_ACCENT
    assert not any(call.harness_failures for call in failed)
