"""The connected parts of maps at every threshold at once, and the box around each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float64, Int
from torch import Tensor


@dataclass
class Parts:
    """Cells that were joined so far, as a forest: ``parent`` ``(N,)``, a root being its own.

    A root holds the box of its part, ``first`` and ``after`` ``(N, axes)``: its first cell along every axis and the one
    after its last.
    """

    parent: Int[Tensor, " n"]
    first: Int[Tensor, "n axes"]
    after: Int[Tensor, "n axes"]

    def roots(self, cells: Int[Tensor, " m"]) -> Int[Tensor, " m"]:
        """The roots of some cells, which from then on point at them."""
        found = self.parent[cells]
        while bool((above := self.parent[found]).ne(found).any()):
            self.parent[cells] = above  # chains among the cells themselves halve with every round
            found = above
        return found

    def join(self, one: Int[Tensor, " m"], other: Int[Tensor, " m"]) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
        """Join pairs of cells; the roots that they had, and the root that each of these has now."""
        one, other = self.roots(one), self.roots(other)
        before: Int[Tensor, " k"] = torch.unique(torch.cat([one, other]))
        while one.numel():
            low, high = torch.minimum(one, other), torch.maximum(one, other)
            apart = low != high
            low, high = low[apart], high[apart]
            self.parent.scatter_reduce_(0, high, low, "amin")
            one, other = self.roots(torch.cat([low, high])).chunk(2)
        now = self.roots(before)
        places = now.unsqueeze(1).expand(-1, self.first.shape[1])
        self.first.scatter_reduce_(0, places, self.first[before], "amin")
        self.after.scatter_reduce_(0, places, self.after[before], "amax")
        return before, now


def best_overlaps(
    levels: Int[Tensor, "b *s"], boxes: Int[Tensor, "b axes 2"], count: int
) -> Float64[Tensor, "b count"]:
    """At each threshold the best overlap with ``boxes`` of the box around a connected part: common over joint volume.

    ``levels`` (:func:`seewhy.metrics.levels.levels_of`) tell how many of the ``count`` thresholds each cell reaches.
    Cells that touch at a corner are connected. Parts only ever grow from one threshold to the next lower one, so that
    all are found in one pass over the pairs of neighbours, for all records together. 0 where nothing reaches.

    Example:
        >>> two_parts = torch.tensor([[2, 1, 0, 2, 2]])
        >>> best_overlaps(two_parts, torch.tensor([[[3, 5]]]), 2).tolist()
        [[1.0, 1.0]]
    """
    device, records, cells = levels.device, len(levels), levels[0].numel()
    number = torch.arange(levels.numel(), device=device)
    places = torch.stack(torch.unravel_index(number % cells, levels.shape[1:]), dim=1)
    parts = Parts(number.clone(), places.clone(), places + 1)
    aims = boxes.to(device).repeat_interleave(cells, dim=0)
    one, other, reached = _neighbours(levels)
    cells_from, pairs_from = (_starts(each, count) for each in (levels.flatten(), reached))
    order = levels.flatten().argsort(descending=True)
    overlap = torch.full((levels.numel(),), -1.0, dtype=torch.float64, device=device)
    found = []
    for step in range(count):
        fresh = order[cells_from[step] : cells_from[step + 1]]
        pairs = slice(pairs_from[step], pairs_from[step + 1])
        overlap[fresh] = _overlap(parts, fresh, aims)
        before, now = parts.join(one[pairs], other[pairs])
        overlap[before] = -1.0
        overlap[now] = _overlap(parts, now, aims)
        found.append(overlap.reshape(records, cells).amax(dim=1))
    return torch.stack(found[::-1], dim=1).clamp(min=0)


def _neighbours(levels: Int[Tensor, "b *s"]) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"], Int[Tensor, " m"]]:
    """Pairs of touching cells that reach a threshold, and how many they both reach; the most first."""
    number = torch.arange(levels.numel(), device=levels.device).reshape(levels.shape)
    axes = levels.ndim - 1
    pairs = []
    for step in product((-1, 0, 1), repeat=axes):
        if step > (0,) * axes:  # each pair from one of its ends
            here, there = number, number
            for axis, by in enumerate(step):
                rest = levels.shape[axis + 1] - abs(by)
                here = here.narrow(axis + 1, max(-by, 0), max(rest, 0))
                there = there.narrow(axis + 1, max(by, 0), max(rest, 0))
            pairs.append(torch.stack([here.flatten(), there.flatten()]))
    one, other = torch.cat(pairs, dim=1)
    flat = levels.flatten()
    reached, order = torch.minimum(flat[one], flat[other]).sort(descending=True)
    order = order[reached > 0]
    return one[order], other[order], reached[reached > 0]


def _starts(levels: Int[Tensor, " m"], count: int) -> list[int]:
    """Where the entries of each level begin among those in descending order, from ``count`` down to 1, and end."""
    totals = torch.bincount(levels, minlength=count + 1).flip(0)[:count].cumsum(dim=0)
    return [0, *totals.tolist()]


def _overlap(parts: Parts, roots: Int[Tensor, " m"], aims: Int[Tensor, "n axes 2"]) -> Float64[Tensor, " m"]:
    first, after, aim = parts.first[roots], parts.after[roots], aims[roots]
    common = (torch.minimum(after, aim[..., 1]) - torch.maximum(first, aim[..., 0])).clamp(min=0).prod(dim=1)
    joint = (after - first).prod(dim=1) + (aim[..., 1] - aim[..., 0]).prod(dim=1) - common
    return common.double() / joint
