"""``runner=ray``: what it refuses at once, and the same files as ``runner=local``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from cli_samples import files, write_experiment

from conftest import Command
from nobody import nobody

WORDS = "experiment=embeddings/my_experiment ckpt_path=path/to/model.ckpt"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("runner=rai", "SW-Y07", "nearest: ray"),
        ("+ray.worker=2", "SW-Y08", "nearest: workers"),
        ("ray=null", "SW-Y08", "ray must be settings by name"),
        ("runner=ray ray.num_cpus=inf", "SW-Y06", "ray.num_cpus must be a number"),
        ("runner=ray ray.address=6379", "SW-Y08", "ray.address must be a text"),
        ("runner=ray ray.address=head", "SW-Y01", "is no address"),
        ("runner=ray ray.workers=0", "SW-Y06", "ray.workers"),
        ("runner=ray ray.num_cpus=none", "SW-Y06", "ray.num_cpus"),
    ],
)
def test_what_cannot_be_is_refused_before_a_model_is_built(
    project: Path, command: Command, words: str, code: str, said: str
) -> None:
    ended = command(f"{WORDS} {words}")
    assert (ended.code, ended.out) == (2, "")
    assert code in ended.err
    assert said in ended.err
    assert not (project / "artifacts").exists()


def test_an_address_where_nobody_answers_is_told_at_once(project: Path, command: Command) -> None:
    with nobody() as address:
        ended = command(f"{WORDS} runner=ray ray.address={address}")
    assert ended.code == 2
    assert "SW-Y01" in ended.err
    assert "nothing answers" in ended.err
    assert not (project / "artifacts").exists()


def test_without_ray_only_its_runner_is_refused(
    project: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ended = command(f"{WORDS} runner=ray")
    assert ended.code == 2
    assert "pip install 'seewhy[ray]'" in ended.err
    assert command(f"{WORDS} runner=local max_records=1").code == 0


MINE = """
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)

    def forward(self, image):
        return self.fc(self.conv(image).mean(dim=(2, 3)))


class Pictures(Dataset):
    def __init__(self, file):
        self.seeds = [int(line) for line in Path(file).read_text().split()]

    def __len__(self):
        return len(self.seeds)

    def __getitem__(self, i):
        return torch.randn(3, 12, 12, generator=torch.Generator().manual_seed(self.seeds[i])), i % 3
"""
EXPERIMENT = """
defaults:
  - model: custom
  - data: custom

model:
  _target_: mine.Net

data:
  _target_: mine.Pictures
  file: seeds.txt
  batch_size: 2
  num_workers: 0

shard_size: 3
output_dir: artifacts/${runner}
"""


def files_of(root: Path) -> dict[str, bytes]:
    """All but what is hidden: notes of this machine."""
    return {name: (root / name).read_bytes() for name in files(root)}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_and_data_beside_the_user_on_workers_of_this_machine(
    project: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    (project / "mine.py").write_text(MINE, encoding="utf-8")
    (project / "seeds.txt").write_text(" ".join(map(str, range(8))), encoding="utf-8")
    write_experiment(project, "mine", EXPERIMENT)
    monkeypatch.syspath_prepend(str(project))
    from mine import Net  # type: ignore[import-not-found]

    torch.save(Net().state_dict(), project / "mine.pth")
    words = "experiment=mine ckpt_path=mine.pth generate_report=false"
    before = dict(os.environ)
    assert command(f"{words} runner=local").code == 0
    ended = command(f"{words} runner=ray ray.workers=2")
    assert ended.code == 0, ended.err
    assert "8/8 records" in ended.err
    assert files_of(project / "artifacts/ray") == files_of(project / "artifacts/local")
    assert dict(os.environ) == before
