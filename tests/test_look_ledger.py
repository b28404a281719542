from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from voiceeval.errors import LedgerError, LooksSpentError
from voiceeval.look_ledger import Allowance, Look, LookLedger

FIRST, SECOND = "1" * 64, "2" * 64
AGENTS = ("a" * 64, "b" * 64)
DAY = date(2026, 3, 1)
TEN = Allowance(looks=10, alpha=0.05)


@pytest.fixture
def ledger(tmp_path: Path) -> LookLedger:
    path = tmp_path / "ledger.jsonl"
    path.touch()
    return LookLedger(path)


def looked(
    ledger: LookLedger, commitment: str = FIRST, allowed: Allowance = TEN, *, ship: bool = True
) -> Look:
    look = ledger.begin(commitment, allowed, agents=AGENTS, day=DAY)
    ledger.end(look, may_ship=ship)
    return look


def lines(ledger: LookLedger) -> list[str]:
    return ledger.path.read_text().splitlines(keepends=True)


def test_a_look_is_written_when_it_begins_and_has_a_result_when_it_ends(ledger: LookLedger) -> None:
    look = ledger.begin(FIRST, TEN, agents=AGENTS, day=DAY)
    assert look == Look(
        number=1,
        day=DAY,
        commitment=FIRST,
        baseline=AGENTS[0],
        candidate=AGENTS[1],
        alpha=0.005,
        looks=10,
        result="not judged",
    )
    assert ledger.read().looks == (look,)
    head = ledger.end(look, may_ship=False)
    assert [each.result for each in ledger.read().looks] == ["may not ship"]
    assert ledger.read().head == head


def test_looks_are_counted_per_commitment_and_the_chain_goes_on(ledger: LookLedger) -> None:
    numbers = [looked(ledger, commitment).number for commitment in (FIRST, FIRST, SECOND, FIRST, SECOND)]
    assert numbers == [1, 2, 1, 3, 2]
    history = ledger.read()
    assert (history.left(FIRST, TEN), history.left(SECOND, TEN), history.left("3" * 64, TEN)) == (7, 8, 10)
    entries = [json.loads(line) for line in lines(ledger)]
    assert [entry["previous"] for entry in entries[1:]] == [entry["hash"] for entry in entries[:-1]]


def test_a_hash_is_that_of_everything_else_in_the_line(ledger: LookLedger) -> None:
    looked(ledger)
    for line in lines(ledger):
        entry = json.loads(line)
        stated = entry.pop("hash")
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == stated


def test_after_the_last_look_there_is_none(ledger: LookLedger) -> None:
    two = Allowance(looks=2, alpha=0.05)
    looked(ledger, allowed=two)
    ledger.begin(FIRST, two, agents=AGENTS, day=DAY)  # broken off, and spent all the same
    before = ledger.path.read_bytes()
    with pytest.raises(LooksSpentError, match="no look is left at this holdout: 2 of 2"):
        ledger.begin(FIRST, two, agents=AGENTS, day=DAY)
    with pytest.raises(LooksSpentError):
        ledger.refuse_spent(FIRST, two)
    assert ledger.path.read_bytes() == before
    assert looked(ledger, SECOND, two).number == 1


@pytest.mark.parametrize(
    ("allowed", "left"),
    [
        (TEN, 5),
        (Allowance(looks=20, alpha=0.05), 10),  # half of the level is gone: 15 looks in all, not 20
        (Allowance(looks=5, alpha=0.05), 0),
        (Allowance(looks=10, alpha=0.025), 0),
        (Allowance(looks=10, alpha=0.10), 5),
    ],
)
def test_allowing_more_looks_half_way_adds_no_level(
    ledger: LookLedger, allowed: Allowance, left: int
) -> None:
    for _ in range(5):
        looked(ledger)
    assert ledger.read().left(FIRST, allowed) == left


@pytest.mark.parametrize("looks", [1, 3, 7, 10, 49, 100])
def test_the_level_suffices_for_exactly_as_many_looks_as_are_allowed(ledger: LookLedger, looks: int) -> None:
    allowed = Allowance(looks=looks, alpha=0.05)
    begun = [ledger.begin(FIRST, allowed, agents=AGENTS, day=DAY) for _ in range(looks)]
    assert sum(look.alpha for look in begun) == pytest.approx(0.05)
    with pytest.raises(LooksSpentError):
        ledger.begin(FIRST, allowed, agents=AGENTS, day=DAY)


def tampered(ledger: LookLedger, what: str) -> None:
    kept = lines(ledger)
    changed = {
        "changed": [*kept[:2], kept[2].replace('"number":2', '"number":1'), *kept[3:]],
        "result changed": [*kept[:3], kept[3].replace("false", "true"), *kept[4:]],
        "last changed": [*kept[:5], kept[5].replace("true", "false")],
        "respaced": [kept[0], kept[1].replace('":', '": '), *kept[2:]],
        "removed": [*kept[:2], *kept[3:]],
        "first removed": kept[1:],
        "reordered": [kept[0], kept[2], kept[1], *kept[3:]],
        "repeated": [*kept[:3], kept[2], *kept[3:]],
        "cut": [*kept[:5], kept[5][:40]],
        "blank": [*kept[:4], "\n", *kept[4:]],
        "foreign": [*kept[:4], '{"event":"look"}\n', *kept[4:]],
    }[what]
    assert changed != kept
    ledger.path.write_text("".join(changed))


@pytest.mark.parametrize(
    ("what", "line", "words"),
    [
        ("changed", 3, "was changed"),
        ("result changed", 4, "was changed"),
        ("last changed", 6, "was changed"),
        ("respaced", 2, "was changed"),
        ("removed", 3, "does not follow line 2"),
        ("first removed", 1, "does not follow an empty ledger"),
        ("reordered", 2, "does not follow line 1"),
        ("repeated", 4, "does not follow line 3"),
        ("cut", 6, "was not written to its end"),
        ("blank", 5, "is not a line of a ledger"),
        ("foreign", 5, "is not a line of a ledger"),
    ],
)
def test_a_tampered_line_is_named(ledger: LookLedger, what: str, line: int, words: str) -> None:
    for ship in (True, False, True):
        looked(ledger, ship=ship)
    tampered(ledger, what)
    before = ledger.path.read_bytes()
    with pytest.raises(LedgerError, match=f"line {line}: {words}"):
        ledger.read()
    with pytest.raises(LedgerError, match=f"line {line}: "):
        ledger.begin(FIRST, TEN, agents=AGENTS, day=DAY)
    assert ledger.path.read_bytes() == before


def resealed(ledger: LookLedger, **changes: object) -> None:
    """The first line changed by somebody who knows how hashes are made."""
    entry = {**json.loads(lines(ledger)[0]), **changes}
    del entry["hash"]
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
    entry["hash"] = hashlib.sha256(text.encode()).hexdigest()
    ledger.path.write_text(json.dumps(entry, sort_keys=True, separators=(",", ":")) + "\n")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"number": 2}, "given look 2; allowed: 1"),
        ({"commitment": "not a digest"}, "is not a line"),
        ({"previous": "c" * 64}, "does not follow"),
        ({"alpha": -1.0}, "is not a line"),
    ],
)
def test_a_line_with_a_right_hash_still_has_to_make_sense(
    ledger: LookLedger, changes: dict[str, object], words: str
) -> None:
    ledger.begin(FIRST, TEN, agents=AGENTS, day=DAY)
    resealed(ledger)
    assert len(ledger.read().looks) == 1
    resealed(ledger, **changes)
    with pytest.raises(LedgerError, match=f"line 1: {words}"):
        ledger.read()


def test_lines_cut_off_at_the_end_are_found_against_an_older_copy(ledger: LookLedger, tmp_path: Path) -> None:
    looked(ledger)
    older = ledger.read()
    looked(ledger)
    newer = ledger.read()
    assert newer.extends(older)
    assert newer.extends(newer)
    ledger.path.write_text("".join(lines(ledger)[:1]))
    assert not ledger.read().extends(older)
    other = LookLedger(tmp_path / "other.jsonl")
    other.path.touch()
    looked(other, SECOND)
    looked(other, SECOND)
    assert not other.read().extends(older)


def test_a_result_is_written_once_and_of_a_look_that_began(ledger: LookLedger) -> None:
    look = looked(ledger)
    with pytest.raises(LedgerError, match="line 3: a second result of look 1"):
        ledger.end(look, may_ship=True)
    ledger.path.write_text("")
    with pytest.raises(LedgerError, match="line 1: a result of look 1, which never began"):
        ledger.end(look, may_ship=True)
    assert ledger.path.read_text() == ""


def test_an_absent_ledger_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    ledger = LookLedger(tmp_path / "gone.jsonl")
    with pytest.raises(LedgerError, match="no such file"):
        ledger.read()
    with pytest.raises(LedgerError, match="no such file"):
        ledger.begin(FIRST, TEN, agents=AGENTS, day=DAY)
    assert not ledger.path.exists()


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="a folder; a ledger is a file"):
        LookLedger(tmp_path).read()


def test_a_full_disk_leaves_the_ledger_as_it_was(ledger: LookLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    looked(ledger)
    before, write = ledger.path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    with pytest.raises(LedgerError, match="cannot be written"):
        ledger.begin(FIRST, TEN, agents=AGENTS, day=DAY)
    assert ledger.path.read_bytes() == before


def test_many_looks_at_once_each_take_a_number_of_their_own(ledger: LookLedger) -> None:
    with ThreadPoolExecutor(8) as pool:
        looks = list(
            pool.map(lambda _: LookLedger(ledger.path).begin(FIRST, TEN, agents=AGENTS, day=DAY), range(10))
        )
    assert sorted(look.number for look in looks) == list(range(1, 11))
    assert ledger.read().left(FIRST, TEN) == 0
