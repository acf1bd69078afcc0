"""How alike two maps are: Spearman's rank correlation, structural similarity, histograms of oriented gradients.

These three are what Adebayo et al. 2018 (arXiv:1810.03292, section 3) compare maps by. Each takes maps of the same
shape and returns one number in [-1, 1] per record, 1 for equal maps; none depends on the scale of a map. A map that is
constant resembles nothing in particular and has no number: NaN, as has one that is not finite.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy.metrics.ranks import average_ranks
from seewhy.values import ConfigError

RADIUS, SIGMA = 5, 1.5
"""Wang's window: 11 cells along every axis, weighted by a Gaussian."""
K1, K2 = 0.01, 0.03
ORIENTATIONS, CELL, BLOCK, CLIP, TINY = 9, 8, 2, 0.2, 1e-5


def spearman(a: Float[Tensor, "b *s"], b: Float[Tensor, "b *s"]) -> Float64[Tensor, " b"]:
    """The correlation of the ranks of two maps' values; equal values share their rank.

    Source: Spearman 1904; Adebayo et al. 2018, arXiv:1810.03292, section 3. Raises ``ConfigError`` SW-F260 for maps of
    different shapes.

    Example:
        >>> round(spearman(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 8.0, 2.0]])).item(), 6)
        0.5
    """
    known = _comparable(a, b)
    first, second = (average_ranks(torch.where(known[:, None], each.flatten(1), 0)) for each in (a, b))
    return _or_nan(correlation(first, second), known)


def correlation(a: Float[Tensor, "b n"], b: Float[Tensor, "b n"]) -> Float64[Tensor, " b"]:
    """Pearson's, row by row; NaN where a row is constant.

    Example:
        >>> round(correlation(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[4.0, 2.0, 0.0]])).item(), 6)
        -1.0
    """
    first, second = (each.double() - each.double().mean(dim=1, keepdim=True) for each in (a, b))
    # Each by its own norm: a product of two norms under one root can underflow.
    found = (first / _norm(first) * (second / _norm(second))).sum(dim=1).clamp(-1, 1)
    return _or_nan(found, ~(_constant(a) | _constant(b)))


def ssim(a: Float[Tensor, "b *s"], b: Float[Tensor, "b *s"]) -> Float64[Tensor, " b"]:
    """The mean structural similarity of two maps, each divided by its largest magnitude.

    Equation 13 of Wang et al. 2004 (Image quality assessment: from error visibility to structural similarity) in
    Gaussian windows of 11 cells that lie within the map; along an axis shorter than that, in the longest odd window
    that fits. The range of values ``L`` is 2 where a map has negative values, and 1 where neither has. Any rank. Raises
    ``ConfigError`` SW-F260 for maps of different shapes.

    Example:
        >>> map = torch.arange(256.0).reshape(1, 16, 16)
        >>> round(ssim(map, 3 * map).item(), 6), ssim(map, -map).item() < 1
        (1.0, True)
    """
    known = _comparable(a, b)
    first, second = _scaled(a), _scaled(b)
    signed = torch.minimum(first, second).flatten(1).amin(dim=1).reshape(-1, *[1] * (a.ndim - 1)) < 0
    wide = 1 + signed.double()
    c1, c2 = (K1 * wide) ** 2, (K2 * wide) ** 2
    mean_a, mean_b, square_a, square_b, product = _windowed(
        torch.stack([first, second, first * first, second * second, first * second])
    )
    means, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    variances, covariance = square_a + square_b - squares, product - means
    local = (2 * means + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return _or_nan(local.flatten(1).mean(dim=1).clamp(-1, 1), known)


def hog_similarity(a: Float[Tensor, "b h w"], b: Float[Tensor, "b h w"], cell: int = CELL) -> Float64[Tensor, " b"]:
    """The correlation of the histograms of oriented gradients of two maps.

    Histograms as in Dalal and Triggs 2005 (Histograms of oriented gradients for human detection): central differences,
    9 orientations without sign, cells of ``cell`` × ``cell``, overlapping blocks of 2 × 2 cells clipped at 0.2
    (L2-Hys); in a map of less than two cells a side, cells are as large as lets two fit. Pearson's correlation of them
    as in Adebayo et al. 2018, arXiv:1810.03292, section 3. Raises ``ConfigError`` SW-F260 for maps of different shapes,
    SW-F261 for maps that are not two-dimensional.

    Example:
        >>> map = torch.arange(1024.0).reshape(1, 32, 32) % 7
        >>> round(hog_similarity(map, 3 * map).item(), 6)
        1.0
    """
    known = _comparable(a, b)
    if a.ndim != 3 or min(a.shape[1:]) < BLOCK:
        raise ConfigError(
            "SW-F261",
            f"oriented gradients are compared of maps (B, H, W) of at least {BLOCK} cells a side, got {tuple(a.shape)}",
            fix="compare maps of another rank by spearman or ssim",
        )
    side = max(1, min(cell, min(a.shape[1:]) // BLOCK))
    return _or_nan(correlation(histograms(_scaled(a), side), histograms(_scaled(b), side)), known)


def histograms(maps: Float64[Tensor, "b h w"], cell: int = CELL) -> Float64[Tensor, "b features"]:
    """The histograms of oriented gradients of every block of 2 × 2 cells (Dalal and Triggs 2005, section 6)."""
    down, across = torch.zeros_like(maps), torch.zeros_like(maps)
    down[:, 1:-1] = maps[:, 2:] - maps[:, :-2]
    across[:, :, 1:-1] = maps[:, :, 2:] - maps[:, :, :-2]
    angle = torch.rad2deg(torch.atan2(down, across)) % 180
    orientation = (angle * ORIENTATIONS / 180).floor().long().clamp(max=ORIENTATIONS - 1)
    each = F.one_hot(orientation, ORIENTATIONS).movedim(-1, 1) * torch.hypot(down, across)[:, None]
    blocks = F.avg_pool2d(each, cell).unfold(2, BLOCK, 1).unfold(3, BLOCK, 1).movedim(1, -1).flatten(3)
    unit = blocks / (blocks.square().sum(dim=3, keepdim=True) + TINY**2).sqrt()
    clipped = unit.clamp(max=CLIP)
    return (clipped / (clipped.square().sum(dim=3, keepdim=True) + TINY**2).sqrt()).flatten(1)


def _windowed(values: Float64[Tensor, "moments b *s"]) -> Float64[Tensor, "moments b *t"]:
    """The Gaussian mean of every window that lies within the map."""
    for axis in range(2, values.ndim):
        length = values.shape[axis]
        radius = min(RADIUS, (length - 1) // 2)
        offsets = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
        kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
        lines = values.movedim(axis, -1)
        found = F.conv1d(lines.reshape(-1, 1, length), (kernel / kernel.sum()).reshape(1, 1, -1))
        values = found.reshape(*lines.shape[:-1], -1).movedim(-1, axis)
    return values


def _scaled(maps: Float[Tensor, "b *s"]) -> Float64[Tensor, "b *s"]:
    """Divided by the largest magnitude; zeros where that is not possible."""
    values = maps.double()
    largest = values.abs().flatten(1).amax(dim=1).reshape(-1, *[1] * (maps.ndim - 1))
    return torch.where(largest.isfinite() & (largest > 0), values / largest, 0.0)


def _comparable(a: Float[Tensor, "b *s"], b: Float[Tensor, "b *s"]) -> Bool[Tensor, " b"]:
    """Which records have two maps that can be compared: finite, neither of them constant."""
    if a.shape != b.shape or a.ndim < 2 or not a[:1].numel():
        raise ConfigError(
            "SW-F260",
            f"maps that are compared must have one shape (B, ...), got {tuple(a.shape)} and {tuple(b.shape)}",
            fix="resize one to the other's size",
        )
    first, second = a.flatten(1), b.flatten(1)
    return (first.isfinite() & second.isfinite()).all(dim=1) & ~(_constant(first) | _constant(second))


def _constant(values: Tensor) -> Bool[Tensor, " b"]:
    return values.amin(dim=1) == values.amax(dim=1)


def _norm(values: Float64[Tensor, "b n"]) -> Float64[Tensor, "b 1"]:
    return values.square().sum(dim=1, keepdim=True).sqrt()


def _or_nan(values: Float64[Tensor, " b"], known: Bool[Tensor, " b"]) -> Float64[Tensor, " b"]:
    return torch.where(known, values, math.nan)
