"""Small run directories for the browser, written with numpy alone."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from seewhy.report.static_report import write_report
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, Artifact, Geometry, Preview, RecordRow

CLASS_NAMES = ("cat", "<b>dog</b>", "owl & fox")
FINGERPRINT: Mapping[str, Any] = {
    "model": {"kind": "timm", "name": "tiny", "num_classes": 3},
    "data": {"data": "folder", "size": 32},
    "weights": "9f2c" * 16,
    "seed": 0,
    "precision": "32",
}
QUESTIONS: Mapping[str, Any] = {
    "embeddings@fc.input": {"kind": "embeddings", "layer": "fc.input"},
    "gradcam@layer4": {"kind": "gradcam", "method": "gradcam", "layer": "layer4", "question": "given classes"},
    "rollout": {"kind": "attention", "method": "rollout", "of": 4, "query": "class token"},
}
ABOUT: Mapping[str, Any] = {
    "class_names": list(CLASS_NAMES),
    "labels_match": True,
    "choices": {"target layer": "layer4 (last layer with a spatial grid)"},
    "not_applicable": {},
    "commands": [["generate_artifacts", "experiment=<x>", "output_dir=…"]],
    "default_layers": {"gradcam": "layer4"},
}


def preview(
    colours: Sequence[Sequence[int]], size: int = 32, shown: Sequence[int] = (0,), of: int = 1, name: str = "image"
) -> Preview:
    """An input as flat tiles of these colours."""
    tiles = [np.full((size, size, 3), colour, np.uint8) for colour in colours]
    sheet = io.BytesIO()
    Image.fromarray(np.concatenate(tiles, axis=1)).save(sheet, "JPEG", quality=90)
    return Preview(name, "picture" if of == 1 else "slices", sheet.getvalue(), tuple(shown), of)


def row(number: int, split: str, maps: np.ndarray | None = None, **said: Any) -> RecordRow:
    """A record of class ``number % 3``, predicted as the next class where the number ends in 7."""
    label = number % 3
    predicted = (label + 1) % 3 if number % 10 == 7 else label
    confidence = 0.4 + 0.5 * (number % 50) / 50
    probabilities = np.full(3, (1 - confidence) / 2, np.float32)
    probabilities[predicted] = confidence
    rng = np.random.default_rng(number)
    raw = rng.standard_normal((3, 4, 4), np.float32) if maps is None else maps
    told: dict[str, Any] = {
        "label": label,
        "predicted": predicted,
        "confidence": confidence,
        "probabilities": probabilities,
        "geometry": Geometry((64, 48), (32, 32), (0.5, 0.5), (0.0, -4.0)),
        "answers": {
            "embeddings@fc.input": Answer(rng.standard_normal(4).astype(np.float32)),
            "gradcam@layer4": Answer(raw, (0, 1, 2)),
            "rollout": Answer(np.abs(rng.standard_normal((4, 4))).astype(np.float32)),
        },
        "previews": (preview([(60 + 5 * (number % 30), 90, 120)]),),
        **said,
    }
    return RecordRow(told.pop("record_id", f"{split}_{number:03d}"), split, number, **told)


def failed(number: int, split: str, error: str) -> RecordRow:
    """A record that could not be read."""
    return RecordRow(
        f"{split}_{number:03d}", split, number, status="failed", stage="read", error=error, label=number % 3
    )


def write_rows(
    root: Path,
    splits: Mapping[str, Sequence[RecordRow]],
    about: Mapping[str, Any] = ABOUT,
    questions: Mapping[str, Any] = QUESTIONS,
) -> Path:
    """A complete run directory of these rows, with a projection and with its report."""
    with RunDirectory.open(root, FINGERPRINT) as run:
        for split, rows in splits.items():
            run.commit(split, list(rows), questions)
        files = [
            run.write_file("about.json", json.dumps(about).encode(), kind="about"),
            run.write_file("embeddings/projection_pca.parquet", _projection(splits), kind="projection"),
        ]
        run.finish(files)
        made: list[Artifact] = []
        write_report(RunReader(root), lambda name, data: made.append(run.write_file(name, data, kind="report")))
        run.finish([*files, *made])
    return root


def write_browser_run(root: Path) -> Path:
    """60 records of two splits: 6 mistakes, 2 failures, ids and errors with markup."""
    test = [row(number, "test") for number in range(40)]
    test[3] = row(3, "test", record_id="<img src=x onerror=alert(1)>", notes=("resized & <cropped>",))
    test[11] = failed(11, "test", "DataError: the file <script>alert(2)</script> is no picture\nsecond line")
    train = [row(number, "train") for number in range(40, 60)]
    train[5] = failed(45, "train", "MemoryError: one record does not fit")
    return write_rows(root, {"test": test, "train": train})


def _projection(splits: Mapping[str, Sequence[RecordRow]]) -> bytes:
    rows = [one for rows in splits.values() for one in rows if one.status == "ok"]
    places = np.array([[one.position % 10, one.position // 10] for one in rows], np.float32).reshape(-1, 2)
    told = {"method": "pca", "axes": ["PC 1 (60 %)", "PC 2 (20 %)"], "layer": "fc.input"}
    table = pa.table(
        {
            "record_id": [one.record_id for one in rows],
            "split": [one.split for one in rows],
            "x": places[:, 0],
            "y": places[:, 1],
        }
    ).replace_schema_metadata({"seewhy": json.dumps(told)})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
