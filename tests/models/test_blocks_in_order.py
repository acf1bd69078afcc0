"""Models cut into blocks: in the order in which they run, every parameter tensor in one block."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from seewhy.models.adapter import Adapter
from seewhy.models.blocks_in_order import Block, blocks_in_order
from toys import ConvNet


def blocks_of(model: nn.Module, *shape: int, most: int = 14) -> tuple[Block, ...]:
    found = blocks_in_order(Adapter(model.eval(), {"image": torch.randn(2, *shape)}), most)
    tensors = [name for block in found for name in block.tensors]
    assert sorted(tensors) == sorted(name for name, _ in model.named_parameters())
    return found


def names_of(model: nn.Module, *shape: int, most: int = 14) -> list[str]:
    return [block.name for block in blocks_of(model, *shape, most=most)]


def test_a_vit_is_its_head_its_twelve_blocks_and_what_comes_before() -> None:
    found = blocks_of(timm.create_model("vit_tiny_patch16_224"), 3, 224, 224)
    inner = [f"blocks.{number}" for number in range(11, -1, -1)]
    assert [block.name for block in found] == ["norm + head", *inner, "cls_token + pos_embed + patch_embed"]
    assert found[-1].tensors == ("cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias")


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_resnet_is_its_stages(name: str) -> None:
    model = timm.create_model(name)
    assert names_of(model, 3, 64, 64) == ["fc", "layer4", "layer3", "layer2", "layer1", "conv1 + bn1"]


def test_two_branches_are_opened_together() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 2)  # registered first, runs last
            self.second, self.first = (
                nn.Sequential(*(nn.Conv2d(3 if depth == 0 else 4, 4, 3) for depth in range(4))) for _ in range(2)
            )

        def forward(self, image: Tensor) -> Tensor:
            both = self.first(image), self.second(image)
            return self.head(torch.cat([one.flatten(2).mean(dim=2) for one in both], dim=1))

    inner = [f"{branch}.{number}" for branch in ("second", "first") for number in (3, 2, 1, 0)]
    assert names_of(Two(), 3, 16, 16) == ["head", *inner]


def test_what_runs_last_comes_first_wherever_it_was_registered() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.body, self.stem = nn.Linear(4, 2), nn.Conv2d(4, 4, 1), nn.Conv2d(3, 4, 1)
            self.unused = nn.Linear(2, 2)

        def forward(self, image: Tensor) -> Tensor:
            return self.head(self.body(self.stem(image)).flatten(2).mean(dim=2))

    assert names_of(Backwards(), 3, 4, 4) == ["unused", "head", "body", "stem"]


def test_norms_lie_with_the_layer_before_them_or_with_what_follows() -> None:
    plain = ConvNet()
    assert names_of(plain, 2, 8, 8) == ["head", "body.0 + body.1", "stem.0 + stem.1"]
    before = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(48, 2))
    assert names_of(before, 2, 4, 4) == ["3", "0 + 1"]


def test_models_of_one_layer_and_of_none() -> None:
    assert names_of(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), 1, 4, 4) == ["the whole model"]
    assert blocks_of(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 3, 4, 4)[0].tensors == ()


def test_a_shared_tensor_lies_in_the_block_nearest_the_outputs() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(32, 2))
    model[2].weight = model[0].weight
    assert [block.tensors for block in blocks_of(model, 2, 4, 4)] == [
        ("4.weight", "4.bias"),
        ("0.weight", "2.bias"),
        ("0.bias",),
    ]


@pytest.mark.parametrize("most", [1, 3, 7])
def test_no_more_blocks_than_asked_for(most: int) -> None:
    model = nn.Sequential(*(nn.Conv2d(2, 2, 1) for _ in range(12)), nn.Flatten(), nn.Linear(32, 2))
    found = blocks_of(model, 2, 4, 4, most=most)
    assert len(found) == most
    # Still from the last layer to the first.
    order = [int(name.split(".")[0]) for block in reversed(found) for name in block.tensors]
    assert order == sorted(order)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_scripted_model_is_cut_in_the_order_of_registration() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(32, 2)).eval()
    scripted = torch.jit.trace(model, torch.zeros(2, 2, 4, 4))
    assert [name for block in blocks_of(scripted, 2, 4, 4) for name in block.tensors][:1] == ["2.weight"]
