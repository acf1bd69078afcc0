"""The committed rows of a run as plain columns in memory, each record once, numbered as it was first seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

COLUMNS = ("record_id", "split", "position", "status", "stage", "error", "revision", "label", "predicted", "confidence")
"""What is read of every shard; pictures, maps and probabilities stay on disk."""

NO_CLASS = -(2**62)
"""Stands for a label or prediction that does not exist."""

FAILED, WRONG, RIGHT, UNLABELLED = range(4)
STATES = ("failed", "wrong", "right", "unlabelled")

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RecordTable:
    """Each record of a run once; arrays ``(N,)`` in the order of record numbers.

    ``label``, ``predicted`` and ``confidence`` are those of the last row that is ok, status and error those of the last
    row, as ``store.merging`` merges whole rows. ``rows`` lists the places of a record's rows, from ``starts[number]``
    to ``starts[number + 1]``.
    """

    ids: pa.ChunkedArray
    splits: tuple[str, ...]
    split: Integers
    position: Integers
    label: Integers
    predicted: Integers
    confidence: NDArray[np.float64]
    state: Integers
    stage: pa.ChunkedArray
    error: pa.ChunkedArray
    rows: Integers
    starts: Integers
    orders: dict[str, Integers] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.label)

    @cached_property
    def labels(self) -> tuple[Integers, Integers]:
        """The labels there are, sorted, and for each record the place of its own among them."""
        return np.unique(self.label, return_inverse=True)

    @cached_property
    def predictions(self) -> tuple[Integers, Integers]:
        """The predictions there are, as :attr:`labels`."""
        return np.unique(self.predicted, return_inverse=True)

    @cached_property
    def texts(self) -> tuple[pa.ChunkedArray, ...]:
        """Ids and, where there is any, errors in lower case, to be searched."""
        columns = (self.ids, self.error) if np.any(self.state == FAILED) else (self.ids,)
        return tuple(pc.utf8_lower(column) for column in columns)

    def places(self, number: int) -> list[int]:
        """The places of a record's rows among all rows, in the order they were committed."""
        return [int(place) for place in self.rows[self.starts[number] : self.starts[number + 1]]]

    def number_of(self, split: str, record_id: str) -> int | None:
        """The number of a record, or None where there is none."""
        if split not in self.splits:
            return None
        alike = truths(pc.match_substring(self.ids, record_id)) & (self.split == self.splits.index(split))
        return next((int(n) for n in np.flatnonzero(alike) if self.ids[int(n)].as_py() == record_id), None)


def merge_table(raw: pa.Table, *, labels_match: bool = True) -> RecordTable:
    """Rows of :data:`COLUMNS`, in the order they were committed within each split, as one entry per record.

    ``labels_match=False`` says that labels are other classes than the model's: nothing is then right or wrong.
    """
    split, splits = _codes(raw["split"])
    records, first = _numbered(_codes(raw["record_id"])[0], split)
    count, places = len(first), np.arange(len(records))
    last = _last(records, places, count)
    revision, _ = _codes(raw["revision"])
    current = revision == revision[last][records]
    status, words = _codes(raw["status"])
    fine = status == (words.index("ok") if "ok" in words else -1)
    answered = _last(records[current & fine], places[current & fine], count)
    base = np.where(answered < 0, last, answered)
    label, predicted = (_numbers(raw[name], np.int64, NO_CLASS)[base] for name in ("label", "predicted"))
    failed, chosen = ~fine[last], _arrow(last)
    known = (label != NO_CLASS) & (predicted != NO_CLASS) & labels_match
    state = np.where(failed, FAILED, np.where(~known, UNLABELLED, np.where(label == predicted, RIGHT, WRONG)))
    return RecordTable(
        ids=raw["record_id"].take(chosen),
        splits=tuple(splits),
        split=split[last],
        position=_numbers(raw["position"], np.int64, 0)[last],
        label=label,
        predicted=predicted,
        confidence=_numbers(raw["confidence"], np.float64, np.nan)[base],
        state=state.astype(np.int64),
        stage=raw["stage"].take(chosen),
        error=raw["error"].take(chosen),
        rows=np.argsort(records, kind="stable"),
        starts=np.searchsorted(np.sort(records), np.arange(count + 1)),
    )


def empty_rows() -> pa.Table:
    """No rows yet."""
    kinds = {"position": pa.int64(), "label": pa.int64(), "predicted": pa.int64(), "confidence": pa.float64()}
    return pa.Table.from_batches([], pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS]))


def _numbered(ids: Integers, split: Integers) -> tuple[Integers, Integers]:
    """The record number of every row, by first appearance, and the row where each number first appears."""
    _, first, inverse = np.unique(ids * (split.max(initial=0) + 1) + split, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse], np.sort(first)


def _last(records: Integers, places: Integers, count: int) -> Integers:
    found = np.full(count, -1, np.int64)
    found[records] = places  # the last assignment wins
    return found


def _arrow(numbers: Integers) -> pa.Array:
    # pa.array would import pandas, which takes a second, where it is installed.
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])


def truths(column: pa.ChunkedArray) -> Mask:
    """A column of truths; null is false."""
    # Scalars, pa.array and to_numpy import pandas where it is installed, which takes a second: buffers do not.
    whole = pc.cast(column, pa.int8()).combine_chunks()
    return np.asarray(_buffer(whole, np.int8) == 1) & _valid(whole)


def _codes(column: pa.ChunkedArray) -> tuple[Integers, list[str]]:
    encoded = column.combine_chunks().dictionary_encode()
    return _buffer(encoded.indices, np.int32).astype(np.int64), encoded.dictionary.to_pylist()


def _numbers(column: pa.ChunkedArray, kind: type[np.generic], absent: float) -> NDArray[Any]:
    whole = column.combine_chunks()
    return np.where(_valid(whole), _buffer(whole, kind), kind(absent))


def _buffer(array: pa.Array, kind: type[np.generic]) -> NDArray[Any]:
    values = array.buffers()[1]
    size = array.offset + len(array)
    return np.frombuffer(values, kind, size)[array.offset :] if size else np.zeros(0, kind)


def _valid(array: pa.Array) -> Mask:
    if array.null_count == 0:
        return np.ones(len(array), np.bool_)
    return np.asarray(_buffer(pc.cast(array.is_valid(), pa.int8()), np.int8) == 1)
