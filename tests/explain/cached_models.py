"""A small model for the cache whose answer depends on everything that people change in a model."""

from __future__ import annotations

from typing import Any

import torch
from friendly_models import PLAIN, black_with_square
from torch import Tensor, nn

from seewhy import ExplanationCache, GradCAM

SQUARE = black_with_square(64, 64, 8, 16)
SCALE = 2.0


class Scaled(nn.Module):
    """Logits ``(s, -s)`` of ``s = brightness * steps * temperature * SCALE``; ``steps`` is larger than 16 KiB."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 1, 8, stride=8, bias=False)
        self.steps = nn.Parameter(torch.linspace(0.5, 1.5, 10_000))
        self.register_buffer("offset", torch.zeros(1))
        self.temperature = 1.0
        with torch.no_grad():
            self.cells.weight.fill_(1 / 192)

    def forward(self, image: Tensor) -> Tensor:
        brightness = self.cells(image).relu().flatten(1).mean(dim=1, keepdim=True) + self.offset
        return scaled(brightness * self.steps.mean(), self.temperature) * torch.tensor([[1.0, -1.0]])


def scaled(values: Tensor, by: float) -> Tensor:
    """What ``forward`` calls outside its class, with a value of this file."""
    return values * by * SCALE


def is_hit(cache: ExplanationCache, explainer: GradCAM, image: Any = SQUARE, **others: Any) -> bool:
    """Whether the answer was there; the cache must not have been passed by."""
    before = cache.stats()
    explainer.explained(image, **others)
    after = cache.stats()
    assert after["hits"] + after["misses"] == before["hits"] + before["misses"] + 1, after["reasons"]
    return bool(after["hits"] > before["hits"])


def explainer_of(cache: ExplanationCache, model: nn.Module, **others: Any) -> GradCAM:
    """Grad-CAM of a model of pictures of 64 × 64."""
    return GradCAM(model, **{"target_layer": "cells", "preprocessing": PLAIN, "cache": cache, **others})
