"""Names of layers: indices, calls and sides, and the way back to text."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seewhy.models.adapter import Adapter
from seewhy.models.layers import Layer, find_layer
from seewhy.values import LayerError
from toys import ConvNet, Vit


class WithAnInput(nn.Module):
    """A module whose child is itself called ``input``."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.ModuleDict({"input": nn.Linear(2, 2)})


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("body", Layer("body")),
        ("stem.1", Layer("stem.1")),
        ("stem[1]", Layer("stem.1")),
        ("stem[-1]", Layer("stem.2")),
        ("stem[-1]#2", Layer("stem.2", 2)),
        ("head.input", Layer("head", 0, "input")),
        ("head#1.input", Layer("head", 1, "input")),
        ("stem[0].input", Layer("stem.0", 0, "input")),
    ],
)
def test_names_are_resolved(name: str, layer: Layer) -> None:
    assert find_layer(ConvNet(), name) == layer


def test_indices_reach_into_blocks() -> None:
    assert find_layer(Vit(), "blocks[-1].norm1") == Layer("blocks.2.norm1")
    assert find_layer(Vit(), "blocks[1].mlp[0]") == Layer("blocks.1.mlp.0")


def test_a_child_called_input_is_a_layer() -> None:
    assert find_layer(WithAnInput(), "gate.input") == Layer("gate.input")
    assert find_layer(WithAnInput(), "gate.input.input") == Layer("gate.input", 0, "input")


@pytest.mark.parametrize(
    "layer", [Layer("body"), Layer("stem.2", 3), Layer("head", 0, "input"), Layer("head", 2, "input")]
)
def test_text_and_back(layer: Layer) -> None:
    assert find_layer(ConvNet(), str(layer)) == layer


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("head#one", "SW-L02"),
        ("stem[3]", "SW-L03"),
        ("stem[-4]", "SW-L03"),
        ("stm[0]", "SW-L01"),
        ("heads", "SW-L01"),
        ("", "SW-L01"),
        (".input", "SW-L01"),
    ],
)
def test_wrong_names_are_told_apart(name: str, code: str) -> None:
    with pytest.raises(LayerError) as caught:
        find_layer(ConvNet(), name)
    assert caught.value.code == code


def test_an_embedding_layer_is_checked_before_the_run() -> None:
    class Idle(ConvNet):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.Linear(3, 3)

    adapter = Adapter(Idle(), {"image": torch.randn(2, 2, 8, 8)})
    adapter.check_embedding_layer("outputs")
    adapter.check_embedding_layer("head.input")
    with pytest.raises(LayerError, match="SW-L07"):
        adapter.check_embedding_layer("idle")
