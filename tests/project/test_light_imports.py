"""Rooms that must stay light are imported in a fresh interpreter, which then says what came along."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from source_tree import ROOT

HEAVY = ("torch", "torchvision", "timm", "hydra", "omegaconf", "lightning", "pytorch_lightning", "sklearn", "nibabel")


def heavy_modules_after(statement: str) -> set[str]:
    """The heavy packages in ``sys.modules`` once the statement has run."""
    program = f"{statement}\nimport sys\nsys.stdout.write(' '.join(set({HEAVY!r}) & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_came_along_is_seen() -> None:
    assert "torch" in heavy_modules_after("import torch")


@pytest.mark.parametrize("room", ["seewhy", "seewhy.values", "seewhy.render", "seewhy.store"])
def test_a_light_room_brings_nothing_heavy(room: str) -> None:
    every_module = (
        f"import importlib, pkgutil\npackage = importlib.import_module({room!r})\n"
        f"if {room!r} != 'seewhy':\n"
        f"    for found in pkgutil.walk_packages(getattr(package, '__path__', []), '{room}.'):\n"
        "        importlib.import_module(found.name)"
    )
    assert heavy_modules_after(every_module) == set()


@pytest.mark.parametrize(
    "room",
    [
        "capture",
        "methods",
        "models",
        "data",
        "pipeline",
        "multi_input",
        "training",
        "features",
        "metrics",
        "inspection",
    ],
)
def test_importing_a_room_brings_neither_hydra_nor_an_extra(room: str) -> None:
    brought = heavy_modules_after(f"import seewhy.{room}")
    assert brought & {"hydra", "omegaconf", "lightning", "pytorch_lightning", "sklearn", "nibabel"} == set()
