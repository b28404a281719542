"""The ledger of looks at a holdout: a file that only grows, in which a look is written down before it begins.

A look is two lines of JSON. The first is written before its calls are placed, and from then on the look is
spent. The second says what came of it, and is written before anybody is shown the result. A look without a
second line was broken off: ``not judged``, and spent all the same.

Every line carries the hash of the line before it and its own, so that a line that was changed, removed or
moved is found when the ledger is next opened. Lines cut off at the very end leave a ledger that is whole by
itself; that is found by `History.extends`, against an older copy such as the one under version control.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from voiceeval.errors import LedgerError, LooksSpentError
from voiceeval.scenario import Written

Result = Literal["may ship", "may not ship", "not judged"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
NOTHING_BEFORE = "0" * 64
"""Stands in the first line for the hash of the line before it."""
ROUNDING = 1e-6
"""Of a look: ten tenths of the level are all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How often a holdout may be looked at, and the level that all looks share."""

    looks: int
    alpha: float

    @property
    def per_look(self) -> float:
        """What each look spends: by the union bound, all of them together err at most with ``alpha``."""
        return self.alpha / self.looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a holdout."""

    number: int
    """Among the looks at this commitment, from 1."""
    day: date
    """In UTC."""
    commitment: str
    """Digest of the holdout suite."""
    baseline: str
    """Digest of the baseline's fingerprints."""
    candidate: str
    alpha: float
    """The part of the level that it spent."""
    looks: int
    """Over how many looks the level was spread then."""
    result: Result = "not judged"


class _Begun(Written):
    event: Literal["look"] = "look"
    number: Annotated[int, Field(ge=1)]
    day: date
    commitment: Digest
    baseline: Digest
    candidate: Digest
    alpha: Annotated[float, Field(gt=0, lt=1)]
    looks: Annotated[int, Field(ge=1)]
    previous: Digest
    hash: Digest = NOTHING_BEFORE


class _Ended(Written):
    event: Literal["result"] = "result"
    number: Annotated[int, Field(ge=1)]
    commitment: Digest
    may_ship: bool
    previous: Digest
    hash: Digest = NOTHING_BEFORE


_Entry = _Begun | _Ended
_ENTRY: TypeAdapter[_Entry] = TypeAdapter(Annotated[_Entry, Field(discriminator="event")])


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All looks of a ledger that was found whole."""

    looks: tuple[Look, ...]
    """In the order they began."""
    hashes: tuple[str, ...]
    """Of the lines, in their order."""

    @property
    def head(self) -> str:
        """Hash of the last line, which stands for the whole ledger."""
        return self.hashes[-1] if self.hashes else NOTHING_BEFORE

    def at(self, commitment: str) -> tuple[Look, ...]:
        """The looks at one commitment."""
        return tuple(look for look in self.looks if look.commitment == commitment)

    def left(self, commitment: str, allowed: Allowance) -> int:
        """How many more looks at a commitment are allowed.

        What earlier looks spent of the level is gone: allowing more looks half way adds none to it.
        """
        spent = self.at(commitment)
        level_left = allowed.alpha - math.fsum(look.alpha for look in spent)
        by_level = math.floor(level_left / allowed.per_look + ROUNDING)
        return max(0, min(allowed.looks - len(spent), by_level))

    def extends(self, older: History) -> bool:
        """Whether this ledger is ``older`` with lines added, or the same."""
        return self.hashes[: len(older.hashes)] == older.hashes


@dataclass(frozen=True, slots=True)
class LookLedger:
    """The ledger in a file. Any number of processes may use it at once."""

    path: Path

    def read(self) -> History:
        """All that is written in it.

        Raises:
            LedgerError: There is no such file, or a line was changed, removed or moved; its number is named.
        """
        if self.path.is_dir():
            raise LedgerError(f"{self.path}: a folder; a ledger is a file")
        with self._locked(os.O_RDONLY, fcntl.LOCK_SH) as descriptor:
            return _history(self.path, _content(descriptor))

    def refuse_spent(self, commitment: str, allowed: Allowance) -> None:
        """LooksSpentError when no look is left at a commitment, LedgerError as `read`."""
        _refuse_spent(self.path, self.read(), commitment, allowed)

    def begin(self, commitment: str, allowed: Allowance, *, agents: tuple[str, str], day: date) -> Look:
        """Write down that a look begins; from now on it is spent.

        Args:
            commitment: Digest of the holdout suite.
            allowed: How many looks are allowed in all; this one spends its share of their level.
            agents: Digests of the baseline's and the candidate's fingerprints.
            day: The day of the run.

        Raises:
            LooksSpentError: None is left.
            LedgerError: The ledger is absent, damaged or cannot be written.
        """
        with self._locked(os.O_RDWR | os.O_APPEND, fcntl.LOCK_EX) as descriptor:
            history = _history(self.path, _content(descriptor))
            _refuse_spent(self.path, history, commitment, allowed)
            baseline, candidate = agents
            begun = _Begun(
                number=len(history.at(commitment)) + 1,
                day=day,
                commitment=commitment,
                baseline=baseline,
                candidate=candidate,
                alpha=allowed.per_look,
                looks=allowed.looks,
                previous=history.head,
            )
            self._append(descriptor, begun)
            return _look(begun)

    def end(self, look: Look, *, may_ship: bool) -> str:
        """Write down what came of a look, and return the ledger's new head.

        Raises:
            LedgerError: As `begin`; or the look never began, or ended before.
        """
        with self._locked(os.O_RDWR | os.O_APPEND, fcntl.LOCK_EX) as descriptor:
            history = _history(self.path, _content(descriptor))
            ended = _Ended(
                number=look.number, commitment=look.commitment, may_ship=may_ship, previous=history.head
            )
            lines = len(history.hashes) + 1
            _with_result(list(history.looks), ended, f"{self.path}: line {lines}")
            return self._append(descriptor, ended)

    @contextmanager
    def _locked(self, flags: int, lock: int) -> Iterator[int]:
        try:
            descriptor = os.open(self.path, flags | os.O_CLOEXEC)
        except FileNotFoundError:
            raise LedgerError(
                f"{self.path}: no such file; a ledger begins as an empty file under version control, and is "
                "never started afresh for a holdout that was looked at"
            ) from None
        except OSError as error:
            raise LedgerError(f"{self.path}: cannot be opened ({error.strerror})") from None
        try:
            # Closing the file lets go of the lock.
            fcntl.flock(descriptor, lock)
            yield descriptor
        finally:
            os.close(descriptor)

    def _append(self, descriptor: int, entry: _Entry) -> str:
        sealed = entry.model_copy(update={"hash": _hash(entry)})
        line = f"{_text(sealed.model_dump(mode='json'))}\n".encode()
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, line) != len(line):
                os.ftruncate(descriptor, size)
                raise LedgerError(f"{self.path}: cannot be written (the disk is full)")
            os.fsync(descriptor)
        except OSError as error:
            raise LedgerError(f"{self.path}: cannot be written ({error.strerror})") from None
        return sealed.hash


def _refuse_spent(path: Path, history: History, commitment: str, allowed: Allowance) -> None:
    if not history.left(commitment, allowed):
        raise LooksSpentError(
            f"{path}: no look is left at this holdout: {len(history.at(commitment))} of {allowed.looks} were "
            "taken, or they spent all of alpha; set aside another holdout and commit to it"
        )


def _content(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read()


def _text(entry: dict[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"))


def _hash(entry: _Entry) -> str:
    """Of all that a line says but the hash itself."""
    return hashlib.sha256(_text(entry.model_dump(mode="json", exclude={"hash"})).encode()).hexdigest()


def _history(path: Path, content: bytes) -> History:
    *lines, rest = content.split(b"\n")
    if rest:
        raise LedgerError(f"{path}: line {len(lines) + 1}: was not written to its end; restore the ledger")
    looks: list[Look] = []
    hashes: list[str] = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}: line {number}"
        entry = _entry(line, where)
        if entry.previous != (hashes[-1] if hashes else NOTHING_BEFORE):
            before = f"line {number - 1}" if hashes else "an empty ledger"
            raise LedgerError(f"{where}: does not follow {before}: a line was removed, changed or moved")
        if isinstance(entry, _Ended):
            _with_result(looks, entry, where)
        else:
            expected = 1 + sum(look.commitment == entry.commitment for look in looks)
            if entry.number != expected:
                raise LedgerError(f"{where}: given look {entry.number}; allowed: {expected}")
            if entry.number > entry.looks:
                raise LedgerError(f"{where}: look {entry.number} of {entry.looks} should not have been taken")
            looks.append(_look(entry))
        hashes.append(entry.hash)
    return History(looks=tuple(looks), hashes=tuple(hashes))


def _entry(line: bytes, where: str) -> _Entry:
    try:
        entry = _ENTRY.validate_json(line)
    except ValidationError:
        raise LedgerError(f"{where}: is not a line of a ledger of looks; restore it") from None
    if entry.hash != _hash(entry) or line != _text(entry.model_dump(mode="json")).encode():
        raise LedgerError(f"{where}: was changed after it was written: its hash is another; restore it")
    return entry


def _with_result(looks: list[Look], ended: _Ended, where: str) -> None:
    """Give the look its result, in place."""
    for index, look in enumerate(looks):
        if (look.commitment, look.number) == (ended.commitment, ended.number):
            if look.result != "not judged":
                raise LedgerError(f"{where}: a second result of look {ended.number}")
            looks[index] = replace(look, result="may ship" if ended.may_ship else "may not ship")
            return
    raise LedgerError(f"{where}: a result of look {ended.number}, which never began")


def _look(begun: _Begun) -> Look:
    return Look(**begun.model_dump(exclude={"event", "previous", "hash"}))
