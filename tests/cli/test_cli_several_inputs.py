"""``model=multi_branch data=multi_input``: the data follow the model, and a Lightning checkpoint fits both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from torch import nn

from seewhy.cli.build import build_dataset, build_loaded_model
from seewhy.cli.schema import Request, request_of
from seewhy.data.multi_input import MultiInput
from seewhy.demo.retina import CLASSES, INPUTS, MadeRetina, write_retina
from seewhy.models.multi_branch import MultiBranch
from seewhy.values import ModelError

MODEL = (
    "model=multi_branch",
    f"model.inputs=[{','.join(INPUTS)}]",
    "model.num_classes=4",
    "model.backbone=test_efficientnet",
    "model.hidden=8",
)


def request(*words: str) -> Request:
    GlobalHydra.instance().clear()
    with initialize_config_module(version_base="1.3", config_module="seewhy.conf"):
        config: Any = compose("generate_artifacts", ["ckpt_path=x.ckpt", "output_dir=out", "accelerator=cpu", *words])
        config.experiment = "any"
        return request_of(OmegaConf.to_container(config, resolve=True, throw_on_missing=True))  # type: ignore[arg-type]


def test_inputs_and_channels_of_the_data_are_those_of_the_model() -> None:
    own = request(*MODEL, "data=multi_input", "data.root=eyes")
    assert (own.data["inputs"], own.data["channels"]) == (list(INPUTS), 1)
    told = request(*MODEL, "data=multi_input", "data.root=eyes", "data.inputs=[ga,mnv]", "data.channels=3")
    assert (told.data["inputs"], told.data["channels"]) == (["ga", "mnv"], 3)
    other = request("data=multi_input", "data.root=eyes")
    assert (other.data["inputs"], other.data["channels"]) == (None, None)


def test_the_commands_model_and_data_give_the_logits_of_the_training(tmp_path: Path) -> None:
    made = MadeRetina(64, {"val": 4})
    write_retina(made, tmp_path / "eyes")
    trained = nn.Module()
    trained.out = MultiBranch(INPUTS, "test_efficientnet", 4, hidden=8)
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "epoch=4-step=40.ckpt")
    asked = request(
        *MODEL,
        "data=multi_input",
        f"data.root={tmp_path / 'eyes'}",
        "data.size=64",
        f"data.class_names=[{','.join(CLASSES)}]",
        f"ckpt_path='{tmp_path / 'epoch=4-step=40.ckpt'}'",
    )
    built, report = build_loaded_model(asked)
    assert report.coverage.fraction == 1
    dataset = build_dataset(asked, built.preprocessing)
    assert isinstance(dataset, MultiInput)
    positions = {ref.record_id.rpartition("/")[2]: position for position, ref in enumerate(dataset.index())}
    for position, ref in enumerate(made.index()):
        read = dataset.read(positions[ref.record_id])
        eye = {name: picture[None] for name, picture in read.inputs.items()}
        drawn = [picture[None] for picture in made.read(position).inputs.values()]
        assert read.label == ref.label
        assert torch.equal(built.module(**eye), trained.eval().out(*drawn))


def test_without_a_size_of_its_own_the_data_are_as_large_as_the_first_backbone_takes(tmp_path: Path) -> None:
    write_retina(MadeRetina(64, {"val": 1}), tmp_path)
    torch.save({"state_dict": MultiBranch(INPUTS, "test_efficientnet", 4, hidden=8).state_dict()}, tmp_path / "a.ckpt")
    asked = request(*MODEL, "data=multi_input", f"data.root={tmp_path}", f"ckpt_path={tmp_path / 'a.ckpt'}")
    built, _ = build_loaded_model(asked)
    eye = build_dataset(asked, built.preprocessing).read(0).inputs["ga"]
    assert eye.shape == (1, 160, 160)  # timm's test models are made for 160 pixels
    assert -1 <= eye.min() < eye.max() <= 1


def test_a_setting_that_a_model_of_several_inputs_lacks_is_named() -> None:
    with pytest.raises(ModelError, match=r"SW-M51(?s:.*)nearest: .*backbone"):
        build_loaded_model(request(*MODEL, "+model.backbones=resnet18", "data=multi_input"))
