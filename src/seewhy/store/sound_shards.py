"""Shards that lie otherwise than when they were last known to be sound, hashed again before a run builds on them."""

from __future__ import annotations

from pathlib import Path

from seewhy.store.files import file_digest
from seewhy.store.manifest import read_manifest
from seewhy.store.receipts import lie, noted_shards
from seewhy.store.shards import damaged_shard


def sound_shards(root: Path, trusting: bool = True) -> dict[str, str]:
    """How each shard lies that the manifest lists, after those that lie otherwise than noted beside the last receipt
    were hashed; all of them where ``trusting`` is False. A shard that is not there is left out.

    Raises:
        StoreError: ``SW-S06``, a shard's bytes are not those that were committed; ``SW-S07`` or ``SW-S11`` as the
            manifest says. ``OSError`` where a shard cannot be read.
    """
    manifest, noted = read_manifest(root), noted_shards(root) if trusting else {}
    found = {}
    for name, entry in manifest.shards.items() if manifest else ():
        try:
            lies = lie((root / name).stat())
        except FileNotFoundError:
            continue
        if noted.get(name) != lies and file_digest(root / name) != entry.sha256:
            raise damaged_shard(root / name, "its bytes are not those that were committed")
        found[name] = lies
    return found
