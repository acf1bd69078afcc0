"""Layers given as modules, or by the end of their name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seewhy.models.adapter import Adapter
from seewhy.models.layers import Layer, find_layer
from seewhy.values import LayerError
from toys import ConvNet, Vit


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = ConvNet()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.backbone(image)


def test_a_module_is_found_by_identity() -> None:
    model = Vit()
    assert find_layer(model, model.blocks[1].norm1) == Layer("blocks.1.norm1")
    assert find_layer(model, torch.compile(model.blocks[1], backend="eager")) == Layer("blocks.1")
    shared = nn.Sequential(*[nn.ReLU()] * 2)
    assert find_layer(shared, shared[1]) == Layer("0")


def test_an_adapter_takes_the_module_too() -> None:
    model = Wrapped()
    adapter = Adapter(model, {"image": torch.randn(2, 2, 16, 16)})
    assert str(adapter.layer(model.backbone.body)) == "backbone.body"


@pytest.mark.parametrize("stranger", [nn.Linear(2, 2), ConvNet().body])
def test_a_module_of_another_model_is_refused(stranger: nn.Module) -> None:
    with pytest.raises(LayerError, match="not a part of the model") as caught:
        find_layer(ConvNet(), stranger)
    assert caught.value.code == "SW-L17"


def test_the_whole_model_is_no_layer() -> None:
    model = ConvNet()
    with pytest.raises(LayerError, match="SW-L17"):
        find_layer(model, model)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("body", Layer("backbone.body")),
        ("body[-1]", Layer("backbone.body.2")),
        ("stem.1#3", Layer("backbone.stem.1", 3)),
        ("head.input", Layer("backbone.head", 0, "input")),
    ],
)
def test_the_end_of_a_name_will_do_where_only_one_layer_ends_so(name: str, layer: Layer) -> None:
    assert find_layer(Wrapped(), name) == layer


def test_a_full_name_wins_over_the_end_of_another() -> None:
    model = nn.ModuleDict({"body": nn.Linear(1, 1), "other": nn.ModuleDict({"body": nn.Linear(1, 1)})})
    assert find_layer(model, "body") == Layer("body")


@pytest.mark.parametrize(("name", "near"), [("norm1", ("blocks.0.norm1", "blocks.1.norm1", "blocks.2.norm1"))])
def test_an_ambiguous_end_lists_the_matches(name: str, near: tuple[str, ...]) -> None:
    with pytest.raises(LayerError, match="3 layers have a name that ends in 'norm1'") as caught:
        find_layer(Vit(), name)
    assert (caught.value.code, caught.value.near) == ("SW-L16", near)


def test_part_of_a_word_is_no_end_of_a_name() -> None:
    with pytest.raises(LayerError, match="SW-L01"):
        find_layer(Wrapped(), "ody")


def test_a_wrappers_name_in_front_is_let_go_where_the_model_has_no_wrapper() -> None:
    bare = ConvNet()
    last = [name for name, _ in bare.named_modules()][-1]
    assert find_layer(bare, f"backbone.{last}") == find_layer(bare, last)
    with pytest.raises(LayerError) as raised:
        find_layer(Wrapped(), f"backbone.{last}s")
    assert raised.value.code == "SW-L01"
    with pytest.raises(LayerError):
        find_layer(bare, f"layer9.{last}")
