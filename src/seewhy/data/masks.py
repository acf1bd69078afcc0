"""Masks: which pixels belong to the object, from a picture file, and the box around them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from seewhy.data.decoding import decode_values
from seewhy.data.records import Box


def decode_mask(path: Path, max_pixels: int) -> tuple[Bool[np.ndarray, "h w"], str]:
    """True where any channel of a picture is not zero (alpha aside; palettes by index), and the file's revision.

    Raises what :func:`seewhy.data.decoding.decode` raises.
    """
    values, revision = decode_values(path, max_pixels=max_pixels)
    mask: NDArray[np.bool_] = values != 0 if values.ndim == 2 else (values != 0).any(axis=2)
    return mask, revision


def box_of(mask: Bool[np.ndarray, "h w"]) -> Box | None:
    """The tightest ``(x0, y0, x1, y1)`` around the true pixels (edges, so ``x1 - x0`` is a width); None if none is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
