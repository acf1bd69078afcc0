"""``generate_artifacts`` on records of several inputs, on volumes and on clips, as a user types it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from cli_samples import files, pictures, rows
from PIL import Image
from torch import nn

from seewhy.demo.retina import INPUTS, MadeRetina, write_retina
from seewhy.models.multi_branch import MultiBranch

NETS = '''
from torch import nn


class Cube(nn.Module):
    """Clips are taken frames first."""

    def __init__(self, channels: int = 1, frames_first: bool = False):
        super().__init__()
        self.conv, self.fc, self.frames_first = nn.Conv3d(channels, 2, 3, padding=1), nn.Linear(2, 2), frames_first

    def forward(self, x):
        x = x.movedim(1, 2) if self.frames_first else x
        return self.fc(self.conv(x).mean(dim=(2, 3, 4)))
'''
QUICK = "data.num_workers=0 accelerator=cpu target_classes=[1] output_dir=out"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cubes.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "cubes", raising=False)
    return tmp_path


def save_cube(channels: int) -> None:
    torch.manual_seed(0)
    cube = nn.ModuleDict({"conv": nn.Conv3d(channels, 2, 3, padding=1), "fc": nn.Linear(2, 2)})
    torch.save(cube.state_dict(), "cube.ckpt")


def test_four_pictures_of_an_eye(folder: Path, command: Callable[..., Any]) -> None:
    write_retina(MadeRetina(64, {"val": 2}), folder / "eyes")
    torch.manual_seed(0)
    torch.save(MultiBranch(INPUTS, "test_efficientnet", 4, hidden=8).state_dict(), "eyes.ckpt")
    model = f"model=multi_branch model.inputs=[{','.join(INPUTS)}] model.num_classes=4 model.hidden=8"
    line = f"{model} model.backbone=test_efficientnet data=multi_input data.root=eyes data.size=64 ckpt_path=eyes.ckpt"
    ended = command(f"{line} {QUICK}")
    assert ended.code == 0, ended.err
    assert "target layer of drusen: backbone4." in ended.err
    assert {path.rpartition("/")[2] for path in pictures(Path("out"))} == {
        f"{name}class_1.png" for name in ("", *(f"{one}_" for one in INPUTS))
    }
    for row in rows(Path("out"), "val").values():
        (shares,) = (answer.values for key, answer in row.answers.items() if key.startswith("shares@backbone1."))
        sums = [answer.values.clip(0).sum() for key, answer in row.answers.items() if key.startswith("gradcam@")]
        assert shares.shape == (1, 4)
        assert sorted(shares[0]) == pytest.approx(sorted(np.array(sums) / sum(sums)), abs=1e-6)
    assert "0 records to explain, 2 already done" in command(f"{line} {QUICK} recheck=true").err
    named = command(f"{line} {QUICK} target_layer=[backbone4,backbone1]")
    assert (named.code, "2 computed" in named.err) == (0, True)


def test_a_folder_of_scans(folder: Path, command: Callable[..., Any]) -> None:
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "scans/test/ill").mkdir(parents=True, exist_ok=True)
        scan = nibabel.Nifti1Image(draw.normal(size=(6, 5, 4)).astype(np.float32), np.diag([-2.0, -2, 3, 1]))
        nibabel.save(scan, f"scans/test/ill/{name}.nii.gz")
    save_cube(1)
    line = "model=custom model._target_=cubes.Cube data=volumes data.root=scans data.size=[4,4,4] ckpt_path=cube.ckpt"
    ended = command(f"{line} data.scaling=window data.window=[-3,3] {QUICK}")
    assert ended.code == 0, ended.err
    assert {path for path in files(Path("out")) if path.startswith("gradcam/")} == {
        f"gradcam/test+ill+{name}/class_1.{suffix}" for name in "ab" for suffix in ("png", "nii.gz")
    }
    assert nibabel.load("out/gradcam/test+ill+a/class_1.nii.gz").shape == (6, 5, 4)


def test_a_folder_of_films_for_a_model_that_takes_frames_first(folder: Path, command: Callable[..., Any]) -> None:
    (folder / "films/test/run").mkdir(parents=True)
    frames = [Image.new("RGB", (12, 10), (20 * step, 40, 0)) for step in range(8)]
    frames[0].save(folder / "films/test/run/a.gif", save_all=True, append_images=frames[1:], duration=100)
    save_cube(3)
    line = "model=custom model._target_=cubes.Cube +model.channels=3 +model.frames_first=true frames_first=[video]"
    ended = command(f"{line} data=clips data.root=films data.frames=4 data.size=8 ckpt_path=cube.ckpt {QUICK}")
    assert ended.code == 0, ended.err
    assert rows(Path("out"), "test")["test/run/a"].answers["gradcam@conv"].values.shape == (1, 4, 8, 8)
    for what in ("mean: [0.485", "std: [0.229"):
        assert ended.err.count(f"assumed {what}") == 2  # before the work and at the end
    assert "assumed size" not in ended.err
