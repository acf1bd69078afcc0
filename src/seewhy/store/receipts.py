"""Receipts beside a run: what commands that ended well depended on, so that one repeated can tell that nothing changed.

The file is hidden and no part of the run: nothing lists it, and a run without it, or with a damaged one, loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from seewhy.store.files import write_atomic
from seewhy.store.keys import canonical_json, digest
from seewhy.store.layout import LOCK, MANIFEST, committed_shards, is_run
from seewhy.values import Json, StoreError

RECEIPTS: Final = ".receipt.json"
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
        >>> keep_receipt(folder, Receipt("one", "same", "here", "2025-01-01T00:00:00+00:00"))
        >>> [receipt.request for receipt in read_receipts(folder)]
        ['one']
    """
    try:
        said = json.loads((root / RECEIPTS).read_bytes())
        if said["digest"] != digest(said["receipts"]):
            return []
        return [Receipt(**one) for one in said["receipts"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, StoreError):
        return []


def keep_receipt(root: Path, receipt: Receipt) -> None:
    """Add a receipt in front, in place of an older one of the same request.

    Raises:
        StoreError: ``SW-S01`` to ``SW-S03`` from the disk, ``SW-S13`` where ``told`` is no plain JSON.
    """
    others = [one for one in read_receipts(root) if one.request != receipt.request]
    kept = [asdict(one) for one in (receipt, *others)][:MOST]
    page = canonical_json({"receipts": kept, "digest": digest(kept)})
    write_atomic(root / RECEIPTS, page.encode("ascii"), durable=False)


def directory_state(root: Path) -> str | None:
    """A digest of a complete run that nobody holds: its manifest's bytes, and how each listed file lies on the disk.

    None where there is no such run: it is incomplete, a listed file is missing, a shard is not listed, a writer holds
    it or died holding it. No listed file is opened: one that was changed has another size, time or number.
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
        found = (root / name).stat()
        yield f"{name}\0{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}\n".encode()
