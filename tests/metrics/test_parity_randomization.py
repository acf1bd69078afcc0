"""Drawing weights afresh beside quantus 0.6.0: what it leaves as it was, in which order, and what else it changes."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from seewhy.metrics.parameter_randomization import stages_of
from seewhy.models.adapter import Adapter
from seewhy.models.blocks_in_order import blocks_in_order
from seewhy.models.randomized import randomized

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Before the surroundings of the first test are looked at: OpenCV, which comes along, sets variables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("quantus", reason="quantus is not installed")


def their_turns(model: nn.Module) -> list[tuple[str, dict[str, Tensor]]]:
    """The name of what quantus draws afresh, turn by turn, and all parameters after it."""
    from quantus.helpers.model.pytorch_model import PyTorchModel

    with torch.random.fork_rng(devices=[]):
        turns: Any = PyTorchModel(model, channel_first=True).get_random_layer_generator()
        return [(name, {key: one.detach().clone() for key, one in copy.named_parameters()}) for name, copy in turns]


def vit() -> nn.Module:
    model = timm.create_model("vit_tiny_patch16_224", depth=3, img_size=64)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.mul_(1 + 0.3 * torch.randn_like(tensor)).add_(0.01 * torch.randn_like(tensor))
    return model.eval()


def is_constant(tensor: Tensor) -> bool:
    return bool((tensor == tensor.flatten()[0]).all())


def test_quantus_leaves_tokens_as_they_are_and_norms_at_constants() -> None:
    model = vit()
    own = dict(model.named_parameters())
    _, left = their_turns(model)[-1]
    assert [name for name in own if torch.equal(left[name], own[name])] == ["cls_token", "pos_embed"]
    # Both tensors of two norms in each of three blocks, and of the one before the head.
    assert sum(is_constant(left[name]) for name in own) == 2 * (2 * 3 + 1)
    adapter = Adapter(model, {"image": torch.randn(2, 3, 64, 64)})
    *_, last = randomized(adapter, blocks_in_order(adapter))
    assert [name for name, one in last.named_parameters() if torch.equal(one, own[name]) or is_constant(one)] == []


def test_quantus_gives_layers_of_one_shape_the_same_weights() -> None:
    model = vit()
    _, theirs = their_turns(model)[-1]
    assert torch.equal(theirs["blocks.0.attn.qkv.weight"], theirs["blocks.1.attn.qkv.weight"])
    adapter = Adapter(model, {"image": torch.randn(2, 3, 64, 64)})
    *_, last = randomized(adapter, blocks_in_order(adapter))
    first, second = (last.get_parameter(f"blocks.{row}.attn.qkv.weight").flatten() for row in (0, 1))
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 5 / len(first) ** 0.5


def test_quantus_goes_by_registration_and_not_by_execution() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.stem = nn.Linear(4, 2), nn.Conv2d(3, 4, 1)

        def forward(self, image: Tensor) -> Tensor:
            return self.head(self.stem(image).flatten(2).mean(dim=2))

    model = Backwards().eval()
    assert [name for name, _ in their_turns(model)] == ["stem", "head"]
    assert stages_of(Adapter(model, {"image": torch.randn(2, 3, 4, 4)})) == ("head", "stem")


def test_quantus_reseeds_everybodys_generator() -> None:
    from quantus.helpers.model.pytorch_model import PyTorchModel

    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
    with torch.random.fork_rng(devices=[]):
        drawn = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            turns: Any = PyTorchModel(model, channel_first=True).get_random_layer_generator()
            list(turns)
            drawn.append(torch.rand(()))
        assert drawn[0] == drawn[1]
