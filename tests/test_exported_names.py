from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import voiceeval

SOURCE = Path(voiceeval.__file__)


def names_for_type_checkers() -> set[str]:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_the_exported_names_are_sorted_complete_and_all_exist() -> None:
    assert voiceeval.__all__ == sorted(set(voiceeval.__all__))
    assert set(voiceeval.__all__) == set(voiceeval._MODULES) == names_for_type_checkers()
    for name in voiceeval.__all__:
        assert getattr(voiceeval, name) is not None


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wer'"):
        _ = voiceeval.Wer


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "numpy", "pydantic", "scipy", "pandas", "jiwer", "soundfile"
    code = f"import sys, voiceeval; print([name for name in {heavy!r} if name in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SOURCE.parent.parent
    )
    assert out.stdout.strip() == "[]"


def test_the_version_is_the_one_that_was_installed() -> None:
    try:
        installed = version("voiceeval")
    except PackageNotFoundError:
        pytest.skip("voiceeval is used from its source, not installed")
    assert installed == voiceeval.__version__
