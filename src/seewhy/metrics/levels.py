"""How far up a map's evidence each place reaches, in equal steps of its maximum."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor


def positive(evidence: Float[Tensor, "b *s"]) -> Float64[Tensor, "b *s"]:
    """What speaks for the class; a negative value is no evidence."""
    return evidence.double().clamp(min=0)


def shares_of_maximum(evidence: Float[Tensor, "b *s"]) -> Float64[Tensor, "b *s"]:
    """Each place's evidence as a share of the map's largest; 0 everywhere without evidence."""
    values = positive(evidence)
    largest = values.flatten(1).amax(dim=1).reshape(-1, *[1] * (values.ndim - 1))
    return torch.where(largest > 0, values / largest, 0.0)


def levels_of(evidence: Float[Tensor, "b *s"], count: int) -> Int[Tensor, "b *s"]:
    """How many of the thresholds ``1 / count, 2 / count, …, 1`` of the maximum each place reaches.

    Example:
        >>> levels_of(torch.tensor([[4.0, 3.0, 0.9, -8.0]]), 4).tolist()
        [[4, 3, 0, 0]]
    """
    return torch.bucketize(shares_of_maximum(evidence), thresholds(count, evidence.device), right=True)


def thresholds(count: int, device: torch.device | None = None) -> Float64[Tensor, " count"]:
    """``1 / count, 2 / count, …, 1``."""
    return torch.arange(1, count + 1, dtype=torch.float64, device=device) / count
