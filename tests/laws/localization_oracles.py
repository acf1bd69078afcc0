"""Definitions, place by place, of what localization and complexity metrics measure, in NumPy.

Each oracle takes the implementation under test and returns how far it is from the definition, so that law 9 can break
it. None shares code with what it tests.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from itertools import permutations, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seewhy.metrics.grade import Grade

Metric = Callable[..., Grade]
Array = NDArray[np.float64]


def maps_and_masks(size: tuple[int, ...] = (9, 7), records: int = 5) -> tuple[Tensor, Tensor]:
    """Signed maps with ties (whole numbers), and masks of about a third of the places."""
    drawn = torch.Generator().manual_seed(0)
    maps = torch.randn(records, *size, generator=drawn, dtype=torch.float64).mul(2).round()
    return maps, torch.rand(records, *size, generator=drawn) < 0.3


def furthest(found: Tensor, true: list[float]) -> float:
    """The largest difference; infinite where one is NaN and the other is not."""
    theirs = torch.tensor(true, dtype=torch.float64)
    if not torch.equal(found.isnan(), theirs.isnan()):
        return math.inf
    return float((found - theirs).abs().nan_to_num(0).max())


def rows(maps: Tensor, masks: Tensor) -> list[tuple[Array, NDArray[np.bool_]]]:
    return [(one.numpy().ravel(), other.numpy().ravel()) for one, other in zip(maps, masks, strict=True)]


def mass_by_definition(metric: Metric) -> float:
    """Positive evidence on the object over all positive evidence."""
    maps, masks = maps_and_masks()
    true = []
    for values, inside in rows(maps, masks):
        counted = [max(value, 0.0) for value in values]
        true.append(sum(value for value, on in zip(counted, inside, strict=True) if on) / sum(counted))
    return furthest(metric(maps, masks).values, true)


def rank_by_every_order(metric: Metric) -> float:
    """The mean hit share of the K highest over every order of the places, the highest taken first."""
    drawn = np.random.default_rng(0)
    maps = drawn.integers(-1, 3, size=(6, 6)).astype(float)
    masks = drawn.random((6, 6)) < 0.5
    masks[:, 0] = True
    true = []
    for values, inside in zip(maps.clip(min=0), masks, strict=True):
        count, shares = int(inside.sum()), []
        for order in permutations(range(6)):
            highest = sorted(order, key=lambda place: -values[place])[:count]
            shares.append(sum(inside[place] for place in highest) / count)
        true.append(float(np.mean(shares)))
    return furthest(metric(torch.from_numpy(maps), torch.from_numpy(masks)).values, true)


def overlap_by_sets(metric: Metric, threshold: float = 0.5, cuts: int = 7) -> float:
    """Sets of places cut at a share of the maximum: the value, and the curve beside it."""
    maps, masks = maps_and_masks()
    found = metric(maps, masks, threshold=threshold, cuts=cuts)

    def overlap(values: Array, inside: NDArray[np.bool_], cut: float) -> float:
        shown = {place for place, value in enumerate(values) if value >= cut * values.max()}
        there = set(np.flatnonzero(inside).tolist())
        return len(shown & there) / len(shown | there)

    true = [overlap(values, inside, threshold) for values, inside in rows(maps, masks)]
    curve = [
        [overlap(values, inside, (step + 1) / cuts) for step in range(cuts)] for values, inside in rows(maps, masks)
    ]
    best = [max(line) for line in curve]
    far = float((found.details["curve"] - torch.tensor(curve, dtype=torch.float64)).abs().max())
    return max(far, furthest(found.values, true), furthest(found.details["best"], best))


def area_by_pairs(metric: Metric) -> float:
    """The share of pairs, one place on the object and one beside it, in which the former is higher; half for ties."""
    maps, masks = maps_and_masks()
    true = []
    for values, inside in rows(maps, masks):
        pairs = [(a > b) + 0.5 * (a == b) for a, b in product(values[inside], values[~inside])]
        true.append(float(np.mean(pairs)))
    return furthest(metric(maps, masks).values, true)


def parts_of(shown: NDArray[np.bool_]) -> list[list[tuple[int, ...]]]:
    """Connected parts by a walk from cell to touching cell, also over corners."""
    left, found = {tuple(map(int, place)) for place in np.argwhere(shown)}, []
    while left:
        start = left.pop()
        part, waiting = [start], deque([start])
        while waiting:
            here = waiting.popleft()
            for step in product((-1, 0, 1), repeat=len(here)):
                there = tuple(a + b for a, b in zip(here, step, strict=True))
                if there in left:
                    left.remove(there)
                    part.append(there)
                    waiting.append(there)
        found.append(part)
    return found


def cells_in_box(part: list[tuple[int, ...]]) -> set[tuple[int, ...]]:
    axes = list(zip(*part, strict=True))
    return set(product(*(range(min(axis), max(axis) + 1) for axis in axes)))


def boxes_by_walking(metric: Metric, size: tuple[int, ...] = (9, 7), cuts: int = 5) -> float:
    """At every threshold the best overlap of any connected part's box with the mask's box, as sets of cells."""
    maps, masks = maps_and_masks(size)
    found = metric(maps, masks, cuts=cuts)
    far, true = 0.0, []
    for record, (values, inside) in enumerate(zip(maps.numpy(), masks.numpy(), strict=True)):
        aim = cells_in_box([tuple(map(int, place)) for place in np.argwhere(inside)])
        curve = []
        for step in range(cuts):
            boxes = [cells_in_box(part) for part in parts_of(values >= (step + 1) / cuts * values.max())]
            curve.append(max(len(box & aim) / len(box | aim) for box in boxes))
        line = torch.tensor(curve, dtype=torch.float64)
        far = max(far, float((found.details["box_iou"][record] - line).abs().max()))
        true.append(sum(max(curve) >= fit for fit in (0.3, 0.5, 0.7)) / 3)
    return max(far, furthest(found.values, true))


def divergence_from_a_uniform_object(metric: Metric) -> float:
    """``Σ g log(g / p)`` of a map that is positive everywhere, and ``log(n / k)`` of a constant one."""
    maps, masks = maps_and_masks()
    shown = maps.exp()
    shown[0] = 3.0
    true = []
    for values, inside in rows(shown, masks):
        looked = inside / inside.sum()
        true.append(sum(g * math.log(g / p) for g, p in zip(looked, values / values.sum(), strict=True) if g))
    known = abs(true[0] - math.log(masks[0].numel() / int(masks[0].sum())))
    return max(known, furthest(metric(shown, masks).values, true))


def sparseness_by_differences(metric: Metric) -> float:
    """Half the mean absolute difference over the mean; one-hot, uniform and three shares by hand."""
    maps, _ = maps_and_masks()
    true = [
        float(np.abs(values[:, None] - values).sum() / (2 * len(values) ** 2 * values.mean()))
        for values in (np.abs(one.numpy().ravel()) for one in maps)
    ]
    known = torch.tensor([[0.0, -7.0, 0.0, 0.0], [0.1, 0.1, 0.1, 0.1], [1.0, 0.0, 2.0, 1.0]], dtype=torch.float64)
    return max(furthest(metric(maps).values, true), furthest(metric(known).values, [0.75, 0.0, 0.375]))


def entropy_by_definition(metric: Metric) -> float:
    """``-Σ p log p``; one-hot 0, uniform ``log n``."""
    maps, _ = maps_and_masks()
    shares = [np.abs(one.numpy().ravel()) / np.abs(one.numpy()).sum() for one in maps]
    true = [-sum(p * math.log(p) for p in each if p) for each in shares]
    known = torch.tensor([[0.0, -7.0, 0.0, 0.0], [0.1, 0.1, 0.1, 0.1]], dtype=torch.float64)
    return max(furthest(metric(maps).values, true), furthest(metric(known).values, [0.0, math.log(4)]))


def count_of_places_that_matter(metric: Metric) -> float:
    """Magnitudes above a share of the largest, or above a number, one by one."""
    maps, _ = maps_and_masks()
    relative, absolute = [], []
    for one in maps.abs().numpy():
        relative.append(float(sum(value > 0.4 * one.max() for value in one.ravel())))
        absolute.append(float(sum(value > 1.5 for value in one.ravel())))
    return max(
        furthest(metric(maps, epsilon=0.4).values, relative),
        furthest(metric(maps, epsilon=1.5, relative=False).values, absolute),
    )


def windows_by_loops(similarity: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Structural similarity from every window of 11 × 11, its Gaussian weights written out."""
    a, b = (torch.randn(1, 13, 12, generator=torch.Generator().manual_seed(k), dtype=torch.float64) for k in (0, 1))
    b += a
    one, other = (each[0].numpy() / np.abs(each.numpy()).max() for each in (a, b))
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2, found = (0.01 * 2) ** 2, (0.03 * 2) ** 2, []
    for top, left in product(range(3), range(2)):
        x, y = (each[top : top + 11, left : left + 11] for each in (one, other))
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
        both = (weights * (x - mx) * (y - my)).sum()
        found.append((2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return furthest(similarity(a, b), [float(np.mean(found))])


def ranks_by_counting(similarity: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Pearson's correlation of ranks, each counted as the values below plus half of the equal ones."""
    a, _ = maps_and_masks()
    b = a.flip(0) + a.flip(1)
    true = []
    for one, other in zip(a.numpy(), b.numpy(), strict=True):
        ranked = [[(each < v).sum() + (each == v).sum() / 2 for v in each.ravel()] for each in (one, other)]
        true.append(float(np.corrcoef(ranked)[0, 1]))
    return furthest(similarity(a, b), true)
