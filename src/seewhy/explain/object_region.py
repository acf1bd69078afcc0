"""Where the object is, as a person says it of the picture they know, and as the model's input shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from seewhy.data.geometry import box_to_input, mask_to_input
from seewhy.data.records import Box
from seewhy.metrics.masks import masks_of_boxes
from seewhy.values import ConfigError, Geometry


def region_of(geometry: Geometry, bbox: Sequence[float] | None, mask: Any) -> Bool[Tensor, "h w"] | None:
    """The pixels of the input that belong to the object; None where neither a box nor a mask was given.

    ``bbox`` is ``(x0, y0, x1, y1)`` in pixel edges of the original, ``mask`` an array or tensor of the original's
    size, true (not zero) on the object. What a crop cut off is not there: the region may be empty.

    Raises ``ConfigError`` SW-F228 for what is no box of the picture or for both, SW-F229 for a mask of another size.
    """
    if mask is not None:
        if bbox is not None:
            raise ConfigError("SW-F228", "a box and a mask were given for one picture", fix="give one of them")
        return torch.from_numpy(mask_to_input(_mask(mask, geometry.original), geometry))
    if bbox is None:
        return None
    inside = box_to_input(_box(bbox, geometry.original), geometry)
    if inside is None:
        return torch.zeros(geometry.input, dtype=torch.bool)
    return masks_of_boxes([inside], geometry.input)[0]


def _mask(mask: Any, size: tuple[int, ...]) -> NDArray[np.bool_]:
    given = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
    if given.shape != size:
        raise ConfigError(
            "SW-F229",
            f"the mask is {given.shape}, the picture {size} (height, width)",
            fix="give one value for each pixel of the original picture",
        )
    found: NDArray[np.bool_] = given != 0
    return found


def _box(bbox: Sequence[float], size: tuple[int, ...]) -> Box:
    try:
        x0, y0, x1, y1 = (float(edge) for edge in bbox)
    except (TypeError, ValueError):
        x0, y0, x1, y1 = (float("nan"),) * 4
    if not (0 <= x0 < x1 <= size[1] and 0 <= y0 < y1 <= size[0]):
        raise ConfigError(
            "SW-F228",
            f"bbox={bbox!r} is no box (x0, y0, x1, y1) of a picture {size[1]} wide and {size[0]} high",
            fix="give edges in pixels of the original picture, left before right and top before bottom",
        )
    return x0, y0, x1, y1
