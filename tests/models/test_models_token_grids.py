"""Grids of tokens that no layer ever put out as a picture: merged tokens, and patches cut finer than the tokens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seewhy.models.adapter import Adapter
from seewhy.models.grid import Grid, grid_of
from toys import Block


@pytest.mark.parametrize(
    ("tokens", "seen", "expected"),
    [
        (64, [(8, 8)], Grid("tokens", (8, 8))),
        (16, [(8, 8)], Grid("tokens", (4, 4))),  # four merged into one
        (17, [(16, 16)], Grid("tokens", (4, 4), 1)),  # patches of patches, and a class token
        (18, [(16, 16)], Grid("tokens", (4, 4), 2)),
        (20, [(16, 16)], None),  # more than a class and a distillation token beside a grid nobody saw
        (12, [(8, 8)], None),
        (69, [(8, 8)], Grid("tokens", (8, 8), 5)),
    ],
)
def test_tokens_are_explained_by_a_grid_seen_or_by_even_patches(
    tokens: int, seen: list[tuple[int, int]], expected: Grid | None
) -> None:
    assert grid_of((2, tokens, 8), (64, 64), token_grids=seen) == expected


class Merging(nn.Module):
    """Tokens of 4 by 4 pixels; between its blocks the four tokens of each square become one, by reshaping."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.first, self.second = nn.Conv2d(2, 8, 4, stride=4), Block(8, 2, "fused"), Block(8, 2, "fused")
        self.merge, self.head = nn.Linear(32, 8), nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.first(self.patch(image).flatten(2).transpose(1, 2))
        squares = tokens.reshape(len(image), 4, 2, 4, 2, 8).transpose(2, 3).flatten(3).flatten(1, 2)
        return self.head(self.second(self.merge(squares)).mean(dim=1))


def test_merged_tokens_have_a_grid_of_their_own() -> None:
    adapter = Adapter(Merging(), {"image": torch.randn(2, 2, 32, 32)})
    assert adapter.target_layer.layer == "second"
    assert adapter.grid("second") == Grid("tokens", (4, 4))
    assert adapter.grid("first") == Grid("tokens", (8, 8))
