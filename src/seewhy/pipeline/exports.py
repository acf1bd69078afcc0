"""Whole-split files made from committed shards: embedding tensors, and the table whose row i describes their row i."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from seewhy.data.records import RecordRef
from seewhy.pipeline.applicable import Applicable, layer_suffix
from seewhy.pipeline.questions import EmbeddingQuestion
from seewhy.pipeline.records_table import RecordsTable
from seewhy.pipeline.summary import Failure, failures_json
from seewhy.store.files import disk_error
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Artifact


def export_embeddings(
    directory: RunDirectory, reader: RunReader, found: Applicable, index: Sequence[RecordRef]
) -> Iterator[Artifact]:
    """Write ``embeddings/<split>_embeddings.pt`` and ``<split>_records.parquet``, in the order of the data set's index.

    The order is not that of the committed positions, which no longer fit once a data set has grown in front. Every
    embedding the directory holds is written, asked for in this run or before: changed content leaves them all.
    """
    for key in sorted(key for key, spec in directory.questions.items() if spec["kind"] == EmbeddingQuestion.kind):
        suffix = layer_suffix(key.partition("@")[2], found.default_layers.get(EmbeddingQuestion.kind, ""))
        for split in reader.splits:
            known = set(reader.records(split, key))
            if order := [ref.record_id for ref in index if ref.split == split and ref.record_id in known]:
                yield from _export_split(directory, reader, key, split, order, suffix)


def _export_split(
    directory: RunDirectory, reader: RunReader, key: str, split: str, order: list[str], suffix: str
) -> Iterator[Artifact]:
    place = {record_id: row for row, record_id in enumerate(order)}
    with _scratch(directory.root) as scratch, _scratch(directory.root) as told:
        table = RecordsTable(order, told)
        for row in reader.rows(split, questions=(key,)):
            if (answer := row.answers.get(key)) is not None:
                vector = answer.values.astype(np.float32).tobytes()
                _write_at(scratch, vector, place[row.record_id] * len(vector))
                table.add(place[row.record_id], row)
        tensor = torch.from_numpy(np.memmap(scratch, np.float32, "r+"))
        path = f"embeddings/{split}_embeddings{suffix}.pt"
        yield directory.write_with(path, lambda draft: _save(tensor.reshape(len(order), -1), draft), kind="embeddings")
        path = f"embeddings/{split}_records{suffix}.parquet"
        yield directory.write_with(path, table.write, kind="records")


@contextlib.contextmanager
def _scratch(root: Path) -> Iterator[BinaryIO]:
    """A nameless file on the disk of the run, where rows that come in the order of commits find their place.

    It is written to before it is mapped: storing into a map of a full disk would end the process without a word.
    """
    try:
        with tempfile.TemporaryFile(dir=root) as file:
            yield file
    except OSError as error:
        raise disk_error(root / "embeddings", error) from error


def _write_at(file: BinaryIO, data: bytes, place: int) -> None:
    """Write all of it: a disk that is nearly full takes the first bytes without an error, and refuses the rest."""
    left = memoryview(data)
    while left:
        written = os.pwrite(file.fileno(), left, place)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left, place = left[written:], place + written


def _save(tensor: torch.Tensor, path: Path) -> None:
    with path.open("wb") as file:  # through a file object: a path would put its own name into the archive
        torch.save(tensor, file)


def export_failures(directory: RunDirectory, failures: tuple[Failure, ...]) -> Artifact:
    """Write ``failures.json``, an empty list where nothing failed."""
    return directory.write_file("failures.json", failures_json(failures), kind="failures")
