"""A split of the cluttered digits drawn once into memory: 12 KB per scene, since training revisits every one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from seewhy.data.cluttered_digits import ClutteredDigits


@dataclass(frozen=True)
class Scenes:
    """``images`` ``(N, 3, H, W)`` in 8 bits, and the digit of each."""

    images: UInt8[Tensor, "n 3 h w"]
    labels: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, rows: Int64[Tensor, " b"]) -> Float32[Tensor, "b 3 h w"]:
        """Some scenes as a model sees them: normalised as the data set's default, values in [-1, 1]."""
        return self.images[rows].float() / 127.5 - 1


def draw_scenes(split: str, count: int, seed: int = 0) -> Scenes:
    """The first ``count`` records of a split of ``ClutteredDigits(seed=seed)``, about 1 ms each."""
    digits = ClutteredDigits(counts={split: count}, seed=seed)
    images = np.empty((count, digits.size, digits.size, 3), np.uint8)
    for position in range(count):
        images[position] = digits.picture(digits.read(position).inputs)
    labels = torch.tensor([ref.label for ref in digits.index()])
    return Scenes(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), labels)
