"""Which layers are looked into: the stages of many families, and layers by name, pattern, type and module."""

from __future__ import annotations

import pytest
import timm
import torchvision
from torch import nn

from seewhy.features.layer_choice import chosen_layers, stages
from seewhy.values import LayerError

RESNET = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnet = torchvision.models.resnet18(num_classes=8)


class VideoNet(nn.Module):
    """A residual network two levels down, and what goes through time behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.lstm = nn.LSTM(8, 8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.fc = nn.Linear(8, 3)


def test_the_stages_of_a_resnet_are_those_of_the_guide_wherever_it_is_nested() -> None:
    assert list(stages(torchvision.models.resnet50())) == RESNET
    nested = stages(VideoNet())
    assert list(nested) == [*RESNET, "lstm", "attention"]
    assert nested["layer2"].name == "backbone.rnet.layer2"
    assert list(stages(nn.DataParallel(torchvision.models.resnet18()))) == RESNET


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_tiny_patch16_224", ["patch_embed", *(f"blocks.{n}" for n in range(12)), "norm"]),
        ("swin_tiny_patch4_window7_224", ["patch_embed", *(f"layers.{n}" for n in range(4)), "norm"]),
        ("convnext_atto", ["stem", *(f"stages.{n}" for n in range(4))]),
        ("efficientnet_b0", ["conv_stem", "bn1", *(f"blocks.{n}" for n in range(7)), "conv_head", "bn2"]),
        ("regnetx_002", ["stem", "s1", "s2", "s3", "s4"]),
    ],
)
def test_the_stages_of_other_families_are_what_their_papers_call_so(name: str, expected: list[str]) -> None:
    assert list(stages(timm.create_model(name))) == expected


def test_a_plain_chain_of_layers_is_its_own_stages_without_pooling_and_head() -> None:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)]
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), *head)
    assert list(stages(net)) == ["0", "1", "2", "3"]


def test_layers_are_chosen_by_name_ending_pattern_type_and_module() -> None:
    model = VideoNet()
    assert chosen_layers(model, "layer2")["layer2"].name == "backbone.rnet.layer2"
    assert list(chosen_layers(model, ["conv1", "backbone.rnet.layer4", "rnet.layer1.0.relu#1"])) == [
        "conv1",
        "backbone.rnet.layer4",
        "rnet.layer1.0.relu#1",
    ]
    assert list(chosen_layers(model, "layer?")) == ["layer1", "layer2", "layer3", "layer4"]
    assert [layer.name for layer in chosen_layers(model, "layer1.*.conv?").values()] == [
        f"backbone.rnet.layer1.{block}.conv{number}" for block in (0, 1) for number in (1, 2)
    ]
    assert [layer.name for layer in chosen_layers(model, nn.MaxPool2d).values()] == ["backbone.rnet.maxpool"]
    assert list(chosen_layers(model, "LSTM")) == ["lstm"]
    assert [str(layer) for layer in chosen_layers(model, model.backbone.rnet.layer3).values()] == [
        "backbone.rnet.layer3"
    ]
    assert len(chosen_layers(model, [nn.Conv2d, "Conv2d"])) == 20


def test_short_names_are_endings_that_no_other_layer_has() -> None:
    found = chosen_layers(torchvision.models.resnet18(), "BatchNorm2d")
    assert found["layer4.1.bn2"].name == "layer4.1.bn2"
    assert found["bn1"].name == "bn1"
    assert len(found) == 20


@pytest.mark.parametrize(
    ("asked", "near"), [("layer9*", "layer1"), (nn.Conv3d, "Conv2d"), ("Conv9d", "conv1"), ([], "conv1")]
)
def test_a_choice_of_nothing_names_what_there_is(asked: object, near: str) -> None:
    with pytest.raises(LayerError) as raised:
        chosen_layers(torchvision.models.resnet18(), asked)
    assert raised.value.code in {"SW-L30", "SW-L01"}
    assert any(near in name for name in raised.value.near)
