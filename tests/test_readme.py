from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from voiceeval.agents import load_agent
from voiceeval.config import load_config
from voiceeval.scenario_files import load_suite

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def block(language: str, containing: str) -> str:
    return next(text for text in blocks(language) if containing in text)


def test_the_first_scenario_loads_beside_the_bundled_ones(tmp_path: Path) -> None:
    suite = tmp_path / "scenarios"
    shutil.copytree(ROOT / "scenarios", suite)
    (suite / "banking" / "block_card.toml").write_text(block("toml", "block_card"), encoding="utf-8")
    loaded = load_suite(suite)
    assert loaded.scenarios["block_card"].turns[1].cue == ("last four digits",)
    assert len(loaded.scenarios) == 19


def test_the_first_agent_loads_with_the_recognizer_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "asr.py").write_text(block("python", "class MyRecognizer"), encoding="utf-8")
    (package / "llm.py").write_text(
        "from voiceeval import Reply\n\n\nclass MyDialogue:\n"
        "    def reply(self, history, tools):\n        return Reply(text='hello')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text(block("toml", "agents/mine.toml"), encoding="utf-8")
    agent = load_agent(str(file))
    assert (agent.name, agent.deterministic("recognizer")) == ("mine", False)


def test_the_settings_shown_are_settings(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(block("toml", "[tool.voiceeval]"), encoding="utf-8")
    settings = load_config(tmp_path, {}, from_folder=tmp_path).settings
    assert settings.margins["time_to_first_audio"] == "+80ms"


def test_the_evaluators_give_what_their_comments_say() -> None:
    names: dict[str, object] = {}
    for line in block("python", "ASRAccuracy").splitlines():
        call, _, said = line.partition("#")
        if said:
            assert eval(call, names) == float(said)  # noqa: S307 - our own README
        else:
            exec(line, names)  # noqa: S102 - our own README


def test_every_option_of_the_plugin_is_described() -> None:
    plugin = (ROOT / "voiceeval" / "pytest_plugin.py").read_text(encoding="utf-8")
    options = set(re.findall(r'"(--voice-[a-z-]+)"', plugin))
    assert len(options) > 10
    assert {option for option in options if option not in README} == set()


def test_every_bundled_metric_is_named() -> None:
    from voiceeval.metrics import BUNDLED

    described = {name for name in BUNDLED if f"`{name}`" in README}
    stages = {"endpointing_ms", "recognizer_ms", "dialogue_ms", "tools_ms", "synthesizer_ms"}
    assert described | stages == set(BUNDLED)


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
