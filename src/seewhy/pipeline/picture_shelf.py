"""The table of pictures beside one shard, while it is being filled."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from seewhy.store.picture_tables import LaterPictures, Over, encode_table, read_group, table_of
from seewhy.store.run_reader import RunReader
from seewhy.store.shards import GROUP_ROWS
from seewhy.values import Artifact

SECONDS: Final = 30.0
"""A table is written at most this often while its shard's pictures are drawn: what a kill can leave unlisted."""

Keep = Callable[[str, bytes], None]
"""Writes a table below the run directory, and lists it."""


class Shelf:
    """Takes the pictures of a shard's rows, beside those that are listed already."""

    def __init__(self, reader: RunReader, shard: str, keep: Keep) -> None:
        self.shard = shard
        self._keep = keep
        self._rows = [LaterPictures(*which) for which in reader.rows_of(shard)]
        listed = [row for start in range(0, len(self._rows), GROUP_ROWS) for row in self._listed(reader, start)]
        for at, (own, row) in enumerate(zip(self._rows, listed, strict=False)):
            if row.of(own.record_id, own.revision):
                self._rows[at] = row
        self._changed, self._saved_at = False, time.monotonic()

    def _listed(self, reader: RunReader, start: int) -> list[LaterPictures]:
        return read_group(reader.root / self.shard, start // GROUP_ROWS)

    def add(self, at: int, over: Over, files: tuple[Artifact, ...]) -> None:
        """Take a row's pictures. A row stays one of previews until all that were drawn over one are drawn anew."""
        row = self._rows[at]
        known = {file.path: file for file in row.files} | {file.path: file for file in files}
        left = {file.path for file in row.files} - {file.path for file in files}
        still: Over = "preview" if row.over == "preview" and left else over
        self._rows[at] = LaterPictures(row.record_id, row.revision, still, tuple(known.values()))
        self._changed = True
        if time.monotonic() - self._saved_at >= SECONDS:
            self.save()

    def save(self) -> None:
        """Write the table where it has changed."""
        if self._changed:
            self._keep(table_of(self.shard), encode_table(self._rows, GROUP_ROWS))
            self._changed, self._saved_at = False, time.monotonic()
