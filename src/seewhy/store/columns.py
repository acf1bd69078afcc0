"""Ragged numpy cells as Arrow list columns and back, bit for bit, and tables as the bytes of a Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Cells = list[NDArray[Any] | None]


def parquet_bytes(table: pa.Table, group_rows: int) -> bytes:
    """A table as the bytes of a Parquet file, in groups of so many rows; equal tables have equal bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        version="2.6",
        row_group_size=group_rows,
        compression="zstd",
        compression_level=3,
        use_dictionary=False,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def list_column(cells: Sequence[NDArray[Any] | None], dtype: type[np.generic]) -> pa.Array:
    """One list per cell, flattened in C order; a fixed-size list when every cell has the same length."""
    flat = [np.zeros(0, dtype) if cell is None else np.ravel(np.asarray(cell, dtype)) for cell in cells]
    values = pa.array(np.concatenate([np.zeros(0, dtype), *flat]))
    lengths = {cell.size for cell in flat}
    if lengths != {0} and len(lengths) == 1:
        return pa.FixedSizeListArray.from_arrays(values, lengths.pop())
    offsets = pa.array(np.cumsum([0, *(cell.size for cell in flat)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array([cell is None for cell in cells]))


def list_cells(column: pa.ChunkedArray) -> Cells:
    """The inverse of :func:`list_column`, as flat arrays of their own memory."""
    return [cell for chunk in column.chunks for cell in _chunk_cells(chunk)]


def _chunk_cells(chunk: pa.Array) -> Cells:
    if pa.types.is_fixed_size_list(chunk.type):
        rows = chunk.flatten().to_numpy(zero_copy_only=False)
        return [row.copy() for row in rows.reshape(len(chunk), chunk.type.list_size)]
    values = chunk.values.to_numpy(zero_copy_only=False)
    bounds = chunk.offsets.to_numpy()
    present = chunk.is_valid().to_pylist()
    return [values[bounds[i] : bounds[i + 1]].copy() if there else None for i, there in enumerate(present)]
