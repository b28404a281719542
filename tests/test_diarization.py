"""What needs no torch of it: naming voices across chunks, the answer's arithmetic, and every message."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceeval.audio import AudioClip
from voiceeval.diarization import diarization_of, who_spoke_when
from voiceeval.diarization_models import CHECKPOINT
from voiceeval.diarization_stitching import stitched
from voiceeval.errors import RegistryError
from voiceeval.protocols import Span

FRAMES, HOP = 50, 5


def turns(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """Two voices that take turns of 10 to 30 frames, of shape ``(frames, 2)``, now and then together."""
    active = np.zeros((frames, 2))
    at, voice = 0, 0
    while at < frames:
        length = int(rng.integers(10, 31))
        active[at : at + length, voice] = 1
        at, voice = at + length + int(rng.integers(-4, 6)), 1 - voice
    return active


def cut(
    active: NDArray[np.float64], namings: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Chunks of the call, those with a true naming having their voices the other way round."""
    starts = np.arange(0, len(active) - FRAMES + 1, HOP)
    chunks = np.stack([active[at : at + FRAMES] for at in starts])
    chunks[namings] = chunks[namings][:, :, ::-1]
    return chunks, starts


@pytest.mark.parametrize("seed", range(20))
def test_voices_named_at_random_in_every_chunk_are_put_together_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    active = turns(rng, 500)
    chunks, starts = cut(active, rng.random(91) < 0.5)
    found = stitched(chunks, starts, 2)
    assert min(np.abs(found - active).max(), np.abs(found[:, ::-1] - active).max()) < 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_a_few_frames_that_chunks_get_wrong_are_outvoted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    active = turns(rng, 500)
    chunks, starts = cut(active, rng.random(91) < 0.5)
    wrong = rng.random(chunks.shape) < 0.1
    found = stitched(np.where(wrong, 1 - chunks, chunks), starts, 2) >= 0.5
    inner = slice(FRAMES, -FRAMES)
    errors = min((found[inner] != active[inner]).mean(), (found[inner, ::-1] != active[inner]).mean())
    assert errors < 0.02 < wrong.mean()


def test_a_voice_more_than_asked_for_is_counted_with_the_nearest_and_not_lost() -> None:
    chunks = np.zeros((1, 30, 3))
    chunks[0, :10, 0] = chunks[0, 10:20, 1] = chunks[0, 20:, 2] = 1
    found = stitched(chunks, np.array([0]), 2)
    assert found.shape == (30, 2)
    assert (found.sum(axis=1) == 1).all()


def test_a_silence_as_long_as_a_chunk_parts_what_stands_on_its_two_sides() -> None:
    # The limit that the module states: after it, either naming fits.
    active = np.zeros((200, 2))
    active[:40, 0] = active[40:70, 1] = active[130:165, 0] = active[165:, 1] = 1
    swapped, starts = cut(active, np.array([at >= 80 for at in range(0, 151, HOP)]))
    kept, _ = cut(active, np.zeros(len(starts), dtype=bool))
    one, other = stitched(swapped, starts, 2), stitched(kept, starts, 2)
    assert np.allclose(one[:70], other[:70])
    assert np.allclose(one[130:], other[130:, ::-1])


@given(
    st.lists(
        st.lists(st.integers(0, 40), min_size=2, max_size=8, unique=True).map(
            lambda edges: tuple(
                Span(start_ms=start, end_ms=end)
                for start, end in zip(sorted(edges)[0::2], sorted(edges)[1::2], strict=False)
            )
        ),
        max_size=4,
    )
)
def test_speech_and_overlaps_are_where_one_and_where_two_speak(found: list[tuple[Span, ...]]) -> None:
    answer = diarization_of(found)

    def count(spans: list[tuple[Span, ...]]) -> NDArray[np.int_]:
        grid = np.zeros(41, dtype=int)
        for span in (span for party in spans for span in party):
            grid[span.start_ms : span.end_ms] += 1
        return grid

    speaking = count(found)
    assert (count([answer.speech]) == (speaking >= 1)).all()
    assert (count([answer.overlaps]) == (speaking >= 2)).all()
    assert sorted(answer.speakers.values(), key=str) == sorted(found, key=str)
    starts = [spans[0].start_ms for spans in answer.speakers.values()]
    assert starts == sorted(starts)


def test_nothing_heard_is_an_answer_without_speakers() -> None:
    answer = diarization_of([])
    assert (dict(answer.speakers), answer.overlaps, answer.speech) == ({}, (), ())


def test_without_the_package_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    checkpoint = tmp_path / CHECKPOINT
    checkpoint.write_bytes(b"")
    with pytest.raises(
        RegistryError, match=r"needs the package 'torch'.*pip install 'voiceeval\[diarization\]'"
    ):
        who_spoke_when(AudioClip.silence(100, 8_000), model=str(checkpoint))


@pytest.mark.parametrize(
    "model", ["no/such/folder", "/no/such", "missing.bin", "", "a b/c", "models/x.bin", "a/config.yaml"]
)
def test_a_model_that_is_neither_there_nor_a_name_of_the_hub_is_refused_by_name(model: str) -> None:
    with pytest.raises(RegistryError, match="no such model; allowed: a checkpoint file"):
        who_spoke_when(AudioClip.silence(100, 8_000), model=model)


def test_a_folder_without_a_model_is_refused_with_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"holds neither pytorch_model.bin nor config.yaml"):
        who_spoke_when(AudioClip.silence(100, 8_000), model=str(tmp_path))


def test_importing_it_imports_no_heavy_package() -> None:
    script = (
        "import sys, voiceeval.diarization; "
        "print(sorted({'torch', 'pyannote', 'lightning', 'scipy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
