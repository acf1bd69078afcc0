"""Bytes by key in one SQLite file: bounded, least recently used first out, shared by processes and threads."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from seewhy.explain.cache_connection import FILE, Connection, impatient, is_trouble, writing
from seewhy.explain.warning import warn_caller
from seewhy.values import CacheError

Found = TypeVar("Found")
AT_ONCE: Final = 32
"""Entries looked at together when room is made."""
FULLEST: Final = 900_000_000
"""Bytes of one entry that SQLite keeps."""
GARBAGE: Final = (TypeError, ValueError, OverflowError)
"""What comes of a damaged page that holds something else where a number or bytes should be."""


class Store:
    """Values by key under ``folder``, at most ``limit`` bytes of them.

    Every value is kept with a digest of itself and its key, and one that does not match is dropped with a warning. A
    damaged file is put aside with a warning and a new one begun. What the disk or another process makes impossible is
    warned of once, and counts as not found or not kept.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.path = folder / FILE
        self.limit = limit
        self.damaged = 0
        self._warned = False
        self._connection = Connection(self.path)
        self._ended = weakref.finalize(self, self._connection.close)

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values of those keys that are there; they count as used now."""
        nothing: dict[str, bytes] = {}
        found = self._tried(lambda connection: self._read(connection, keys), nothing)
        if found:
            self._tried(lambda connection: _touch(connection, found), None, quietly=True)
        return found

    def put(self, entries: Mapping[str, bytes]) -> int:
        """Keep these, make room for them, and tell how many were kept: a value over the limit is not."""
        fitting = {key: value for key, value in entries.items() if _size(key, value) <= min(self.limit, FULLEST)}
        return self._tried(lambda connection: self._write(connection, fitting), 0) if fitting else 0

    def totals(self) -> tuple[int, int]:
        """How many entries there are, and their bytes."""
        return self._tried(_totals, (0, 0))

    def clear(self) -> None:
        """Drop every entry, also the damaged files that were put aside, and give the disk its room back.

        Where the database cannot be written to, as on a full disk, its file is deleted.

        Raises:
            CacheError: ``SW-K08``, where that is not possible either.
        """
        cleared = self.path.exists() and self._tried(_clear, False, quietly=True)
        try:
            if not cleared:
                self._connection.remove()
            for aside in self.path.parent.glob(f"{self.path.name}.damaged-*"):
                aside.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(
                "SW-K08",
                f"the explanations in {self.path} cannot be deleted ({error.strerror or error})",
                fix="delete the folder yourself, or get the right to write to it",
            ) from error

    def make_room(self) -> None:
        """Drop what was used longest ago until the limit holds; no file is made where none is."""
        if self.path.exists() and self.totals()[1] > self.limit:
            self._tried(lambda connection: _make_room_alone(connection, self.limit), None)

    def close(self) -> None:
        """Let the file go; it is opened again when it is needed."""
        self._connection.close()

    def _read(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, bytes]:
        found = {}
        for key in dict.fromkeys(keys):
            row = connection.execute("SELECT value, digest FROM entries WHERE key = ?", (key,)).fetchone()
            if row is None:
                continue
            if row[1] == _digest(key, row[0]):
                found[key] = row[0]
            else:
                self._report(f"an explanation in {self.path} is damaged: it is dropped and computed again")
                with writing(connection):
                    connection.execute("DELETE FROM entries WHERE key = ?", (key,))
        return found

    def _write(self, connection: sqlite3.Connection, entries: Mapping[str, bytes]) -> int:
        with writing(connection):
            latest = _latest(connection)
            rows = [
                (key, value, _digest(key, value), _size(key, value), latest + number)
                for number, (key, value) in enumerate(entries.items(), start=1)
            ]
            connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "value = excluded.value, digest = excluded.digest, size = excluded.size, used = excluded.used",
                rows,
            )
            _make_room(connection, self.limit)
        return len(rows)

    def _tried(self, work: Callable[[sqlite3.Connection], Found], otherwise: Found, *, quietly: bool = False) -> Found:
        """What the work finds; ``otherwise`` where the disk does not let it, or the file is damaged twice over."""
        for _ in range(2):
            try:
                with self._connection as connection:
                    return work(connection)
            except OSError as error:
                self._trouble(str(error), quietly)
                return otherwise
            except (sqlite3.Error, *GARBAGE) as error:
                if isinstance(error, sqlite3.Error) and is_trouble(error):
                    self._trouble(str(error), quietly)
                    return otherwise
                aside = self._connection.put_aside()
                self._report(f"{self.path} is damaged ({error}): {aside}; explanations are computed again")
        return otherwise

    def _trouble(self, why: str, quietly: bool) -> None:
        if not (self._warned or quietly):
            self._warned = True
            warn_caller(f"the explanation cache {self.path} cannot be used ({why}): explanations are computed")

    def _report(self, message: str) -> None:
        self.damaged += 1
        warn_caller(message)


def _touch(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """A use is told at once or not at all: a hit does not wait for another's long transaction."""
    with impatient(connection), writing(connection):
        latest = _latest(connection)
        rows = [(latest + number, key) for number, key in enumerate(keys, start=1)]
        connection.executemany("UPDATE entries SET used = ? WHERE key = ?", rows)


def _latest(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT COALESCE(MAX(used), 0) FROM entries").fetchone()[0])


def _make_room_alone(connection: sqlite3.Connection, limit: int) -> None:
    with writing(connection):
        _make_room(connection, limit)


def _make_room(connection: sqlite3.Connection, limit: int) -> None:
    total = _totals(connection)[1]
    while total > limit:
        oldest = connection.execute("SELECT key, size FROM entries ORDER BY used LIMIT ?", (AT_ONCE,)).fetchall()
        if not oldest:
            raise sqlite3.DatabaseError("sizes do not add up")
        for key, size in oldest:
            if total <= limit:
                break
            connection.execute("DELETE FROM entries WHERE key = ?", (key,))
            total -= size


def _totals(connection: sqlite3.Connection) -> tuple[int, int]:
    ((entries, size),) = connection.execute("SELECT entries, bytes FROM totals").fetchall()
    return int(entries), int(size)


def _clear(connection: sqlite3.Connection) -> bool:
    with writing(connection):
        connection.execute("DELETE FROM entries")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return True


def _digest(key: str, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16, key=key.encode()).digest()


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + 16


def make_folder(folder: Path) -> None:
    """Create the folder for the user alone; one that is there keeps its permissions. Raises ``OSError``."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(13, "not writable", str(folder))
