"""A segmentation on the pixels a person knows: the class of each and how sure the model is of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32
from torch import Tensor

from seewhy.explain.uncertainty import uncertainty
from seewhy.models.region_target import predicted_labels
from seewhy.render.resize import sampling_matrix
from seewhy.values import Geometry

UNSEEN: Final = -1
"""The label of pixels outside what the model saw."""
_AT_ONCE: Final = 2**24
"""Logits held at the original's resolution at once, at most."""


@dataclass(frozen=True)
class LabelMap:
    """``labels`` ``(H, W)`` are classes, ``UNSEEN`` where not ``valid`` ``(H, W)``; ``uncertainty`` is NaN there."""

    labels: Int32[np.ndarray, "height width"]
    valid: Bool[np.ndarray, "height width"]
    uncertainty: Float32[np.ndarray, "height width"] | None = None

    def shares(self) -> dict[int, float]:
        """The classes present and their share of the pixels the model saw, most frequent first."""
        present, counts = np.unique(self.labels[self.valid], return_counts=True)
        order = np.lexsort((present, -counts))
        total = max(int(counts.sum()), 1)
        return {int(present[one]): float(counts[one] / total) for one in order}

    def mean_uncertainty(self) -> float | None:
        """The mean uncertainty of the pixels the model saw; None where none was asked for."""
        return None if self.uncertainty is None else float(self.uncertainty[self.valid].mean(dtype=np.float64))


def label_map(logits: Float[Tensor, "c h w"], geometry: Geometry, kind: str | None = None) -> LabelMap:
    """Logits read at the centre of every pixel of the original, linearly, then classes and uncertainty made of them.

    Args:
        logits: ``(C, h, w)`` over the model's input, at any resolution.
        geometry: where the input lies on the original.
        kind: ``entropy`` or ``margin``; None for no uncertainty.
    """
    readings = [_matrix(*axis) for axis in zip(
        logits.shape[1:], geometry.input, geometry.original, geometry.scale, geometry.offset, strict=True
    )]  # fmt: skip
    rows, columns = (torch.from_numpy(matrix).to(logits.device, torch.float32) for matrix, _ in readings)
    valid = np.logical_and.outer(*(seen for _, seen in readings))
    across = logits.float() @ columns.T
    height, width = geometry.original
    labels = np.full((height, width), UNSEEN, np.int32)
    unsure = None if kind is None else np.full((height, width), np.nan, np.float32)
    step = max(1, _AT_ONCE // (logits.shape[0] * width))
    for few in (slice(start, start + step) for start in range(0, height, step)):
        found = torch.einsum("yh,chx->cyx", rows[few], across).unsqueeze(0)
        labels[few] = predicted_labels(found)[0].int().cpu().numpy()
        if unsure is not None and kind is not None:
            unsure[few] = uncertainty(found, kind)[0].cpu().numpy()
    labels[~valid] = UNSEEN
    if unsure is not None:
        unsure[~valid] = np.nan
    return LabelMap(labels, valid, unsure)


def _matrix(
    cells: int, length: int, count: int, scale: float, offset: float
) -> tuple[Float32[np.ndarray, "count cells"], Bool[np.ndarray, " count"]]:
    """How the original's pixels read an axis of logits, and which of them lie inside the input."""
    position = (np.arange(count) + 0.5) * scale - offset
    ratio = cells / length
    return sampling_matrix(cells, count, scale * ratio, offset * ratio), (position >= 0) & (position < length)
