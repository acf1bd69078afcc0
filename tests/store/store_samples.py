"""A small run written with numpy alone: two splits, pictures, two questions, one file for the whole run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seewhy.store.names import SafeNames
from seewhy.store.run_directory import RunDirectory
from seewhy.values import Answer, Artifact, Geometry, RecordRow

FINGERPRINT = {"weights": "9f2c", "model": {"name": "tiny"}, "data": {"size": [8, 8]}, "seed": 0}
QUESTIONS = {"embeddings": {"layer": "pool"}, "gradcam@layer4.1": {"method": "gradcam", "layer": "layer4.1"}}
SPLITS = {"train": [f"train/{i}" for i in range(5)], "val": [f"val_{i}" for i in range(3)]}
CHUNK = 2


def noise(record_id: str, *shape: int) -> np.ndarray:
    """Numbers that only the record decides."""
    seed = int.from_bytes(hashlib.sha256(record_id.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def sample_row(record_id: str, split: str = "train", position: int = 0, files: tuple[Artifact, ...] = ()) -> RecordRow:
    """A row with both questions answered."""
    return RecordRow(
        record_id,
        split,
        position,
        revision="r1",
        label=position % 2,
        predicted=1,
        confidence=0.75,
        probabilities=np.float32([0.25, 0.75]),
        geometry=Geometry((20, 30), (8, 8), (0.4, 0.4), (0.0, 2.0)),
        notes=("alpha composited on white",),
        facts={"seconds": [1, 2]},
        answers={
            "embeddings": Answer(noise(record_id, 4000)),
            "gradcam@layer4.1": Answer(noise(record_id, 2, 48, 48), (0, 1)),
        },
        files=files,
    )


def write_run(root: Path, computed: Callable[[str], None] = lambda record_id: None) -> None:
    """Do what is left of the sample run; ``computed`` hears of every record that had to be computed."""
    names = SafeNames(record_id for ids in SPLITS.values() for record_id in ids)
    with RunDirectory.open(root, FINGERPRINT) as run:
        for split, ids in SPLITS.items():
            left = [i for i, record_id in enumerate(ids) if record_id not in run.answered(split)]
            for start in range(0, len(left), CHUNK):
                rows = []
                for position in left[start : start + CHUNK]:
                    computed(ids[position])
                    rows.append(_explained(run, names, ids[position], split, position))
                run.commit(split, rows, QUESTIONS)
        run.finish([run.write_with("embeddings/all.bin", _assemble, kind="embeddings")])


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file of a directory, hidden ones included."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _explained(run: RunDirectory, names: SafeNames, record_id: str, split: str, position: int) -> RecordRow:
    picture = noise(record_id, 300).tobytes()
    file = run.write_file(f"gradcam/{names[record_id]}/class_0.png", picture, kind="gradcam", record_id=record_id)
    return sample_row(record_id, split, position, (file,))


def _assemble(path: Path) -> None:
    with path.open("wb") as stream:
        for ids in SPLITS.values():
            for record_id in ids:
                stream.write(noise(record_id, 4).tobytes())
