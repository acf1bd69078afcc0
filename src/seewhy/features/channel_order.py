"""Channels of a layer in an order: by their activation, their variance, a number of the caller's, or at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import torch
from jaxtyping import Float, Float64, Num, Shaped
from torch import Tensor

from seewhy.ops import generator
from seewhy.values import ConfigError, nearest

SortBy: TypeAlias = str | Callable[[Tensor], Any]
SORTS: Final = ("activation", "variance", "l1", "random")


def check_sort(sort_by: SortBy) -> None:
    """Raise ``ConfigError`` SW-F200 for an order that nobody knows."""
    if not callable(sort_by) and sort_by not in SORTS:
        raise ConfigError(
            "SW-F200",
            f"Unknown sort_by: {sort_by}",
            near=nearest(str(sort_by), SORTS),
            fix=f"use one of {', '.join(SORTS)}, or a function from maps (C, *S) to one number per channel",
        )


def channel_scores(maps: Num[Tensor, "c *s"], sort_by: SortBy, *, seed: int = 0) -> Float64[Tensor, " c"]:
    """One number per channel, of which the highest comes first.

    Args:
        maps: ``(C, *S)`` raw.
        sort_by: ``"activation"`` the mean over places, ``"variance"`` the population's variance over places, ``"l1"``
            the sum of magnitudes, ``"random"`` numbers that depend on ``seed`` and the number of channels alone, or a
            function of ``maps``.
        seed: of the random order.

    Raises:
        ConfigError: ``SW-F200`` an unknown order, ``SW-F207`` a function that gives no number for each channel.

    Example:
        >>> maps = torch.tensor([[1.0, 1.0], [-3.0, 3.0]])
        >>> [channel_scores(maps, by).tolist() for by in ("activation", "variance", "l1")]
        [[1.0, 0.0], [0.0, 9.0], [2.0, 6.0]]
    """
    check_sort(sort_by)
    if callable(sort_by):
        return _own(sort_by, maps)
    values = maps.double().flatten(1) if maps.ndim > 1 else maps.double()[:, None]
    if sort_by == "activation":
        return values.mean(dim=1)
    if sort_by == "variance":
        return values.var(dim=1, correction=0)
    if sort_by == "l1":
        return values.abs().sum(dim=1)
    return torch.rand(len(values), generator=generator("channel order", seed), dtype=torch.float64)


def highest(scores: Float[Tensor, " c"], count: int) -> list[int]:
    """The channels with the highest scores, of equals the first; those that are no numbers come last.

    Example:
        >>> highest(torch.tensor([1.0, float("nan"), 3.0, 3.0]), 3)
        [2, 3, 0]
    """
    comparable = scores.double().nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    order: list[int] = torch.argsort(comparable, descending=True, stable=True).tolist()
    return order[:count]


def _own(sort_by: Callable[[Tensor], Any], maps: Shaped[Tensor, "c *s"]) -> Float64[Tensor, " c"]:
    found = sort_by(maps)
    try:
        scores = torch.as_tensor(found).double()
    except (TypeError, ValueError, RuntimeError):
        scores = torch.empty(0, dtype=torch.float64)
    if scores.shape != maps.shape[:1]:
        told = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ConfigError(
            "SW-F207",
            f"sort_by must give one number for each of {len(maps)} channels, got {told}",
            fix="write sort_by=lambda maps: maps.flatten(1).amax(dim=1)",
        )
    return scores.detach().cpu()
