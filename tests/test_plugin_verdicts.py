from __future__ import annotations

import pytest

from tests.conftest import CALLS, VoiceProject


def test_an_agent_against_itself_passes_and_exits_with_0(voice_project: VoiceProject) -> None:
    result = voice_project.run("--voice-run", "run")
    assert result.ret == pytest.ExitCode.OK
    assert set(voice_project.outcomes().values()) == {"passed"}
