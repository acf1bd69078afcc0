"""One writer per directory: an operating-system lock that a killed process cannot leave behind (Linux, macOS)."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import secrets
import socket
from pathlib import Path

from seewhy.store.files import disk_error
from seewhy.values import StoreError

_held: set[int] = set()


class DirectoryLock:
    """An exclusive lock on a file that says who holds it. The file stays, empty, when the lock is given back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1
        self.holder = ""
        """What the file says of this holder, for others to compare."""

    @property
    def held(self) -> bool:
        """Whether this process holds the lock, on the file that is still there; false in a forked child."""
        if self._handle not in _held:
            return False
        try:
            return os.path.samestat(os.fstat(self._handle), self._path.stat())
        except OSError:
            return False

    def acquire(self) -> bool:
        """Take the lock. True if the writer before this one died holding it.

        Raises:
            StoreError: ``SW-S04``, another writer holds it; ``SW-S02`` or ``SW-S03``, the file cannot be made.
        """
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise disk_error(self._path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            abandoned = os.fstat(handle).st_size > 0
            self.holder = _write_holder(handle)
        except BlockingIOError as error:
            os.close(handle)
            raise _held_by_another(self._path) from error
        except OSError as error:
            os.close(handle)
            raise disk_error(self._path, error) from error
        self._handle = handle
        _held.add(handle)
        return abandoned

    def release(self) -> None:
        """Empty the file and give the lock back."""
        if self._handle in _held:
            _held.discard(self._handle)
            try:
                os.ftruncate(self._handle, 0)
            finally:
                os.close(self._handle)


def _write_holder(handle: int) -> str:
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    holder = json.dumps(
        {"host": socket.gethostname(), "pid": os.getpid(), "started": started, "token": secrets.token_hex(8)}
    )
    os.ftruncate(handle, 0)
    os.pwrite(handle, holder.encode("utf-8"), 0)
    os.fsync(handle)  # workers on other machines read it while it is open here
    return holder


def _held_by_another(path: Path) -> StoreError:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        who = f"process {holder['pid']} on {holder['host']}, started {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = "a process that has not yet written its name"
    return StoreError(
        "SW-S04",
        f"{path.parent} is being written by {who}",
        fix="wait until it ends, stop it, or choose another output directory",
    )


def _forget_in_child() -> None:
    # A forked data-loading worker that outlives its killed parent would otherwise keep the lock.
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
