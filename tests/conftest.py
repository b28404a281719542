from __future__ import annotations

from importlib import import_module
from textwrap import dedent

import pytest
from browser_pages import _browser, chromium
from heard_run import heard_report
from voice_project import CALLERS_PER_ACCENT, KEPT_LOADED, SCENARIO, TOY_AGENT, VoiceProject

__all__ = ["_browser", "chromium", "heard_report"]


@pytest.fixture(scope="session")
def _kept_loaded() -> None:
    for name in KEPT_LOADED:
        import_module(name)


@pytest.fixture
def voice_project(
    _kept_loaded: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> VoiceProject:
    project = VoiceProject(pytester, monkeypatch)
    suite = project.path / "suite"
    suite.mkdir()
    (suite / "suite.toml").write_text(
        dedent(
            """
            name = "toy"
            scenarios = ["calls/*.toml"]
            callers = ["callers.toml"]
            lines = ["lines.toml"]
            matrix = "full"
            """
        )
    )
    (suite / "lines.toml").write_text('[[lines]]\nid = "clear"\n')
    callers = [
        f'[[callers]]\nid = "{accent}-{n}"\naccent = "{accent}"\nvoice = "{accent}{n}"\npitch = {pitch}\n'
        for accent, pitch in (("low", 50), ("high", 90))
        for n in range(CALLERS_PER_ACCENT)
    ]
    (suite / "callers.toml").write_text("\n".join(callers))
    (suite / "calls").mkdir()
    for name, urgency in (("lost-card", "now"), ("old-card", "later")):
        (suite / "calls" / f"{name}.toml").write_text(SCENARIO.format(urgency=urgency))
    (project.path / "toy_agent.py").write_text(TOY_AGENT)
    project.settings()
    return project
