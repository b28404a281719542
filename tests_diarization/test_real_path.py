"""The real packages, offline: loading, running, repeating, and everything that can be wrong with a model."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from figures import unseen_calls
from two_party_calls import UNSEEN_VARIANTS, TwoPartyCall, sentences, speaker, two_party_call

from voiceeval.audio import AudioClip
from voiceeval.diarization import diarization_of, who_spoke_when
from voiceeval.diarization_models import CHECKPOINT, load, pyannote
from voiceeval.errors import InputError, RegistryError
from voiceeval.protocols import Span


@pytest.fixture(scope="module")
def call() -> TwoPartyCall:
    return unseen_calls(1)[0]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
def test_the_checkpoint_is_small_and_loads_in_pyannotes_own_way(model: str) -> None:
    path = Path(model) / CHECKPOINT
    assert path.stat().st_size < 1_000_000
    loaded = pyannote().Model.from_pretrained(path)
    assert 200_000 < sum(item.numel() for item in loaded.parameters()) < 230_000
    assert not any("optim" in key for key in torch.load(path, weights_only=False))


@pytest.mark.usefixtures("no_network")
def test_speech_is_what_pyannotes_own_detection_pipeline_finds(model: str, call: TwoPartyCall) -> None:
    from pyannote.audio.pipelines import VoiceActivityDetection
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.detection import DetectionErrorRate

    pipeline = VoiceActivityDetection(segmentation=load(model).run)
    pipeline.instantiate({"min_duration_on": 0.0, "min_duration_off": 0.0})
    samples = torch.from_numpy(call.audio.as_float().astype(np.float32))[None]
    theirs = pipeline({"waveform": samples, "sample_rate": call.audio.rate_hz})
    ours = who_spoke_when(call.audio, model=model).speech
    ours_too = Timeline([Segment(span.start_ms / 1000, span.end_ms / 1000) for span in ours])
    difference = DetectionErrorRate()(theirs, ours_too.to_annotation(), uem=Timeline([Segment(0, 30)]))
    assert difference < 0.02


def test_both_parties_of_a_call_are_found_and_told_apart(model: str, call: TwoPartyCall) -> None:
    found = who_spoke_when(call.audio, model=model)
    assert list(found.speakers) == ["speaker 1", "speaker 2"]
    assert found == diarization_of(found.speakers.values())
    # Whichever is which: each is with one party for most of the time, and the other with the other.
    shared = [[common_ms(spans, party) for party in call.parties] for spans in found.speakers.values()]
    right, wrong = sorted((shared[0][0] + shared[1][1], shared[0][1] + shared[1][0]), reverse=True)
    assert right > 2 * wrong


def common_ms(spans: tuple[Span, ...], others: tuple[Span, ...]) -> int:
    return sum(
        max(0, min(span.end_ms, other.end_ms) - max(span.start_ms, other.start_ms))
        for span in spans
        for other in others
    )


def test_the_answer_is_the_same_every_time_and_nothing_of_torchs_is_left_changed(
    model: str, call: TwoPartyCall
) -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    first = who_spoke_when(call.audio, model=model)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.set_num_threads(2 if threads == 1 else 1)
    try:
        torch.manual_seed(5)
        assert who_spoke_when(call.audio, model=model) == first
    finally:
        torch.set_num_threads(threads)


def test_loudness_changes_next_to_nothing(model: str, call: TwoPartyCall) -> None:
    quieter = AudioClip((call.audio.samples // 4).astype(np.int16), call.audio.rate_hz)
    one, other = (who_spoke_when(clip, model=model) for clip in (call.audio, quieter))
    total = common_ms(one.speech, one.speech)
    assert common_ms(one.speech, other.speech) > 0.97 * max(total, common_ms(other.speech, other.speech))


def test_spans_lie_within_a_clip_however_short(model: str, call: TwoPartyCall) -> None:
    for end_ms in (0, 1, 40, 300, 5_000, 5_010):
        clip = call.audio.part(0, end_ms)
        spans = [span for party in who_spoke_when(clip, model=model).speakers.values() for span in party]
        assert all(0 <= span.start_ms < span.end_ms <= end_ms for span in spans)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_nobody_speaks_in_silence(model: str, rate_hz: int) -> None:
    assert who_spoke_when(AudioClip.silence(7_000, rate_hz), model=model) == diarization_of([])


def test_one_party_alone_is_mostly_heard_as_one_speaker(model: str) -> None:
    rng, shares = np.random.default_rng(7), []
    for _call in range(5):
        names = rng.choice(UNSEEN_VARIANTS, 2, replace=False)
        both = [speaker(name, list(rng.choice(sentences(), 6)), rng) for name in names]
        found = who_spoke_when(two_party_call((both[0], both[1]), rng, alone=1.0).audio, model=model)
        most = max(common_ms(spans, spans) for spans in found.speakers.values())
        shares.append(most / common_ms(found.speech, found.speech))
    print(
        f"\none party alone: the speaker most heard has {[f'{share:.0%}' for share in shares]} of the speech"
    )
    assert sum(share > 0.9 for share in shares) >= 4


@pytest.mark.usefixtures("no_network")
def test_a_damaged_checkpoint_is_refused_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(RegistryError, match=r"pyannote.audio cannot load it \(\w+ at ") as caught:
        load(str(tmp_path))
    assert isinstance(caught.value, InputError)
    assert caught.value.__cause__ is None


@pytest.mark.usefixtures("no_network")
def test_a_local_pipeline_that_refers_to_the_hub_is_refused_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        dedent(
            """
            pipeline:
              name: pyannote.audio.pipelines.VoiceActivityDetection
              params:
                segmentation: nobody/nothing
            """
        )
    )
    with pytest.raises(RegistryError, match="all of whose parts are local files"):
        load(str(tmp_path))


def test_a_pipeline_of_the_hub_that_cannot_be_had_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(RegistryError, match=r"could not be had from the hub.*HF_TOKEN") as caught:
        load("nobody/nothing@v1")
    assert "hf_secret" not in str(caught.value)


@pytest.mark.usefixtures("no_network")
def test_a_folder_with_a_pipeline_is_run_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, call: TwoPartyCall
) -> None:
    shutil.copy(Path(model) / CHECKPOINT, tmp_path / "segmentation.bin")
    (tmp_path / "config.yaml").write_text(
        dedent(
            f"""
            pipeline:
              name: pyannote.audio.pipelines.VoiceActivityDetection
              params:
                segmentation: {tmp_path / "segmentation.bin"}
            params:
              min_duration_on: 0.0
              min_duration_off: 0.0
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    found = who_spoke_when(call.audio, model=".")
    assert list(found.speakers) == ["speaker 1"]
    ours = who_spoke_when(call.audio, model=model).speech
    assert common_ms(found.speech, ours) > 0.97 * common_ms(ours, ours)


@pytest.mark.usefixtures("no_network")
def test_a_pipelines_speakers_are_numbered_in_order_of_appearance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_pipeline_of_ours.py").write_text(
        dedent(
            """
            from types import SimpleNamespace
            from pyannote.audio import Pipeline
            from pyannote.core import Annotation, Segment

            class Fixed(Pipeline):
                def __init__(self, token=None, cache_dir=None):
                    super().__init__()

                def apply(self, file, max_speakers=None):
                    said = Annotation()
                    said[Segment(2, 4), "a"] = "B"
                    said[Segment(1, 2.5), "b"] = f"at most {max_speakers}"
                    said[Segment(2.5, 9), "c"] = f"at most {max_speakers}"
                    return SimpleNamespace(speaker_diarization=said)
            """
        )
    )
    (tmp_path / "config.yaml").write_text("pipeline:\n  name: a_pipeline_of_ours.Fixed\nparams: {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = who_spoke_when(AudioClip.silence(5_000, 8_000), model=str(tmp_path), most_speakers=3)
    assert found.speakers == {
        "speaker 1": (Span(start_ms=1_000, end_ms=5_000),),
        "speaker 2": (Span(start_ms=2_000, end_ms=4_000),),
    }
    assert found.overlaps == (Span(start_ms=2_000, end_ms=4_000),)


def test_a_model_that_tells_no_speakers_apart_cannot_be_used(tmp_path: Path, model: str) -> None:
    checkpoint = torch.load(Path(model) / CHECKPOINT, weights_only=False)
    checkpoint["pyannote.audio"]["specifications"].permutation_invariant = False
    torch.save(checkpoint, tmp_path / CHECKPOINT)
    with pytest.raises(RegistryError, match="a model that tells the speakers of a chunk apart"):
        who_spoke_when(AudioClip.silence(1_000, 8_000), model=str(tmp_path))


def test_usage_is_not_reported_even_where_the_environment_says_so() -> None:
    script = (
        "from voiceeval.diarization_models import pyannote; pyannote();"
        "from pyannote.audio.telemetry.metrics import is_metrics_enabled; print(is_metrics_enabled())"
    )
    environment = {**os.environ, "PYANNOTE_METRICS_ENABLED": "1"}
    told = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False"]
