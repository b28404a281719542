"""Loads what pyannote.audio runs: local checkpoints, local pipelines, and pipelines of the hub.

Four things are seen to here, and nowhere else. The package reports usage over the network unless told not to:
it is told not to. Beside a torch without CUDA its torchaudio does not load: the part that fails, and is not
needed, is stood in for. Nothing is fetched unless the user named a model of the hub. And a checkpoint is a
pickle, which can run code when it is read: only what the user named is ever loaded.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import io
import os
import re
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from voiceeval.errors import RegistryError, describe

CHECKPOINT = "pytorch_model.bin"
"""The file of a folder that holds a segmentation model."""
PIPELINE = "config.yaml"
"""The file of a folder that holds a whole pipeline."""
TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105  (the name of a variable)
"""Environment variable with the token for models of the hub that want one."""
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w.-]+)?")
_FILES = (".bin", ".ckpt", ".pt", ".pth", ".safetensors", ".yaml", ".yml")
"""No name of the hub ends like this: a mistyped path is not to be asked for over the network."""


class Loaded(NamedTuple):
    """What a name stands for: ``run`` is pyannote's ``Pipeline``, or its ``Model`` that segments alone."""

    run: Any
    is_pipeline: bool


def load(model: str) -> Loaded:
    """The model at a path, or of that name on the hub.

    Args:
        model: A checkpoint file, a folder with `CHECKPOINT` or `PIPELINE`, or ``owner/name`` with an optional
            ``@revision``. What exists on disk is never looked for on the hub.

    Raises:
        RegistryError: The package is missing, there is no such model, or it cannot be read.
    """
    path = Path(model)
    if model and path.exists():
        file = _file_of(path)
        return _load_local(file, file.stat().st_mtime_ns)
    if not _HUB_NAME.fullmatch(model) or model.endswith(_FILES):
        raise RegistryError(
            f"{model}: no such model; allowed: a checkpoint file, a folder with {CHECKPOINT} or {PIPELINE}, "
            "or the name of a pipeline on the hub as owner/name"
        )
    return _load_from_hub(model)


def _file_of(path: Path) -> Path:
    """The file itself, or what a folder is named for."""
    if path.is_file():
        return path.resolve()
    # Beside a checkpoint, a file named like a pipeline's describes how the checkpoint was trained.
    for name in (CHECKPOINT, PIPELINE):
        if (path / name).is_file():
            return (path / name).resolve()
    raise RegistryError(f"{path}: holds neither {CHECKPOINT} nor {PIPELINE}")


@functools.lru_cache(maxsize=2)
def _load_local(file: Path, _changed_ns: int) -> Loaded:
    is_pipeline = file.suffix in {".yaml", ".yml"}
    package = pyannote()
    kind = package.Pipeline if is_pipeline else package.Model
    try:
        with _without_hub(), _quiet():
            run = kind.from_pretrained(file)
    except Exception as error:  # a pickle can raise anything
        raise RegistryError(
            f"{file}: pyannote.audio cannot load it ({describe(error)}); allowed: a checkpoint or a pipeline "
            "of pyannote.audio all of whose parts are local files"
        ) from None
    return Loaded(run=run, is_pipeline=is_pipeline)


@functools.lru_cache(maxsize=2)
def _load_from_hub(model: str) -> Loaded:
    name, _, revision = model.partition("@")
    package = pyannote()
    try:
        with _quiet():
            run = package.Pipeline.from_pretrained(
                name, revision=revision or None, token=os.environ.get(TOKEN_VARIABLE)
            )
    except Exception as error:  # network, access, contents: the answer is the same
        raise _not_had(model, describe(error)) from None
    if run is None:
        raise _not_had(model, "nothing came")
    return Loaded(run=run, is_pipeline=True)


def _not_had(model: str, why: str) -> RegistryError:
    return RegistryError(
        f"{model}: the pipeline could not be had from the hub ({why}). It needs the network, or a download "
        f"kept from before; a model that asks for consent also needs a token in the environment variable "
        f"{TOKEN_VARIABLE}. A folder with a downloaded copy can be named instead"
    )


def pyannote() -> types.ModuleType:
    """The package ``pyannote.audio``, imported with its telemetry off; 3 to 5 s the first time.

    Raises:
        RegistryError: The package is not installed, or does not load.
    """
    missing = [name for name in ("torch", "pyannote", "torchaudio") if not importlib.util.find_spec(name)]
    if missing or not importlib.util.find_spec("pyannote.audio"):
        raise RegistryError(
            f"who spoke when needs the package {(missing or ['pyannote.audio'])[0]!r}, which is not "
            "installed here; install it with: pip install 'voiceeval[diarization]'"
        )
    # Read when the package is imported and at every use of a model.
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    _stand_in_for_torchaudio()
    try:
        with warnings.catch_warnings():
            # It warns that it cannot decode files; it is given samples.
            warnings.simplefilter("ignore")
            return importlib.import_module("pyannote.audio")
    except (ImportError, OSError) as error:
        raise RegistryError(
            f"pyannote.audio is installed but does not load ({describe(error)}); torch and torchaudio must "
            "be of one kind: see docs/diarization.md"
        ) from None


def _stand_in_for_torchaudio() -> None:
    """Spare a torch without CUDA the libraries of torchaudio, which are linked with CUDA's.

    Only resampling and feature extraction of it are used, and those are written in Python.
    """
    import torch

    if torch.version.cuda is not None or "torchaudio" in sys.modules:
        return
    extension = types.ModuleType("torchaudio._extension")
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False  # type: ignore[attr-defined]
    extension._IS_ALIGN_AVAILABLE = False  # type: ignore[attr-defined]
    extension._check_cuda_version = lambda: None  # type: ignore[attr-defined]
    extension.fail_if_no_align = lambda function: function  # type: ignore[attr-defined]
    sys.modules["torchaudio._extension"] = extension


@contextlib.contextmanager
def _without_hub() -> Iterator[None]:
    """Whatever a local pipeline refers to, nothing is asked of the network."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that loading prints: what matters of it stands in our own messages."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
