"""Models that say themselves how long a call takes, so that no test looks at a real clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.explain.inference import OptimizedModel, optimize_for_inference

HANDS = [0.0]


class Clocked(nn.Module):
    """conv → ReLU → conv → mean → linear; how long a call takes is what ``seconds`` says of the state it runs in."""

    def __init__(self, seconds: Callable[[bool, bool], float]) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 8, 3, padding=1)
        self.drop = nn.Dropout()
        self.fc = nn.Linear(8, 5)
        self.seconds = seconds
        with torch.no_grad():
            self.fc.weight.abs_()

    def forward(self, image: Tensor) -> Tensor:
        is_channels_last = self.first.weight.is_contiguous(memory_format=torch.channels_last)
        HANDS[0] += self.seconds(is_channels_last, torch.is_autocast_enabled("cpu"))
        return self.fc(self.drop(self.last(self.first(image).relu()).relu().mean(dim=(2, 3))))


def faster_by(layout: float = 1.0, autocast: float = 1.0) -> Clocked:
    """A model whose calls take one second, times these factors in these states."""
    return Clocked(lambda is_last, is_auto: (layout if is_last else 1.0) * (autocast if is_auto else 1.0))


def optimised(model: nn.Module, *args: Any, **settings: Any) -> OptimizedModel:
    return optimize_for_inference(model, *args, clock=lambda: HANDS[0], **settings)
