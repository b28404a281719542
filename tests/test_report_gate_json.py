from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_report_full_sample import FAULTS, WAIVER, everything
from test_report_sample import WER, comparison, estimate, invalid, manifest, report_input, verdict

from voiceeval.reports.gate_json import canonical_json, gate_document, write
from voiceeval.reports.report_files import render_all
from voiceeval.verdict import Interval, Outcome

SCHEMA = Path(__file__).parent.parent / "docs" / "schema" / "gate.json"


def validated(document: dict[str, Any]) -> dict[str, Any]:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    read: dict[str, Any] = json.loads(canonical_json(document))
    jsonschema.Draft202012Validator(schema).validate(read)
    return read


def test_the_document_is_what_the_schema_says() -> None:
    read = validated(gate_document(comparison(verdicts=(*comparison().verdicts, invalid()))))
    assert read["may_ship"] is False
    assert read["outcomes"]["regressed"] == 5
    assert read["verdicts"][0]["estimate"]["baseline"] == comparison().verdicts[0].estimate.baseline  # type: ignore[union-attr]


def test_the_example_in_the_docs_is_what_the_schema_says() -> None:
    text = (SCHEMA.parent.parent / "gate-json.md").read_text(encoding="utf-8")
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    document = gate_document(comparison())
    document["verdicts"] = [example]
    validated(document)


def test_every_key_of_the_schema_is_in_the_docs() -> None:
    text = (SCHEMA.parent.parent / "gate-json.md").read_text(encoding="utf-8")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    described = (
        "verdict",
        "disparity",
        "served",
        "exploration",
        "explored",
        "consistency",
        "quantiles",
        "cohort_counts",
        "blame",
    )
    keys = {key for name in described for key in schema["$defs"][name]["properties"]}
    missing = {key for key in keys | set(schema["properties"]) if f"`{key}`" not in text}
    assert not missing


def test_everything_at_once_is_what_the_schema_says() -> None:
    read = validated(gate_document(everything()))
    assert read["schema_version"] == 3
    assert read["faults"] == list(FAULTS)
    assert read["waived"] == 1
    (cell,) = (item for item in read["verdicts"] if "waiver" in item)
    assert cell["id"] == WAIVER.verdict
    assert (cell["outcome"], cell["blocks"]) == ("regressed", False)
    assert cell["waiver"]["expires"] == "2026-12-31"
    assert read["outcomes"]["regressed"] == sum(item["blocks"] for item in read["verdicts"]) + 1
    wer = read["disparities"][0]
    assert wer["candidate"]["worst"]["cohort"]["tags"] == {"accent": "caribbean", "line": "telephone"}
    assert wer["candidate"]["gap"] == everything().disparities[0].gap("candidate")
    assert [item["q_value"] for item in read["exploration"]["found"]][:3] == [0.00002, 0.004, 0.021]
    assert read["consistency"][1]["pass_hat"].keys() == {"1", "2", "3", "4"}
    assert read["quantiles"][0]["values"].keys() == {"p50", "p95"}


def test_a_fault_alone_keeps_it_from_shipping() -> None:
    read = validated(gate_document(comparison(verdicts=(verdict(),), faults=FAULTS)))
    assert read["may_ship"] is False
    assert not any(item["blocks"] for item in read["verdicts"])


@pytest.mark.parametrize("missing", ["blocks", "faults", "waived", "exploration", "cohorts", "$schema"])
def test_the_schema_asks_for_what_a_reader_decides_by(missing: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = gate_document(everything())
    for place in (document, *document["verdicts"]):
        place.pop(missing, None)
    with pytest.raises(jsonschema.ValidationError, match=re.escape(missing)):
        validated(document)


def test_there_is_no_time_of_day_and_no_absolute_path_in_it() -> None:
    waiver = replace(WAIVER, owner="/home/someone/team", reason="C:\\notes\\why.txt")
    cells = tuple(replace(cell, waiver=waiver) if cell.waiver else cell for cell in everything().verdicts)
    text = canonical_json(gate_document(everything(verdicts=cells, faults=("/home/someone/x.toml",))))
    assert not re.search(r"\d\d:\d\d", text)
    assert "someone" not in text
    assert "notes" not in text
    assert "why.txt" in text


def test_the_schema_refuses_what_it_does_not_know() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = gate_document(comparison())
    document["created_at"] = "today"
    with pytest.raises(jsonschema.ValidationError):
        validated(document)


def test_equal_comparisons_give_equal_bytes(tmp_path: Path) -> None:
    shuffled = dict(reversed(list(manifest().items())))
    one = write(comparison(), tmp_path / "a" / "gate.json").read_bytes()
    other = write(comparison(manifest=shuffled), tmp_path / "b" / "gate.json").read_bytes()
    assert one == other
    assert one.endswith(b"}\n")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["gate.json"]


def test_numbers_read_back_to_the_same_doubles() -> None:
    cell = replace(verdict(), estimate=estimate(WER, worse_by=0.1 + 0.2, half=1 / 3))
    read = json.loads(canonical_json(gate_document(comparison(verdicts=(cell,)))))
    assert read["verdicts"][0]["estimate"]["worse_by"] == 0.1 + 0.2


def test_what_has_no_bound_is_a_word_and_not_nan() -> None:
    wide = replace(
        estimate(WER, worse_by=0.1, half=0.1),
        interval=Interval(lower=-0.1, upper=float("inf"), level=0.9),
        detectable=float("inf"),
    )
    read = validated(gate_document(comparison(verdicts=(replace(verdict(), estimate=wide),))))
    assert read["verdicts"][0]["estimate"]["interval"]["upper"] == "unbounded"


@pytest.mark.parametrize("path", ["/home/someone/model.bin", "C:\\models\\model.bin", "~/model.bin"])
def test_absolute_paths_lose_what_differs_between_machines(path: str) -> None:
    facts = {**manifest(), "differences": [{"key": "recognizer.model", "baseline": path, "candidate": "x"}]}
    text = canonical_json(gate_document(comparison(manifest=facts)))
    assert "model.bin" in text
    assert "someone" not in text
    assert "models" not in text
    assert "~" not in text


def test_relative_paths_dates_and_sentences_stay() -> None:
    facts = {**manifest(), "x": ["./model.bin", "1/2", "either/or it is", "2026-11-01"]}
    assert gate_document(comparison(manifest=facts))["manifest"]["x"] == facts["x"]


def test_nothing_of_a_call_is_in_any_file_for_machines_or_logs(tmp_path: Path) -> None:
    files = render_all(report_input(), tmp_path)
    for path in (files.gate, files.markdown):
        text = path.read_text(encoding="utf-8")
        assert "lost my card" not in text
        assert "4125" not in text
        assert str(tmp_path) not in text
    assert files.html == tmp_path / "report" / "index.html"
    assert files.gate == tmp_path / "gate.json"


def test_may_ship_says_what_the_comparison_says() -> None:
    for outcome in Outcome:
        for policy in ("pr", "release"):
            result = comparison(policy=policy, verdicts=(verdict(outcome=outcome),))
            assert gate_document(result)["may_ship"] is not result.failed
