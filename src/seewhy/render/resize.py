"""Linear resampling of a map of any rank: lines, planes (bilinear), volumes and clips (trilinear), axis by axis.

Coordinates are continuous cell edges, so cell ``i`` has its centre at ``i + 0.5`` (the ``align_corners=False``
convention); beyond the outermost centres the border value continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32, Float64

from seewhy.render.arrays import require_size

Reading = tuple[int, int, float, float]
"""How an axis is read: its length, then count, scale and offset as in :func:`sampling_matrix`."""


def resize(values: Float[np.ndarray, "*cells"], size: tuple[int, ...]) -> Float32[np.ndarray, "*size"]:
    """A map at another size, linear along every axis and without anti-aliasing.

    An axis of one cell is constant, so a volume of one slice has, to the bit, the numbers of that slice as a plane.

    Args:
        values: ``(t,)``, ``(h, w)``, ``(d, h, w)`` and so on, finite numbers; one NaN would reach every cell.
        size: the result's length along each of these axes.

    Returns:
        ``size`` float32, equal to ``torch.nn.functional.interpolate(..., align_corners=False)`` in its mode
        ``linear``, ``bilinear`` or ``trilinear``.

    Raises:
        RenderError: ``SW-R04``, ``size`` has other axes than ``values``.

    Example:
        >>> resize(np.array([0.0, 1.0]), (4,)).tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    size = tuple(size)
    require_size(values, size)
    values = values.astype(np.float32, copy=False)
    if values.shape == size:
        return values.copy()
    if values.ndim == 1:
        return _sampled_line(values, (len(values), size[0], len(values) / size[0], 0.0))
    kept = _varying_axes(values.shape)
    plain = values.squeeze(tuple(axis for axis in range(values.ndim) if axis not in kept))
    resized = _product(plain, [_resize_matrix(values.shape[axis], size[axis]) for axis in kept])
    shape = [size[axis] if axis in kept else 1 for axis in range(values.ndim)]
    return np.broadcast_to(resized.reshape(shape), size).copy() if len(kept) < values.ndim else resized


def resample(values: Float32[np.ndarray, "*cells"], readings: Sequence[Reading]) -> Float32[np.ndarray, "*size"]:
    """A map read at any places of its axes, linear along each.

    Args:
        values: finite numbers, at least one axis.
        readings: for every axis its length, and how many cells are read at which places (:func:`sampling_matrix`).
    """
    if values.ndim == 1:
        return _sampled_line(values, readings[0])
    return _product(values, [sampling_matrix(*reading) for reading in readings])


def sampling_matrix(length: int, count: int, scale: float, offset: float) -> Float32[np.ndarray, "count length"]:
    """The matrix that reads ``count`` pixels from an axis of ``length`` cells.

    Pixel ``i`` reads at ``(i + 0.5) * scale - offset`` on that axis, the affine form of ``values.Geometry``. Each row
    holds at most two weights, which sum to 1.
    """
    position = _positions(length, count, scale, offset)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, length - 1)
    fraction = position - lower
    matrix = np.zeros((count, length))
    pixel = np.arange(count)
    matrix[pixel, lower] = 1 - fraction
    matrix[pixel, upper] += fraction
    return matrix.astype(np.float32)


def _positions(length: int, count: int, scale: float, offset: float) -> Float64[np.ndarray, " count"]:
    """Where each pixel reads, counted in cells from the first cell's centre."""
    position = (np.arange(count) + 0.5) * scale - offset - 0.5
    return position.clip(0, length - 1)


def _sampled_line(values: Float32[np.ndarray, " cells"], reading: Reading) -> Float32[np.ndarray, " count"]:
    # a recording has too many samples for a matrix of count x length
    read: Float32[np.ndarray, " count"] = np.interp(_positions(*reading), np.arange(len(values)), values).astype(
        np.float32
    )
    return read


def _varying_axes(shape: Sequence[int]) -> list[int]:
    """The axes that are interpolated: all but those of one cell, of which as many stay as make a plane."""
    constant = [axis for axis, length in enumerate(shape) if length == 1]
    dropped = constant[: max(0, len(shape) - 2)]
    return [axis for axis in range(len(shape)) if axis not in dropped]


def _product(
    values: Float32[np.ndarray, "*cells"], matrices: Sequence[Float32[np.ndarray, "count length"]]
) -> Float32[np.ndarray, "*counts"]:
    """Every axis times its matrix: the planes of the last two axes first, then the axes before them."""
    rows, columns = matrices[-2:]
    result: Float32[np.ndarray, "*counts"] = rows @ values @ columns.T
    for axis, matrix in enumerate(matrices[:-2]):
        result = np.moveaxis(np.tensordot(matrix, result, (1, axis)), 0, axis)
    return np.ascontiguousarray(result)


@lru_cache(maxsize=32)
def _resize_matrix(length: int, count: int) -> Float32[np.ndarray, "count length"]:
    matrix = sampling_matrix(length, count, length / count, 0.0)
    matrix.flags.writeable = False
    return matrix
