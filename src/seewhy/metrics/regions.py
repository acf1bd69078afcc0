"""Regions of places that are removed together: a regular grid, and the mean of a map in each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from seewhy.metrics.removal import ranks


def grid(size: Sequence[int], side: int) -> Int[Tensor, "*s"]:
    """Blocks of ``side`` places along every axis, numbered line by line; those at the far edges may be smaller.

    Example:
        >>> grid((2, 5), 2).tolist()
        [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2]]
    """
    numbers = torch.zeros(tuple(size), dtype=torch.long)
    for axis, length in enumerate(size):
        block = (torch.arange(length) // side).reshape(-1, *[1] * (len(size) - axis - 1))
        numbers = numbers * -(-length // side) + block
    return numbers


def region_means(evidence: Float[Tensor, "b *s"], regions: Int[Tensor, "b *s"]) -> Float64[Tensor, "b r"]:
    """The mean of each map in each of its regions; minus infinity where a record has fewer regions than others.

    Example:
        >>> region_means(torch.tensor([[1.0, 3.0, 5.0]]), torch.tensor([[0, 0, 1]])).tolist()
        [[2.0, 5.0]]
    """
    numbers, values = regions.flatten(1), evidence.detach().flatten(1).double()
    none = values.new_zeros(len(values), int(numbers.max()) + 1)
    sizes = none.scatter_add(1, numbers, torch.ones_like(values))
    sums = none.scatter_add(1, numbers, values)
    return torch.where(sizes > 0, sums / sizes.clamp(min=1), -torch.inf)


def region_ranks(
    evidence: Float[Tensor, "b *s"], regions: Int[Tensor, "b *s"], ids: Sequence[str], seed: int
) -> Int[Tensor, "b *s"]:
    """For every place the turn of its region, 0 for the region whose mean is the largest; equal ones by seed and id.

    Example:
        >>> region_ranks(torch.tensor([[1.0, 3.0, 5.0]]), torch.tensor([[0, 0, 1]]), ("",), 0).tolist()
        [[1, 1, 0]]
    """
    turns = [
        ranks(region_means(evidence[row : row + 1], regions[row : row + 1]), (key,), seed).flatten()[regions[row]]
        for row, key in enumerate(ids)
    ]
    return torch.stack(turns)
