"""``seewhy demo``: two small shipped models explained on cluttered digits, with what came of it in one table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from seewhy.cli.generate import generate_artifacts
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.models import KINDS, Kind, asset, asset_facts
from seewhy.demo.score import Box, accuracy, localisation
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow

SPLIT = "test"


@dataclass(frozen=True)
class Score:
    """How a model did on the records of the demonstration: its accuracy, and how often each map peaks in the digit."""

    records: int
    accuracy: float
    gradcam: float
    rollout: float | None
    chance: float


def run_demo(output_dir: Path, *, train: bool = False) -> int:
    """Explain both models (trained first, if asked) into ``output_dir``; the exit code of the runs."""
    console = Console()
    began = time.monotonic()
    codes = []
    scores: dict[str, Score] = {}
    for kind in KINDS:
        checkpoint = _trained(kind, output_dir / "checkpoints", console) if train else asset(kind)
        run_dir = output_dir / (f"{kind}_trained" if train else kind)
        words = [
            "experiment=embeddings/demo",
            f"model=demo_{kind}",
            f"ckpt_path={checkpoint}",
            f"output_dir={run_dir}",
        ]
        _line(console, f"\n$ generate_artifacts {' '.join(words)}")
        codes.append(generate_artifacts(words))
        if codes[-1] == 0:
            scores[kind] = score(RunReader(run_dir))
    _show(console, scores, output_dir, shipped=not train)
    _line(console, f"done in {time.monotonic() - began:.0f} s")
    return max(codes)


def score(run: RunReader) -> Score:
    """Grade the test records of a finished run against the digits' labels and boxes."""
    rows = sorted(run.rows(SPLIT), key=lambda row: row.position)
    boxes = _boxes(rows)
    right = [row for row in rows if row.predicted == row.label]
    maps = [_predicted_map(row) for row in right]
    size = rows[0].geometry.input if rows[0].geometry else (64, 64)
    height, width = size
    own = [boxes[row.record_id] for row in right]
    peaks, chance = localisation(maps, own, (height, width))
    flows = [row.answers["rollout"].values for row in right if "rollout" in row.answers]
    rollout = localisation(flows, own, (height, width))[0] if flows else None
    found = accuracy([row.predicted or 0 for row in rows], [row.label or 0 for row in rows])
    return Score(len(rows), found, peaks, rollout, chance)


def _boxes(rows: Sequence[RecordRow]) -> dict[str, Box]:
    digits = ClutteredDigits()
    place = {ref.record_id: position for position, ref in enumerate(digits.index())}
    boxes = {row.record_id: digits.read(place[row.record_id]).box for row in rows}
    return {record_id: box for record_id, box in boxes.items() if box is not None}


def _predicted_map(row: RecordRow) -> NDArray[np.float32]:
    answer = next(answer for key, answer in row.answers.items() if key.startswith("gradcam"))
    found: NDArray[np.float32] = answer.values[answer.classes.index(row.predicted or 0)]
    return found


def _trained(kind: Kind, folder: Path, console: Console) -> Path:
    from seewhy.demo.train import train

    made = train(kind, folder / kind, report=lambda line: _line(console, line))
    _line(console, f"{kind}: test accuracy {made.accuracy:.1%}, trained in {made.seconds:.0f} s: {made.checkpoint}")
    return made.checkpoint


def _show(console: Console, scores: dict[str, Score], output_dir: Path, *, shipped: bool) -> None:
    table = Table("model", "accuracy", "Grad-CAM peak in digit", "rollout peak in digit", "chance")
    for kind, result in scores.items():
        rollout = "not applicable" if result.rollout is None else f"{result.rollout:.1%}"
        table.add_row(kind, f"{result.accuracy:.1%}", f"{result.gradcam:.1%}", rollout, f"{result.chance:.1%}")
    console.print(table)
    for kind in KINDS if shipped else ():
        facts = asset_facts(kind)
        _line(console, f"{kind}: {facts.get('accuracy', 'unknown')} accuracy when it was made, on 1 000 test records")
    _line(console, "peaks are those of the predicted class, over the correctly classified test records")
    for kind, result in scores.items():
        folder = output_dir.resolve() / (kind if shipped else f"{kind}_trained")
        sheets = "" if result.rollout is None else f", {folder}/attention_maps/"
        _line(console, f"look at {folder}/report/index.html, {folder}/gradcam/test_00000/{sheets}")


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
