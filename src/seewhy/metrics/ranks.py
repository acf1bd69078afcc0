"""Ranks of values, in which equal ones share theirs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor


def average_ranks(values: Float[Tensor, "b n"]) -> Float64[Tensor, "b n"]:
    """The place of each value among those of its row, the lowest first from 1; equal values have the mean of theirs.

    The mean is that over all orders of the equal ones, so that no order of the input decides. Values must be finite.

    Example:
        >>> average_ranks(torch.tensor([[0.5, 9.0, 0.5, -1.0]])).tolist()
        [[2.5, 4.0, 2.5, 1.0]]
    """
    ordered, places = values.sort(dim=1)
    number = torch.arange(values.shape[1], device=values.device).expand_as(places)
    new = torch.ones_like(places, dtype=torch.bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    last = new.roll(-1, dims=1)  # the first of all is always new, so the last of all ends its group
    first_of_group = torch.where(new, number, 0).cummax(dim=1).values
    last_of_group = torch.where(last, number, values.shape[1]).flip(1).cummin(dim=1).values.flip(1)
    ranks = (first_of_group + last_of_group).double() / 2 + 1
    return torch.empty_like(ranks).scatter_(1, places, ranks)


def among_the_highest(values: Float[Tensor, "b n"], count: Int[Tensor, " b"]) -> Float64[Tensor, "b n"]:
    """How much each value belongs to the ``count`` highest of its row: 1, or 0, or the same share for equal ones.

    The share is the chance to belong when equal values are put in a random order; a row sums to its count.

    Example:
        >>> among_the_highest(torch.tensor([[9.0, 5.0, 1.0, 5.0]]), torch.tensor([2])).tolist()
        [[1.0, 0.5, 0.0, 0.5]]
    """
    ordered = values.sort(dim=1, descending=True).values
    lowest = ordered.gather(1, (count - 1).clamp(min=0).unsqueeze(1))
    above, tied = values > lowest, values == lowest
    left = (count - above.sum(dim=1)).double().clamp(min=0)
    return above.double() * (count > 0).unsqueeze(1) + tied * (left / tied.sum(dim=1)).unsqueeze(1)
