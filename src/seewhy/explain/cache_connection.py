"""The one open connection of a process to a cache's file: across threads, forks, deletion and damage."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from seewhy.explain.cache_forks import lock_over_forks

FILE: Final = "explanations.v1.sqlite"
PATIENCE: Final = 30.0
"""Seconds to wait for another process's transaction, which takes milliseconds."""
MOMENT: Final = 0.05
"""Seconds to wait where nothing is lost by leaving it."""
TROUBLE: Final = frozenset({3, 5, 6, 7, 8, 9, 10, 13, 14, 18, 23})
"""SQLite's codes for what is not damage: permissions, busy, memory, read-only, interrupted, disk, full, too large."""
ENDINGS: Final = ("-wal", "-shm", "")
"""The log goes first: a new file must never find the old one's."""
BUSY: Final = frozenset({5, 6})
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL, "
    "size INTEGER NOT NULL, used INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS by_use ON entries (used)",
    "CREATE TABLE IF NOT EXISTS totals (entries INTEGER NOT NULL, bytes INTEGER NOT NULL)",
    "INSERT INTO totals SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM totals)",
    "CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON entries BEGIN "
    "UPDATE totals SET entries = entries + 1, bytes = bytes + NEW.size; END",
    "CREATE TRIGGER IF NOT EXISTS gone AFTER DELETE ON entries BEGIN "
    "UPDATE totals SET entries = entries - 1, bytes = bytes - OLD.size; END",
    "CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE OF size ON entries BEGIN "
    "UPDATE totals SET bytes = bytes + NEW.size - OLD.size; END",
    "PRAGMA user_version = 1",
)

_all: weakref.WeakSet[Connection] = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []
"""Connections a forked child got from its parent: never used, and never closed, since that would touch the file."""


class Connection:
    """Opened when it is first needed, used by one thread at a time: ``with connection as database``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = lock_over_forks()
        self._open: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        _all.add(self)

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            if self._open is None or self._file != _identity(self._path):
                self.close()
                self._open = _opened(self._path)
                self._file = _identity(self._path)
            return self._open
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._lock.release()

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            if self._open is not None:
                self._open.close()
            self._open = self._file = None

    def put_aside(self) -> str:
        """Rename a damaged file, unless another process has done so already; tells what was done."""
        with self._lock:
            ours = self._file
            self.close()
            if ours is not None and ours != _identity(self._path):
                return "another process has put it aside"
            aside = f"{self._path}.damaged-{time.time_ns()}"
            for ending in ENDINGS:
                with suppress(FileNotFoundError):
                    Path(f"{self._path}{ending}").replace(f"{aside}{ending}")
            return f"it is now {Path(aside).name}"

    def remove(self) -> None:
        """Delete the file; whoever has it open begins a new one at the next use. Raises ``OSError``."""
        with self._lock:
            self.close()
            for ending in ENDINGS:
                Path(f"{self._path}{ending}").unlink(missing_ok=True)

    def forget(self) -> None:
        """What a forked child does: the parent's connection is not its own."""
        if self._open is not None:
            _inherited.append(self._open)
        self._open = self._file = None


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction that nobody else writes during: all of it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has rolled back by itself on a full disk
            connection.execute("ROLLBACK")
        raise


@contextmanager
def impatient(connection: sqlite3.Connection) -> Iterator[None]:
    """Waits ``MOMENT`` seconds for others' transactions, not ``PATIENCE``."""
    connection.execute(f"PRAGMA busy_timeout = {int(1e3 * MOMENT)}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(1e3 * PATIENCE)}")


def is_trouble(error: sqlite3.Error) -> bool:
    """Whether the surroundings are in the way, rather than the file damaged."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in TROUBLE


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600))
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    _patiently(connection, "PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 4194304")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        with writing(connection):
            for statement in SCHEMA:
                connection.execute(statement)


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """SQLite does not wait by itself where several processes switch a new file to a write-ahead log at once."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _forget_all() -> None:
    for connection in list(_all):
        connection.forget()


os.register_at_fork(after_in_child=_forget_all)
