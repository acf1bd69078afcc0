"""Closed forms and NumPy twins of the metrics that remove places: deletion, AOPC, pixel flipping, IROF, ROAD, drop.

Each takes the metric under test and returns how far it is from the truth, so that law 9 can break it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from oracles import random
from torch import Tensor

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade

Metric = Callable[..., Grade]
Array = NDArray[np.float64]
IDS = ("a", "b")


def wavy(images: Tensor) -> Tensor:
    """A probability that depends on every value and on their neighbors, differently at each place."""
    places = torch.arange(1, images[0].numel() + 1, dtype=images.dtype)
    flat = images.flatten(1)
    return torch.sigmoid((flat * places.cos()).sum(dim=1) / 4 + (flat[:, 1:] * flat[:, :-1]).sum(dim=1) / 10)


def answer(images: Array) -> float:
    """The same of one image in NumPy."""
    flat = images.ravel()
    places = np.cos(np.arange(1, flat.size + 1))
    return float(1 / (1 + np.exp(-((flat * places).sum() / 4 + (flat[1:] * flat[:-1]).sum() / 10))))


def case(*size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Maps without ties, images and what replaces them."""
    return random(2, *size, seed=1), random(2, 3, *size, seed=2), random(2, 3, *size, seed=3)


def off(found: Tensor, true: object) -> float:
    return float(np.abs(found.numpy() - np.asarray(true)).max())


# Deletion and insertion ----------------------------------------------------------------------------------------------


def step_by_step(record: Array, start: Array, end: Array, steps: int) -> tuple[Array, float]:
    """Petsiuk's curve from start to end in the order of a map, by loops, and its area by the trapezoid rule."""
    order = sorted(np.ndindex(record.shape), key=lambda place: -record[place])
    curve, shares = [], []
    for step in range(steps + 1):
        image, moved = start.copy(), step * len(order) // steps
        for place in order[:moved]:
            image[(slice(None), *place)] = end[(slice(None), *place)]
        curve.append(answer(image))
        shares.append(moved / len(order))
    return np.array(curve), float(np.trapezoid(curve, shares))


def curve_against_definition(metric: Metric, *, start: str = "image", steps: int = 7) -> float:
    """Steps that do not divide the number of places, on a picture that is not square."""
    maps, image, filling = case(5, 4)
    found = metric(maps, image, Asking.of(wavy, image), lambda fill: filling, IDS, steps=steps, fill="given")
    ends = (image, filling) if start == "image" else (filling, image)
    true = [step_by_step(*(one[row].numpy() for one in (maps, *ends)), steps) for row in range(2)]
    return max(off(found.details["curve"], [curve for curve, _ in true]), off(found.values, [area for _, area in true]))


def all_is_lost_at_once(deletion: Metric) -> float:
    """A model that needs every value: ``1 - any(x == 0)`` falls at the first step, and the area is half of that."""
    image = random(2, 3, 4, 4).abs() + 1
    model = Asking.of(lambda images: 1 - (images == 0).flatten(1).any(dim=1).double(), image)
    found = deletion(random(2, 4, 4, seed=5), image, model, lambda fill: torch.zeros_like(image), IDS, steps=8)
    return off(found.values, [1 / 16] * 2)


def all_is_won_at_once(insertion: Metric) -> float:
    """A model that any value convinces: ``any(x != 0)`` rises at the first step."""
    image = random(2, 3, 4, 4).abs() + 1
    model = Asking.of(lambda images: (images != 0).flatten(1).any(dim=1).double(), image)
    found = insertion(random(2, 4, 4, seed=5), image, model, lambda fill: torch.zeros_like(image), IDS, steps=8)
    return off(found.values, [15 / 16] * 2)


def mean_of_a_patch(metric: Metric, *, insertion: bool = False) -> float:
    """The mean of ``m`` of ``n`` places, found first: the curve is a ramp over ``m/n``, and its area ``m/2n``."""
    image = torch.ones(2, 3, 6, 8, dtype=torch.float64)
    patch = torch.zeros(6, 8, dtype=torch.bool)
    patch[1:4, 2:6] = True
    maps = patch.double() + random(2, 6, 8).sigmoid() / 2
    model = Asking.of(lambda images: images[:, :, patch].flatten(1).mean(dim=1), image)
    found = metric(maps, image, model, lambda fill: torch.zeros_like(image), IDS, steps=48)
    lost = 12 / 48 / 2
    return off(found.values, [1 - lost if insertion else lost] * 2)


# Regions -------------------------------------------------------------------------------------------------------------


def blocks(record: Array, side: int) -> list[tuple[slice, ...]]:
    """Blocks of a picture, the one with the largest mean first."""
    height, width = record.shape
    found = [
        (slice(top, top + side), slice(left, left + side))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    return sorted(found, key=lambda block: -record[block].mean())


def probabilities_without_blocks(record: Array, image: Array, filling: Array, side: int, steps: int) -> list[float]:
    image, curve = image.copy(), [answer(image)]
    for block in blocks(record, side)[:steps]:
        image[(slice(None), *block)] = filling[(slice(None), *block)]
        curve.append(answer(image))
    return curve


def aopc_against_definition(metric: Metric, *, least_first: bool = False) -> float:
    """``1/(L+1) Σ_{k=0..L} f(x0) - f(xk)`` by loops, on blocks of which those at the edges are smaller."""
    maps, image, filling = case(7, 8)
    found = metric(maps, image, Asking.of(wavy, image), lambda fill: filling, IDS, region=3, steps=5, fill="given")
    signed = -maps if least_first else maps
    true = []
    for row in range(2):
        curve = probabilities_without_blocks(signed[row].numpy(), image[row].numpy(), filling[row].numpy(), 3, 5)
        true.append(sum(curve[0] - point for point in curve) / len(curve))
    return off(found.values, true)


def aopc_of_a_sum(metric: Metric, *, least_first: bool = False) -> float:
    """On a sum of 0.4, 0.3, 0.2 and 0.1, falls of 0.4, 0.7, 0.9 and 1.0 (or 0.1, 0.3, 0.6 and 1.0)."""
    image = torch.tensor([[[0.2, 0.4, 0.1, 0.3]]], dtype=torch.float64)
    model = Asking.of(lambda images: images.flatten(1).sum(dim=1), image)
    found = metric(
        image[:, 0], image, model, lambda fill: torch.zeros_like(image), ("",), region=1, steps=100, fill="black"
    )
    return off(found.values, [(0.1 + 0.3 + 0.6 + 1.0) / 5 if least_first else (0.4 + 0.7 + 0.9 + 1.0) / 5])


def irof_against_definition(irof: Metric) -> float:
    """One less the area under ``f(xk) / f(x0)`` over equal superpixels, by loops, until nothing is left."""
    maps, image, filling = case(6, 6)
    found = irof(
        maps, image, Asking.of(wavy, image), lambda fill: filling, IDS, segments=9, regions="grid", fill="given"
    )
    true = []
    for row in range(2):
        curve = probabilities_without_blocks(maps[row].numpy(), image[row].numpy(), filling[row].numpy(), 2, 9)
        true.append(1 - float(np.trapezoid(np.array(curve) / curve[0], dx=1 / 9)))
    return off(found.values, true)


# ROAD ----------------------------------------------------------------------------------------------------------------


def imputed_by_elimination(image: Array, missing: NDArray[np.bool_]) -> Array:
    """Every missing place is the mean of its neighbors, 1/6 beside and 1/12 across: one dense system."""
    height, width = missing.shape
    places = [place for place in np.ndindex(height, width) if missing[place]]
    number = {place: index for index, place in enumerate(places)}
    left, right = np.zeros((len(places), len(places))), np.zeros((len(places), image.shape[0]))
    for (y, x), index in number.items():
        for down, across in np.ndindex(3, 3):
            other = (y + down - 1, x + across - 1)
            if other == (y, x) or not (0 <= other[0] < height and 0 <= other[1] < width):
                continue
            weight = 1 / 12 if down != 1 and across != 1 else 1 / 6
            left[index, index] += weight
            if missing[other]:
                left[index, number[other]] -= weight
            else:
                right[index] += weight * image[(slice(None), *other)]
    found = image.copy()
    found[:, missing] = np.linalg.solve(left, right).T
    return found


def imputation_against_elimination(imputed: Callable[..., Tensor]) -> float:
    """Holes of many shapes in one batch, up to a picture of which one place is known."""
    image, missing = random(4, 2, 9, 12), random(4, 9, 12, seed=4) < 0.5
    missing[1] = torch.ones(9, 12, dtype=torch.bool).triu(-2)
    missing[2] = True
    missing[2, 8, 0] = False
    missing[3] = False
    found = imputed(image, missing, tolerance=1e-13)
    return off(
        found, [imputed_by_elimination(one.numpy(), hole.numpy()) for one, hole in zip(image, missing, strict=True)]
    )


def road_against_definition(metric: Metric, *, order: str = "both") -> float:
    """The probabilities at 20, 50 and 80 % without noise, by elimination."""
    maps, image, _ = case(6, 5)
    found = metric(maps, image, Asking.of(wavy, image, chunk_size=4), IDS, percentages=(20, 50, 80), noise=0.0)
    true = []
    for record, picture in zip(maps.numpy(), image.numpy(), strict=True):
        kept = {"morf": 0.0, "lerf": 0.0}
        for name, signed in (("morf", -record), ("lerf", record)):
            for share in (0.2, 0.5, 0.8):
                gone = np.zeros(30, dtype=bool)
                gone[np.argsort(signed.ravel())[: round(share * 30)]] = True
                kept[name] += answer(imputed_by_elimination(picture, gone.reshape(6, 5))) / 3
        true.append((kept["lerf"] - kept["morf"]) / 2 if order == "both" else kept[order])
    return off(found.values, true)


# Confidence ----------------------------------------------------------------------------------------------------------


def confidence_against_definition(metric: Metric, what: str) -> float:
    """Of records whose probability falls and rises: ``max(0, Y - O)/Y``, ``Y < O`` and ``max(0, O - Y)/(1 - Y)``."""
    maps, image, filling = random(8, 4, 5, seed=1), random(8, 3, 4, 5, seed=2), random(8, 3, 4, 5, seed=3)
    found = metric(maps, image, Asking.of(wavy, image), lambda fill: filling, fill="given")
    true = []
    for record, picture, rest in zip(maps.numpy(), image.numpy(), filling.numpy(), strict=True):
        heat = np.maximum(record, 0) / record.max()
        clean, left = answer(picture), answer(heat * picture + (1 - heat) * rest)
        forms = {
            "drop": max(0, clean - left) / clean,
            "increase": float(clean < left),
            "gain": max(0, left - clean) / (1 - clean),
        }
        true.append(forms[what])
    assert 0 < sum(value > 0 for value in true) < len(true), "the records must differ"
    return off(found.values, true)
