"""``embeddings/<split>_records.parquet``: the table whose row i describes row i of the embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seewhy.values import RecordRow

BATCH: Final = 2048
"""Rows that are made and written together."""
_NUMBERS: Final[dict[str, tuple[Any, pa.DataType]]] = {
    "label": (np.int64, pa.int64()), "predicted": (np.int64, pa.int64()), "confidence": (np.float64, pa.float64()),
}  # fmt: skip
_SCHEMA: Final = pa.schema(
    [
        ("record_id", pa.string()),
        *((name, kind) for name, (_, kind) in _NUMBERS.items()),
        ("probabilities", pa.list_(pa.float32())),
    ]
)


class RecordsTable:
    """Takes rows in the order of commits, and writes them in the order of ``ids``.

    In memory are a few numbers for each record; the probabilities wait in ``scratch``, a file of its own.
    """

    def __init__(self, ids: list[str], scratch: BinaryIO) -> None:
        self._ids, self._scratch = ids, scratch
        self._numbers = {name: np.zeros(len(ids), kind) for name, (kind, _) in _NUMBERS.items()}
        self._missing = {name: np.ones(len(ids), bool) for name in _NUMBERS}
        self._starts = np.zeros(len(ids), np.int64)
        self._lengths = np.full(len(ids), -1, np.int64)
        self._written = 0

    def add(self, place: int, row: RecordRow) -> None:
        """Take what describes the record at a place."""
        for name, numbers in self._numbers.items():
            if (value := getattr(row, name)) is not None:
                numbers[place], self._missing[name][place] = value, False
        if row.probabilities is not None:
            values = np.ascontiguousarray(row.probabilities, np.float32)
            self._scratch.write(values.tobytes())
            self._starts[place], self._lengths[place] = self._written, values.size
            self._written += values.size

    def write(self, path: Path) -> None:
        """Write the table."""
        self._scratch.flush()
        values = np.memmap(self._scratch, np.float32, "r") if self._written else np.zeros(0, np.float32)
        with pq.ParquetWriter(path, _SCHEMA, use_dictionary=False) as writer:
            for start in range(0, len(self._ids), BATCH):
                writer.write_table(self._batch(slice(start, start + BATCH), values))

    def _batch(self, rows: slice, values: NDArray[np.float32]) -> pa.Table:
        columns: dict[str, Any] = {"record_id": pa.array(self._ids[rows], pa.string())}
        for name, (_, kind) in _NUMBERS.items():
            columns[name] = pa.array(self._numbers[name][rows], kind, mask=self._missing[name][rows])
        lengths, starts = self._lengths[rows], self._starts[rows]
        offsets = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths.clip(0)).astype(np.int32)])
        flat = np.empty(int(offsets[-1]), np.float32)
        for at, length, begin in zip(offsets, lengths, starts, strict=False):
            if length > 0:
                flat[at : at + length] = values[begin : begin + length]
        columns["probabilities"] = pa.ListArray.from_arrays(
            pa.array(offsets), pa.array(flat), mask=pa.array(lengths < 0)
        )
        return pa.table(columns, schema=_SCHEMA)
