"""Twins of what is computed of boxes: overlap by counting pixels, matching by its definition, local Grad-CAM by loops.

Each takes the implementation under test and returns how far it is from the truth, so that law 9 can break it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from oracles import distance, random
from torch import Tensor

Cam = Callable[[Tensor, Tensor], Tensor]


def overlap_by_counting(iou: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Boxes with whole corners: the pixels in both over the pixels in either."""
    generator = np.random.default_rng(0)
    farthest = 0.0
    for _ in range(30):
        masks, boxes = [], []
        for _ in range(2):
            left, top = generator.integers(0, 10, 2)
            width, height = generator.integers(1, 10, 2)
            mask = np.zeros((20, 20), bool)
            mask[top : top + height, left : left + width] = True
            masks.append(mask)
            boxes.append(torch.tensor([left, top, left + width, top + height], dtype=torch.float64))
        true = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
        farthest = max(farthest, abs(float(iou(*boxes)) - true))
    return farthest


def matching_by_definition(matching: Callable[[Tensor, Tensor, float], Tensor]) -> float:
    """Which candidate is chosen, of many drawn ones: none, the box itself, or the best product."""
    generator = torch.Generator().manual_seed(0)
    wrong = 0
    for trial in range(60):
        overlap = torch.rand(5, generator=generator) * (1.2 if trial % 3 else 0.45)
        overlap = overlap.clamp(max=1.0)
        scores = torch.rand(5, generator=generator)
        scores[trial % 5] = 0
        allowed = [n for n in range(5) if overlap[n] >= 0.5 and scores[n] > 0]
        same = [n for n in allowed if overlap[n] >= 0.999]
        true = max(same or allowed, key=lambda n: float(scores[n] * (1 if same else overlap[n])), default=None)
        weight = matching(overlap, scores, 0.5)
        found = int(weight.argmax()) if float(weight.max()) > 0 else None
        wrong += found != true
    return float(wrong)


def partly_read(seed: int) -> tuple[Tensor, Tensor]:
    """Activations and gradients of which only some cells have any, one channel's being zero at one of these."""
    activations, gradients = random(2, 3, 4, 5, seed=seed), random(2, 3, 4, 5, seed=seed + 1)
    gradients[:, :, :2] = 0
    gradients[0, :, 3, 1:] = 0
    gradients[1, 0, 2, 2] = 0
    return activations, gradients


def local_cam_by_loops(cam: Cam, *, plus_plus: bool = False) -> float:
    activations, gradients = partly_read(3)
    a, g = activations.numpy(), gradients.numpy()
    true = np.zeros((2, 4, 5))
    for b in range(2):
        cells = [(y, x) for y in range(4) for x in range(5) if np.any(g[b, :, y, x] != 0)]
        for c in range(3):
            if plus_plus:
                total = sum(a[b, c, y, x] for y, x in cells)
                places = [(g[b, c, y, x], 2 * g[b, c, y, x] ** 2 + g[b, c, y, x] ** 3 * total) for y, x in cells]
                weight = sum(value**2 / below * max(value, 0) for value, below in places if value != 0)
            else:
                weight = sum(g[b, c, y, x] for y, x in cells) / len(cells)
            for y, x in cells:
                true[b, y, x] += weight * a[b, c, y, x]
    return distance(cam(activations, gradients), true)


def local_cam_of_one_cell(cam: Cam) -> float:
    """Of a score that reads one cell alone, the map is activation times gradient there and zero elsewhere."""
    activations, gradients = random(1, 3, 4, 4, seed=8), torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    gradients[0, :, 1, 2] = random(3, seed=9)
    return distance(cam(activations, gradients), (activations * gradients).sum(dim=1))
