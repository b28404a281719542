from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from labelled import RUN, label_file, said, written
from test_report_sample import report_input

from voiceeval.call import Arm, CallerStarted
from voiceeval.errors import LabelError
from voiceeval.labels import (
    LabelFile,
    Said,
    merged,
    read_kept,
    read_label_files,
    run_digest,
    said_in,
    write_kept,
)
from voiceeval.scenario_schemas import json_schemas

CALLS = ("a/b/c/0", "a/b/d/0")
LATER = "2026-03-01T12:00:01.000Z"


def digest(**changed: Any) -> str:
    report = report_input()
    given = {
        "manifest": report.comparison.manifest,
        "planned": report.planned,
        "calls": report.calls,
    }
    return run_digest(**{**given, **changed})


def test_a_runs_digest_knows_no_order_and_no_text() -> None:
    report = report_input()
    assert digest() == digest(planned=report.planned[::-1], calls=dict(list(report.calls.items())[::-1]))
    masked = {
        id_: replace(
            call,
            events=tuple(
                replace(event, text="—") if isinstance(event, CallerStarted) else event
                for event in call.events
            ),
        )
        for id_, call in report.calls.items()
    }
    assert digest(calls=masked) == digest()


def test_another_call_another_plan_or_another_agent_is_another_run() -> None:
    report = report_input()
    first = next(iter(report.calls))
    call = report.calls[first]
    later = replace(call.events[-1], at_ms=call.events[-1].at_ms + 1)
    without = {id_: each for id_, each in report.calls.items() if id_ != first}
    moved = {**report.calls, first: replace(call, events=(*call.events[:-1], later))}
    manifest = json.loads(json.dumps(report.comparison.manifest))
    manifest["arms"][Arm.CANDIDATE]["parts"]["dialogue"] = "other"
    found = {
        digest(),
        digest(calls=without),
        digest(calls=moved),
        digest(planned=report.planned[1:]),
        digest(manifest=manifest),
    }
    assert len(found) == 5


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = label_file(
        tmp_path / "a.json", [written(), written(arm="candidate", note="ünsure", tone="not given")]
    )
    (found,) = read_label_files([path], run=RUN, calls=CALLS)
    assert [label.arm for label in found.labels] == ["baseline", "candidate"]
    assert found.labels[1].note == "ünsure"
    assert LabelFile.model_validate(json.loads(found.model_dump_json())) == found


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tone": 7}, "labels[0].tone: given 7; allowed: at most 5"),
    ({"tone": True}, "labels[0].tone: given true"),
    (
        {"task_done": "maybe"},
        "labels[0].task_done: given 'maybe'; allowed: 'yes', 'no', 'unclear' or 'not given'",
    ),
    (
        {"note": "x" * 2001},
        "labels[0].note: given a text of 2001 characters; allowed: at most 2000 characters",
    ),
    ({"note": "\ud800"}, "labels[0].note"),
    ({"why": ["bored"]}, "labels[0].why[0]: given 'bored'"),
    ({"at": "yesterday"}, "labels[0].at"),
    ({"at": "2026-03-01T12:00:00"}, "labels[0].at"),
    ({"blind": "yes"}, "labels[0].blind: given"),
    ({"tune": 3}, "labels[0].tune: unknown key. Did you mean 'tone'?"),
    ({"call": "a/b/c/1"}, "labels[0].call: no call of this run: 'a/b/c/1'. Did you mean 'a/b/c/0'?"),
]


@pytest.mark.parametrize(("changed", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_label_is_named_by_file_and_key(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = label_file(tmp_path / "a.json", [written(**changed)])
    with pytest.raises(LabelError, match=re.escape(f"{path}: {message}")):
        read_label_files([path], run=RUN, calls=CALLS)


def test_a_message_does_not_repeat_a_note(tmp_path: Path) -> None:
    path = label_file(tmp_path / "a.json", [written(note=["the caller said 4129"])])
    with pytest.raises(LabelError) as raised:
        read_label_files([path], run=RUN, calls=CALLS)
    assert "4129" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON (line 1)"),
        (b"[" * 100_000, "not JSON"),
        (b'{"schema_version": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b"[]", "no table"),
        (b"\xff", "not UTF-8"),
        (b"{}", "schema_version: missing, and required"),
    ],
)
def test_what_is_no_file_of_labels_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(LabelError, match=re.escape(f"{path}: {message}")):
        read_label_files([path], run=RUN, calls=CALLS)


def test_labels_of_another_run_are_refused(tmp_path: Path) -> None:
    path = label_file(tmp_path / "a.json", [written()], run="f" * 16)
    with pytest.raises(LabelError, match=f"a.json: run: given {'f' * 16}; allowed: {RUN}"):
        read_label_files([path], run=RUN, calls=CALLS)


def test_one_call_labelled_twice_and_one_reviewer_in_two_files_are_refused(tmp_path: Path) -> None:
    twice = label_file(tmp_path / "a.json", [written(), written(task_done="no")])
    with pytest.raises(LabelError, match=r"a\.json: labels\[1\]\.call: a second label of its baseline"):
        read_label_files([twice], run=RUN, calls=CALLS)
    files = [label_file(tmp_path / name, [written()]) for name in ("b.json", "c.json")]
    with pytest.raises(LabelError, match=r"c\.json: reviewer: 'AB' is that of .*b\.json too"):
        read_label_files(files, run=RUN, calls=CALLS)


def test_the_newest_word_counts_and_importing_again_changes_nothing() -> None:
    first, later = said(task_done="no"), said(task_done="yes", at=LATER)
    assert merged([first], [later]).said == merged([later], [first]).said == (later,)
    assert (merged([first], [later]).replaced, merged([later], [first]).outdated) == (1, 1)
    again = merged([first, said(arm="candidate")], [said(arm="candidate"), first])
    assert (again.added, again.replaced, again.outdated, again.contradicting) == (0, 0, 0, ())


def test_two_words_of_one_moment_are_told_and_the_earlier_import_stays() -> None:
    one, other = said(task_done="no"), said(task_done="yes")
    found = merged([one], [other])
    assert (found.said, found.contradicting) == ((one,), (other,))


def test_reviewers_do_not_meet_in_a_merge() -> None:
    assert merged([said("AB")], [said("CD", task_done="no")]).added == 1


def test_kept_labels_come_back_and_belong_to_their_run(tmp_path: Path) -> None:
    assert read_kept(tmp_path, run=RUN, calls=CALLS) == ()
    given = merged([], [said("Zoë"), said("AB", arm="candidate", note="ünsure"), said("AB")]).said
    first = write_kept(tmp_path, given, run=RUN).read_bytes()
    assert read_kept(tmp_path, run=RUN, calls=CALLS) == given
    assert write_kept(tmp_path, reversed(given), run=RUN).read_bytes() == first
    with pytest.raises(LabelError, match=r"labels\.json: run: given"):
        read_kept(tmp_path, run="f" * 16, calls=CALLS)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ([said(call="gone/b/c/0")], r"labels.json: reviewers.'AB': labels\[0\].call: no call of this run"),
        ([said(), said(task_done="no")], r"reviewers.'AB': labels\[1\].call: a second label of its baseline"),
        ([said(" AB")], r"labels.json: reviewers"),
    ],
)
def test_kept_labels_that_no_import_can_have_left_are_refused(
    kept: list[Said], message: str, tmp_path: Path
) -> None:
    write_kept(tmp_path, kept, run=RUN)
    with pytest.raises(LabelError, match=message):
        read_kept(tmp_path, run=RUN, calls=CALLS)


def test_the_schemas_take_what_is_read_and_written(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    path = label_file(tmp_path / "a.json", [written(), written(arm="candidate", tone="not given")])
    jsonschema.validate(json.loads(path.read_text()), json_schemas()["labels"])
    kept = write_kept(tmp_path, said_in(read_label_files([path], run=RUN, calls=CALLS)), run=RUN)
    jsonschema.validate(json.loads(kept.read_text()), json_schemas()["kept-labels"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(path.read_text()), "more": 1}, json_schemas()["labels"])
