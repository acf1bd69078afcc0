"""Models of several inputs whose logits are known sums over the inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor, nn

SIZES = {"mnv": (1, 12, 12), "fluid": (3, 8, 16), "ga": (1, 10, 10)}
CLASSES = 3


class SumOfBranches(nn.Module):
    """Each branch: a convolution to two positive features, mean over space, a linear head; the logits are their sum.

    With positive weights and inputs Grad-CAM's map of a branch is positive, and its sum is what the branch adds to the
    logit: sum over space of sum_k (w_k / HW) A_k = w . mean(A).
    """

    def __init__(self) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(3)
        self.calls = 0
        self.branches = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        for name, (channels, _, _) in SIZES.items():
            self.branches[name] = nn.Conv2d(channels, 2, 3, padding=1, bias=False)
            self.heads[name] = nn.Linear(2, CLASSES, bias=False)
        for weight in self.parameters():
            weight.data = torch.rand(weight.shape, generator=drawn) + 0.1

    def parts(self, **inputs: Tensor) -> dict[str, Tensor]:
        """What each input adds to the logits (B, classes)."""
        return {name: self.heads[name](self.branches[name](x).mean((2, 3))) for name, x in inputs.items()}

    def forward(self, mnv: Tensor, fluid: Tensor, ga: Tensor) -> Tensor:
        self.calls += 1
        return sum(self.parts(mnv=mnv, fluid=fluid, ga=ga).values())


class LinearInInputs(nn.Module):
    """The logits are a weighted sum of the pixels of both inputs, so that the gradient is the weight everywhere."""

    def __init__(self) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(4)
        self.left = nn.Parameter(torch.randn(2, 6, 6, generator=drawn))
        self.right = nn.Parameter(torch.randn(2, 4, 4, generator=drawn))

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.einsum("bchw,khw->bk", left, self.left) + torch.einsum("bchw,khw->bk", right, self.right)


def some_inputs(records: int, seed: int = 0) -> dict[str, Tensor]:
    """Positive inputs (B, C, H, W) of different sizes and channels."""
    drawn = torch.Generator().manual_seed(seed)
    return {name: torch.rand(records, *size, generator=drawn) for name, size in SIZES.items()}


def pages_of(path: Path) -> np.ndarray:
    """Every page of an image file, (pages, H, W, 3)."""
    with Image.open(path) as image:
        return np.stack([np.asarray(page.convert("RGB")) for page in ImageSequence.Iterator(image)])


LAYERS = [f"branches.{name}" for name in SIZES]
