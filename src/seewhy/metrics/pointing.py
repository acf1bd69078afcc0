"""The pointing game: whether the highest place of a map lies on the object."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Float32, Float64, Int
from torch import Tensor

from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.masks import BROKEN, EMPTY, empty
from seewhy.metrics.settings import real
from seewhy.registry import metric
from seewhy.values import ConfigError


@metric(
    "pointing_game",
    family="localization",
    better="higher",
    range=(0.0, 1.0),
    cite="Zhang et al. 2016, arXiv:1608.00507, section 4.2",
)
def pointing_game(
    native_evidence: Float[Tensor, "b *t"], mask: Bool[Tensor, "b *s"], *, tolerance: float = 0.0
) -> Grade:
    """Whether the centre of the map's highest cell lies on the object: 1, or 0; cells that tie share the credit.

    The map is read at its own resolution, so that the centre of its last cell lies in that cell's own part of the
    input. A hit is a pixel at most ``tolerance`` pixels from the object, centre to centre; the paper's 15 are meant for
    photographs, and would reach most of a small input. A constant map scores what chance would. ``max_location``
    ``(B, axes)`` is the centre of the highest cell, the first of those that tie, in pixel edges of the input.

    NaN without a mask. Raises ``ConfigError`` SW-F253 for a tolerance below 0, SW-F263 for a mask of another rank.

    Example:
        >>> map, mask = torch.eye(7)[None, 6:].expand(1, 7, 7), torch.zeros(1, 224, 224, dtype=torch.bool)
        >>> mask[:, :, 200:] = True
        >>> pointing_game(map, mask).values.tolist()
        [1.0]
    """
    reach = real("tolerance", tolerance)
    if mask.ndim != native_evidence.ndim:
        raise ConfigError(
            "SW-F263",
            f"the mask {tuple(mask.shape)} does not lie on the map {tuple(native_evidence.shape)}",
            fix="give one value for each place of the input",
        )
    size = tuple(mask.shape[1:])
    hits = within(mask, reach)
    for axis, pixels in enumerate(_pixels(native_evidence, size)):
        hits = hits.index_select(axis + 1, pixels)
    flat = native_evidence.flatten(1)
    tied = flat == flat.amax(dim=1, keepdim=True)
    credit = (tied & hits.flatten(1)).sum(dim=1).double() / tied.sum(dim=1)
    undefined = {BROKEN: ~flat.isfinite().all(dim=1), EMPTY: empty(mask)}
    return graded(credit, undefined, max_location=_centres(tied.int().argmax(dim=1), native_evidence, size))


def within(mask: Bool[Tensor, "b *s"], reach: float) -> Bool[Tensor, "b *s"]:
    """The places at most ``reach`` from one that is marked, centre to centre.

    Example:
        >>> within(torch.tensor([[False, False, False, True]]), 1.5).int().tolist()
        [[0, 0, 1, 1]]
    """
    squared: Float32[Tensor, "b *s"] = torch.where(mask, 0.0, math.inf)
    for axis in range(1, mask.ndim):
        before = squared
        squared = before.clone()
        for step in range(1, min(math.floor(reach), mask.shape[axis] - 1) + 1):
            rest = mask.shape[axis] - step
            near, far = before.narrow(axis, 0, rest) + step**2, before.narrow(axis, step, rest) + step**2
            for start, other in ((step, near), (0, far)):
                part = squared.narrow(axis, start, rest)
                part.copy_(torch.minimum(part, other))
    return squared <= reach**2


def _pixels(maps: Float[Tensor, "b *t"], size: tuple[int, ...]) -> list[Int[Tensor, " cells"]]:
    """For each axis the pixel that holds the centre of each cell."""
    lengths = zip(maps.shape[1:], size, strict=True)
    return [(2 * torch.arange(cells, device=maps.device) + 1) * pixels // (2 * cells) for cells, pixels in lengths]


def _centres(cells: Int[Tensor, " b"], maps: Float[Tensor, "b *t"], size: tuple[int, ...]) -> Float64[Tensor, "b axes"]:
    numbers = torch.unravel_index(cells, maps.shape[1:])
    lengths = zip(numbers, maps.shape[1:], size, strict=True)
    return torch.stack([(number.double() + 0.5) * pixels / count for number, count, pixels in lengths], dim=1)
