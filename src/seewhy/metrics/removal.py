"""Which places of a record go first, and copies in which the first of them are gone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from seewhy import ops
from seewhy.metrics.asking import Change
from seewhy.metrics.settings import seeded

CONSTANT = 1e-6
"""A map whose values differ by less than this share of the largest magnitude is constant: resizing rounds so much."""
UNCHANGED = "the image is the same as what replaces it"


def ranks(evidence: Float[Tensor, "b *s"], ids: Sequence[str], seed: int = 0) -> Int[Tensor, "b *s"]:
    """The turn of every place, 0 for the one that speaks most; equal places come in an order drawn by seed and id.

    So a constant map removes places in random order, not line by line, and no order of the input decides. Raises
    ``ConfigError`` SW-F252 for a seed that is no whole number.

    Example:
        >>> ranks(torch.tensor([[0.5, 2.0, -1.0]]), ("",)).tolist()
        [[1, 0, 2]]
    """
    values = evidence.detach().flatten(1)
    spread, largest = values.amax(1) - values.amin(1), values.abs().amax(1)
    values = values.masked_fill((spread <= CONSTANT * largest).unsqueeze(1), 0.0)
    count = values.shape[1]
    number = seeded(seed)
    drawn = torch.stack([torch.randperm(count, generator=ops.generator(number, "ties", key)) for key in ids])
    drawn = drawn.to(values.device)
    order = drawn.gather(1, values.gather(1, drawn).argsort(dim=1, descending=True, stable=True))
    turns = torch.arange(count, device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, turns).reshape(evidence.shape)


def counts(places: int, steps: int) -> list[int]:
    """How many of the places are gone after each step, from none to all of them in ``steps`` equal parts.

    Example:
        >>> counts(10, 4)
        [0, 2, 5, 7, 10]
    """
    return [step * places // steps for step in range(steps + 1)]


def replaced(
    image: Float[Tensor, "b c *s"],
    filling: Float[Tensor, "b c *s"],
    turns: Int[Tensor, "b *s"],
    gone: Sequence[int],
) -> Change:
    """Copies of a record in which the places whose turn is before ``gone[k]`` show the filling instead."""
    limits = torch.tensor(gone, device=turns.device)

    def change(row: int, samples: range) -> Float[Tensor, "samples c *s"]:
        limit = limits[samples.start : samples.stop].reshape(-1, *[1] * (turns.ndim - 1))
        return torch.where((turns[row] < limit).unsqueeze(1), filling[row], image[row])

    return change


def area(curve: Float[Tensor, "b n"], fraction: Float64[Tensor, "b n"]) -> Float64[Tensor, " b"]:
    """The area under curves by the trapezoid rule.

    Example:
        >>> area(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.5, 1.0]]).double()).item()
        0.75
    """
    heights = curve.double()
    middles = (heights[:, 1:] + heights[:, :-1]) / 2
    return (middles * fraction.diff(dim=1)).sum(dim=1)


def fractions(gone: Sequence[int], curve: Float[Tensor, "b n"]) -> Float64[Tensor, "b n"]:
    """The share of places that is really gone at each point of the curves."""
    shares = torch.tensor(gone, dtype=torch.float64, device=curve.device) / gone[-1]
    return shares.expand(len(curve), -1)


def unchanged(image: Float[Tensor, "b c *s"], filling: Float[Tensor, "b c *s"]) -> Bool[Tensor, " b"]:
    """Records that their filling leaves as they are, up to rounding: nothing can be learned from removing places."""
    largest = image.abs().flatten(1).amax(dim=1)
    return (image - filling).abs().flatten(1).amax(dim=1) <= CONSTANT * largest
