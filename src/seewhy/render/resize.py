"""Linear resampling of a map of any rank: lines, planes (bilinear), volumes and clips (trilinear), axis by axis.

Coordinates are continuous cell edges, so cell ``i`` has its centre at ``i + 0.5`` (the ``align_corners=False``
convention); beyond the outermost centres the border value continues.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Integer

from seewhy.render.arrays import require_size

Reading = tuple[int, int, float, float]
"""How an axis is read: its length, then count, scale and offset as in :func:`sampling_matrix`."""


def resize(values: Float[np.ndarray, "*cells"], size: tuple[int, ...]) -> Float32[np.ndarray, "*size"]:
    """A map at another size, linear along every axis and without anti-aliasing.

    An axis of one cell is constant, so a volume of one slice has, to the bit, the numbers of that slice as a plane.

    Args:
        values: ``(t,)``, ``(h, w)``, ``(d, h, w)`` and so on, finite numbers; a NaN spreads to all between its
            neighbours.
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
    pairs = zip(values.shape, size, strict=True)
    return resample(values, [(length, count, length / count, 0.0) for length, count in pairs])


def resample(values: Float32[np.ndarray, "*cells"], readings: Sequence[Reading]) -> Float32[np.ndarray, "*size"]:
    """A map read at any places of its axes, linear along each.

    Args:
        values: finite numbers, at least one axis.
        readings: for every axis its length, and how many cells are read at which places (:func:`sampling_matrix`).
    """
    # the axes that grow most come last, so that little is read on the way
    for axis in sorted(range(values.ndim), key=lambda axis: (readings[axis][1] / readings[axis][0], -axis)):
        values = _read_axis(values, axis, readings[axis])
    return values


def _read_axis(values: Float32[np.ndarray, "*cells"], axis: int, reading: Reading) -> Float32[np.ndarray, "*counts"]:
    """One axis read, without products of matrices: their library's threads and the drawing threads would wait for one
    another.
    """
    lower, upper, fraction = _neighbours(*reading)
    read = values.take(lower, axis=axis)
    step = values.take(upper, axis=axis)
    step -= read
    step *= fraction.reshape(-1, *[1] * (values.ndim - 1 - axis))
    read += step
    return read


def sampling_matrix(length: int, count: int, scale: float, offset: float) -> Float32[np.ndarray, "count length"]:
    """The matrix that reads ``count`` pixels from an axis of ``length`` cells.

    Pixel ``i`` reads at ``(i + 0.5) * scale - offset`` on that axis, the affine form of ``values.Geometry``. Each row
    holds at most two weights, which sum to 1.
    """
    lower, upper, fraction = _neighbours(length, count, scale, offset)
    matrix = np.zeros((count, length), np.float32)
    pixel = np.arange(count)
    matrix[pixel, lower] = 1 - fraction
    matrix[pixel, upper] += fraction
    return matrix


def _neighbours(
    length: int, count: int, scale: float, offset: float
) -> tuple[Integer[np.ndarray, " count"], Integer[np.ndarray, " count"], Float32[np.ndarray, " count"]]:
    """The cells below and above the place of each pixel, and the share of the way from one centre to the next."""
    position = ((np.arange(count) + 0.5) * scale - offset - 0.5).clip(0, length - 1)
    lower = np.floor(position).astype(np.intp)
    return lower, np.minimum(lower + 1, length - 1), (position - lower).astype(np.float32)
