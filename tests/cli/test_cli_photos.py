"""A folder of one's own photos and a checkpoint of one's own, with the settings a user would set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_samples import pictures, rows, write_experiment
from PIL import Image
from torch import nn

import seewhy

PHOTOS = """\
defaults:
  - model: custom
  - data: image_folder
model:
  _target_: torch.nn.Identity
data:
  root: photos
  size: [20, 30]
  mean: [0.5, 0.4, 0.3]
  std: [0.2, 0.3, 0.4]
  num_workers: 0
"""
NET = """
from torch import nn


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
"""
LINE = "experiment=photos ckpt_path=net.pt output_dir=out model._target_={}.net"


@pytest.fixture
def photos(project: Path, request: pytest.FixtureRequest) -> str:
    """``photos/{train,test}/{cat,dog}/…`` of 60×40 pixels; the command line that explains them."""
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            (project / "photos" / split / kind).mkdir(parents=True)
            for i in range(2):
                pixels = draw.integers(0, 255, (40, 60, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(project / f"photos/{split}/{kind}/{i}.png")
    module = f"photo_net_{abs(hash(request.node.name))}"
    (project / f"{module}.py").write_text(NET, encoding="utf-8")
    write_experiment(project, "photos", PHOTOS)
    torch.save(own_net().state_dict(), project / "net.pt")
    return LINE.format(module)


def own_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def test_photos_are_prepared_as_asked_and_maps_know_their_place_on_the_original(
    project: Path, photos: str, command: Callable[..., Any]
) -> None:
    assert command(photos).code == 0
    data = seewhy.ImageFolder("photos", [20, 30], mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4])
    found = {**rows(Path("out"), "train"), **rows(Path("out"), "test")}
    assert set(found) == {
        f"{split}/{kind}/{i}" for split in ("train", "test") for kind in ("cat", "dog") for i in (0, 1)
    }
    model = own_net()
    for position, ref in enumerate(data.index()):
        record, row = data.read(position), found[ref.record_id]
        with torch.no_grad():
            probabilities = model(record.inputs["image"][None]).softmax(dim=1)[0]
        assert row.probabilities == pytest.approx(probabilities.numpy(), abs=1e-6)
        assert row.geometry == record.geometry
        assert (row.geometry.original, row.geometry.input) == ((40, 60), (20, 30))
        assert row.label == {"cat": 0, "dog": 1}[ref.record_id.split("/")[1]]
    assert {name.split("/")[1] for name in pictures(Path("out"))} == {name.replace("/", "+") for name in found}


def test_class_names_give_the_order_of_the_outputs(project: Path, photos: str, command: Callable[..., Any]) -> None:
    assert command(f"{photos} data.class_names=[dog,cat] target_classes=[cat] splits=test").code == 0
    assert {row.record_id: row.label for row in rows(Path("out"), "test").values()} == {
        "test/cat/0": 1, "test/cat/1": 1, "test/dog/0": 0, "test/dog/1": 0,
    }  # fmt: skip
    assert {name.rpartition("/")[2] for name in pictures(Path("out"))} == {"class_1.png"}


def test_without_a_crop_the_whole_photo_is_on_the_input(
    project: Path, photos: str, command: Callable[..., Any]
) -> None:
    assert command(f"{photos} data.crop=none data.size=24 splits=test").code == 0
    (geometry,) = {row.geometry for row in rows(Path("out"), "test").values()}
    assert geometry.to_input((0, 0)) == pytest.approx((0, 0))
    assert geometry.to_input((40, 60)) == pytest.approx((24, 24))


def test_a_broken_photo_is_exit_code_1_and_in_the_list_a_machine_reads(
    project: Path, photos: str, command: Callable[..., Any]
) -> None:
    Path("photos/test/cat/0.png").write_bytes(b"not a picture at all")
    ended = command(f"{photos} splits=test")
    assert ended.code == 1
    assert "test/cat/0: read: DataError: [SW-D06]" in ended.err
    (failure,) = json.loads(Path("out/failures.json").read_text("utf-8"))
    assert (failure["record_id"], failure["split"], failure["stage"]) == ("test/cat/0", "test", "read")
    assert {name for name, row in rows(Path("out"), "test").items() if row.status == "ok"} == {
        "test/cat/1", "test/dog/0", "test/dog/1",
    }  # fmt: skip
    Image.new("RGB", (60, 40)).save("photos/test/cat/0.png")
    assert command(f"{photos} splits=test").code == 0
    assert json.loads(Path("out/failures.json").read_text("utf-8")) == []
