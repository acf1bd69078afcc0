"""Bilinear resampling of one plane as two small matrix products, ``rows @ plane @ columns.T``.

Coordinates are continuous pixel edges, so pixel ``i`` has its centre at ``i + 0.5`` (the ``align_corners=False``
convention); beyond the outermost centres the border value continues.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32


def resize(plane: Float[np.ndarray, "h w"], size: tuple[int, int]) -> Float32[np.ndarray, "height width"]:
    """A plane at another size, bilinear and without anti-aliasing.

    Args:
        plane: ``(h, w)`` of finite numbers; one NaN would reach every pixel.
        size: ``(H, W)`` in pixels.

    Returns:
        ``(H, W)`` float32, equal to ``torch.nn.functional.interpolate(..., mode="bilinear", align_corners=False)``.
    """
    plane = plane.astype(np.float32, copy=False)
    if plane.shape == tuple(size):
        return plane.copy()
    rows, columns = _resize_matrix(plane.shape[0], size[0]), _resize_matrix(plane.shape[1], size[1])
    resized: Float32[np.ndarray, "height width"] = rows @ plane @ columns.T
    return resized


def sampling_matrix(length: int, count: int, scale: float, offset: float) -> Float32[np.ndarray, "count length"]:
    """The matrix that reads ``count`` pixels from an axis of ``length`` cells.

    Pixel ``i`` reads at ``(i + 0.5) * scale - offset`` on that axis, the affine form of ``values.Geometry``. Each row
    holds at most two weights, which sum to 1.
    """
    position = (np.arange(count) + 0.5) * scale - offset - 0.5
    position = position.clip(0, length - 1)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, length - 1)
    fraction = position - lower
    matrix = np.zeros((count, length))
    pixel = np.arange(count)
    matrix[pixel, lower] = 1 - fraction
    matrix[pixel, upper] += fraction
    return matrix.astype(np.float32)


@lru_cache(maxsize=32)
def _resize_matrix(length: int, count: int) -> Float32[np.ndarray, "count length"]:
    matrix = sampling_matrix(length, count, length / count, 0.0)
    matrix.flags.writeable = False
    return matrix
