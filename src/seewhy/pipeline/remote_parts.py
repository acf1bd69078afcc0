"""The parts of a run in a store: where each lies, and what may be written beside them."""

from __future__ import annotations

from pathlib import Path

from seewhy.pipeline.mirror import not_a_run
from seewhy.remote.address import Address
from seewhy.remote.folder_store import FolderStore
from seewhy.store.layout import MANIFEST, SHARDS
from seewhy.store.manifest import parse
from seewhy.store.part import PARTS, Part, part_named
from seewhy.store.parts import require_in_it, require_of_these, shard_digests
from seewhy.store.run_files import is_shard


def place_of(address: Address, part: Part | None) -> Address:
    """Where a part of the run at ``address`` lies; the run itself for None.

    Example:
        >>> str(place_of(Address("s3", "bucket/run"), Part(2, 8)))
        's3://bucket/run/parts/2-of-8'
    """
    return address if part is None else address / part.place(Path())


def require_fits(address: Address, part: Part | None) -> None:
    """Refuse what could never be merged with the parts that are there, or computes again what they hold.

    Raises:
        StoreError: ``SW-S43`` and ``SW-S44`` as for a directory on a disk, ``SW-S58`` a part beside files of others,
            ``SW-S11`` a damaged manifest. ``RemoteError`` from the store.
    """
    folder = FolderStore(address)
    names = folder.names()
    there = _parts(address) if PARTS in names else []
    has_run = MANIFEST in names or (SHARDS in names and _holds_shards(address))
    if part is not None:
        strangers = [name for name in names if name[0] != "." and name != PARTS]
        if strangers and not has_run:
            raise not_a_run(address, strangers)
        require_of_these(address, part, there, has_run=has_run)
    elif there:
        digests = {one: _digests(place_of(address, one)) for one in there}
        require_in_it(
            address,
            digests,
            _digests(address) if has_run else None,
            f"once all parts are complete, seewhy fetch {address} DIR, then seewhy merge DIR",
        )


def _parts(address: Address) -> list[Part]:
    found = map(part_named, FolderStore(address / PARTS).names())
    return sorted(part for part in found if part is not None)


def _holds_shards(address: Address) -> bool:
    return any(is_shard(f"{SHARDS}/{name}") for name in FolderStore(address / SHARDS).names())


def _digests(address: Address) -> set[str]:
    data = FolderStore(address).read(MANIFEST)
    return set() if data is None else shard_digests(parse(data, Path(address.path, MANIFEST)))
