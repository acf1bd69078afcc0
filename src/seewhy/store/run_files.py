"""Which files belong to a run: those that its manifest, its rows and the tables beside its shards list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seewhy.store.layout import MANIFEST, SHARDS, committed_shards, number_of
from seewhy.store.manifest import Manifest, read_manifest
from seewhy.store.picture_tables import table_of
from seewhy.store.run_reader import RunReader
from seewhy.store.shards import Shard
from seewhy.values import StoreError

ABOUT: Final = "about.json"
"""What a run says of itself as it begins; its manifest lists it as it ends."""


@dataclass(frozen=True)
class RunFiles:
    """Relative names: what belongs to a run now, whether it is there or not, and what only rows of ``earlier`` content
    list; ``known`` is whether the manifest and all shards could be read, so that these are all."""

    current: frozenset[str]
    earlier: frozenset[str]
    known: bool


def is_shard(name: str) -> bool:
    """Whether a relative name is that of a shard.

    Example:
        >>> is_shard("shards/train-00003.parquet"), is_shard("shards/notes.txt")
        (True, False)
    """
    return name.rpartition("/")[0] == SHARDS and number_of(name) >= 0


def run_files(root: Path) -> RunFiles:
    """The files of the run in ``root``; a shard or a manifest that cannot be read lists none.

    Example:
        >>> import tempfile
        >>> sorted(run_files(Path(tempfile.mkdtemp())).current)
        ['about.json', 'manifest.json']
    """
    shards, manifest = committed_shards(root), _manifest(root)
    known = manifest is not None
    listed = {MANIFEST, ABOUT, *shards, *map(table_of, shards)}
    if manifest is not None:
        listed.update(manifest.derived)
    for name in shards:
        try:
            listed.update(str(file["path"]) for _, _, files in Shard(root / name).files() for file in files)
        except StoreError:  # whoever opens the run is told
            known = False
    earlier = RunReader(root).superseded_files() if shards and known else ()
    return RunFiles(frozenset(listed.difference(earlier)), frozenset(earlier), known)


def _manifest(root: Path) -> Manifest | None:
    try:
        return read_manifest(root)
    except StoreError:  # as above
        return None
