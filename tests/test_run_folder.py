from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from voiceeval.audio import AudioClip
from voiceeval.call import AgentStarted, Arm, AsideStarted, Call, CallerStarted, CallKey, Ending, Usage
from voiceeval.cohort import PlannedCall
from voiceeval.content_files import FlacStore
from voiceeval.errors import RunFolderError
from voiceeval.run_folder import RunFolder, clips, find_run


def key(number: int = 0, arm: Arm = Arm.BASELINE) -> CallKey:
    return CallKey(scenario="lost-card", caller=f"caller-{number}", line="clear", trial=0, arm=arm)


def call(number: int = 0, arm: Arm = Arm.BASELINE) -> Call:
    said = AgentStarted(at_ms=10, turn=0, text="hello", audio="", stage_ms=5)
    return Call(
        key=key(number, arm), seed=number, events=(said,) * 40, ending=Ending.COMPLETED,
        final_state={"cards": {"1": {"status": "blocked", "limit": None}}}, usage=Usage(), cost=0.25,
    )  # fmt: skip


def new_folder(path: Path) -> RunFolder:
    planned = PlannedCall(
        scenario="lost-card",
        caller="caller-0",
        line="clear",
        trial=0,
        speaker="caller-0",
        tags={"accent": "low"},
    )
    return RunFolder.create(path, manifest={"seed": 1}, planned=[planned], scenarios={})


def test_calls_come_back_as_they_were_added(tmp_path: Path) -> None:
    folder = new_folder(tmp_path / "run")
    added = [call(number, arm) for number in range(3) for arm in Arm]
    for one in added:
        folder.add(one)
        folder.add(one)
    again = RunFolder.open(folder.path)
    assert again.calls() == {one.key.id: one for one in added}
    assert again.planned == folder.planned
    assert again.planned[0].tags == {"accent": "low"}
    assert again.has(key())
    assert not again.has(key(99))


def test_every_sound_of_a_call_is_kept_with_it_and_a_silent_turn_has_none(tmp_path: Path) -> None:
    store = FlacStore(tmp_path / "store")
    voice, cough, words = (store.put(AudioClip.silence(length, 8_000)) for length in (10, 20, 30))
    sounding = replace(
        call(),
        events=(
            AgentStarted(at_ms=10, turn=0, text="hello", audio=voice, stage_ms=5),
            AsideStarted(at_ms=20, turn=0, aside="cough", text="", audio=cough, audio_from_ms=0),
            CallerStarted(at_ms=90, turn=1, text="", script_turn=0, wording="text", audio=""),
            CallerStarted(at_ms=95, turn=2, text="yes", script_turn=1, wording="text", audio=words),
            CallerStarted(at_ms=99, turn=3, text="yes", script_turn=1, wording="repair", audio=words),
        ),
    )
    assert clips(sounding) == (voice, cough, words)
    folder = new_folder(tmp_path / "run")
    folder.add(sounding, audio=store)
    assert [folder.audio.get(digest).duration_ms for digest in clips(sounding)] == [10, 20, 30]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    new_folder(tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"run: already holds files.*voiceeval report"):
        new_folder(tmp_path / "run")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RunFolderError, match="already holds files"):
        new_folder(file)


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert new_folder(tmp_path).calls() == {}


def test_another_schema_is_refused(tmp_path: Path) -> None:
    folder = new_folder(tmp_path / "run")
    manifest = folder.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(RunFolderError, match=r"manifest.json: schema_version: 99 .*; allowed: 1"):
        RunFolder.open(folder.path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no run here"):
        RunFolder.open(tmp_path / "gone")


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_damaged_call_is_named_without_its_content(tmp_path: Path, keep: float) -> None:
    folder = new_folder(tmp_path / "run")
    folder.add(call())
    path = next((folder.path / "calls").glob("*.json"))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(RunFolderError) as caught:
        folder.calls()
    assert str(path) in str(caught.value)
    assert "hello" not in str(caught.value)


def test_a_call_under_another_calls_name_is_damage(tmp_path: Path) -> None:
    folder = new_folder(tmp_path / "run")
    folder.add(call())
    path = next((folder.path / "calls").glob("*.json"))
    path.rename(path.with_name("0" * 32 + ".json"))
    with pytest.raises(RunFolderError, match="belongs elsewhere"):
        folder.calls()


def test_a_damaged_manifest_or_plan_is_named(tmp_path: Path) -> None:
    folder = new_folder(tmp_path / "run")
    (folder.path / "plan.json").write_text("[{")
    with pytest.raises(RunFolderError, match=r"plan\.json: damaged"):
        _ = RunFolder.open(folder.path).planned
    (folder.path / "manifest.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"manifest\.json: damaged"):
        RunFolder.open(folder.path)


def _add_for_ever(path: Path, tell: int) -> None:
    folder = RunFolder.open(path)
    for number in range(20_000):
        folder.add(replace(call(number % 50), seed=number))
        if number == 20:
            os.write(tell, b".")


@pytest.mark.parametrize("spins", [0, 3_000, 20_000, 50_000])
def test_a_kill_at_any_instant_leaves_whole_calls_only(tmp_path: Path, spins: int) -> None:
    folder = new_folder(tmp_path / "run")
    heard, tell = os.pipe()
    # Forked, because it must inherit the pipe; nothing else runs in this process.
    writer = multiprocessing.get_context("fork").Process(target=_add_for_ever, args=(folder.path, tell))
    writer.start()
    os.read(heard, 1)
    for _ in range(spins):
        pass
    writer.kill()
    writer.join(timeout=10)
    assert writer.exitcode == -signal.SIGKILL
    calls = folder.calls()
    assert len(calls) >= 20
    # What the kill left half-written is not in the way of the next one.
    folder.add(call(7))
    assert folder.calls()[key(7).id] == call(7)
    os.close(heard)
    os.close(tell)


def test_latest_names_the_newest_run(tmp_path: Path) -> None:
    for name in ("first", "second"):
        new_folder(tmp_path / name).point_latest()
    assert find_run(tmp_path) == tmp_path / "second"
    assert find_run(tmp_path / "first") == tmp_path / "first"
