"""Where the object is in an input of each record of a batch, from the records' masks and boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from seewhy.data.records import Record
from seewhy.metrics.masks import masks_of_boxes

NO_MASK = "the record has no mask or box"


def regions_of(records: Sequence[Record], size: Sequence[int]) -> tuple[Bool[Tensor, "b *s"], tuple[bool, ...]]:
    """The object in each record's input of this size, and which of the records tell; nothing marked where one does not.

    A mask is of the input that has its size. A box is of a record's only input with space, a picture, and holds the
    pixels whose centre lies in it.
    """
    found = torch.zeros(len(records), *size, dtype=torch.bool)
    told = []
    for row, record in enumerate(records):
        region = _region(record, tuple(size))
        told.append(region is not None)
        if region is not None:
            found[row] = region
    return found, tuple(told)


def _region(record: Record, size: tuple[int, ...]) -> Bool[Tensor, "*s"] | None:
    if record.mask is not None and record.mask.shape == size:
        return torch.from_numpy(np.ascontiguousarray(record.mask, dtype=np.bool_))
    spatial = [tensor for tensor in record.inputs.values() if tensor.ndim >= 2]
    if record.mask is None and record.box is not None and len(size) == 2 and len(spatial) <= 1:
        return masks_of_boxes([record.box], size)[0]
    return None
