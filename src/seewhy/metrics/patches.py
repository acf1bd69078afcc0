"""Patches that tile an input of any rank: what metrics replace together, so that a question costs few passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from seewhy.metrics import settings
from seewhy.values import ConfigError

MOST: int = 100
"""So many patches at most where nobody says how large they are."""


@dataclass(frozen=True)
class Patches:
    """Which patch every place belongs to: ``number`` ``(*S)``, from 0 to ``count`` − 1.

    The last patch of an axis is narrower where the side does not divide the axis.

    Example:
        >>> Patches.of((2, 5), 2).number
        tensor([[0, 0, 1, 1, 2],
                [0, 0, 1, 1, 2]])
    """

    number: Int64[Tensor, "*s"]
    count: int

    @classmethod
    def of(cls, size: Sequence[int], side: int | None, device: torch.device | str = "cpu") -> Patches:
        """Patches of the same ``side`` along every axis; None for the smallest side that gives at most :data:`MOST`.

        Raises ``ConfigError`` SW-F250 for a side that is no whole number from 1 on, SW-F251 for an input with less
        than two patches.
        """
        side = smallest_side(size) if side is None else settings.side(side)
        number, count = torch.zeros((1,) * len(size), dtype=torch.long, device=device), 1
        for axis, length in enumerate(size):
            along = torch.arange(length, device=device) // side
            number = number * _number(length, side) + along.reshape(-1, *[1] * (len(size) - axis - 1))
            count *= _number(length, side)
        if count < 2:
            raise ConfigError(
                "SW-F251",
                f"an input of {tuple(size)} places in patches of {side} has nothing to compare: there is {count}",
                fix="make the patch smaller",
            )
        return cls(number, count)

    def sums(self, values: Float[Tensor, "b *s"]) -> Float64[Tensor, "b patches"]:
        """The sum of the values of each patch."""
        flat = values.flatten(1).double()
        return flat.new_zeros((len(flat), self.count)).index_add_(1, self.number.flatten(), flat)

    def where(self, chosen: Bool[Tensor, "n patches"]) -> Bool[Tensor, "n 1 *s"]:
        """The places of the chosen patches, for all channels of an input."""
        return chosen[:, self.number].unsqueeze(1)


def smallest_side(size: Sequence[int]) -> int:
    """The side of the smallest patches of which :data:`MOST` cover the input.

    >>> smallest_side((224, 224)), smallest_side((28, 28)), smallest_side((1000,)), smallest_side((3, 4))
    (23, 3, 10, 1)
    """
    side = 1
    while _count(size, side) > MOST:
        side += 1
    return side


def _count(size: Sequence[int], side: int) -> int:
    count = 1
    for length in size:
        count *= _number(length, side)
    return count


def _number(length: int, side: int) -> int:
    return -(-length // side)
