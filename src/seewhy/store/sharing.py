"""The same bytes under a second name: as a link where the file system can, else as a copy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from seewhy.store.failpoints import reach
from seewhy.store.files import file_digest, replacing


def share_file(source: Path, target: Path, *, durable: bool = True) -> bool:
    """Give the file ``source`` the name ``target`` too, in one step; false where ``target`` has those bytes already.

    A link is safe since nothing in a run is ever written in place: whoever changes one of the two names replaces it.
    On another file system, or one without links, the bytes are copied.

    Raises:
        StoreError: ``SW-S01`` to ``SW-S03`` from the disk. ``FileNotFoundError`` where ``source`` is not there.
    """
    before = source.stat()
    if _has(target, source, before):
        return False
    with replacing(target, durable=durable) as draft:
        draft.unlink()
        try:
            os.link(source, draft)
        except OSError:
            shutil.copyfile(source, draft)
    reach("merge.file")
    return True


def _has(target: Path, source: Path, before: os.stat_result) -> bool:
    try:
        there = target.stat()
    except OSError:
        return False
    if os.path.samestat(there, before):
        return True
    return there.st_size == before.st_size and file_digest(target) == file_digest(source)
