from __future__ import annotations

import importlib.util
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from outcome_rows import columns, same, table, written

from voiceeval.errors import TableError
from voiceeval.outcome_files import SUFFIXES, read_columns, write_columns
from voiceeval.outcome_tables import read_outcomes
from voiceeval.score import Gap

# Compiled, so that they can be imported only once: before any test that forgets what it imported.
PANDAS = import_module("pandas")
import_module("pyarrow.parquet")

ROWS = [
    {
        "call": f"call{number}",
        "trial": trial,
        "speaker": f"speaker{number % 3}",
        "scenario": "lost-card",
        "critical": number == 1,
        "accent": "scottish" if number % 2 else "",
        "age": number,
        "metric": metric,
        "numerator": None if number == 4 else 0.25 * number,
        "denominator": None if number == 4 else 7.0,
        "gap": str(Gap.HARNESS_FAILED) if number == 4 else "",
    }
    for number in range(6)
    for trial in range(2)
    for metric in ("wer", "entity_error_rate")
]
HEAD = "call,speaker,metric,numerator,denominator,gap,accent\n"


def test_every_kind_of_file_reads_back_the_same(tmp_path: Path) -> None:
    found = [read_outcomes(written(ROWS, tmp_path / f"a{suffix}")) for suffix in SUFFIXES]
    assert all(same(found[0], other) for other in found[1:])
    assert same(found[0], table(ROWS))
    assert found[0].tags == ("accent", "age")


def test_a_frame_written_by_pandas_reads_the_same(tmp_path: Path) -> None:
    frame = PANDAS.DataFrame(columns(ROWS))
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_json(tmp_path / "a.json", orient="records")
    for name in ("a.parquet", "a.csv", "a.json"):
        assert same(read_outcomes(tmp_path / name), table(ROWS))


def test_the_order_of_rows_and_columns_says_nothing() -> None:
    shuffled = [dict(reversed(ROWS[i].items())) for i in np.random.default_rng(1).permutation(len(ROWS))]
    assert same(table(ROWS), table(shuffled))


def test_a_value_is_a_numerator_over_one() -> None:
    values: list[object] = [1, 0.25, "3", True, "false"]
    short = [{"call": i, "speaker": "s", "metric": "wer", "value": value} for i, value in enumerate(values)]
    long = [
        {"call": str(i), "speaker": "s", "metric": "wer", "numerator": x, "denominator": 1}
        for i, x in enumerate([1.0, 0.25, 3.0, 1.0, 0.0])
    ]
    assert same(table(short), table(long))


def test_a_call_without_a_scenario_is_its_own() -> None:
    (found,) = table([{"call": "c", "speaker": "s", "metric": "wer", "value": 0}]).facts["scenario"].names
    assert found == "c"


def test_rows_that_run_over_lines_are_named_by_the_line_they_end_in(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\ufeffcall,speaker,metric,value,note\nc1,s1,wer,0,"two\nlines"\n\nc2,s1,wer,x,\n')
    with pytest.raises(TableError, match=r"line 5: value: given 'x'; allowed: a finite number, true or"):
        read_outcomes(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rows"),
        (HEAD, "holds no rows"),
        ("call,speaker,metrics,value\nc,s,wer,1\n", "no column is named 'metric'. Did you mean 'metrics'?"),
        ("call,speaker,metric,numerator\nc,s,wer,1\n", "column 'numerator' without 'denominator'"),
        ("call,speaker,metric,gap\nc,s,wer,\n", "no numbers; write the columns numerator and denominator"),
        ("call;speaker;metric;value\nc;s;wer;1\n", "line 1: one column; columns are separated by commas"),
        ("call,call,metric,value\nc,s,wer,1\n", "line 1: two columns are named 'call'"),
        ("call,speaker,metric,value,\nc,s,wer,1,\n", "a column is named ''"),
        (HEAD + "c,s,wer,1\n", "line 2: 4 cells, but line 1 names 7 columns"),
        (HEAD + 'c,s,wer,"1,1,,\n', "not CSV"),
        (HEAD + ",s,wer,1,1,,\n", "line 2: call: empty, and required"),
        (HEAD + "c,,wer,1,1,,\n", "line 2: speaker: empty, and required"),
        (HEAD + "c,s ,wer,1,1,,\n", "line 2: speaker: 's ' has blanks around it"),
        (HEAD + "c,s,wer,,1,,\n", "line 2: numerator: no number and no gap"),
        (HEAD + "c,s,wer,1,,,\n", "line 2: denominator: no number and no gap"),
        (HEAD + "c,s,wer,nan,1,,\n", "line 2: numerator: no number and no gap"),
        (HEAD + "c,s,wer,inf,1,,\n", "line 2: numerator: given infinity; allowed: a number within ±1e+15"),
        (HEAD + "c,s,wer,1e300,1,,\n", "line 2: numerator: given 1e+300; allowed: a number within ±1e+15"),
        (HEAD + "c,s,wer,1,1e-300,,\n", "line 2: denominator: allowed: 0, or 1e-09 or more"),
        (HEAD + "c,s,wer,1,-1,,\n", "line 2: denominator: below 0; allowed: 0 or more"),
        (HEAD + "c,s,wer,one,1,,\n", "line 2: numerator: given 'one'; allowed: a finite number"),
        (HEAD + "c,s,wer,block my card,1,,\n", "line 2: numerator: given a text of 13 characters"),
        (HEAD + "c,s,wer,1,1,agent failed,\n", "line 2: numerator: a number beside a gap"),
        (HEAD + "c,s,wer,,1,harness failed,\n", "line 2: denominator: given beside a gap other than 'agent"),
        (HEAD + "c,s,wer,,,agent crashed,\n", "line 2: gap: given 'agent crashed'; allowed: nothing where"),
        (HEAD + "c,s,wer,1,1,,\nc,s,wer,1,1,,\n", "line 3: call: 'c', trial 0, has 'wer' in line 2 already"),
        (HEAD + "c,s,wer,1,1,,\nc,t,cer,1,1,,\n", "speaker: 't', but 's' in line 2 of the same call 'c'"),
        (HEAD + "c,s,wer,1,1,,x\nc,s,cer,1,1,,y\n", "accent: 'y', but 'x' in line 2 of the same call 'c'"),
        (
            "call,speaker,metric,value,trial\nc,s,wer,1,-1\n",
            "line 2: trial: given '-1'; allowed: a whole num",
        ),
        (
            "call,speaker,metric,value,trial\nc,s,wer,1,.5\n",
            "line 2: trial: given '.5'; allowed: a whole num",
        ),
        (
            "call,speaker,metric,value,critical\nc,s,wer,1,yes\n",
            "critical: given 'yes'; allowed: true, false",
        ),
        (
            "call,speaker,metric,value,numerator,denominator\nc,s,wer,1,1,1\n",
            "line 2: value: beside numerator or denominator; allowed: one or the other",
        ),
        (
            "call,speaker,metric,value,observations\nc,s,wer,900,400 400\n",
            "line 2: observations: they add up to 800/2, but the row has 900/1",
        ),
        (
            "call,speaker,metric,numerator,denominator,observations\nc,s,wer,800,2,400 x\n",
            "line 2: observations: given 'x'; allowed: numbers between blanks",
        ),
    ],
)
def test_a_wrong_table_is_one_message_that_names_file_row_and_column(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(TableError) as wrong:
        read_outcomes(path)
    assert message in str(wrong.value)
    assert str(wrong.value).startswith(f"{path}: ")
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"", "not a table; allowed: a file that ends in .csv, .json"),
        ("a.csv", b"call\n\xff\n", "not UTF-8 (byte 0xff at 5)"),
        ("a.json", b"[{]", "not JSON"),
        ("a.json", b"[1]", "record 1: not an object"),
        ("a.jsonl", b'{"call": 1}\n{"call"\n', "line 2: not JSON"),
        ("a.jsonl", b'{"call": 1},{"call": 2}\n', "line 1: not JSON"),
        ("a.jsonl", b"\n\n[1]\n", "line 3: not an object"),
        (
            "a.json",
            b'[{"call": 1, "speaker": 1, "metric": "wer", "value": 1e999}]',
            "record 1: value: given inf",
        ),
        (
            "a.json",
            b'[{"call": {}, "speaker": 1, "metric": "wer", "value": 1}]',
            "record 1: call: given a dict",
        ),
        ("a.json", b'[{"call": 1.5, "speaker": 1, "metric": "w", "value": 1}]', "record 1: call: given 1.5"),
        (
            "a.json",
            b'[{"call": 1, "speaker": 1, "metric": "w", "value": []}]',
            "record 1: value: given a list",
        ),
        ("a.parquet", b"PAR1 and no more", "not Parquet, or damaged"),
    ],
)
def test_a_file_that_is_no_table_is_one_message(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError) as wrong:
        read_outcomes(path)
    assert message in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_an_absent_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"gone\.csv: no such file"):
        read_outcomes(tmp_path / "gone.csv")


def test_parquet_without_its_package_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(ROWS, tmp_path / "a.parquet")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for reach in (lambda: read_columns(path), lambda: write_columns(path, columns(ROWS))):
        with pytest.raises(TableError, match=r"pip install 'voiceeval\[tables\]', or use CSV or JSON"):
            reach()


def test_a_column_can_be_ignored_and_only_one_that_is_there(tmp_path: Path) -> None:
    rows = [{**row, "at": str(index)} for index, row in enumerate(ROWS)]
    path = written(rows, tmp_path / "a.csv")
    with pytest.raises(TableError, match="line 3: at: '1', but '0' in line 2 of the same call 'call0'"):
        read_outcomes(path)
    assert same(read_outcomes(path, ignore=["at"]), table(ROWS))
    for name in ("att", "speaker"):
        with pytest.raises(TableError, match=f"to be ignored: no tag column is named '{name}'"):
            read_outcomes(path, ignore=[name])


def test_json_is_written_without_nan(tmp_path: Path) -> None:
    path = written(ROWS, tmp_path / "a.json")
    assert "numerator" not in json.loads(path.read_text())[-8]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_columns(path, {"value": [float("nan")]})


@pytest.mark.parametrize(("name", "place"), [("a.json", ""), ("a.jsonl", ": line 1")])
def test_a_number_of_thousands_of_digits_is_one_message(tmp_path: Path, name: str, place: str) -> None:
    path, record = tmp_path / name, '{"call": 1' + 5000 * "0" + "}"
    path.write_text(f"[{record}]" if name == "a.json" else record)
    with pytest.raises(TableError, match=f"{name}{place}: not JSON: a number of too many digits"):
        read_columns(path)
