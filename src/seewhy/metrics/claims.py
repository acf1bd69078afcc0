"""What patches of a map claim, beside what the model does when they are replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy.metrics.asking import Asking
from seewhy.metrics.similarity import correlation

ROUNDING: int = 10
"""So many units in the last place of the largest score are no change of it."""

CONSTANT_MAP = "the map says the same of every patch"
CONSTANT_SCORE = "the model answers the same whatever is replaced"

Fill = str | Tensor
Baseline = Callable[[Fill], Float[Tensor, "b c *s"]]
Parts = Callable[[Float[Tensor, "b c *s"]], Float64[Tensor, "b *s"]]


def replaced(
    image: Float[Tensor, "c *s"], baseline: Float[Tensor, "c *s"], where: Bool[Tensor, "n 1 *s"]
) -> Float[Tensor, "n c *s"]:
    """Copies of a record with the baseline at those places."""
    return torch.where(where, baseline, image)


@dataclass(frozen=True)
class Drops:
    """How much the score falls ``(B, n)`` from the clean one, and what of it is rounding ``(B)``."""

    values: Float64[Tensor, "b n"]
    rounding: Float64[Tensor, " b"]

    @classmethod
    def of(cls, asking: Asking, answers: Float[Tensor, "b n"]) -> Drops:
        """From the answers for changed copies."""
        clean = asking.clean.double()
        largest = torch.maximum(clean.abs(), answers.double().abs().amax(dim=1))
        return cls(clean.unsqueeze(1) - answers.double(), ROUNDING * torch.finfo(answers.dtype).eps * largest)

    def part(self, samples: slice) -> Drops:
        """Those of some of the copies."""
        return Drops(self.values[:, samples], self.rounding)

    @property
    def constant(self) -> Bool[Tensor, " b"]:
        """Whether they differ by rounding alone."""
        return (self.values.amax(dim=1) - self.values.amin(dim=1)) <= self.rounding

    def correlation(self, claimed: Float64[Tensor, "b n"]) -> Float64[Tensor, " b"]:
        """Pearson's with what was claimed; NaN where either is constant."""
        return correlation(claimed, self.values).masked_fill(constant(claimed) | self.constant, torch.nan)


def says_nothing(parts: Float64[Tensor, "b *s"], claimed: Float64[Tensor, "b n"]) -> Bool[Tensor, " b"]:
    """Whether a map makes no difference between places, or none between what was replaced."""
    return constant(parts.flatten(1)) | constant(claimed)


def constant(claimed: Float64[Tensor, "b n"]) -> Bool[Tensor, " b"]:
    """Whether claims, sums of float32 values, differ by rounding alone."""
    largest = claimed.abs().amax(dim=1)
    return claimed.amax(dim=1) - claimed.amin(dim=1) <= ROUNDING * torch.finfo(torch.float32).eps * largest
