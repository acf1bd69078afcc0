"""Whole records of a run, read from its shards when a page asks, with a small memory of what was read last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from functools import partial
from typing import Generic, TypeVar

import pyarrow as pa

from seewhy.report.index import View
from seewhy.store.merging import merge_rows
from seewhy.store.shards import GROUP_ROWS, Shard, picture_at
from seewhy.values import Preview, RecordRow

PREVIEW_BYTES = 48 << 20
"""How much of pictures is kept in memory; maps are not kept at all."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The values used last, up to a total of bytes. For several threads; two that miss at once both read.

    Example:
        >>> recent = Recent[str, bytes](10, len)
        >>> recent.get("a", lambda: b"12345678"), recent.get("a", lambda: b"")
        (b'12345678', b'12345678')
        >>> _ = recent.get("b", lambda: b"87654321")
        >>> recent.bytes
        8
    """

    def __init__(self, limit: int, size: Callable[[Value], int]) -> None:
        self._limit, self._size = limit, size
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, key: Key, read: Callable[[], Value]) -> Value:
        """The value under a key, read where it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = read()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self.bytes += self._size(value)
            while self.bytes > self._limit and self._values:
                _, dropped = self._values.popitem(last=False)
                self.bytes -= self._size(dropped)
        return value


class RowSource:
    """Records by number, merged from all their rows.

    Raises:
        StoreError: ``SW-S06``, a shard was damaged after the index was made.
    """

    def __init__(self, limit: int = PREVIEW_BYTES) -> None:
        self._groups: Recent[tuple[Shard, int], pa.Table] = Recent(limit, lambda pictures: int(pictures.nbytes))

    def row(self, view: View, number: int, questions: Collection[str] | None = None) -> RecordRow:
        """The whole record with the answers to some questions (default: all) and its previews."""
        rows = []
        for place in view.table.places(number):
            shard, offset = view.locate(place)
            group, row = divmod(offset, GROUP_ROWS)
            rows.append(shard.group(group, questions, previews=True)[row])
        return merge_rows(rows)

    def previews(self, view: View, number: int) -> tuple[Preview, ...]:
        """The pictures of a record's inputs, those of its latest content."""
        latest: str | None = None
        found: dict[str, Preview] = {}
        for place in reversed(view.table.places(number)):
            shard, offset = view.locate(place)
            group, row = divmod(offset, GROUP_ROWS)
            key = (shard, group)
            pictures = self._groups.get(key, partial(shard.pictures, group))
            revision, previews = picture_at(pictures, row)
            latest = revision if latest is None else latest
            if revision == latest:
                found = {preview.input_name: preview for preview in previews} | found
        return tuple(found.values())
