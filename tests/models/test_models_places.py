"""Tokens that are not in the input's order are seen, and no map is made of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.values import LayerError
from toys import Vit

INPUTS = {"image": torch.randn(2, 2, 32, 24, generator=torch.Generator().manual_seed(3))}


class Reordering(nn.Module):
    """Puts the patch tokens into another order."""

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.order = order

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.order]


def reordered(order: Tensor) -> nn.Module:
    """A transformer whose second block gets its tokens in another order."""
    model = Vit((32, 24), prefix=0)
    model.blocks = nn.Sequential(model.blocks[0], Reordering(order), *model.blocks[1:])
    return model.eval()


def transposed() -> Tensor:
    return torch.arange(48).reshape(8, 6).T.flatten()


def in_windows() -> Tensor:
    """Windows of 2 by 2 cells, one after another."""
    return torch.arange(48).reshape(4, 2, 3, 2).permute(0, 2, 1, 3).flatten()


@pytest.mark.parametrize("order", [transposed(), torch.randperm(48), torch.arange(47, -1, -1)])
def test_no_map_is_made_of_tokens_in_another_order(order: Tensor) -> None:
    adapter = Adapter(reordered(order), INPUTS)
    assert adapter.target_layer.layer == "blocks.0"
    assert "whose cells lie as on the input" in adapter.target_layer.why
    for layer in ("blocks.1", "blocks.2.norm1", "blocks.3", "norm"):
        with pytest.raises(LayerError, match="do not lie in the input's order") as caught:
            adapter.grid(layer)
        assert (caught.value.code, caught.value.near) == ("SW-L19", ("blocks.0",))
    with pytest.raises(LayerError, match="SW-L19"):
        Probe(adapter, []).capture(INPUTS, Wants(activations=("norm",)))


def test_tokens_in_the_inputs_order_are_left_alone() -> None:
    adapter = Adapter(reordered(torch.arange(48)), INPUTS)
    assert adapter.target_layer.layer == "norm"
    assert adapter.grid("norm").size == (8, 6)


def test_tokens_that_all_see_everything_have_no_order_to_be_wrong() -> None:
    class Averaging(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            return tokens.mean(dim=1, keepdim=True).expand_as(tokens) * torch.linspace(1, 2, 48)[:, None]

    model = Vit((32, 24), prefix=0)
    model.blocks = nn.Sequential(model.blocks[0], Averaging())
    assert Adapter(model.eval(), INPUTS).target_layer.layer == "norm"
