"""Who spoke when, from the audio of a call alone; needs the extra ``diarization``.

For calls that were recorded and have no events, in one channel: with a channel per party there is nothing to
find out, and a voice activity detector on each is more exact.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceeval.audio import AudioClip, Milliseconds
from voiceeval.diarization_models import load
from voiceeval.diarization_stitching import stitched
from voiceeval.errors import RegistryError, describe
from voiceeval.protocols import Span

RATE_HZ = 16_000
ACTIVE = 0.5
"""A voice is heard in a frame when the chunks that hold it say so by this much, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diarization:
    """Who spoke when in a clip. All spans are in order, apart, and within the clip."""

    speakers: Mapping[str, tuple[Span, ...]]
    """``speaker 1`` is who is heard first. Which of them is the caller, audio alone does not say."""
    overlaps: tuple[Span, ...]
    """Where two speakers or more speak at once."""
    speech: tuple[Span, ...]
    """Where anybody speaks."""


def who_spoke_when(audio: AudioClip, *, model: str, most_speakers: int = 2) -> Diarization:
    """Find the speakers of a mono recording and when each of them speaks.

    The same audio and model give the same answer on one machine: one thread, no chance left. Times are as
    fine as the model's frames, 17 to 34 ms.

    Args:
        audio: At any rate; models hear it at 16 kHz.
        model: A segmentation checkpoint of pyannote.audio, a folder with one (``pytorch_model.bin``) or with
            a pipeline (``config.yaml``), or a pipeline's name on the hub, ``owner/name``. Only in the last
            case is the network used, with the token in the environment variable ``HF_TOKEN``. A checkpoint
            can run code when it is read: name only files whose origin you know.
        most_speakers: How many there are at most. With a segmentation checkpoint alone, voices are followed
            through the call by how chunks overlap; see `voiceeval.diarization_stitching` for the limits.

    Raises:
        RegistryError: The extra is not installed, or the model cannot be loaded or used.
    """
    if most_speakers < 1:
        raise ValueError(f"most_speakers must be 1 at least, got {most_speakers}")
    loaded = load(model)
    if not audio.duration_ms:
        return diarization_of([])
    heard = {"waveform": _waveform(audio), "sample_rate": RATE_HZ}
    try:
        with _repeatable():
            if loaded.is_pipeline:
                found = _by_pipeline(loaded.run, heard, most_speakers)
            else:
                found = _by_segmentation(loaded.run, heard, most_speakers)
    except Exception as error:  # whatever a user's model raises; its text may quote the call
        raise RegistryError(
            f"{model}: the model loads but cannot be used on a call ({describe(error)}); allowed: a pipeline "
            "that says who speaks, or a model that tells the speakers of a chunk apart"
        ) from None
    end_ms = audio.duration_ms
    clipped = [tuple(_within(spans, end_ms)) for spans in found]
    return diarization_of([spans for spans in clipped if spans])


def diarization_of(found: Iterable[tuple[Span, ...]]) -> Diarization:
    """The answer that follows from the spans of each speaker, in any order of speakers.

    >>> hers, his = (Span(start_ms=500, end_ms=900),), (Span(start_ms=0, end_ms=600),)
    >>> answer = diarization_of([hers, his])
    >>> answer.speakers["speaker 1"] == his, answer.overlaps, answer.speech
    (True, (Span(start_ms=500, end_ms=600),), (Span(start_ms=0, end_ms=900),))
    """
    parties = sorted(found, key=lambda spans: (spans[0].start_ms, spans[0].end_ms))
    return Diarization(
        speakers={f"speaker {number}": spans for number, spans in enumerate(parties, start=1)},
        overlaps=_covered(parties, at_least=2),
        speech=_covered(parties, at_least=1),
    )


def _covered(parties: Iterable[tuple[Span, ...]], *, at_least: int) -> tuple[Span, ...]:
    """Where so many speak at once."""
    changes: dict[Milliseconds, int] = {}
    for spans in parties:
        for span in spans:
            changes[span.start_ms] = changes.get(span.start_ms, 0) + 1
            changes[span.end_ms] = changes.get(span.end_ms, 0) - 1
    covered: list[Span] = []
    speaking, begun_ms = 0, 0
    for at_ms in sorted(changes):
        before, speaking = speaking, speaking + changes[at_ms]
        if before < at_least <= speaking:
            begun_ms = at_ms
        elif speaking < at_least <= before:
            covered.append(Span(start_ms=begun_ms, end_ms=at_ms))
    return tuple(covered)


def _within(spans: Iterable[Span], end_ms: Milliseconds) -> Iterator[Span]:
    for span in spans:
        start_ms, stop_ms = max(0, span.start_ms), min(span.end_ms, end_ms)
        if start_ms < stop_ms:
            yield Span(start_ms=start_ms, end_ms=stop_ms)


def _waveform(audio: AudioClip) -> Any:
    """A tensor of shape ``(1, samples)``: given samples, pyannote.audio needs no decoder of files."""
    from voiceeval.diarization_models import pyannote

    pyannote()
    import torch

    return torch.from_numpy(audio.resampled(RATE_HZ).as_float().astype(np.float32))[None]


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """One thread and a fixed seed, for as long as it takes."""
    import torch

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _by_pipeline(pipeline: Any, heard: Mapping[str, Any], most_speakers: int) -> list[tuple[Span, ...]]:
    options = {}
    if "max_speakers" in inspect.signature(pipeline.apply).parameters:
        options["max_speakers"] = most_speakers
    answer = pipeline(dict(heard), **options)
    # Since 4.0 diarisation pipelines answer with a record that holds the annotation; others with it.
    annotation = getattr(answer, "speaker_diarization", answer)
    return [
        tuple(
            Span(start_ms=round(segment.start * 1000), end_ms=round(segment.end * 1000))
            for segment in annotation.label_timeline(label).support()
        )
        for label in annotation.labels()
    ]


def _by_segmentation(model: Any, heard: Mapping[str, Any], most_speakers: int) -> list[tuple[Span, ...]]:
    from pyannote.audio import Inference

    specification = next(iter(model.specifications))
    if not specification.permutation_invariant:
        raise TypeError("the model does not tell speakers apart")
    # The step is a tenth of a chunk, pyannote's default.
    scores = Inference(model, skip_aggregation=True, skip_conversion=True)(dict(heard))
    chunks = np.asarray(scores.data, dtype=np.float64)
    if specification.powerset:
        chunks = _voices_of_sets(chunks, specification)
    field, window = model.receptive_field, scores.sliding_window
    starts = np.rint(np.arange(len(scores.data)) * window.step / field.step).astype(np.intp)
    voices = stitched(chunks, starts, most_speakers)
    active = voices >= ACTIVE
    # Where somebody speaks, and only who is in doubt, it is the likelier one.
    in_doubt = ~active.any(axis=1) & (voices.sum(axis=1) >= ACTIVE)
    active[in_doubt, voices[in_doubt].argmax(axis=1)] = True
    first_ms = (field.start + field.duration / 2 - field.step / 2) * 1000
    return [_spans(voice, first_ms, field.step * 1000) for voice in active.T]


def _voices_of_sets(chunks: NDArray[np.float64], specification: Any) -> NDArray[np.float64]:
    """From log-probabilities of sets of voices to the probability of each voice.

    Rather than the likeliest set, which is pyannote's own conversion: where a chunk is in doubt about who
    speaks, the chunks around it decide.
    """
    from pyannote.audio.utils.powerset import Powerset

    sets = Powerset(len(specification.classes), specification.powerset_max_classes)
    return np.asarray(np.exp(chunks) @ sets.mapping.numpy())


def _spans(active: NDArray[np.bool_], first_ms: float, frame_ms: float) -> tuple[Span, ...]:
    """Runs of frames in which a voice is active; ``first_ms`` is where the first frame begins."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    times = np.rint(first_ms + edges * frame_ms).astype(int)
    return tuple(
        Span(start_ms=int(start), end_ms=int(end)) for start, end in zip(times[::2], times[1::2], strict=True)
    )
