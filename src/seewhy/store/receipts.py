"""Receipts beside a run: what commands that ended well depended on, so that one repeated can tell that nothing changed.

The file is hidden and no part of the run: nothing lists it, and a run without it, or with a damaged one, loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from seewhy.store.files import write_atomic
from seewhy.store.keys import canonical_json, digest
from seewhy.store.layout import LOCK, MANIFEST, committed_shards, is_run
from seewhy.values import Json, StoreError

RECEIPTS: Final = ".receipt.json"
PICTURE_FOLDERS: Final = ("attention_maps", "gradcam")
"""Folders of a run's pictures."""
NOT_DRAWN: Final = "pictures not drawn"
"""What a run tells of earlier records whose pictures it could not draw: the next may, so no receipt is kept."""
MOST: Final = 8
"""Receipts kept: as many different commands may take turns in one directory and each is remembered."""


@dataclass(frozen=True)
class Receipt:
    """One command that ended well, by digests: its ``request``, the ``data`` it read, the ``directory`` it left.

    ``told`` is what it said at its end, as plain JSON; ``ended`` is when that was (UTC).
    """

    request: str
    data: str
    directory: str
    ended: str
    told: Mapping[str, Json] = field(default_factory=dict)


def read_receipts(root: Path) -> list[Receipt]:
    """The receipts of a run directory, the newest first; none where the file is absent, damaged or another version's.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> keep_receipt(folder, Receipt("one", "same", "here", "2025-01-01T00:00:00+00:00"), {})
        >>> [receipt.request for receipt in read_receipts(folder)]
        ['one']
    """
    return _read(root)[0]


def keep_receipt(root: Path, receipt: Receipt, shards: Mapping[str, str]) -> None:
    """Add a receipt in front, in place of an older one of the same request; ``shards`` is how shards lie that were
    found sound.

    Raises:
        StoreError: ``SW-S01`` to ``SW-S03`` from the disk, ``SW-S13`` where ``told`` is no plain JSON.
    """
    others = [one for one in read_receipts(root) if one.request != receipt.request]
    kept: dict[str, Json] = {"receipts": [asdict(one) for one in (receipt, *others)][:MOST], "shards": dict(shards)}
    page = canonical_json({**kept, "digest": digest(kept)})
    write_atomic(root / RECEIPTS, page.encode("ascii"), durable=False)


def noted_shards(root: Path) -> Mapping[str, str]:
    """How each shard lay, by :func:`lie`, when the last receipt was kept; none where there is no receipt."""
    return _read(root)[1]


def lie(found: os.stat_result) -> str:
    """How a file lies on the disk: its size, the times of its content and its entry, its number."""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _read(root: Path) -> tuple[list[Receipt], Mapping[str, str]]:
    try:
        said = json.loads((root / RECEIPTS).read_bytes())
        kept = {key: said[key] for key in ("receipts", "shards")}
        if said["digest"] != digest(kept):
            return [], {}
        return [Receipt(**one) for one in said["receipts"]], dict(said["shards"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, StoreError):
        return [], {}


def directory_state(root: Path) -> str | None:
    """A digest of a complete run that nobody holds: its manifest's bytes, how each listed file lies on the disk, and
    how each folder of pictures does.

    None where there is no such run: it is incomplete, a listed file is missing, a shard is not listed, a writer holds
    it or died holding it. No listed file is opened: one that was changed has another size, time or number. Of pictures
    it sees that one was added, removed or replaced, by the times of its folder, but not one written over in place.
    """
    try:
        if not is_run(root) or _held(root):
            return None
        manifest = (root / MANIFEST).read_bytes()
        said = json.loads(manifest)
        shards: Sequence[str] = list(said["shards"])
        if said["status"] != "complete" or sorted(shards) != sorted(committed_shards(root)):
            return None
        found = hashlib.sha256(manifest)
        for line in _lines(root, [*shards, *said["derived"]]):
            found.update(line)
        for line in _folders(root):
            found.update(line)
        return found.hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _held(root: Path) -> bool:
    """Whether the lock has a holder's name in it; one that is given back is empty."""
    with contextlib.suppress(FileNotFoundError):
        return (root / LOCK).stat().st_size > 0
    return False


def _lines(root: Path, names: Sequence[str]) -> Iterator[bytes]:
    for name in sorted(names):
        yield f"{name}\0{lie((root / name).stat())}\n".encode()


def _folders(root: Path) -> Iterator[bytes]:
    """Each folder of a run's pictures, its own time and number."""
    for name in PICTURE_FOLDERS:
        for folder, folders, _ in os.walk(root / name):
            folders.sort()
            found = Path(folder).stat()
            yield os.fsencode(f"{os.path.relpath(folder, root)}\0folder {found.st_mtime_ns} {found.st_ino}\n")
