"""The index of a run: its records in memory, kept up with a run that is still being written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from seewhy.report.record_table import COLUMNS, RecordTable, empty_rows, merge_table
from seewhy.store.layout import committed_shards
from seewhy.store.shards import Shard
from seewhy.values import StoreError

LOOK_SECONDS = 1.0
"""How old the list of shards may be before the directory is looked at again."""

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Damage:
    """A shard that cannot be read: its name in the run directory, and what is wrong with it."""

    shard: str
    code: str
    message: str


@dataclass(frozen=True)
class View:
    """The records of a run at one moment; it never changes. ``shards`` holds what ``bounds`` counts the rows of."""

    table: RecordTable
    shards: tuple[Shard, ...] = ()
    bounds: tuple[int, ...] = (0,)
    damage: tuple[Damage, ...] = ()
    version: int = 0

    def locate(self, place: int) -> tuple[Shard, int]:
        """The shard of a row, and the row's number in it."""
        number = int(np.searchsorted(np.asarray(self.bounds), place, side="right")) - 1
        return self.shards[number], place - self.bounds[number]


@dataclass
class _Known:
    stamps: dict[str, Stamp] = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    damage: dict[str, Damage] = field(default_factory=dict)


class RunIndex:
    """The records of a run directory, read by columns; a shard that cannot be read is noted, the others are shown.

    ``labels_match`` says whether labels are of the model's own classes. Safe beside a writer, and for several threads.
    A record keeps its number while shards are only added.

    Example:
        >>> import tempfile
        >>> from seewhy.store.run_directory import RunDirectory
        >>> from seewhy.values import RecordRow
        >>> folder = Path(tempfile.mkdtemp()) / "mine"
        >>> with RunDirectory.open(folder, {"weights": "9f2c"}) as run:
        ...     _ = run.commit("test", [RecordRow("a", "test", 0, label=3, predicted=3, confidence=0.9)], {})
        >>> table = RunIndex(folder).view().table
        >>> len(table), table.number_of("test", "a"), float(table.confidence[0])
        (1, 0, 0.9)
    """

    def __init__(
        self, root: Path, *, labels_match: Callable[[], bool] = lambda: True, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self.root = root
        self._labels_match = labels_match
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._looked = -float("inf")
        self._known = _Known()
        self._view: View | None = None

    def view(self) -> View:
        """The records as they are now, at most :data:`LOOK_SECONDS` old."""
        view = self._view
        if view is not None and time.monotonic() - self._looked < self._look_seconds:
            return view
        with self._lock:
            if self._view is None or time.monotonic() - self._looked >= self._look_seconds:
                self._view = self._look()
                self._looked = time.monotonic()
            return self._view

    def _look(self) -> View:
        stamps = _stamps(self.root)
        if stamps == self._known.stamps and self._view is not None:
            return self._view
        if any(stamps.get(name) != stamp for name, stamp in self._known.stamps.items()):
            self._known = _Known()
        for name in stamps:
            if name not in self._known.stamps:
                self._take(name)
        self._known.stamps = stamps
        return self._merged()

    def _take(self, name: str) -> None:
        try:
            shard = Shard(self.root / name)
            table = shard.read(COLUMNS)
        except StoreError as error:
            told = error.message.replace(str(self.root / name), name)
            self._known.damage[name] = Damage(name, error.code, told)
            return
        self._known.shards.append(shard)
        self._known.tables.append(table.select(COLUMNS).replace_schema_metadata(None))

    def _merged(self) -> View:
        tables = self._known.tables
        raw = pa.concat_tables(tables) if tables else empty_rows()
        bounds = np.cumsum([0, *(len(table) for table in tables)])
        return View(
            merge_table(raw, labels_match=self._labels_match()),
            tuple(self._known.shards),
            tuple(int(bound) for bound in bounds),
            tuple(self._known.damage.values()),
            self._view.version + 1 if self._view else 1,
        )


def _stamps(root: Path) -> dict[str, Stamp]:
    """Size and time of every committed shard; one that vanishes meanwhile is not there."""
    found = {}
    for name in committed_shards(root):
        try:
            status = (root / name).stat()
        except FileNotFoundError:
            continue
        found[name] = (status.st_size, status.st_mtime_ns)
    return found
