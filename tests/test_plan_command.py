from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import pytest
from gate_samples import TASK, WER, accent, noisy, sample
from numpy.random import default_rng
from rich.console import Console
from voice_project import VoiceProject

from voiceeval.cli import main
from voiceeval.cohort import EVERYONE
from voiceeval.margins import Margin
from voiceeval.pair_table import columns_of
from voiceeval.planning.additions import Suite
from voiceeval.planning.cells import cells_of
from voiceeval.planning.noise import Goal
from voiceeval.planning.plan import Plan, plan_of
from voiceeval.reports import plan_table
from voiceeval.settings import Settings

STATED = """
speakers = 12
calls_per_speaker = 6
cohorts = 3

[metrics.wer]
rate = 0.10
words_per_call = 8
between_sd = 0.02
margin = "+2pp"

[metrics.task_completion]
rate = 0.7
discordant = 0.2
icc = 0.1
margin = "+5pp"

[metrics.time_to_first_audio]
rate = 1600
difference_sd = 150
margin = "+80ms"
"""


@pytest.fixture
def stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "80")
    file = tmp_path / "plan.toml"
    file.write_text(STATED)
    return file


def _plan() -> Plan:
    """Two metrics in everyone and two accents, 12 speakers each, 5 calls per speaker."""
    rng, tables = default_rng(11), []
    for metric in (WER, TASK):
        calls = noisy(rng, metric, speakers=24, calls=5, rate=0.3)
        judged = [sample(metric, calls), sample(metric, calls[:12], accent("high"))]
        judged.append(sample(metric, calls[12:], accent("low")))
        tables.append(columns_of(judged, log_scale=False))
    margins = {"wer": Margin.parse("+2pp"), "task": Margin.parse("+5pp")}
    suite = Suite(speakers=24, calls=120, trials=1, speaker_tags=frozenset({"accent"}))
    return plan_of(cells_of(tables, margins), suite, basis="Noise from a test.", goal=Goal())


def test_a_plan_of_an_aa_run_says_what_it_rests_on_and_proposes_settings_that_can_be_read(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice_project.settings()
    voice_project.run("--voice-run=run", "--voice-aa")
    monkeypatch.syspath_prepend(voice_project.path)
    capsys.readouterr()
    file = voice_project.path / "plan.json"
    assert main(["plan", str(voice_project.path / "run"), "--widest", "20", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Noise from an A/A run: the baseline against itself")
    document = json.loads(file.read_text())
    everyone = next(cell for cell in document["cells"] if cell["cohort"] == {} and cell["metric"] == "wer")
    assert (everyone["speakers"], everyone["calls"], everyone["margin"]) == (12, 24, "+5pp")
    assert everyone["standard_error"] > 0
    # Nothing differed among 12 speakers, who certify 18.4 pp if that happens again; 5 pp takes 52 of them.
    (task,) = (cell for cell in document["cells"] if cell["cohort"] == {} and cell["metric"] != "wer")
    assert task["power_to_certify"] < 0.05
    assert Margin.parse(task["certifiable_margin"]).amount >= 0.185
    assert task["speakers_needed"] >= 52
    written = printed[printed.index("[tool.voiceeval.release]") :]
    settings = Settings.model_validate(tomllib.loads(written)["tool"]["voiceeval"]).release
    assert settings.cohorts
    assert ("urgency",) in (settings.report_cohorts or ())
    assert set(settings.margins or ()) == {"wer", "task_completion"}


def test_a_plan_of_arms_that_differ_says_that_the_noise_is_of_their_differences(
    voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = '[tool.voiceeval.release]\ncohorts = [[]]\nmargins = { wer = "+9pp" }\n'
    voice_project.settings(("[tool.voiceeval.margins]", f"{release}\n[tool.voiceeval.margins]"))
    voice_project.run("--voice-run=run", "--voice-candidate", "toy_agent:raising")
    monkeypatch.syspath_prepend(voice_project.path)
    capsys.readouterr()
    run = str(voice_project.path / "run")
    assert main(["plan", run]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Noise from a run whose arms differ: it is the noise of those differences" in printed
    assert "Word error rate: margin +5pp" in printed
    assert "accent=high" in printed
    assert main(["plan", run, "--policy", "release"]) == 0
    printed = capsys.readouterr().out
    assert "Word error rate: margin +9pp" in printed
    assert "accent=high" not in printed
    assert "Task completion" not in printed


def test_a_plan_from_stated_rates_needs_no_run(stated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--stated", str(stated)]) == 0
    printed = capsys.readouterr().out
    assert "no call was placed" in " ".join(printed.split())
    assert "overall" in printed
    assert "cohort=any of 3" in printed
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= 80


def test_more_stated_speakers_certify_more(stated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    power = []
    for options in ((), ("--speakers", "60"), ("--speakers", "60", "--calls-per-speaker", "30")):
        file = stated.parent / "plan.json"
        assert main(["plan", "--stated", str(stated), *options, "--json", str(file)]) == 0
        cells = json.loads(file.read_text())["cells"]
        power.append({(c["metric"], len(c["cohort"])): c["power_to_certify"] for c in cells})
    capsys.readouterr()
    for key in power[0]:
        assert power[0][key] <= power[1][key] <= power[2][key] + 1e-12
    assert power[0]["wer", 1] < power[1]["wer", 1] < power[2]["wer", 1]


def test_an_effect_is_for_its_metric_or_for_all_of_its_unit(
    stated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = stated.parent / "plan.json"
    effects = ["--effect", "+7pp", "--effect", "wer=+3pp", "--json", str(file)]
    assert main(["plan", "--stated", str(stated), *effects]) == 0
    found = {cell["metric"]: cell["effect"] for cell in json.loads(file.read_text())["cells"]}
    assert found == {"wer": "+3pp", "task_completion": "+7pp", "time_to_first_audio": "+160ms"}
    assert "to be found +7pp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "plan: give either a run's folder or --stated FILE"),
        (["run", "--stated", "FILE"], "plan: give either a run's folder or --stated FILE"),
        (["run", "--speakers", "12"], "plan: --speakers: only with --stated"),
        (["--stated", "FILE", "--power", "1"], "plan: --power: given 1; allowed: at least 0.5 and below 1"),
        (["--stated", "FILE", "--joint", "nan"], "plan: --joint: given nan; allowed: at least 0.5"),
        (["--stated", "FILE", "--widest", "0.5"], "plan: --widest: given 0.5; allowed: 1 or more"),
        (["--stated", "FILE", "--trials", "0"], "plan: --trials: given 0; allowed: 1 to 100"),
        (["--stated", "FILE", "--policy", "pr"], "plan: --policy: only with a run"),
        (["--stated", "FILE", "--speakers", "1"], "speakers: given 1; allowed: at least 2"),
        (["--stated", "FILE", "--effect", "were=+2pp"], "Did you mean 'wer'?"),
        (["--stated", "FILE", "--effect", "wer=+2ms"], "plan: --effect wer: '+2ms' is in ms"),
        (["--stated", "FILE", "--effect", "+2eur"], "no metric with a margin is measured in that unit"),
        (["--stated", "gone.toml"], "gone.toml: no such file"),
        (["gone"], "gone: no run here"),
    ],
)
def test_what_is_wrong_with_the_options_is_said(
    stated: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["plan", *(str(stated) if each == "FILE" else each for each in arguments)]) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_metric_gets_its_nearest_name(stated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stated.write_text(STATED.replace("[metrics.wer]", "[metrics.were]"))
    assert main(["plan", "--stated", str(stated)]) == 2
    assert "Did you mean 'wer'?" in capsys.readouterr().err


def test_a_plan_is_readable_at_80_columns_and_its_settings_are_never_broken() -> None:
    plan = _plan()
    stream = io.StringIO()
    plan_table.render(plan, Console(file=stream, width=80, highlight=False))
    lines = stream.getvalue().splitlines()
    settings = lines.index("[tool.voiceeval.release]") if plan.release.cohorts else len(lines)
    assert max(len(line) for line in lines[:settings]) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    for each in plan.figures:
        assert each.cell.cohort.name in text
        assert str(each.speakers_needed) in text
    assert text.index("What to add first") < text.index("A release that it can certify")


def test_a_plan_is_printed_where_only_ascii_is() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    plan_table.render(_plan(), Console(file=stream, width=80))
    stream.flush()
    assert "Word error rate: margin +2pp" in written.getvalue().decode("ascii")


def test_markdown_and_json_say_what_the_terminal_says() -> None:
    plan = _plan()
    markdown, document = plan_table.markdown(plan), plan_table.document(plan)
    assert len(document["cells"]) == len(plan.figures) == 6
    everyone = next(c for c in document["cells"] if c["cohort"] == {} and c["metric"] == "wer")
    figure = next(f for f in plan.figures if f.cell.cohort == EVERYONE and f.cell.metric == WER)
    assert everyone["power_to_certify"] == figure.certify
    assert everyone["seen"] == figure.cell.observed.worse_by if figure.cell.observed else False
    assert f"{100 * figure.se:.2f} / {100 * figure.half_width:.2f}" in markdown
    assert markdown.count("\n| accent") == 4
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    if plan.release.cohorts:
        block = markdown.split("```toml\n")[1].split("```")[0]
        assert tomllib.loads(block) == tomllib.loads(plan.release.settings())


def test_a_margin_that_nothing_certifies_is_a_missing_value_and_no_number() -> None:
    plan = _plan()
    assert all(each.today is not None for each in plan.figures)
    few = plan_of(
        [each.cell for each in plan.figures],
        plan.suite,
        basis="a test",
        goal=Goal(fewest_speakers=30),
    )
    document = plan_table.document(few)
    assert all(cell["certifiable_margin"] is None for cell in document["cells"])
    assert all(cell["power_to_certify"] == 0 for cell in document["cells"])
    assert document["release"]["cohorts"] == []
    assert json.dumps(document, allow_nan=False)
