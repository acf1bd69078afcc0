"""How much two readings of a layer agree: linear CKA over places or records, and each channel's correlation."""

from __future__ import annotations

import math
from typing import Final

from jaxtyping import Float, Float64, Num
from torch import Tensor

from seewhy.values import ConfigError

FEWEST_UNBIASED: Final = 4
"""The unbiased estimate divides by n - 3."""


def linear_cka(x: Num[Tensor, "n d1"], y: Num[Tensor, "n d2"], *, unbiased: bool = False) -> float:
    """Linear centred kernel alignment of two representations of the same ``n`` examples.

    ``||Yc' Xc||² / (||Xc' Xc|| ||Yc' Yc||)`` with columns centred: 1 for representations that differ by a rotation and
    a scale, near 0 for unrelated ones; Kornblith et al. 2019 (arXiv:1905.00414), eq. 3 with linear kernels. With few
    examples and many features the plain estimate is high for noise as well; ``unbiased`` estimates each product as
    Nguyen et al. 2021 (arXiv:2010.15327), eq. 3 (Song et al. 2012) and can be slightly negative.

    Args:
        x: ``(n, d1)``, an example per row.
        y: ``(n, d2)``, the same examples in the same order.
        unbiased: which estimate; needs four examples.

    Returns:
        The alignment; NaN where a representation does not vary, or ``unbiased`` finds no variation in it.

    Raises:
        ConfigError: ``SW-F164``, not two tables of the same examples, or fewer than 2 (4) of them.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
        >>> round(linear_cka(x, 3 * x.flip(1)), 6)
        1.0
    """
    fewest = FEWEST_UNBIASED if unbiased else 2
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < fewest:
        raise ConfigError(
            "SW-F164",
            f"expected two tables (n, d) of the same examples, {fewest} or more, got {tuple(x.shape)} "
            f"and {tuple(y.shape)}",
            fix="flatten maps to (places, channels): maps.flatten(1).T",
        )
    one, other = _centred(x), _centred(y)
    estimate = _unbiased_product if unbiased else _product
    own = estimate(one, one), estimate(other, other)
    if not min(own) > 0:
        return float("nan")
    return estimate(one, other) / math.sqrt(own[0] * own[1])


def places_as_examples(maps: Num[Tensor, "c *s"]) -> Num[Tensor, "places c"]:
    """Maps of one record as a table with a row for each place; a vector has one place."""
    return maps.reshape(len(maps), -1).T


def channel_correlation(first: Num[Tensor, "c *s"], second: Num[Tensor, "c *s"]) -> Float64[Tensor, " c"]:
    """Pearson's correlation over places of each channel with its counterpart.

    NaN for a channel that is the same at every place in either, as every channel of a vector is.

    Raises:
        ConfigError: ``SW-F165``, the shapes differ.

    Example:
        >>> import torch
        >>> one, other = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]), torch.tensor([[3.0, 2, 1], [1, 2, 3]])
        >>> channel_correlation(one, other).round(decimals=6).tolist()
        [-1.0, nan]
    """
    if first.shape != second.shape or not first.ndim:
        raise ConfigError(
            "SW-F165",
            f"channels can be compared one by one only in layers of one shape, got {tuple(first.shape)} "
            f"and {tuple(second.shape)}",
            fix="extract both at one input size from one architecture",
        )
    one, other = (maps.reshape(len(maps), -1).double() for maps in (first, second))
    constant = (one.amin(1) == one.amax(1)) | (other.amin(1) == other.amax(1))
    one, other = (rows - rows.mean(dim=1, keepdim=True) for rows in (one, other))
    lengths = one.square().sum(dim=1).sqrt() * other.square().sum(dim=1).sqrt()
    return ((one * other).sum(dim=1) / lengths).masked_fill(constant, float("nan"))


def vector_correlation(first: Num[Tensor, " c"], second: Num[Tensor, " c"]) -> float:
    """Pearson's correlation of two vectors over their channels; NaN where one is constant."""
    return float(channel_correlation(first[None], second[None]))


def mean_map(maps: Num[Tensor, "c *s"]) -> Float[Tensor, "*s"]:
    """The mean over channels at each place; of a vector the vector itself."""
    return maps.float() if maps.ndim == 1 else maps.float().mean(dim=0)


def mean_difference(first: Num[Tensor, "c *s"], second: Num[Tensor, "c *s"]) -> Float[Tensor, "*s"]:
    """The mean over channels of ``|first - second|`` at each place; of vectors the differences themselves."""
    apart = (first.float() - second.float()).abs()
    return apart if apart.ndim == 1 else apart.mean(dim=0)


def _centred(table: Num[Tensor, "n d"]) -> Float64[Tensor, "n d"]:
    values = table.double()
    # what does not vary is exactly zero, which a mean subtracted in floating point would miss
    return (values - values.mean(dim=0)).masked_fill(values.amin(dim=0) == values.amax(dim=0), 0.0)


def _product(x: Float64[Tensor, "n d1"], y: Float64[Tensor, "n d2"]) -> float:
    """``||Y'X||²`` of centred tables, over features or over examples, whichever are fewer."""
    if x.shape[1] * y.shape[1] <= len(x) ** 2:
        return float((y.T @ x).square().sum())
    return float(((x @ x.T) * (y @ y.T)).sum())


def _unbiased_product(x: Float64[Tensor, "n d1"], y: Float64[Tensor, "n d2"]) -> float:
    """The unbiased HSIC of linear kernels times ``n(n-3)``, with no ``n × n`` table where features are fewer.

    The estimate does not change when a table is centred, and for centred ones the rows of a kernel without its diagonal
    sum to minus that diagonal.
    """
    count = len(x)
    own, other = x.square().sum(dim=1), y.square().sum(dim=1)
    both = float((own * other).sum())
    return (
        _product(x, y)
        - both
        + float(own.sum()) * float(other.sum()) / ((count - 1) * (count - 2))
        - 2 * both / (count - 2)
    )
