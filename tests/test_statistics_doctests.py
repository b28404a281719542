from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import iter_modules

import pytest

from voiceeval import statistics

MODULES = sorted(module.name for module in iter_modules(statistics.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_documentation_come_out(name: str) -> None:
    assert doctest.testmod(import_module(f"voiceeval.statistics.{name}")).failed == 0
