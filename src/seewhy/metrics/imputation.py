"""Missing places as weighted means of their neighbors, solved for all at once by multigrid on the device.

The neighbors of a place weigh what ``[1, 2, 1]`` along every axis gives them: 1/6 beside and 1/12 across in a picture,
1/2 in a signal. Together the missing places of an image obey a linear system, symmetric and positive definite because
at least one place is known. It is solved by conjugate gradients, preconditioned with one multigrid V-cycle. On a
coarser grid a cell is missing where everything in it is, so that no known place is overwritten (McAdams, Sifakis and
Teran 2010, "A parallel multigrid Poisson solver for fluids simulation on large grids", section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

TOLERANCE = 1e-5
"""The error that is left, as a share of the first, in the norm that the system itself defines."""
PASSES = 500
SMOOTHING = {1: 2 / 3, 2: 1.0, 3: 7 / 6}
"""Damping of Jacobi steps by rank: damps the two ends of what a coarser grid cannot hold, ``λ`` of a wave of four
places along one axis and of two along all, alike: ``2 / (λ_low + λ_high)``."""
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def imputed(
    image: Float[Tensor, "n c *s"], missing: Bool[Tensor, "n *s"], *, tolerance: float = TOLERANCE
) -> Float[Tensor, "n c *s"]:
    """Images of rank 1 to 3 whose missing places are the weighted means of their neighbors, known and missing.

    Every image must know at least one place. Neighbors beyond the border do not count. No image's answer depends on
    the others': one that is done waits.

    Example:
        >>> line = torch.tensor([[[1.0, 9.0, 9.0, 4.0]]])
        >>> imputed(line, torch.tensor([[False, True, True, False]])).round(decimals=3).tolist()
        [[[1.0, 2.0, 3.0, 4.0]]]
    """
    working = image.double() if image.dtype == torch.float64 else image.float()
    absent = missing.unsqueeze(1)
    grids = _grids(absent, working)
    finest = grids[0]
    residual = finest.absent * _neighbors(working.masked_fill(absent, 0.0), finest.rank)
    found = torch.zeros_like(working)
    step = improved = _cycle(grids, residual)
    size = first = _dot(residual, improved)
    for _ in range(PASSES):
        going = size > tolerance**2 * first
        if not bool(going.any()):
            break
        forward = finest.apply(step)
        length = torch.where(going, size / _dot(step, forward), 0.0)
        found = torch.addcmul(found, length, step)
        left = torch.addcmul(residual, length, forward, value=-1)
        improved = _cycle(grids, left)
        turned = torch.where(going, _dot(left - residual, improved) / size, 0.0)
        size = torch.where(going, _dot(left, improved), size)
        step, residual = torch.addcmul(improved, turned, step), left
    return torch.where(absent, found.to(image.dtype), image)


@dataclass(frozen=True)
class _Grid:
    """One grid: which cells are missing (1) or known (0), and the weights of the neighbors each cell has."""

    absent: Float[Tensor, "n 1 *s"]
    diagonal: Float[Tensor, "n 1 *s"]
    smoothing: Float[Tensor, "n 1 *s"]

    @property
    def rank(self) -> int:
        return self.absent.ndim - 2

    def apply(self, values: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *s"]:
        """A missing cell less the weighted mean of its neighbors; known cells are 0."""
        return self.diagonal * values - self.absent * _neighbors(values, self.rank)

    def smoothed(self, values: Tensor, wanted: Tensor) -> Float[Tensor, "n c *s"]:
        """One damped Jacobi step towards ``apply(values) == wanted``."""
        return torch.addcmul(values, self.smoothing, wanted - self.apply(values))


def _grids(absent: Bool[Tensor, "n 1 *s"], like: Tensor) -> list[_Grid]:
    """From the finest grid to one of three cells along an axis, or to one without missing cells."""
    grids: list[_Grid] = []
    rank = absent.ndim - 2
    while True:
        cells = absent.to(like)
        weights = _neighbors(torch.ones_like(cells[:1]), rank)
        grids.append(_Grid(cells, cells * weights, SMOOTHING[rank] * cells / torch.where(weights > 0, weights, 1.0)))
        if max(absent.shape[2:]) <= 3 or not bool(absent.any()):
            return grids
        odd = [amount for length in reversed(absent.shape[2:]) for amount in (0, length % 2)]
        absent = _POOL[rank](F.pad(1 - cells, odd), 2) == 0


def _cycle(grids: list[_Grid], wanted: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *s"]:
    """A V-cycle from zero: smooth, correct on the coarser grids, smooth; symmetric, as the preconditioner must be."""
    grid = grids[0]
    values = grid.smoothing * wanted
    if len(grids) == 1:
        for _ in range(8):
            values = grid.smoothed(values, wanted)
        return values
    below = grids[1].absent * _gathered(wanted - grid.apply(values), grid.rank)
    spread = F.interpolate(_cycle(grids[1:], below), scale_factor=2, mode=_LINEAR[grid.rank], align_corners=False)
    for axis, length in enumerate(grid.absent.shape[2:], start=2):
        spread = spread.narrow(axis, 0, length)
    return grid.smoothed(torch.addcmul(values, grid.absent, spread), wanted)


def _neighbors(values: Float[Tensor, "n c *s"], rank: int) -> Float[Tensor, "n c *s"]:
    """The weighted sum of each cell's neighbors; the weights are 1 in total away from the border."""
    sums = values
    for axis in range(2, 2 + rank):
        inner = values.shape[axis] - 1
        twice = 2 * sums
        twice.narrow(axis, 1, inner).add_(sums.narrow(axis, 0, inner))
        twice.narrow(axis, 0, inner).add_(sums.narrow(axis, 1, inner))
        sums = twice
    return sums.sub_(values, alpha=2**rank).div_(4**rank - 2**rank)


def _gathered(values: Float[Tensor, "n c *s"], rank: int) -> Float[Tensor, "n c *t"]:
    """The transpose of doubling a grid by linear interpolation with the edge going on beyond the border."""
    for axis in range(2, 2 + rank):
        if values.shape[axis] % 2:
            values = torch.cat([values, torch.zeros_like(values.narrow(axis, 0, 1))], dim=axis)
        inner = values.shape[axis] // 2 - 1
        pairs = values.reshape(*values.shape[:axis], inner + 1, 2, *values.shape[axis + 1 :])
        first, second = pairs.select(axis + 1, 0), pairs.select(axis + 1, 1)
        sums = 0.75 * (first + second)
        for own, shifted, here, there in ((first, first, 0, 1), (second, second, 1, 0)):
            sums.narrow(axis, here, inner).add_(shifted.narrow(axis, there, inner), alpha=0.25)
            edge = 0 if own is first else inner
            sums.narrow(axis, edge, 1).add_(own.narrow(axis, edge, 1), alpha=0.25)
        values = sums
    return values


def _dot(one: Float[Tensor, "n c *s"], other: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *ones"]:
    total = (one * other).flatten(2).sum(dim=2)
    return total.reshape(*total.shape, *[1] * (one.ndim - 2))
