"""Waveforms: exact for every rate, and measured once for every clip of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceeval.audio import AudioClip
from voiceeval.errors import RunFolderError
from voiceeval.waveform import ALPHABET, STEP_MS, KeptWaveforms, Waveform, decoded, peaks

SCRIPT = Path(__file__).resolve().parent.parent / "voiceeval/reports/assets/call.js"


def clip(*samples: int, rate_hz: int = 1_000) -> AudioClip:
    return AudioClip(np.array(samples, dtype=np.int16), rate_hz)


def one_by_one(sound: AudioClip) -> str:
    """Independent of the code: every sample belongs to the step that its time falls into."""
    loudest: dict[int, int] = {}
    samples = sound.samples.tolist()
    for number, sample in enumerate(samples):
        step = 0
        while (step + 1) * STEP_MS * sound.rate_hz // 1000 <= number:
            step += 1
        loudest[step] = max(loudest.get(step, 0), abs(sample))
    return "".join(ALPHABET[round(63 * (loudest[step] / 32768) ** 0.5)] for step in sorted(loudest))


@given(
    samples=st.lists(st.integers(-32768, 32767), min_size=1, max_size=600),
    rate_hz=st.sampled_from([1_000, 8_000, 11_025, 16_000, 22_050]),
)
def test_every_step_is_its_loudest_sample(samples: list[int], rate_hz: int) -> None:
    sound = clip(*samples, rate_hz=rate_hz)
    assert peaks(sound) == one_by_one(sound)


@given(st.integers(-32768, 32767))
def test_a_level_is_found_again_to_half_a_step_of_64(sample: int) -> None:
    [share] = decoded(peaks(clip(sample)))
    assert abs(share**0.5 - (abs(sample) / 32768) ** 0.5) <= 0.5 / 63 + 1e-9


def test_what_is_left_over_is_a_step_of_its_own() -> None:
    assert peaks(clip(*[0] * STEP_MS)) == "A"
    assert peaks(clip(*[0] * STEP_MS, 1, -32768)) == "A_"
    assert peaks(AudioClip.silence(0, 8_000)) == ""


def test_a_louder_clip_is_nowhere_lower() -> None:
    sound = np.random.default_rng(4).normal(0, 2_000, 8_000).astype(np.int16)
    quiet, loud = decoded(peaks(AudioClip(sound, 8_000))), decoded(peaks(AudioClip(sound * 3, 8_000)))
    assert all(one < other for one, other in zip(quiet, loud, strict=True))


def test_the_pages_read_the_same_alphabet() -> None:
    assert ALPHABET in SCRIPT.read_text(encoding="utf-8")


def test_a_clip_is_measured_once_in_a_run(tmp_path: Path) -> None:
    read = []

    def sound() -> AudioClip:
        read.append(1)
        return clip(*[0] * 40, *[9_000] * 40)

    table = tmp_path / "audio" / "waveforms.json"
    first = KeptWaveforms.read(table)
    measured = first.of("one", sound)
    assert measured == Waveform(length_ms=80, audible_from_ms=40, peaks="AAhh")
    assert first.of("one", sound) == measured
    first.keep()
    again = KeptWaveforms.read(table)
    assert again.of("one", sound) == measured
    assert len(read) == 1
    content = table.stat()
    again.keep()
    assert table.stat() == content, "nothing new, nothing written"


def test_runs_that_measure_in_another_order_keep_the_same_file(tmp_path: Path) -> None:
    for name, order in (("a", "xy"), ("b", "yx")):
        kept = KeptWaveforms.read(tmp_path / name)
        for each in order:
            kept.of(each, lambda each=each: clip(ord(each) * 50))  # type: ignore[misc]
        kept.keep()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{",
        b"[1, 2]",
        b'{"one": "text"}',
        b'{"one": [1, 2]}',
        b'{"one": [1, 2, "</script>"]}',
        b'{"one": [-1, 0, "AA"]}',
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    table = tmp_path / "waveforms.json"
    table.write_bytes(content)
    kept = KeptWaveforms.read(table)
    assert kept.of("one", lambda: clip(32767)).peaks == "_"
    kept.keep()
    assert json.loads(table.read_bytes()) == {"one": [1, 0, "_"]}


def test_a_clip_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    def gone() -> AudioClip:
        raise RunFolderError("no such clip")

    kept = KeptWaveforms.read(tmp_path / "waveforms.json")
    with pytest.raises(RunFolderError):
        kept.of("one", gone)
    kept.keep()
    assert list(tmp_path.iterdir()) == []
