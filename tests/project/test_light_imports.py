"""Rooms that must stay light are imported in a fresh interpreter, which then says what came along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
from source_tree import ROOT

HEAVY = ("torch", "torchvision", "timm", "hydra", "omegaconf", "lightning", "pytorch_lightning", "sklearn", "nibabel")

UNASKED = {"hydra", "omegaconf", "lightning", "pytorch_lightning", "sklearn", "nibabel"}
ROOMS = (
    "capture", "methods", "models", "data", "pipeline", "multi_input", "training", "features", "metrics", "inspection",
)  # fmt: skip


def heavy_modules_after(statement: str) -> set[str]:
    """The heavy packages in ``sys.modules`` once the statement has run."""
    program = f"{statement}\nimport sys\nsys.stdout.write(' '.join(set({HEAVY!r}) & set(sys.modules)))"
    return set(said_by(program).split())


def heavy_modules_after_each(rooms: Sequence[str]) -> dict[str, set[str]]:
    """The heavy packages in ``sys.modules`` as each room was imported, in one interpreter."""
    program = (
        f"import importlib, json, sys\nfound = {{}}\nfor room in {rooms!r}:\n"
        "    importlib.import_module(f'seewhy.{room}')\n"
        f"    found[room] = sorted(set({HEAVY!r}) & set(sys.modules))\nsys.stdout.write(json.dumps(found))"
    )
    return {room: set(brought) for room, brought in json.loads(said_by(program)).items()}


def said_by(program: str) -> str:
    """What a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_importing_a_room_brings_neither_hydra_nor_an_extra() -> None:
    """One interpreter imports them all, one after the other: what none of them brings together, none brings alone."""
    found = heavy_modules_after_each(ROOMS)
    assert tuple(found) == ROOMS
    assert {room: sorted(brought & UNASKED) for room, brought in found.items() if brought & UNASKED} == {}
