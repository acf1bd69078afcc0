"""Small run directories written by hand: what the tests of reports derive their numbers from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seewhy.store.run_directory import RunDirectory
from seewhy.values import Answer, Preview, RecordRow

FINGERPRINT: Mapping[str, Any] = {
    "weights": "9f2c" * 16, "model": {"kind": "timm", "name": "tiny", "kwargs": {"depth": 2}, "num_classes": 3},
    "data": {"data": "shapes", "root": "/srv/jane doe/scans"}, "seed": 0, "precision": "32",
}  # fmt: skip
GRADCAM = {"kind": "gradcam", "method": "gradcam", "question": "given classes", "layer": "layer4"}
ABOUT: Mapping[str, Any] = {
    "class_names": ["cat", "dog", "owl"], "label_names": ["cat", "dog", "owl"], "labels_match": True,
    "choices": {"target layer": "layer4"}, "not_applicable": {"attention": "no attention"},
    "commands": [["generate_artifacts", "data.root=/srv/jane doe/scans"]], "default_layers": {"gradcam": "layer4"},
}  # fmt: skip


def picture(width: int = 8, height: int = 8, tiles: int = 1, seed: int = 0, quality: int = 80) -> bytes:
    """A JPEG of coarse noise, tiles side by side, each of its own mean grey."""
    rng = np.random.default_rng(seed)
    strip = np.concatenate(
        [np.full((height, width, 3), 40 + 160 * one // max(1, tiles - 1)) for one in range(tiles)], 1
    )
    noisy = (strip + rng.integers(-20, 20, strip.shape)).clip(0, 255).astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(noisy).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def row(record_id: str, split: str = "test", **given: Any) -> RecordRow:
    """A record of three classes, predicted as its label; ``probabilities`` follow from ``confidence``."""
    position = given.pop("position", 0)
    label, confidence = given.pop("label", 0), given.pop("confidence", 0.75)
    predicted = given.pop("predicted", label)
    rest = np.full(3, (1 - confidence) / 2, np.float32)
    if predicted is not None:
        rest[predicted] = confidence
    told = {"label": label, "predicted": predicted, "confidence": confidence, "probabilities": rest, **given}
    return RecordRow(record_id, split, position, **told)


def failed(record_id: str, split: str = "test", error: str = "unreadable", stage: str = "data") -> RecordRow:
    """A record that could not be read."""
    return RecordRow(record_id, split, 0, status="failed", stage=stage, error=error)


def mapped(raw: Any, classes: Sequence[int] = (0, 1, 2)) -> dict[str, Answer]:
    """Answers to the Grad-CAM question."""
    return {"gradcam@layer4": Answer(np.asarray(raw, np.float32), tuple(classes))}


def seen(seed: int = 0, size: int = 8) -> tuple[Preview, ...]:
    """A preview of one picture."""
    return (Preview("image", "picture", picture(size, size, seed=seed)),)


def write_small_run(
    root: Path,
    rows: Sequence[RecordRow],
    questions: Mapping[str, Any] | None = None,
    *,
    about: Mapping[str, Any] | None = ABOUT,
    files: Mapping[str, bytes] | None = None,
    finish: bool = True,
) -> Path:
    """A run directory with these rows, 64 in a shard."""
    asked = {"gradcam@layer4": GRADCAM} if questions is None else questions
    with RunDirectory.open(root, FINGERPRINT) as run:
        for split in sorted({one.split for one in rows}):
            mine = [one for one in rows if one.split == split]
            for start in range(0, len(mine), 64):
                run.commit(split, mine[start : start + 64], asked)
        derived = [run.write_file(name, data, kind="metrics") for name, data in (files or {}).items()]
        if about is not None:
            derived.append(run.write_file("about.json", json.dumps(about).encode(), kind="about"))
        if finish:
            run.finish(derived)
    return root


def page_of(html: bytes) -> dict[str, Any]:
    """The JSON inside a page."""
    _, _, rest = html.partition(b'<script type="application/json" id="page">')
    found: dict[str, Any] = json.loads(rest.partition(b"</script>")[0])
    return found
