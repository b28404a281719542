"""These tests need the extra ``diarization`` (1.9 GB), and run by ``.ci/diarization`` alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Before anything imports the hub's package, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path[:0] = [str(ROOT / "fixtures" / "models" / "segmentation"), str(ROOT / "tests")]


@pytest.fixture(scope="session")
def model() -> str:
    """The folder of the bundled segmentation model."""
    return str(ROOT / "fixtures" / "models" / "segmentation")


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """Recordings of people, where this checkout has them beside it."""
    folder = ROOT.parent / "shared" / "real-speech"
    if not folder.is_dir():
        pytest.skip("no recordings of people beside this checkout")
    return folder
