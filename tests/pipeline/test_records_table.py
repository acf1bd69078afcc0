"""The table beside the embeddings: rows that come in any order are written in the order of the data set."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from seewhy.pipeline import records_table
from seewhy.pipeline.records_table import RecordsTable
from seewhy.values import RecordRow


def test_rows_are_written_in_order_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_table, "BATCH", 4)
    rows = [
        RecordRow(
            f"r{i}",
            "test",
            i,
            label=None if i % 3 else i,
            predicted=None if i == 8 else i % 2,
            confidence=0.1 * i,
            probabilities=None if i == 4 else np.arange(2 + i % 2, dtype=np.float32) + i,
        )
        for i in range(9)
    ]
    with tempfile.TemporaryFile() as scratch:
        table = RecordsTable([row.record_id for row in rows], scratch)
        for place in (3, 1, 2, 0, 8, 7, 6, 5, 4):
            table.add(place, rows[place])
        table.write(tmp_path / "records.parquet")
    assert pq.ParquetFile(tmp_path / "records.parquet").num_row_groups == 3
    assert pq.read_table(tmp_path / "records.parquet").to_pylist() == [
        {
            "record_id": row.record_id,
            "label": row.label,
            "predicted": row.predicted,
            "confidence": row.confidence,
            "probabilities": None if row.probabilities is None else row.probabilities.tolist(),
        }
        for row in rows
    ]


def test_without_probabilities_they_are_null(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as scratch:
        table = RecordsTable(["a"], scratch)
        table.add(0, RecordRow("a", "test", 0))
        table.write(tmp_path / "records.parquet")
    assert pq.read_table(tmp_path / "records.parquet")["probabilities"].to_pylist() == [None]
