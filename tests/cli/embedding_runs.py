"""A run with embeddings made by hand, for tests of the commands that read them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from seewhy.pipeline.exports import _save
from seewhy.pipeline.projection_export import export_projections
from seewhy.pipeline.records_table import _SCHEMA
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, RecordRow

KEY = "embeddings@fc.input"
COUNTS = {"train": 24, "val": 9, "test": 12}


class Found:
    """What of an ``Applicable`` an export reads."""

    def __init__(self) -> None:
        self.default_layers = {"embeddings": "fc.input"}
        self.choices: dict[str, str] = {}


def make_run(root: Path, *, bad: bool = False) -> Path:
    """Three classes along three axes; test_0 is a copy of train_0, test_5 is labelled wrongly."""
    generator = torch.Generator().manual_seed(3)
    with RunDirectory.open(root, {"weights": "w"}) as run:
        artifacts = []
        for split, count in COUNTS.items():
            labels = torch.arange(count) % 3
            vectors = 0.2 * torch.randn(count, 6, generator=generator) + torch.nn.functional.one_hot(labels, 6)
            if split == "train":
                first = vectors[0].clone()
            if split == "test":
                vectors[0] = first
                labels[5] = 0
                if bad:
                    vectors[1] = float("nan")
            rows = [
                RecordRow(
                    f"{split}_{number}", split, number, label=int(labels[number]), predicted=number % 3, confidence=0.9,
                    answers={KEY: Answer(vectors[number].numpy())},
                )
                for number in range(count)
            ]  # fmt: skip
            run.commit(split, rows, {KEY: {"kind": "embeddings", "layer": "fc.input"}})
            table = [{name: getattr(row, name) for name in _SCHEMA.names} for row in rows]
            columns = pa.Table.from_pylist(table, schema=_SCHEMA)
            artifacts += [
                run.write_with(
                    f"embeddings/{split}_embeddings.pt", lambda path, v=vectors: _save(v, path), kind="embeddings"
                ),
                run.write_with(
                    f"embeddings/{split}_records.parquet",
                    lambda path, c=columns: pq.write_table(c, path),
                    kind="records",
                ),
            ]
        artifacts += export_projections(run, RunReader(run.root), Found(), [])
        about = json.dumps({"class_names": ["cat", "dog", "owl"], "labels_match": True})
        artifacts.append(run.write_file("about.json", about.encode(), kind="about"))
        run.finish(artifacts)
    return root
