"""How the demonstration's answers are graded: were they right, and did the map point at the digit?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


def accuracy(predicted: Sequence[int], labels: Sequence[int]) -> float:
    """The share of predictions that equal their label; NaN for none.

    >>> accuracy([3, 1, 4, 1], [3, 1, 4, 5])
    0.75
    """
    hits = [guess == label for guess, label in zip(predicted, labels, strict=True)]
    return sum(hits) / len(hits) if hits else float("nan")


def peak_in_box(values: Float[np.ndarray, "h w"], box: Box, input_size: tuple[int, int]) -> float:
    """1.0 when the centre of the map's highest cell lies in the box, else 0.0: the pointing game, without tolerance.

    ``values`` is a raw map of any resolution over an input of ``input_size`` ``(H, W)`` pixels; ``box`` is
    ``(x0, y0, x1, y1)`` in pixel edges of that input, its lower edges included and its upper ones not, so that boxes
    side by side share no point. Cells that tie share the credit, so a constant map scores what chance would. A map
    with a value that is not finite points nowhere and scores 0.0.

    Source: Zhang et al. 2016, arXiv:1608.00507, section 4.2, there with a tolerance of 15 pixels.

    >>> peak_in_box(np.array([[0.0, 0.0], [0.0, 1.0]]), (32, 32, 64, 64), (64, 64))
    1.0
    """
    if not np.isfinite(values).all():
        return 0.0
    rows, columns = np.nonzero(values == values.max())
    y = (rows + 0.5) * input_size[0] / values.shape[0]
    x = (columns + 0.5) * input_size[1] / values.shape[1]
    x0, y0, x1, y1 = box
    inside = (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
    return float(inside.mean())


def localisation(
    maps: Sequence[NDArray[np.floating]], boxes: Sequence[Box], input_size: tuple[int, int]
) -> tuple[float, float]:
    """The mean of :func:`peak_in_box`, and beside it what constant maps would score; both NaN for no map."""
    if not maps:
        return float("nan"), float("nan")
    pairs = list(zip(maps, boxes, strict=True))
    hits = [peak_in_box(values, box, input_size) for values, box in pairs]
    chance = [peak_in_box(np.zeros_like(values), box, input_size) for values, box in pairs]
    return float(np.mean(hits)), float(np.mean(chance))
