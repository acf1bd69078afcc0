"""``model=`` on the command line alone: kinds, layers and sizes as a user types them, without an experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from cli_samples import pictures

import seewhy

DATA = "data=cluttered_digits data.counts={train:2} data.num_workers=0 output_dir=out ckpt_path=net.pt"
RESNET = f"model=timm model.name=resnet18 model.num_classes=10 {DATA}"


@pytest.fixture
def resnet(project: Path) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model("resnet18", num_classes=10).state_dict(), project / "net.pt")


@pytest.mark.usefixtures("resnet")
def test_a_model_needs_no_experiment_and_layers_are_typed_as_in_python(command: Callable[..., Any]) -> None:
    line = f"{RESNET} target_classes=predicted"
    assert command(line).code == 0
    assert command(f"{line} target_layer=layer4[-1] embedding_layer=fc.input").code == 0
    assert command(f"{line} target_layer=null").code == 0
    rows = list(seewhy.RunReader("out").rows("train"))
    assert {key for row in rows for key in row.answers} == {
        "embeddings@fc.input", "gradcambest1@layer4", "gradcambest1@layer4.1"
    }  # fmt: skip


def test_torchvision_and_custom_models_need_no_experiment_either(project: Path, command: Callable[..., Any]) -> None:
    torch.save(torchvision.models.get_model("resnet18", num_classes=10).state_dict(), project / "net.pt")
    line = f"{DATA} target_classes=predicted"
    assert command(f"model=torchvision model.name=resnet18 model.num_classes=10 {line}").code == 0
    custom = f"model=custom model._target_=torchvision.models.resnet18 +model.num_classes=10 {line}"
    assert command(custom.replace("output_dir=out", "output_dir=own")).code == 0
    assert len(pictures(Path("own"))) == 2


def test_a_transformer_takes_the_size_of_the_data_or_its_own_keyword(
    project: Path, command: Callable[..., Any]
) -> None:
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=10, img_size=64, depth=1)
    torch.save(model.state_dict(), project / "net.pt")
    line = f"model=timm model.name=vit_tiny_patch16_224 model.num_classes=10 model.kwargs.depth=1 {DATA}"
    assert command(f"{line} data.size=64").code == 0
    assert command(f"{line} model.kwargs.img_size=64").code == 0
    refused = command(f"{line} model.in_chans=1")
    assert refused.code == 2
    assert "another model has it" in refused.err


@pytest.mark.usefixtures("resnet")
def test_multirun_may_be_asked_for_at_the_end(command: Callable[..., Any]) -> None:
    assert command(f"{RESNET.replace('net.pt', 'net.pt,net.pt')} target_classes=predicted -m").code == 0
    assert Path("out/1/manifest.json").is_file()
