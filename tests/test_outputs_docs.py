"""The page on outputs: its scripts work, and it names everything that programs read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_report_full_sample import everything, waived
from test_report_sample import WER, comparison, verdict

from voiceeval.cohort import Cohort
from voiceeval.pytest_verdicts import properties, suite_properties
from voiceeval.reports import comment as comment_module
from voiceeval.reports import markdown
from voiceeval.reports.comment import comment, first_line

TEXT = (Path(__file__).parent.parent / "docs" / "outputs.md").read_text(encoding="utf-8")

GH = """#!/usr/bin/env bash
if [[ "$*" == *--jq* ]]; then
  while [[ "$1" != --jq ]]; do shift; done
  jq -r "$2" "$FAKE/comments.json"
else
  printf '%s\\n' "$*" >> "$FAKE/said"
fi
"""
CURL = """#!/usr/bin/env bash
if [[ "$*" == *per_page* ]]; then cat "$FAKE/comments.json"; else printf '%s\\n' "$*" >> "$FAKE/said"; fi
"""


def snippets() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    github, gitlab = (yaml.safe_load(part) for part in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
    return {"github": github, "gitlab": gitlab}


def script(host: str) -> str:
    found = snippets()[host]
    if host == "gitlab":
        (text,) = found["voice"]["after_script"]
        return str(text)
    return str(next(step["run"] for step in found["steps"] if step.get("name") == "Comment"))


@pytest.mark.skipif(not all(map(shutil.which, ("bash", "jq"))), reason="bash and jq run the scripts")
@pytest.mark.parametrize("host", ["github", "gitlab"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_scripts_find_the_comment_again_and_no_other(tmp_path: Path, host: str, ending: str) -> None:
    mine = comment(comparison())
    run = tmp_path / "voice-run" / "report"
    run.mkdir(parents=True)
    (run / "comment.md").write_text(mine, encoding="utf-8")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("gh", GH), ("curl", CURL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    others = [
        {"id": 1, "body": "LGTM"},
        {"id": 2, "body": f"> {mine}"},
        {"id": 3, "body": first_line({"suite": "frontdesk-2"}) + ending + "other suite"},
        {"id": 4, "body": first_line({}) + ending + "a suite without a name"},
        {"id": 5, "body": ""},
    ]
    both = [{"id": 7, "body": mine.replace("\n", ending)}, {"id": 8, "body": mine}]

    def said(comments: list[dict[str, Any]]) -> list[str]:
        (tmp_path / "comments.json").write_text(json.dumps(comments))
        (tmp_path / "said").write_text("")
        env = {
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "FAKE": str(tmp_path),
            "GITHUB_REPOSITORY": "team/agent",
            "PULL_REQUEST": "12",
            "CI_API_V4_URL": "v4",
            "CI_PROJECT_ID": "3",
            "CI_MERGE_REQUEST_IID": "12",
            "VOICE_TOKEN": "t",
        }
        subprocess.run(["bash", "-eo", "pipefail", "-c", script(host)], cwd=tmp_path, env=env, check=True)  # noqa: S607 - our own docs
        return (tmp_path / "said").read_text().splitlines()

    (new,) = said(others)
    assert "POST" in new
    (again,) = said([*others, *both])
    assert re.search(r"(PATCH|PUT) .*(comments|notes)/7\b", again)


def test_the_summary_is_the_step_of_github_and_runs_when_the_comparison_failed() -> None:
    found = snippets()
    steps = {step.get("name", ""): step for step in found["github"]["steps"]}
    assert steps["Summarise"]["run"].endswith('report/summary.md >> "$GITHUB_STEP_SUMMARY"')
    assert all("!cancelled()" in steps[name]["if"] for name in ("Keep the run", "Summarise", "Comment"))
    assert found["github"]["permissions"]["pull-requests"] == "write"
    assert found["gitlab"]["voice"]["artifacts"]["when"] == "always"


def test_the_mark_and_the_limits_are_those_of_the_program() -> None:
    assert comment_module.MARKER in TEXT
    assert first_line({"suite": "bundled"}) in TEXT
    assert f"{comment_module.LIMIT_BYTES:,} bytes" in TEXT
    assert f"{markdown.LIMIT_BYTES:,} bytes" in TEXT


def test_every_property_of_a_junit_file_is_named() -> None:
    names = {name for cell in (*everything().verdicts, waived()) for name, _ in properties(cell, "pr")}
    names |= {name for name, _ in suite_properties(everything())}
    tags = {name for name in names if name.startswith("cohort.")}
    assert "cohort.accent" in tags
    candidate = {name for name in names if name.startswith("voiceeval.candidate")}
    missing = {name for name in names - tags - candidate if f"`{name}`" not in TEXT}
    assert not missing


def test_every_file_and_reader_is_linked() -> None:
    docs = Path(__file__).parent.parent / "docs"
    for name in re.findall(r"\]\(([\w-]+\.md)\)", TEXT):
        assert (docs / name).is_file(), name
    for file in ("report/index.html", "report/summary.md", "report/comment.md", "gate.json"):
        assert f"`{file}`" in TEXT


def test_no_name_of_a_property_is_one_that_xml_forbids() -> None:
    cell = verdict(WER, Cohort(((f"{chr(0)}tag\ud800\u202e", f"{chr(7)}value"),)))
    (name,) = (name for name, _ in properties(cell, "pr") if name.startswith("cohort."))
    assert name == "cohort.⟨U+0000⟩tag⟨U+D800⟩⟨U+202E⟩"
