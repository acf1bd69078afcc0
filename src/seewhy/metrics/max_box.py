"""MaxBoxAccV2: how well a box around a connected part of the map fits the object's box, at the best threshold."""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seewhy.metrics.components import best_overlaps
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.levels import levels_of
from seewhy.metrics.masks import EMPTY, NO_EVIDENCE, boxes_around, empty, fitting
from seewhy.metrics.settings import whole
from seewhy.registry import metric

FITS: Final = (0.3, 0.5, 0.7)
"""The overlaps from which on a box is counted as right; the result is the mean over them."""


@metric(
    "max_box_acc_v2",
    family="localization",
    better="higher",
    range=(0.0, 1.0),
    cite="Choe et al. 2020, arXiv:2007.04178, section 3.2 (MaxBoxAcc: arXiv:2001.07437, section 3.3)",
)
def max_box_acc_v2(evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"], *, cuts: int = 100) -> Grade:
    """How many of the overlaps 0.3, 0.5 and 0.7 a box around one part of the map reaches with the box of the object.

    The parts are the connected ones above each of ``cuts`` thresholds from ``1 / cuts`` of the maximum on, the object's
    box is the one around the mask. A record's value is what the measure of a data set gives for this record alone, the
    best threshold for each overlap; the data set's has one threshold for all records: give
    ``box_iou`` ``(B, cuts)``, the best overlap at every threshold, to :func:`max_box_accuracy`.

    NaN for an empty mask and for a map without a positive value. Raises ``ConfigError`` SW-F252 for cuts below 1,
    SW-F263 for a mask of another shape.

    Example:
        >>> mask = torch.zeros(1, 8, 8, dtype=torch.bool)
        >>> mask[0, 2:5, 1:5] = True
        >>> max_box_acc_v2(mask.float(), mask).values.tolist()
        [1.0]
    """
    count, inside = whole("cuts", cuts, 1), fitting(mask, evidence)
    found = best_overlaps(levels_of(evidence, count), boxes_around(inside), count)
    fits = torch.tensor(FITS, dtype=found.dtype, device=found.device)
    reached = found.amax(dim=1, keepdim=True) >= fits
    undefined = {EMPTY: empty(inside), NO_EVIDENCE: (evidence <= 0).flatten(1).all(dim=1)}
    return graded(reached.double().mean(dim=1), undefined, box_iou=found)


def max_box_accuracy(box_iou: Float[Tensor, "n cuts"]) -> float:
    """MaxBoxAccV2 of a data set, from every record's best overlap at every threshold; NaN for no record.

    For each overlap of :data:`FITS` the threshold at which most records reach it counts; the mean over the overlaps.

    Example:
        >>> max_box_accuracy(torch.tensor([[0.8, 0.2], [0.2, 0.8]]))  # no threshold serves both
        0.5
    """
    if not len(box_iou):
        return float("nan")
    return sum(float((box_iou >= fit).double().mean(dim=0).max()) for fit in FITS) / len(FITS)
