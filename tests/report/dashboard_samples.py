"""Runs that a dashboard is shown: random ones with every kind of row, and apps with a client of their own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from seewhy.report.arrival import App
from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.server import create_app
from seewhy.store.run_directory import RunDirectory
from seewhy.values import Answer, Preview, RecordRow

FINGERPRINT = {"weights": "9f2c", "model": {"name": "tiny"}, "data": {"kind": "shapes"}, "seed": 0}
QUESTIONS = {"gradcam@layer4": {"kind": "gradcam", "method": "gradcam", "layer": "layer4", "question": "given classes"}}
PORT = 8000


def jpeg(grey: int, *, tiles: int = 1) -> bytes:
    """A strip of 16 pixel tiles, each of one grey: ``grey``, ``grey + 40`` and so on."""
    strip = np.concatenate([np.full((16, 16, 3), grey + 40 * tile, np.uint8) for tile in range(tiles)], axis=1)
    sink = io.BytesIO()
    Image.fromarray(strip).save(sink, "JPEG", quality=95)
    return sink.getvalue()


def explained(record_id: str, position: int = 0, **more: Any) -> RecordRow:
    """A row that is ok: class 1 predicted with 0.75, a map of four cells, a grey picture."""
    usual: dict[str, Any] = {
        "split": "test", "revision": "r1", "label": 1, "predicted": 1, "confidence": 0.75,
        "probabilities": np.float32([0.25, 0.75]),
        "answers": {"gradcam@layer4": Answer(np.float32([[[0, 1], [2, 4]]]), (1,))},
        "previews": (Preview("image", "picture", jpeg(100)),),
    }  # fmt: skip
    return RecordRow(record_id, position=position, **(usual | more))


def failed(record_id: str, position: int = 0, error: str = "cannot be decoded", **more: Any) -> RecordRow:
    """A row that failed while its file was read."""
    usual = {"split": "test", "status": "failed", "stage": "decode", "error": error, "revision": "r1"}
    return RecordRow(record_id, position=position, **(usual | more))


def write_rows(root: Path, *commits: Sequence[RecordRow], fingerprint: dict[str, Any] | None = None) -> Path:
    """A run with one shard for each sequence of rows of one split."""
    with RunDirectory.open(root, fingerprint or FINGERPRINT) as run:
        for rows in commits:
            run.commit(rows[0].split, rows, QUESTIONS)
    return root


def random_commits(seed: int, records: int = 150, commits: int = 12) -> list[list[RecordRow]]:
    """Commits of random rows in two splits: records come again, fail, recover and change their content."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(commits):
        split = ("test", "train")[int(random.integers(2))]
        chosen = random.choice(records, size=int(random.integers(1, 40)), replace=False).tolist()
        found.append([_random_row(random, f"{split}/{number:03d}", split, number) for number in chosen])
    return found


def app_of(*roots: Path, token: str | None = None, **more: Any) -> App:
    """The dashboard of some runs on :data:`PORT`."""
    runs = [DashboardRun(number, root) for number, root in enumerate(roots)]
    return create_app(runs, port=PORT, token=token, **more)


def client_of(*roots: Path, token: str | None = None, **more: Any) -> TestClient:
    """A client that asks as a browser on the same machine does."""
    return TestClient(
        app_of(*roots, token=token, **more), base_url=f"http://127.0.0.1:{PORT}", raise_server_exceptions=False,
        follow_redirects=False, headers={"accept": "text/html"},
    )  # fmt: skip


def _random_row(random: np.random.Generator, record_id: str, split: str, number: int) -> RecordRow:
    revision = f"r{int(random.integers(3))}"
    if random.random() < 0.2:
        return failed(record_id, number, split=split, revision=revision, error=f"error {number}")
    label = int(random.integers(4)) if random.random() < 0.8 else None
    predicted = int(random.integers(4)) if random.random() < 0.9 else None
    sure = float(random.random()) if predicted is not None and random.random() < 0.9 else None
    return RecordRow(
        record_id, split, number, revision=revision, label=label, predicted=predicted, confidence=sure,
        answers={"gradcam@layer4": Answer(random.standard_normal((1, 2, 2), np.float32), (0,))},
    )  # fmt: skip
