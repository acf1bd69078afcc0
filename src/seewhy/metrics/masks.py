"""Where an object is: masks from boxes, boxes around masks, and what a map must have to be held against them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from seewhy.values import ConfigError

EMPTY: Final = "the mask is empty"
FULL: Final = "the mask covers everything"
NO_EVIDENCE: Final = "the map has no positive value"
BROKEN: Final = "the map holds NaN or infinite values"


def masks_of_boxes(boxes: Tensor | Sequence[Sequence[float]], size: Sequence[int]) -> Bool[Tensor, "b h w"]:
    """The pixels of a picture of ``size`` ``(H, W)`` whose centre lies in each box ``(x0, y0, x1, y1)``.

    Boxes are in pixel edges: ``(0, 0, 1, 1)`` is the first pixel. Lower edges belong to a box and upper ones do not,
    so that boxes side by side share no pixel; what lies outside the picture is not there.

    Raises ``ConfigError`` SW-F262 for what are no boxes ``(B, 4)``: edges that are not finite, or in the wrong order.

    Example:
        >>> masks_of_boxes([(1, 0, 3, 1)], (2, 4)).int().tolist()
        [[[0, 1, 1, 0], [0, 0, 0, 0]]]
    """
    edges = _edges(boxes)
    height, width = size
    down, across = (torch.arange(length, device=edges.device, dtype=edges.dtype) + 0.5 for length in (height, width))
    x0, y0, x1, y1 = edges.T[:, :, None]
    found: Bool[Tensor, "b h w"] = ((y0 <= down) & (down < y1))[:, :, None] & ((x0 <= across) & (across < x1))[:, None]
    return found


def _edges(boxes: Tensor | Sequence[Sequence[float]]) -> Float64[Tensor, "b 4"]:
    try:
        edges = torch.as_tensor(boxes).detach().double().reshape(len(boxes), 4)
    except (RuntimeError, TypeError, ValueError) as error:
        raise _no_boxes(f"boxes must be numbers (B, 4): {error}") from error
    if not bool(edges.isfinite().all()) or bool((edges[:, 2:] < edges[:, :2]).any()):
        raise _no_boxes("an edge of a box is not finite, or its upper edges come before its lower ones")
    return edges


def _no_boxes(message: str) -> ConfigError:
    return ConfigError("SW-F262", message, fix="give (x0, y0, x1, y1) in pixels, one box for each record")


def boxes_around(mask: Bool[Tensor, "b *s"]) -> Int[Tensor, "b axes 2"]:
    """The first cell of each mask along every axis, and the one after its last; ``(0, 0)`` where it is empty.

    Example:
        >>> boxes_around(torch.tensor([[[0, 0, 0], [0, 1, 1]]]).bool()).tolist()
        [[[1, 2], [1, 3]]]
    """
    ends = []
    for axis in range(1, mask.ndim):
        filled = mask.movedim(axis, 1).reshape(len(mask), mask.shape[axis], -1).any(dim=2)
        number = torch.arange(filled.shape[1], device=mask.device)
        first = torch.where(filled, number, filled.shape[1]).amin(dim=1)
        after = torch.where(filled, number + 1, 0).amax(dim=1)
        ends.append(torch.stack([torch.where(after > 0, first, 0), after], dim=1))
    return torch.stack(ends, dim=1)


def fitting(mask: Bool[Tensor, "b *s"], evidence: Float[Tensor, "b *s"]) -> Bool[Tensor, "b *s"]:
    """The mask, which must have the map's shape; raises ``ConfigError`` SW-F263 otherwise."""
    if mask.shape != evidence.shape:
        raise ConfigError(
            "SW-F263",
            f"the mask {tuple(mask.shape)} does not lie on the map {tuple(evidence.shape)}",
            fix="give one value for each place of the input",
        )
    return mask.bool()


def empty(mask: Bool[Tensor, "b *s"]) -> Bool[Tensor, " b"]:
    """Which masks mark nothing."""
    return ~mask.flatten(1).any(dim=1)
