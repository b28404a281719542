"""What deterministic stages gave before, kept by content and shared by all runs.

A damaged entry is computed again, never trusted: every value carries a checksum of its key and itself.
"""

from __future__ import annotations

import fcntl
import sqlite3
from hashlib import blake2b
from pathlib import Path

from voiceeval.content_files import MISSING, FlacStore, Missing
from voiceeval.errors import HarnessError

__all__ = ["MISSING", "FlacStore", "Missing", "ResultStore"]

LAYOUT = 1
"""Raised when the table changes; each layout has a file of its own, so that versions live side by side."""
BUSY_TIMEOUT_S = 60.0
WRITES_PER_BATCH = 64


class ResultStore:
    """Key to bytes, in one SQLite file that several processes use at once, and audio by digest.

    Writes are gathered and reach the file every 64 of them and with `flush`; a process that is killed loses
    at most those, and they are computed again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.audio = FlacStore(folder / "audio")
        self._pending: dict[str, bytes] = {}
        self._path = folder / f"results-{LAYOUT}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = self._opened()
        except (sqlite3.OperationalError, OSError) as error:
            raise HarnessError(f"{self._path}: the result store cannot be opened: {error}") from error
        except sqlite3.DatabaseError:
            self._start_afresh()

    def get(self, key: str) -> bytes | Missing:
        """The bytes kept under ``key``, or MISSING when there are none that can be trusted."""
        pending = self._pending.get(key)
        if pending is not None:
            return pending
        try:
            row = self._database.execute("SELECT value, checksum FROM kept WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError:
            return MISSING
        if row is None:
            return MISSING
        value, checksum = row
        if not isinstance(value, bytes) or _checksum(key, value) != checksum:
            return MISSING
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep ``value`` under ``key``; the last writer wins, and all writers have the same to say."""
        self._pending[key] = value
        if len(self._pending) >= WRITES_PER_BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was put so far, so that other processes find it."""
        if not self._pending:
            return
        rows = [(key, value, _checksum(key, value)) for key, value in self._pending.items()]
        try:
            self._write(rows)
        except sqlite3.OperationalError as error:
            raise HarnessError(f"{self._path}: results cannot be kept: {error}") from error
        except sqlite3.DatabaseError:
            self._start_afresh()
            self._write(rows)
        self._pending.clear()

    def close(self) -> None:
        """Flush and let go of the file."""
        self.flush()
        self._database.close()

    def _write(self, rows: list[tuple[str, bytes, bytes]]) -> None:
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)

    def _opened(self) -> sqlite3.Connection:
        # Two processes that turn a new file to write-ahead logging at once are told "locked" without waiting.
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value BLOB, checksum BLOB)"
            )
            database.commit()
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def _start_afresh(self) -> None:
        """Leave a file behind that SQLite itself calls damaged; everything in it can be computed again."""
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._database = self._opened()


def _checksum(key: str, value: bytes) -> bytes:
    # The key is part of it: a value that ended up under another key is damage, too.
    return blake2b(value, digest_size=16, key=blake2b(key.encode(), digest_size=16).digest()).digest()
