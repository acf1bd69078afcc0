"""Files of a run that can be made again from its rows, such as pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from seewhy.store.files import write_atomic
from seewhy.store.layout import inside
from seewhy.values import Artifact


def write_remakable(
    root: Path, relative: str, data: bytes, *, kind: str, record_id: str = "", begin: Callable[[], None] = lambda: None
) -> Artifact:
    """Write ``data`` below the run directory ``root``; equal bytes on disk are left untouched. Thread-safe.

    ``begin`` is called before anything is changed.

    Raises:
        StoreError: ``SW-S10`` the path leaves the directory, ``SW-S01`` to ``SW-S03`` from the disk.
    """
    path = inside(root, relative)
    if not _holds(path, data):
        begin()
        write_atomic(path, data, durable=False)
    return Artifact(kind, relative, record_id, hashlib.sha256(data).hexdigest(), len(data))


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
