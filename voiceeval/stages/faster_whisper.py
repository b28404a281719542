"""Whisper as a recognizer, run by faster-whisper.

Nothing is fetched from the network unless ``download`` says so: a model is a folder, or one that an earlier
download left on this machine.
"""

from __future__ import annotations

import functools
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from voiceeval.audio import AudioClip
from voiceeval.errors import AgentError, HarnessError, unknown_name
from voiceeval.extras import require
from voiceeval.protocols import Recognition
from voiceeval.stages.fingerprints import file_digest, fingerprint

RATE_HZ = 16_000
ON_CPU = ("int8", "int8_float32", "int16", "float32")
"""Compute types that give what they promise on a CPU; ``int8_float16`` and its like give garbage there."""
_VERSION = 1
_FILES = ("config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.json")
_NEEDED = ("config.json", "model.bin", "tokenizer.json")
_NOT_RESULTS = ("model", "download", "device_index")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")

ComputeType = Literal[
    "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
]


@dataclass(frozen=True, kw_only=True)
class FasterWhisper:
    """A recognizer that transcribes one turn with a Whisper model.

    With temperature 0 (no sampling, no fallback), equal audio gives an equal transcript on machines of one
    kind. Audio is resampled to 16 kHz.

    Raises:
        AgentError: the model is not on this machine, its folder lacks a file, or an option does not fit.
        RegistryError: the package is not installed.
    """

    model: str | Path = "tiny.en"
    """A folder with a CTranslate2 model, a size such as ``tiny.en``, or a name on the hub: ``owner/name``."""
    device: Literal["cpu", "cuda"] = "cpu"
    device_index: Annotated[int, Field(ge=0)] = 0
    compute_type: ComputeType = "int8"
    language: str = ""
    """A code such as ``en``; empty: the only one of the model, or detected from the turn."""
    beam_size: Annotated[int, Field(ge=1, le=50)] = 1
    hotwords: str = ""
    """Words to expect, separated by spaces."""
    initial_prompt: str = ""
    """Text that the turn is taken to continue."""
    vad_filter: bool = False
    """Whether only what the Silero detector takes for speech is transcribed."""
    vad_silence_ms: Annotated[int, Field(ge=0, le=10_000)] = 400
    """Pauses up to this long stay in, with ``vad_filter``."""
    temperature: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Above 0 the recognizer draws at random, states no fingerprint, and is asked anew for every call."""
    condition_on_previous_text: bool = False
    without_timestamps: bool = True
    suppress_tokens: tuple[int, ...] = (-1,)
    """Tokens that never appear; −1 stands for those that are not speech."""
    cpu_threads: Annotated[int, Field(ge=1, le=64)] = 1
    download: bool = False
    """Whether a model that is not on this machine may be fetched from the hub."""

    def __post_init__(self) -> None:
        require("faster_whisper", extra="whisper", needed_by="the recognizer 'faster-whisper'")
        if self.device == "cpu" and self.compute_type not in ON_CPU:
            raise AgentError(
                f"compute_type: {self.compute_type!r} does not work on a CPU; allowed: {', '.join(ON_CPU)}"
            )
        _ = self._folder  # a missing model is told when the agent is loaded, not in its first call

    @functools.cached_property
    def fingerprint(self) -> str:
        """Equal for two recognizers that transcribe all audio alike; empty where it draws at random."""
        if self.temperature > 0:
            return ""
        options = {name: value for name, value in asdict(self).items() if name not in _NOT_RESULTS}
        return fingerprint(
            "faster-whisper",
            version=_VERSION,
            options={**options, "suppress_tokens": list(self.suppress_tokens)},
            contents={
                name: _model_digest(self._folder / name)
                for name in (*_FILES, "vocabulary.txt")
                if (self._folder / name).is_file()
            },
            distributions=("faster-whisper", "ctranslate2", "tokenizers", "onnxruntime", "soxr"),
        )

    def transcribe(self, audio: AudioClip) -> Recognition:
        """Transcribe one turn; audio without words gives an empty text, or what the model makes up for it.

        Raises:
            HarnessError: the model failed while decoding.
        """
        samples = audio.resampled(RATE_HZ).as_float().astype(np.float32)
        if not len(samples):
            return Recognition(text="")
        try:
            segments, _ = self._model.transcribe(
                samples,
                language=self.language or None,
                beam_size=self.beam_size,
                hotwords=self.hotwords or None,
                initial_prompt=self.initial_prompt or None,
                vad_filter=self.vad_filter,
                vad_parameters={"min_silence_duration_ms": self.vad_silence_ms} if self.vad_filter else None,
                temperature=self.temperature,
                condition_on_previous_text=self.condition_on_previous_text,
                without_timestamps=self.without_timestamps,
                suppress_tokens=list(self.suppress_tokens),
            )
            text = " ".join(segment.text.strip() for segment in segments)
        except RuntimeError as error:
            raise HarnessError(f"faster-whisper cannot decode ({type(error).__name__})") from None
        return Recognition(text=text.strip())

    @functools.cached_property
    def _folder(self) -> Path:
        given = Path(self.model)
        folder = given if given.is_dir() else self._downloaded()
        missing = [name for name in _NEEDED if not (folder / name).is_file()]
        if missing:
            # Without tokenizer.json the loader would ask the hub for another model's, whatever it was told.
            raise AgentError(
                f"model: '{folder}' lacks {', '.join(missing)}; a model folder holds {', '.join(_NEEDED)} "
                "and vocabulary.json or vocabulary.txt"
            )
        return folder

    def _downloaded(self) -> Path:
        from faster_whisper.utils import available_models, download_model

        name = str(self.model)
        if Path(name).is_absolute() or name.startswith("."):
            raise AgentError(f"model: there is no folder '{name}'")
        if "/" not in name and name not in available_models():
            raise AgentError(
                f"model: {unknown_name('Whisper model', name, available_models())}; or give a folder"
            )
        try:
            return Path(download_model(name, local_files_only=True))
        except (OSError, ValueError):  # not on this machine, under all the names hub libraries gave that
            pass
        if not self.download:
            raise AgentError(
                f"model: the Whisper model {name!r} is not on this machine, and nothing is downloaded "
                'unasked. Give the folder of a CTranslate2 model, such as model = "./models/tiny.en", or '
                "write download = true to fetch it from the hub once"
            )
        try:
            return Path(download_model(name))
        except Exception as error:
            raise HarnessError(
                f"the Whisper model {name!r} cannot be downloaded ({type(error).__name__})"
            ) from None

    @functools.cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        try:
            return WhisperModel(
                str(self._folder),
                device=self.device,
                device_index=self.device_index,
                compute_type=self.compute_type,
                cpu_threads=self.cpu_threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise AgentError(
                f"model: faster-whisper cannot load '{self._folder}' on {self.device} as {self.compute_type} "
                f"({type(error).__name__}: {error})"
            ) from None


def _model_digest(path: Path) -> str:
    """SHA-256 of a model's file. The hub's store names large files by it, so that they need not be read."""
    stored = path.resolve()
    if stored.parent.name == "blobs" and _SHA256.match(stored.name):
        return stored.name
    return file_digest(stored, key="model")
