"""Rows of the projection lie in the order of the data set, whichever record was explained first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from seewhy.data.records import RecordRef
from seewhy.pipeline.projection_export import principal_table
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, RecordRow

KEY = "embeddings@fc.input"
SPLITS = {"train": 6, "test": 4}
INDEX = [RecordRef(f"{split}_{number}", split) for split, count in SPLITS.items() for number in range(count)]
VECTORS = dict(
    zip((ref.record_id for ref in INDEX), np.random.default_rng(5).normal(size=(10, 3)).astype(np.float32), strict=True)
)


def committed(
    root: Path, commits: Sequence[tuple[str, Sequence[int]]], vectors: Mapping[str, np.ndarray] = VECTORS
) -> RunReader:
    with RunDirectory.open(root, {"weights": "w"}) as run:
        for split, numbers in commits:
            ids = [f"{split}_{number}" for number in numbers]
            rows = [
                RecordRow(one, split, number, answers={KEY: Answer(vectors[one])})
                for one, number in zip(ids, numbers, strict=True)
            ]
            run.commit(split, rows, {KEY: {"kind": "embeddings", "layer": "fc.input"}})
    return RunReader(root)


def places(table: pa.Table) -> np.ndarray:
    return np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)


def test_parts_and_a_run_of_one_job_have_the_same_rows(tmp_path: Path) -> None:
    whole = committed(tmp_path / "whole", [("train", range(6)), ("test", range(4))])
    parts = committed(
        tmp_path / "parts", [("test", [1, 3]), ("train", [4, 1]), ("train", [0, 2, 3, 5]), ("test", [0, 2])]
    )
    one, other = principal_table(whole, KEY, INDEX), principal_table(parts, KEY, INDEX)
    expected = [f"test_{number}" for number in range(4)] + [f"train_{number}" for number in range(6)]
    assert one["record_id"].to_pylist() == other["record_id"].to_pylist() == expected
    assert other["split"].to_pylist() == ["test"] * 4 + ["train"] * 6
    np.testing.assert_allclose(places(one), places(other), rtol=1e-4, atol=1e-6)


def test_each_place_stays_with_its_record(tmp_path: Path) -> None:
    """Vectors along one axis lie along the first component, up to its sign and their mean."""
    vectors = {one: np.array([number, 0, 0], np.float32) for number, one in enumerate(VECTORS)}
    reader = committed(tmp_path / "run", [("test", [3, 1]), ("train", [5, 0, 4, 1, 3, 2]), ("test", [2, 0])], vectors)
    x = places(principal_table(reader, KEY, INDEX))[:, 0]
    expected = np.array([6, 7, 8, 9, 0, 1, 2, 3, 4, 5]) - 4.5
    np.testing.assert_allclose(x * np.sign(x[3]), expected, atol=1e-5)


def test_a_record_that_the_data_set_no_longer_has_comes_last_of_its_split(tmp_path: Path) -> None:
    reader = committed(tmp_path / "run", [("test", [1, 0, 2]), ("train", [0])])
    index = [ref for ref in INDEX if ref.record_id != "test_1"]
    assert principal_table(reader, KEY, index)["record_id"].to_pylist() == ["test_0", "test_2", "test_1", "train_0"]
