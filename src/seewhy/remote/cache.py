"""Copies of remote files on this machine: private, shared by processes, bounded in size."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from seewhy.remote.failures import RemoteError, told

FOLDER: Final = "SEEWHY_CACHE_DIR"
LIMIT: Final = "SEEWHY_CACHE_GB"
LIMIT_GB: Final = 10.0
SWEEP_SHARE: Final = 20
"""A process looks at the whole cache after it has added this part of the limit."""
KEPT: Final = 0.9
"""What a sweep leaves of the limit."""
ABANDONED_SECONDS: Final = 24 * 3600
"""After this time without a change a half-written copy is what a killed process left."""


class FileCache:
    """Folders of files under ``folder``, together at most ``limit`` bytes and what is being written.

    A copy appears by one rename, whole or not at all. Who reads one holds a shared lock, and what is held is not
    removed; of the others those go first that were not used for longest.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._added = limit  # so that the first copy of every process looks at the cache

    @contextmanager
    def holding(self, key: str, sizes: Mapping[str, int | None], fill: Callable[[Path], None]) -> Iterator[Path]:
        """The folder with the files of ``key``, which ``fill(folder)`` writes where they are not there in these sizes.

        Raises ``RemoteError`` of kind ``cache`` where the cache cannot be used, and what ``fill`` raises.
        """
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        entry = self._entries / digest[:2] / digest[2:]
        with self._shared(digest[:2]):
            try:
                if not _has(entry, sizes):
                    self._fetch(entry, sizes, fill)
                os.utime(entry)
            except OSError as error:
                raise unusable(self.folder, error) from error
            yield entry

    def sweep(self) -> None:
        """Remove the copies not used for longest until the limit holds, and what killed processes left."""
        with self._exclusive(self.folder / "sweep.lock") as mine:
            if not mine:
                return  # another process is at it
            self._remove_abandoned()
            found = sorted(self._copies())
            total = sum(size for _, size, _ in found)
            if total <= self.limit:
                return
            for _, size, entry in found:
                if total <= self.limit * KEPT:
                    break
                total -= size if self._remove(entry) else 0

    @property
    def _entries(self) -> Path:
        return self.folder / "files"

    def _fetch(self, entry: Path, sizes: Mapping[str, int | None], fill: Callable[[Path], None]) -> None:
        written = self.folder / "incoming" / secrets.token_hex(16)
        try:
            written.mkdir(mode=0o700)
            fill(written)
            entry.parent.mkdir(mode=0o700, exist_ok=True)
            size = _size(written)
            self._put(written, entry, sizes)
        finally:
            shutil.rmtree(written, ignore_errors=True)
        self._added += size
        if self._added >= self.limit / SWEEP_SHARE:
            self._added = 0
            with suppress(OSError):  # what was asked for is there
                self.sweep()

    def _put(self, written: Path, entry: Path, sizes: Mapping[str, int | None]) -> None:
        """By a rename; another process's copy stays, one that is damaged makes room."""
        if _has(entry, sizes):
            return
        if entry.exists():
            aside = self.folder / "incoming" / secrets.token_hex(16)
            entry.rename(aside)
            _discard(aside)
        try:
            written.rename(entry)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def _remove(self, entry: Path) -> bool:
        with self._exclusive(self.folder / "locks" / entry.parent.name) as mine:
            if mine:
                aside = self.folder / "incoming" / secrets.token_hex(16)
                entry.rename(aside)
                _discard(aside)
            return mine

    def _copies(self) -> Iterator[tuple[float, int, Path]]:
        """When each copy was last used, its size, and its folder."""
        for group in filter(Path.is_dir, self._entries.iterdir()):
            for entry in filter(Path.is_dir, group.iterdir()):
                try:
                    yield entry.stat().st_mtime, _size(entry), entry
                except FileNotFoundError:
                    continue

    def _remove_abandoned(self) -> None:
        oldest = time.time() - ABANDONED_SECONDS
        for written in (self.folder / "incoming").iterdir():
            try:
                inside = written.iterdir() if written.is_dir() else ()
                newest = max(path.stat().st_mtime for path in (written, *inside))
            except FileNotFoundError:
                continue
            if newest < oldest:
                _discard(written)

    @contextmanager
    def _shared(self, group: str) -> Iterator[None]:
        try:
            _make_private(self.folder)
            for name in ("files", "incoming", "locks"):
                (self.folder / name).mkdir(mode=0o700, exist_ok=True)
            handle = os.open(self.folder / "locks" / group, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(self.folder, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _exclusive(self, lock: Path) -> Iterator[bool]:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(handle)


_opened: dict[tuple[str, int], FileCache] = {}


def file_cache() -> FileCache:
    """The cache of this user: ``SEEWHY_CACHE_DIR``, by default in the user's cache folder, of ``SEEWHY_CACHE_GB``.

    Raises ``RemoteError`` of kind ``cache`` for a limit that is no number above 0.
    """
    text = os.environ.get(LIMIT) or str(LIMIT_GB)
    try:
        limit = int(float(text) * 10**9)
    except (ValueError, OverflowError):
        limit = 0
    if limit < 1:
        raise RemoteError("cache", f"{LIMIT}={text} is no size", fix=f"set {LIMIT} to gigabytes above 0, such as 10")
    folder = cache_folder() / "remote"
    return _opened.setdefault((str(folder), limit), FileCache(folder, limit))


def cache_folder() -> Path:
    """``SEEWHY_CACHE_DIR``, else ``seewhy`` in the folder where this system keeps caches."""
    if given := os.environ.get(FOLDER):
        return Path(given).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "seewhy"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser().absolute() / "seewhy"


def unusable(folder: Path, error: OSError) -> RemoteError:
    """The failure for a cache that cannot be written."""
    return RemoteError(
        "cache",
        f"the cache in {folder} cannot be used ({error.strerror or told(error)})",
        fix=f"free space there, or set {FOLDER} to a folder of your own and {LIMIT} to how much it may take",
    )


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "it is not a folder that only you can write")


def _has(entry: Path, sizes: Mapping[str, int | None]) -> bool:
    try:
        return all(size in (None, (entry / name).stat().st_size) for name, size in sizes.items()) and entry.is_dir()
    except (FileNotFoundError, NotADirectoryError):
        return False


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def _size(entry: Path) -> int:
    with os.scandir(entry) as inside:
        return sum(_size(Path(one)) if one.is_dir() else one.stat().st_size for one in inside)
