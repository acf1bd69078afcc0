"""The benchmark for machines with a GPU goes all its ways on a CPU, and without a GPU it only says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/gpu.py"
pytestmark = pytest.mark.slow


def told(*words: str) -> str:
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(command, env=hidden, check=True, capture_output=True, text=True).stdout


def test_without_a_gpu_it_says_so_and_nothing_else() -> None:
    assert told() == "There is no GPU on this machine: nothing was measured.\n"


def test_on_a_cpu_it_prints_the_whole_table() -> None:
    lines = told("--device", "cpu", "--small").splitlines()
    head, _, *rows = [line for line in lines if line.startswith("|")]
    assert [row.split(" | ")[:2] for row in rows] == [
        [f"| {model}", kind] for model in ("test_resnet", "test_vit") for kind in ("fp32", "tf32", "bf16")
    ]
    assert {row.count("|") for row in rows} == {head.count("|")}
    notes = [line for line in lines if line.startswith("- ")]
    assert [note.partition(":")[0] for note in notes] == [
        "- test_resnet", "- test_vit", "- Cache hit / Grad-CAM of one image",
        "- `BatchProcessor` of 4 / inference of the same",
    ]  # fmt: skip
