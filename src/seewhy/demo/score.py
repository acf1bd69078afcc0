"""How the demonstration's answers are graded: were they right, and did the map point at the digit?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.metrics.masks import masks_of_boxes
from seewhy.metrics.pointing import pointing_game

Box = tuple[float, float, float, float]


def accuracy(predicted: Sequence[int], labels: Sequence[int]) -> float:
    """The share of predictions that equal their label; NaN for none.

    >>> accuracy([3, 1, 4, 1], [3, 1, 4, 5])
    0.75
    """
    hits = [guess == label for guess, label in zip(predicted, labels, strict=True)]
    return sum(hits) / len(hits) if hits else float("nan")


def localisation(
    maps: Sequence[NDArray[np.floating]], boxes: Sequence[Box], input_size: tuple[int, int]
) -> tuple[float, float]:
    """The mean of the pointing game without tolerance, and beside it what constant maps would score; NaN for no map.

    ``maps`` are raw and of one resolution; ``boxes`` are in pixel edges of an input of ``input_size`` ``(H, W)``. A map
    that is not finite points nowhere and scores 0.

    >>> localisation([np.array([[0.0, 0.0], [0.0, 1.0]])], [(32, 32, 64, 64)], (64, 64))
    (1.0, 0.25)
    """
    if not maps:
        return float("nan"), float("nan")
    values, mask = torch.from_numpy(np.stack(maps)), masks_of_boxes(boxes, input_size)
    hits, chance = (pointing_game(each, mask).values.nan_to_num(0.0) for each in (values, torch.zeros_like(values)))
    return float(hits.mean()), float(chance.mean())
