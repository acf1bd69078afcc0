"""A run directory, read: its manifest and its committed rows, one group in memory at a time."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence, Set
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.store.layout import committed_shards, run_at
from seewhy.store.ledger import Answered, answered_shard, supersede
from seewhy.store.manifest import Manifest, read_manifest
from seewhy.store.merging import merge_rows
from seewhy.store.shards import GROUP_ROWS, Shard
from seewhy.values import RecordRow

_CACHED_GROUPS = 4
Listed = dict[str, tuple[int, bool]]
"""The size of each file, by its path, and whether it was drawn over a small copy of the input."""


class RunReader:
    """The committed rows of a run directory as they were when the reader was made. Safe beside a writer.

    Raises:
        StoreError: ``SW-S17``, there is no run; ``SW-S06``, ``SW-S07`` or ``SW-S11`` as the files say.

    ``reader.rows("test", questions=["rollout"])`` yields rows whose ``answers["rollout"].values`` is the map.
    """

    def __init__(self, path: str | Path) -> None:
        self.root = run_at(Path(path))
        self._shards: defaultdict[str, list[Shard]] = defaultdict(list)
        for name in committed_shards(self.root):
            shard = Shard(self.root / name)
            self._shards[shard.header.split].append(shard)

    @property
    def manifest(self) -> Manifest | None:
        """The manifest as it is now; None where it was deleted (opening the run for writing rebuilds it)."""
        return read_manifest(self.root)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have committed rows, sorted."""
        return tuple(sorted(self._shards))

    def records(self, split: str, question: str | None = None) -> list[str]:
        """The ids of a split in the order of its data set; with ``question``, those that have an answer to it."""
        ids: list[str] = []
        positions = array("q")
        for record_id, known, position in self._answered(split):
            if question is None or question in known.questions:
                ids.append(record_id)
                positions.append(position)
        return [ids[at] for at in sorted(range(len(ids)), key=lambda at: (positions[at], ids[at]))]

    def _answered(self, split: str) -> Iterator[tuple[str, Answered, int]]:
        """Each record of a split once, with what it answers and its position; only those with several rows are held."""
        shards = self._shards.get(split, [])
        repeated = _repeated(shards)
        seen: dict[str, Answered] = {}
        place = -1
        for shard in shards:
            for (record_id, answered), (position,) in zip(
                answered_shard(shard), _columns(shard, "position"), strict=True
            ):
                place += 1
                known = supersede(seen.pop(record_id, None), answered)
                if place == repeated.get(record_id, [place])[-1]:
                    yield record_id, known, position
                else:
                    seen[record_id] = known

    def rows_of(self, shard: str) -> list[tuple[str, str]]:
        """The id and the revision of each row of a committed shard, by its name."""
        return list(_columns(Shard(self.root / shard), "record_id", "revision"))

    def listed(self, split: str) -> Iterator[tuple[str, Answered, Listed]]:
        """Each record of a split once, with what it answers and the files that rows of its content list."""
        shards = self._shards.get(split, [])
        repeated = _repeated(shards)
        seen: dict[str, tuple[Answered, Listed]] = {}
        place = -1
        for shard in shards:
            for (record_id, answered), (_, _, files, over) in zip(answered_shard(shard), shard.listed(), strict=True):
                place += 1
                listed: Listed = {file["path"]: (file["size"], file["path"] in over) for file in files}
                earlier = seen.pop(record_id, None)
                if earlier is not None:
                    listed = {**(earlier[1] if earlier[0].revision == answered.revision else {}), **listed}
                    answered = supersede(earlier[0], answered)
                if place == repeated.get(record_id, [place])[-1]:
                    yield record_id, answered, listed
                else:
                    seen[record_id] = answered, listed

    def superseded_files(self) -> list[str]:
        """Files that only rows of earlier content list: their record has been explained again since."""
        earlier: dict[str, set[str]] = {}
        current: set[str] = set()
        for shards in self._shards.values():
            latest: dict[str, str] = {}
            for shard in reversed(shards):
                for record_id, revision in _columns(shard, "record_id", "revision"):
                    if latest.setdefault(record_id, revision) != revision:
                        earlier.setdefault(record_id, set())
            for shard in shards if earlier else ():
                for record_id, revision, files in shard.files():
                    if record_id in earlier:
                        paths = {file["path"] for file in files}
                        (current if revision == latest[record_id] else earlier[record_id]).update(paths)
        return sorted(set().union(*earlier.values()) - current)

    def rows(
        self, split: str, questions: Collection[str] | None = None, *, previews: bool = False
    ) -> Iterator[RecordRow]:
        """Each record of a split once, in the order of commits, all its rows merged.

        Only the answers to ``questions`` are read (default: all; none for a table of predictions), and ``previews``
        only where they are asked for.
        """
        for _, _, row in self.placed_rows(split, questions, previews=previews):
            yield row

    def placed_rows(
        self,
        split: str,
        questions: Collection[str] | None = None,
        *,
        previews: bool = False,
        records: Set[str] | None = None,
    ) -> Iterator[tuple[str, int, RecordRow]]:
        """As :meth:`rows`, each behind the name of the shard that holds its last row, and that row's number in it.

        With ``records``, of those alone: groups of rows that hold none of them are not decoded.
        """
        shards = self._shards.get(split, [])
        repeated = _repeated(shards)
        starts = np.cumsum([0, *(shard.rows for shard in shards)])

        @lru_cache(_CACHED_GROUPS)
        def group(shard: int, number: int) -> list[RecordRow]:
            return shards[shard].group(number, questions, previews=previews)

        def fetch(place: int) -> RecordRow:
            shard = int(np.searchsorted(starts, place, side="right")) - 1
            number, offset = divmod(place - int(starts[shard]), GROUP_ROWS)
            return group(shard, number)[offset]

        for place, row in _stream(shards, questions, previews, records):
            places = repeated.get(row.record_id, [place])
            if place == places[-1] and (records is None or row.record_id in records):
                shard = int(np.searchsorted(starts, place, side="right")) - 1
                name = shards[shard].path.relative_to(self.root).as_posix()
                yield name, place - int(starts[shard]), merge_rows([*map(fetch, places[:-1]), row])


def _columns(shard: Shard, *names: str) -> Iterator[tuple[Any, ...]]:
    table = shard.read(names)
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _stream(
    shards: Sequence[Shard], questions: Collection[str] | None, previews: bool, records: Set[str] | None
) -> Iterator[tuple[int, RecordRow]]:
    """The rows, each with its number among all of the split; without groups that hold none of the ``records``."""
    start = 0
    for shard in shards:
        ids = None if records is None else _ids(shard)
        for number in range(shard.groups):
            first = number * GROUP_ROWS
            if ids is None or records is None or not records.isdisjoint(ids[first : first + GROUP_ROWS]):
                yield from enumerate(shard.group(number, questions, previews=previews), start + first)
        start += shard.rows


def _repeated(shards: Sequence[Shard]) -> dict[str, list[int]]:
    """The row numbers of each record that has several rows; eight bytes per record where none has."""
    hashes = [np.fromiter(map(hash, _ids(shard)), np.int64, shard.rows) for shard in shards]
    values, counts = np.unique(np.concatenate([np.zeros(0, np.int64), *hashes]), return_counts=True)
    several = set(values[counts > 1].tolist())
    places: defaultdict[str, list[int]] = defaultdict(list)
    if several:
        for place, record_id in enumerate(record_id for shard in shards for record_id in _ids(shard)):
            if hash(record_id) in several:
                places[record_id].append(place)
    return dict(places)


def _ids(shard: Shard) -> list[str]:
    return list(shard.read(["record_id"])["record_id"].to_pylist())
