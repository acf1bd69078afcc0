"""Models and pictures whose explanation can be derived by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, "crop_ratio": 1.0}
"""Preprocessing of a 64 × 64 input in [-1, 1]."""


class Brightness(nn.Module):
    """Logits ``(m, -m)`` of the mean brightness ``m`` over cells of 8 × 8: Grad-CAM of class 0 is the brightness."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 1, 8, stride=8, bias=False)
        self.head = nn.Linear(1, classes, bias=False)
        with torch.no_grad():
            self.cells.weight.fill_(1 / 192)
            self.head.weight.copy_(torch.tensor([[1.0], [-1.0], [0.5]])[:classes])
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        return self.head(self.cells(image).flatten(2).mean(dim=2))


def black_with_square(height: int, width: int, top: int, left: int, side: int = 24) -> np.ndarray:
    """A black picture with one white square."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + side, left : left + side] = 255
    return picture


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture of uniform noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
