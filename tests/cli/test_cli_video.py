"""``generate_artifacts data=video``: folders of frames with points, and a data set that is a name in the config."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from cli_samples import rows
from PIL import Image
from torch import nn

from seewhy.cli.build import build_dataset
from seewhy.cli.schema import request_of
from seewhy.data.clip_folder import ClipFolder

NET = """
from torch import nn


class Cube(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv3d(3, 2, 3, padding=1), nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(self.conv(x).mean(dim=(2, 3, 4)))
"""
QUICK = "data.num_workers=0 accelerator=cpu target_classes=[1] output_dir=out"
CUBE = "model=custom model._target_=filmcube.Cube ckpt_path=cube.ckpt"


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One clip of six frames of 12 × 10 pixels, a checkpoint, and the module of its model."""
    (tmp_path / "filmcube.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "filmcube", raising=False)
    torch.manual_seed(0)
    cube = nn.ModuleDict({"conv": nn.Conv3d(3, 2, 3, padding=1), "fc": nn.Linear(2, 2)})
    torch.save(cube.state_dict(), "cube.ckpt")
    clip = tmp_path / "data/Robofarmer-II/test/pick/film"
    clip.mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (12, 10), (40 * number, 90, 0)).save(clip / f"{number + 1:06d}.jpg")
    return tmp_path / "data/Robofarmer-II"


def test_a_folder_of_frame_folders_is_explained(films: Path, command: Callable[..., Any]) -> None:
    (films / "points.csv").write_text("clip,frame,x,y,verb\nfilm,3,6,5,pick\nfilm,9,6,5,pick\n")
    line = f"data=video data.root={films} data.annotations={films}/points.csv data.frames=3 data.size=8 data.crop=none"
    ended = command(f"{CUBE} {line} {QUICK}")
    assert ended.code == 0, ended.err
    row = rows(Path("out"), "test")["test/pick/film"]
    assert row.answers["gradcam@conv"].values.shape == (1, 3, 8, 8)
    assert "gaze: 1 points on 1 of 3 frames; 1 before or after the film" in row.notes
    assert "assumed coordinates: pixels" in ended.err


def test_a_data_set_of_the_config_runs_by_its_name(films: Path, command: Callable[..., Any]) -> None:
    ended = command(f"{CUBE} data=Robofarmer-II data.size=8 data.frames=2 {QUICK}")
    assert ended.code == 0, ended.err
    assert rows(Path("out"), "test")["test/pick/film"].answers["gradcam@conv"].values.shape == (1, 2, 8, 8)


def test_its_configuration_composes(films: Path, command: Callable[..., Any]) -> None:
    ended = command("--cfg job data=Robofarmer-II ckpt_path=model.pth")
    shown = yaml.safe_load(ended.out)["data"]
    assert ended.code == 0
    assert (shown["kind"], shown["frames"], shown["size"], shown["architecture"]) == ("video", 8, 512, "resnet50")


@pytest.mark.parametrize("annotations", [None, "auto", "data/Robofarmer-II/gaze.csv"])
def test_annotations_may_be_there_or_not(films: Path, annotations: str | None) -> None:
    if annotations and annotations != "auto":
        (films / "gaze.csv").write_text("clip,frame,x,y\nfilm,3,6,5\n")
    data = {"kind": "video", "root": "data/Robofarmer-II", "annotations": annotations, "architecture": "resnet50"}
    request = request_of({"data": data, "model": {"kind": "custom"}, "ckpt_path": "cube.ckpt", "output_dir": "out"})
    dataset = build_dataset(request, None)
    assert isinstance(dataset, ClipFolder)
    assert dataset.info(0)["film_frames"] == 6
    assert any(note.startswith("gaze") for note in dataset.read(0).notes) == ((films / "gaze.csv").exists())
