"""A run keeps a small picture of every input beside its answers, and what is to be known of it in about.json."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pipeline_inputs import Named
from pipeline_samples import Pictures, conv_net, ids, snapshot, vit

import seewhy
from seewhy.data.custom import CustomDataset
from seewhy.pipeline.about import portable
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow
from toys import GapLinear


def previews(folder: Path, split: str = "test") -> dict[str, RecordRow]:
    return {row.record_id: row for row in RunReader(folder).rows(split, questions=(), previews=True)}


def about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "about.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("kinds", [{}, {"generate_gradcam": False, "generate_attention": False}])
def test_every_record_has_the_picture_its_data_set_shows(tmp_path: Path, kinds: dict[str, bool]) -> None:
    data = CustomDataset(Pictures(ids(3)))
    seewhy.run(conv_net(), data, tmp_path / "run", **kinds)
    found = previews(tmp_path / "run")
    for position, record_id in enumerate(ids(3)):
        (preview,) = found[record_id].previews
        assert (preview.kind, preview.shown, preview.of) == ("picture", (0,), 1)
        shown = np.asarray(Image.open(BytesIO(preview.data)).convert("RGB")).astype(float)
        expected = data.picture(data.read(position).inputs)
        assert shown.shape == expected.shape
        assert abs(shown.mean() - expected.mean()) < 4


def test_previews_are_read_only_where_they_are_asked_for(tmp_path: Path) -> None:
    seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run")
    assert [row.previews for row in RunReader(tmp_path / "run").rows("test")] == [(), ()]


def test_a_record_asked_again_still_has_one_preview_of_each_input(tmp_path: Path) -> None:
    seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run", target_classes=[0])
    seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run", target_classes=[0, 1])
    assert len(list((tmp_path / "run/shards").iterdir())) == 2
    assert [len(row.previews) for row in previews(tmp_path / "run").values()] == [1, 1]


def test_each_input_has_a_preview_of_its_kind(tmp_path: Path) -> None:
    torch.manual_seed(3)
    data = Named(ids(2), {"volume": (2, 12, 6, 7)})
    seewhy.run(GapLinear(3), data, tmp_path / "run", generate_attention=False, target_classes=[1])
    (preview,) = previews(tmp_path / "run")["r00"].previews
    assert (preview.input_name, preview.kind, preview.of) == ("volume", "slices", 12)
    assert preview.shown == (0, 2, 3, 5, 6, 8, 9, 11)
    assert Image.open(BytesIO(preview.data)).size == (8 * 7, 6)


def test_a_failed_record_has_none(tmp_path: Path) -> None:
    data = Pictures(ids(3), faults={"r01": ValueError("torn")})
    seewhy.run(conv_net(), data, tmp_path / "run")
    found = previews(tmp_path / "run")
    assert {name: len(row.previews) for name, row in found.items()} == {"r00": 1, "r01": 0, "r02": 1}


def test_about_says_what_the_model_and_the_commands_were(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = ["generate_artifacts", f"ckpt_path={tmp_path}/best.ckpt", f"output_dir={folder}"]
    seewhy.run(conv_net(), Pictures(ids(2)), folder, class_names=["a", "b", "c"], command=first)
    seewhy.run(conv_net(), Pictures(ids(2)), folder, class_names=["a", "b", "c"], command=first)
    seewhy.run(conv_net(), Pictures(ids(2)), folder, class_names=["a", "b", "c"], command=["again", "seed=0"])
    said = about(folder)
    assert said["class_names"] == ["a", "b", "c"]
    assert said["commands"] == [
        ["generate_artifacts", "ckpt_path=…/best.ckpt", "output_dir=…"],
        ["again", "seed=0"],
    ]
    assert said["not_applicable"].keys() == {"attention"}
    assert str(tmp_path) not in (folder / "about.json").read_text("utf-8")
    assert seewhy.verify(folder) == []


def test_a_run_from_python_names_no_command_and_is_the_same_anywhere(tmp_path: Path) -> None:
    for place in ("one", "far/away"):
        seewhy.run(vit(), Pictures(ids(2)), tmp_path / place)
    assert about(tmp_path / "one")["commands"] == []
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "far/away")


def test_commands_do_not_tell_who_computed() -> None:
    asked = [
        "generate_artifacts",
        "runner=ray",
        "ray.address=head:6379",
        "+ray.workers=2",
        "~ray",
        "ray=null",
        "seed=1",
    ]
    assert portable(asked) == ["generate_artifacts", "seed=1"]
    assert portable(["runners=2", "data.runner=x", "rays=1"]) == ["runners=2", "data.runner=x", "rays=1"]


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("data.root=/data/patients/scans", "data.root=…/scans"),
        ("data.root=photos/train", "data.root=photos/train"),
        ("ckpt_path=[/a/one.ckpt,/b/two.ckpt]", "ckpt_path=[…/one.ckpt,…/two.ckpt]"),
        ("ckpt_path=~/best.ckpt", "ckpt_path=…/best.ckpt"),
        ("ckpt_path=/runs/epoch=3-step=10.ckpt", "ckpt_path=…/epoch=3-step=10.ckpt"),
        ("/runs/epoch=3-step=10.ckpt", "…/epoch=3-step=10.ckpt"),
        ("ckpt_path=logs/epoch=3-step=10.ckpt", "ckpt_path=logs/epoch=3-step=10.ckpt"),
        ("ckpt_path=/data/Jane Doe/best.ckpt", "ckpt_path=…/best.ckpt"),
        (r"ckpt_path=C:\models\best.ckpt", "ckpt_path=…/best.ckpt"),
        ("record_id=test/cat/0001", "record_id=test/cat/0001"),
        ("output_dir=relative/place", "output_dir=…"),
        ("/scans/one.nii.gz", "…/one.nii.gz"),
        ("model=timm:resnet18", "model=timm:resnet18"),
    ],
)
def test_commands_keep_no_place_of_a_machine(word: str, kept: str) -> None:
    assert portable(["seewhy", word]) == ["seewhy", kept]
