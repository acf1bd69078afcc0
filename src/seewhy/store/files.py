"""Atomic files: a reader sees the old bytes or the new ones, never a part, whatever kills the writer."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from seewhy.store.failpoints import reach
from seewhy.store.layout import LOCK
from seewhy.values import StoreError

CHUNK = 1 << 16
TEMPORARY = re.compile(r"\.seewhy-\d+-\d+(-[0-9a-f]+)?\.tmp")

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_serial = itertools.count()
_machine = secrets.token_hex(4)
"""Two containers of a cluster may give their processes the same numbers."""


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put ``data`` under ``path`` in one step, making its directory where needed.

    ``durable=False`` skips the flush to the device: right for files that can be made again, since a power cut may
    empty them (``verify`` tells).

    Raises:
        StoreError: ``SW-S01`` disk full, ``SW-S02`` not allowed, ``SW-S03`` any other failure of the file system.
    """
    with replacing(path, durable=durable) as draft:
        handle = os.open(draft, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            _write_all(handle, data)
        finally:
            os.close(handle)


def write_new(path: Path, data: bytes, *, last: Callable[[], None] = lambda: None) -> None:
    """As :func:`write_atomic`, but never over other bytes: a file that is there already must hold the same.

    ``last`` is called when the bytes are on the device and only the name is missing; where it raises, none is taken.

    Raises:
        StoreError: ``SW-S18`` it holds others, and as :func:`write_atomic`.
    """
    with replacing(path, last=last) as draft:
        handle = os.open(draft, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            _write_all(handle, data)
        finally:
            os.close(handle)
        if path.exists():
            _require_same(path, data)
            draft.unlink()


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True, last: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """An empty file beside ``path`` to fill: it takes the name when the block ends and vanishes when it raises.

    Deleting it inside the block leaves ``path`` as it was. ``last`` is called just before the name is taken.

    Raises:
        StoreError: as :func:`write_atomic`, also for an ``OSError`` inside the block.
    """
    draft = path.parent / f".seewhy-{os.getpid()}-{next(_serial)}-{_machine}.tmp"
    try:
        _create(draft, durable)
        reach("file.created")
        yield draft
        reach("file.written")
        if draft.exists():
            _take_name(draft, path, durable, last)
    except OSError as error:
        _discard(draft)
        raise disk_error(path, error) from error
    except BaseException:
        _discard(draft)
        raise


def make_directory(path: Path) -> None:
    """Make ``path`` and its parents, and let the new names reach the device."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error


def sync_directory(path: Path) -> None:
    """Let the names inside a directory reach the device."""
    _sync(path, os.O_DIRECTORY)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_temporaries(root: Path) -> int:
    """Delete what killed writers left below ``root``; only files named as this module names them.

    Another run below it, a folder with a lock of its own, is left alone: its writer may be at work.
    """
    stale = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not Path(folder, name, LOCK).exists()]
        stale += [Path(folder, name) for name in names if TEMPORARY.fullmatch(name)]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def disk_error(path: Path, error: OSError) -> StoreError:
    """A failure of the file system as one sentence that names the directory, the free space and the way out."""
    folder, reason = path.parent, error.strerror or str(error)
    if error.errno in _FULL:
        return StoreError(
            "SW-S01",
            f"the disk of {folder} is full: {path.name} was not written ({reason}; {_free(folder)})",
            fix="free some space and run the same command again; what was written before is kept",
        )
    if error.errno in _FORBIDDEN:
        return StoreError(
            "SW-S02",
            f"{folder} cannot be written to: {path.name}: {reason} ({_free(folder)})",
            fix="choose another output directory or change its permissions",
        )
    return StoreError(
        "SW-S03",
        f"{path.name} could not be written in {folder}: {reason} ({_free(folder)})",
        fix="check the disk, then run the same command again; what was written before is kept",
    )


def _create(draft: Path, durable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        os.close(os.open(draft, flags, 0o666))
    except FileNotFoundError:
        draft.parent.mkdir(parents=True, exist_ok=True)
        if durable:
            sync_directory(draft.parent.parent)
        os.close(os.open(draft, flags, 0o666))


def _take_name(draft: Path, path: Path, durable: bool, last: Callable[[], None]) -> None:
    if durable:
        _sync(draft)
        reach("file.synced")
    last()
    os.replace(draft, path)  # noqa: PTH105 - the tests fail this very call
    reach("file.replaced")
    if durable:
        sync_directory(path.parent)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest[:CHUNK]) :]
        reach("file.chunk")


def _sync(path: Path, flags: int = 0) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _discard(draft: Path) -> None:
    with contextlib.suppress(OSError):  # the first error is the one to tell
        draft.unlink()


def _require_same(path: Path, data: bytes) -> None:
    if path.stat().st_size != len(data) or path.read_bytes() != data:
        raise StoreError(
            "SW-S18",
            f"{path} is there already and holds something else",
            fix="another run writes into the same directory; end it, then run the same command again",
        )


def _free(folder: Path) -> str:
    places = (folder, *folder.parents)
    existing = next((place for place in places if os.path.isdir(place)), None)  # noqa: PTH112  it never raises
    if existing is None:
        return "free space unknown"
    try:
        return f"{shutil.disk_usage(existing).free / 1e6:.1f} MB free"
    except OSError:
        return "free space unknown"
