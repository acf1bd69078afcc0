"""The shards and pictures of a part brought into the run it belongs to, one shard after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seewhy.store.failpoints import reach
from seewhy.store.files import file_digest
from seewhy.store.holding import holding
from seewhy.store.layout import committed_shards, inside, shard_name, taken_numbers
from seewhy.store.manifest import Manifest, ShardEntry, read_manifest
from seewhy.store.part import Part
from seewhy.store.picture_tables import table_of
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.store.shards import Shard
from seewhy.store.sharing import share_file
from seewhy.values import StoreError


@dataclass
class Brought:
    """What a merge has brought so far; ``missing`` pictures are listed by rows and were not there."""

    shards: int = 0
    pictures: int = 0
    missing: int = 0


class Bringer:
    """Brings parts into a run that is held for writing. What is there already, told by its bytes, stays as it is.

    A shard gets the next number of its split, so that of two rows of a record the later one stays the later one.
    """

    def __init__(self, directory: RunDirectory, there: set[str]) -> None:
        self._directory = directory
        self._there = there
        self._next: dict[str, int] = {}
        self.brought = Brought()

    def bring(self, part: Part, place: Path, splits: Mapping[str, str]) -> None:
        """Bring one complete part; ``splits`` are those of the records that fall to it.

        Raises:
            StoreError: ``SW-S04`` the part is being written, ``SW-S46`` it is not complete, ``SW-S49`` a shard is
                damaged or holds other records, ``SW-S10`` a row lists a picture outside of it, and what the disk
                raises.
        """
        with holding(place):
            manifest = read_manifest(place)
            if manifest is None or manifest.status != "complete":
                raise StoreError("SW-S46", f"part {part} is not complete any more", fix="run its command, then merge")
            self._bring_all(part, place, manifest, splits)

    def _bring_all(self, part: Part, place: Path, manifest: Manifest, splits: Mapping[str, str]) -> None:
        missing: set[str] = set()
        names = committed_shards(place)
        if lost := manifest.shards.keys() - set(names):
            raise _damaged(f"the shard {place / min(lost)} is not there")
        for name in names:
            entry = manifest.shards.get(name)
            if entry is not None and entry.sha256 in self._there:
                continue
            shard = _whole_shard(part, place / name, entry, splits)
            self._directory.begin()
            for relative in {file["path"] for _, _, files in shard.files() for file in files}:
                self._bring_picture(place, relative, missing)
            target = self._number(shard.header.split)
            self._bring_table(place, name, target)
            share_file(place / name, self._directory.root / target)
            reach("merge.shard")
            self._directory.adopt(target)
            self.brought.shards += 1
        if missing:
            self.brought.missing += len(missing - set(RunReader(place).superseded_files()))

    def _number(self, split: str) -> str:
        series = shard_name(split, 0).lower()
        if series not in self._next:
            taken = taken_numbers(committed_shards(self._directory.root), split)
            self._next[series] = max(taken, default=-1) + 1
        self._next[series] += 1
        return shard_name(split, self._next[series] - 1)

    def _bring_picture(self, place: Path, relative: str, missing: set[str]) -> None:
        source = inside(place.resolve(), relative)
        if not source.is_file():
            missing.add(relative)
        elif share_file(source, inside(self._directory.root, relative), durable=False):
            self.brought.pictures += 1

    def _bring_table(self, place: Path, name: str, target: str) -> None:
        """The table of pictures that were made later follows its shard."""
        table = place / table_of(name)
        if table.is_file():
            share_file(table, inside(self._directory.root, table_of(target)))


def _whole_shard(part: Part, path: Path, entry: ShardEntry | None, splits: Mapping[str, str]) -> Shard:
    """A shard whose bytes are those of the manifest and whose records are the part's."""
    if entry is None or file_digest(path) != entry.sha256:
        raise _damaged(f"the shard {path} is not {'listed in the manifest' if entry is None else 'as it was written'}")
    shard = Shard(path)
    for record_id in shard.read(["record_id"])["record_id"].to_pylist():
        if splits.get(record_id) != shard.header.split:
            raise _damaged(f"the shard {path} holds the record {record_id!r}, which does not fall to part {part}")
    return shard


def _damaged(what: str) -> StoreError:
    return StoreError(
        "SW-S49",
        what,
        fix="delete that shard and run the command of that part again: it computes what is missing; then merge",
    )
