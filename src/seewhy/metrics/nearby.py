"""Copies of records a little way off, and how far their explanations are from the clean ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy import ops
from seewhy.metrics.asking import Asking
from seewhy.metrics.settings import seeded

NO_MAP = "the map is zero everywhere"
NO_UNIT = "the input is constant, and nobody knows how its values came from pixels: no distance is small"

Told = Callable[[Float[Tensor, "n c *s"], Sequence[int]], Float64[Tensor, "n facts"]]
"""Numbers about changed copies of the records with these rows."""


@dataclass(frozen=True)
class Nearby:
    """Copies of records to whose every value uniform noise of at most ``radius`` was added.

    ``unit`` ``(B, C)`` is what 1 is of a channel's values. What is drawn depends on ``seed``, the record's id and the
    number of the sample alone: metrics with the same settings see the same copies.

    Raises ``ConfigError`` SW-F252 for a seed that is no whole number.
    """

    image: Float[Tensor, "b c *s"]
    unit: Float[Tensor, "b c"]
    ids: Sequence[str]
    radius: float
    seed: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", seeded(self.seed))

    def copies(self, row: int, samples: range) -> Float[Tensor, "n c *s"]:
        """Those of one record."""
        return self.image[row] + torch.stack([self._noise(row, one) for one in samples])

    def ask(self, told: Told, like: Asking, samples: int) -> Float64[Tensor, "b samples facts"]:
        """What ``told`` says of every copy, in chunks as ``like`` asks them; no map of a copy is kept."""
        nothing = self.image.new_zeros((len(self.image), 1))
        return Asking(told, nothing, like.chunk_size).each(samples, self.copies)

    @property
    def nowhere(self) -> Bool[Tensor, " b"]:
        """Whether nothing tells how far it is to a copy."""
        return (self.unit <= 0).any(dim=1) & (self.radius > 0)

    @property
    def reach(self) -> Float[Tensor, "b c"]:
        """The most that is added to or taken from a value of each channel, in the input's own unit."""
        return self.radius * self.unit

    def _noise(self, row: int, sample: int) -> Float[Tensor, "c *s"]:
        like = self.image[row]
        drawn = torch.rand(like.shape, generator=ops.generator(self.seed, "nearby", self.ids[row], sample))
        reach = self.reach[row].reshape(-1, *[1] * (like.ndim - 1))
        return (2 * drawn - 1).to(like) * reach


def apart(one: Float[Tensor, "n ..."], other: Float[Tensor, "n ..."]) -> Float64[Tensor, " n"]:
    """The Euclidean distances."""
    return norm(one.double() - other.double())


def norm(values: Float[Tensor, "n ..."]) -> Float64[Tensor, " n"]:
    """The Euclidean lengths."""
    return values.flatten(1).double().square().sum(dim=1).sqrt()
