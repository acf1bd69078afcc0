"""Whether layers respond where people looked: maps of a data set's samples beside its gaze points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from seewhy.inspection.data_set import Inspected
from seewhy.metrics.gaze_comparison import GazeComparison, compare_with_gaze
from seewhy.store.files import write_atomic
from seewhy.values import Json

SHOWN: Final = ("model", "centre", "uniform", "chance")


@runtime_checkable
class KnowsGaze(Protocol):
    """A data set of clips that knows where people looked on each frame."""

    def gaze(self, position: int) -> Sequence[NDArray[np.float64]]:
        """For each frame ``(n, 2)`` as ``(x, y)`` in pixels of the input."""
        ...


class GazeAgreement:
    """Gathers one small map per layer and sample; the comparison is over all of them.

    A layer's map is the mean magnitude of its channels.
    """

    def __init__(self, dataset: KnowsGaze) -> None:
        self._dataset = dataset
        self._maps: dict[str, list[Float[Tensor, "h w"]]] = {}
        self._points: list[NDArray[np.float64]] = []
        self._size: tuple[int, ...] = ()

    def add(self, done: Inspected) -> None:
        """Take the samples of one batch."""
        (values,) = done.inputs.values()
        self._size = tuple(values.shape[-2:])
        for (_, step), position in zip(done.pairs, done.positions, strict=True):
            self._points.append(self._dataset.gaze(position)[step])
        for layer, each in done.activations.items():
            if all(one.ndim == 3 for one in each):
                self._maps.setdefault(layer, []).extend(one.abs().mean(dim=0) for one in each)

    def compared(self) -> dict[str, GazeComparison]:
        """KLD, SIM, AUC-Judd and NSS of each layer with space, beside the centre, uniform and chance baselines."""
        return {
            layer: compare_with_gaze(torch.stack(maps), self._points, self._size) for layer, maps in self._maps.items()
        }

    @property
    def looked(self) -> int:
        """How many of the samples have a point at all."""
        return sum(bool(len(points)) for points in self._points)


def write_comparison(found: dict[str, GazeComparison], path: Path) -> None:
    """All rows as JSON; what is not defined is null."""
    rows: list[Json] = [
        {"layer": layer, **{key: None if value != value else value for key, value in row.items()}}
        for layer, comparison in found.items()
        for row in comparison.rows()
    ]
    write_atomic(path, json.dumps(rows, indent=2).encode() + b"\n", durable=False)
