"""Whole-split files made from committed shards: embedding tensors, and the table whose row i describes their row i."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from seewhy.pipeline.applicable import Applicable, layer_suffix
from seewhy.pipeline.questions import EmbeddingQuestion
from seewhy.pipeline.summary import Failure, failures_json
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Artifact, RecordRow

_RECORD_SCHEMA = pa.schema(
    {
        "record_id": pa.string(),
        "label": pa.int64(),
        "predicted": pa.int64(),
        "confidence": pa.float64(),
        "probabilities": pa.list_(pa.float32()),
    }
)


def export_embeddings(directory: RunDirectory, reader: RunReader, found: Applicable) -> Iterator[Artifact]:
    """Write ``embeddings/<split>_embeddings.pt`` and ``<split>_records.parquet``, in the order of the data set."""
    for question in found.questions:
        if isinstance(question, EmbeddingQuestion):
            suffix = layer_suffix(question, found)
            for split in reader.splits:
                if order := reader.records(split, question.key):
                    yield from _export_split(directory, reader, question.key, split, order, suffix)


def _export_split(
    directory: RunDirectory, reader: RunReader, key: str, split: str, order: list[str], suffix: str
) -> Iterator[Artifact]:
    place = {record_id: row for row, record_id in enumerate(order)}
    with tempfile.TemporaryFile() as scratch:
        embeddings: np.ndarray[Any, np.dtype[np.float32]] | None = None
        described: list[dict[str, Any]] = [{}] * len(order)
        for row in reader.rows(split, questions=(key,)):
            answer = row.answers.get(key)
            if answer is None:
                continue
            if embeddings is None:
                embeddings = np.memmap(scratch, np.float32, "w+", shape=(len(order), answer.values.size))
            embeddings[place[row.record_id]] = answer.values
            described[place[row.record_id]] = _describe(row)
        if embeddings is None:
            return
        tensor = torch.from_numpy(embeddings)
        stem = f"embeddings/{split}_embeddings{suffix}"
        yield directory.write_with(f"{stem}.pt", lambda path: _save(tensor, path), kind="embeddings")
    table = pa.Table.from_pylist(described, schema=_RECORD_SCHEMA)
    path = f"embeddings/{split}_records{suffix}.parquet"
    yield directory.write_with(path, lambda draft: pq.write_table(table, draft), kind="records")


def _save(tensor: torch.Tensor, path: Path) -> None:
    with path.open("wb") as file:  # through a file object: a path would put its own name into the archive
        torch.save(tensor, file)


def _describe(row: RecordRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _RECORD_SCHEMA.names}


def export_failures(directory: RunDirectory, failures: tuple[Failure, ...]) -> Artifact:
    """Write ``failures.json``, an empty list where nothing failed."""
    return directory.write_file("failures.json", failures_json(failures), kind="failures")
