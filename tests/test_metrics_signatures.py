"""A metric that computes something else is another version of the metric.

``metric_signatures.json`` holds, for every bundled metric, its version and a hash of the source it depends
on, without comments, docstrings and layout. When this test fails:

1. If the same call can now score differently, raise ``version`` in the metric's ``info`` (and in the
   normaliser, where that is what changed): runs stored under the old version are then not compared silently.
2. Write the table anew, and commit it with the change:
   ``PYTHONPATH=. python tests/test_metrics_signatures.py``.
"""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path

import pytest

from voiceeval.metrics import BUNDLED

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).parent / "metric_signatures.json"
COMPUTING = (
    *("voiceeval.metrics.", "voiceeval.normalizers", "voiceeval.spoken_numbers"),
    "voiceeval.repair_requests",
)
NOT_COMPUTING = frozenset({"voiceeval.protocols", "voiceeval.score", "voiceeval.scenario", "voiceeval.call"})
"""Nouns and protocols: what they hold is read by metrics, and what they compute is tested where they are."""


def _source(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(tree: ast.Module) -> set[str]:
    """The modules of ours that a module computes with, deferred imports included."""
    found = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("voiceeval.")
    }
    return {name for name in found if name.startswith(COMPUTING) and name not in NOT_COMPUTING}


def _reached(module: str) -> dict[str, ast.Module]:
    reached: dict[str, ast.Module] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = ast.parse(_source(name).read_text(encoding="utf-8"))
            waiting.extend(_imports(reached[name]))
    return reached


def _without_docstrings(tree: ast.Module) -> str:
    """The syntax tree as text, and the same text under every Python: empty fields are left out."""
    return json.dumps(_dumped(tree), ensure_ascii=False)


def _dumped(node: object) -> object:
    if isinstance(node, list):
        return [_dumped(part) for part in node if not _is_prose(part)]
    if not isinstance(node, ast.AST):
        return node if isinstance(node, str | int | float | bool | None) else repr(node)
    fields = {name: _dumped(value) for name, value in ast.iter_fields(node) if name != "kind"}
    filled = {name: value for name, value in fields.items() if value is not None and value != []}
    return [type(node).__name__, filled]


def _is_prose(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def signature(name: str) -> dict[str, str | int]:
    """Version and source hash of a bundled metric."""
    metric = BUNDLED[name]()
    content = hashlib.sha256()
    for module, tree in sorted(_reached(type(metric).__module__).items()):
        content.update(f"{module}\n{_without_docstrings(tree)}\n".encode())
    return {"version": metric.info.version, "source": content.hexdigest()[:16]}


def written() -> dict[str, dict[str, str | int]]:
    """The checked-in table."""
    table: dict[str, dict[str, str | int]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_a_metric_whose_source_changed_is_looked_at_and_its_version_raised_if_scores_change(
    name: str,
) -> None:
    now, before = signature(name), written().get(name)
    assert now == before, (
        f"what '{name}' computes with has changed since version {before and before['version']}: raise its "
        "info.version if a call can score differently, then run "
        "`PYTHONPATH=. python tests/test_metrics_signatures.py`"
    )


def test_the_table_lists_every_metric_and_no_other() -> None:
    assert sorted(written()) == sorted(BUNDLED)


def test_comments_docstrings_and_layout_do_not_change_a_signature() -> None:
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n\n\ndef f(\n    x,\n):\n    """Add."""\n    # one\n    return (x + 1)\n'
    other = "def f(x):\n    return x + 2\n"
    dumps = [_without_docstrings(ast.parse(text)) for text in (plain, dressed, other)]
    assert dumps[0] == dumps[1] != dumps[2]


def test_a_metric_depends_on_the_normaliser_it_reads_with() -> None:
    assert {"voiceeval.normalizers", "voiceeval.spoken_numbers"} <= set(
        _reached("voiceeval.metrics.transcription")
    )


if __name__ == "__main__":
    table = {name: signature(name) for name in sorted(BUNDLED)}
    TABLE.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
