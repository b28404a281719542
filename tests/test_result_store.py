from __future__ import annotations

import multiprocessing
import sqlite3
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from voiceeval.audio import AudioClip
from voiceeval.content_files import FlacStore
from voiceeval.errors import HarnessError, RunFolderError
from voiceeval.result_store import MISSING, ResultStore


def clip(seed: int = 0) -> AudioClip:
    samples = np.random.default_rng(seed).integers(-9000, 9000, 1600, dtype=np.int16)
    return AudioClip(samples, 16000)


def test_what_was_put_is_found_again_also_after_reopening(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.put("key", b"value")
    assert store.get("key") == b"value"
    store.close()
    again = ResultStore(tmp_path)
    assert again.get("key") == b"value"
    again.close()


def test_what_was_never_put_is_missing_and_an_empty_value_is_not(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.put("empty", b"")
    store.flush()
    assert store.get("empty") == b""
    assert store.get("absent") is MISSING
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE kept SET value = x'00'",
        "UPDATE kept SET value = 'text'",
        "UPDATE kept SET checksum = NULL",
        "UPDATE kept SET key = 'other' WHERE key = 'key'",
    ],
)
def test_a_damaged_entry_is_missing_and_can_be_put_again(tmp_path: Path, damage: str) -> None:
    store = ResultStore(tmp_path)
    store.put("key", b"value")
    store.close()
    database = sqlite3.connect(next(tmp_path.glob("*.sqlite")))
    database.execute(damage)
    database.commit()
    database.close()
    store = ResultStore(tmp_path)
    assert store.get("key") is MISSING
    assert store.get("other") is MISSING
    store.put("key", b"value")
    store.flush()
    assert store.get("key") == b"value"
    store.close()


def test_a_file_that_is_no_database_is_started_afresh(tmp_path: Path) -> None:
    ResultStore(tmp_path).close()
    next(tmp_path.glob("*.sqlite")).write_bytes(b"not a database" * 100)
    store = ResultStore(tmp_path)
    store.put("key", b"value")
    store.flush()
    assert store.get("key") == b"value"
    store.close()


def _put_many(folder: Path, first: int) -> None:
    store = ResultStore(folder)
    for number in range(first, first + 300):
        store.put(f"key {number}", str(number).encode() * 50)
    store.close()


def test_a_folder_that_cannot_be_made_is_our_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="the result store cannot be opened"):
        ResultStore(tmp_path / "file")


def test_several_processes_put_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    # The ranges overlap: two processes keep the same result under the same key.
    writers = [spawn.Process(target=_put_many, args=(tmp_path, first)) for first in (0, 200, 400)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    store = ResultStore(tmp_path)
    assert all(store.get(f"key {number}") == str(number).encode() * 50 for number in range(700))
    store.close()


def _open_when_all_are_there(folder: Path, gate: Barrier, opened: Queue[str]) -> None:
    gate.wait()
    try:
        ResultStore(folder).close()
    except HarnessError as error:
        opened.put(str(error))
    else:
        opened.put("")


def test_processes_that_open_a_new_store_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(20):
        gate, opened = context.Barrier(4), context.Queue()
        workers = [
            context.Process(target=_open_when_all_are_there, args=(tmp_path / str(number), gate, opened))
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        assert [opened.get(timeout=30) for _ in workers] == [""] * 4
        for worker in workers:
            worker.join()


def test_audio_comes_back_sample_for_sample(tmp_path: Path) -> None:
    store = FlacStore(tmp_path)
    digest = store.put(clip())
    assert store.put(clip()) == digest
    found = store.get(digest)
    assert found.rate_hz == 16000
    assert np.array_equal(found.samples, clip().samples)
    assert [path.name for path in tmp_path.rglob("*.*")] == [f"{digest}.flac"]


@pytest.mark.parametrize("damage", [b"", b"fLaC and nothing else", clip(seed=1).encode("flac")])
def test_damaged_audio_is_missing_and_can_be_put_again(tmp_path: Path, damage: bytes) -> None:
    store = FlacStore(tmp_path)
    digest = store.put(clip())
    store.path(digest).write_bytes(damage)
    with pytest.raises(RunFolderError, match="no audio with digest"):
        store.get(digest)
    store.put(clip())
    assert store.get(digest).digest() == digest


def test_a_linked_clip_shares_its_bytes_and_outlives_its_source(tmp_path: Path) -> None:
    source, target = FlacStore(tmp_path / "a"), FlacStore(tmp_path / "b")
    digest = source.put(clip())
    target.link_from(source, digest)
    target.link_from(source, digest)
    assert target.path(digest).samefile(source.path(digest))
    source.path(digest).unlink()
    assert target.get(digest).digest() == digest
