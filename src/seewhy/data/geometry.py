"""From an original picture to a model's input: where it lands, and the same move for pixels, boxes and masks.

Every function takes the one ``Geometry`` (``input = original * scale - offset``, continuous pixel edges), so that what
is aligned on the original stays aligned on the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray
from PIL import Image

from seewhy.data.records import Box
from seewhy.values import Geometry

Size = tuple[int, int]

INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "hamming": Image.Resampling.HAMMING,
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
}


def centre_crop(original: Size, size: Size, ratio: float = 1.0) -> Geometry:
    """Resize until ``size / ratio`` is covered, then keep the centre: for a square, torchvision's Resize + CenterCrop.

    ``original`` and ``size`` are ``(height, width)`` in pixels, ``ratio`` in (0, 1] is the share of the resized shorter
    side that is kept. Lengths round as torchvision's do (down, and the crop's corner to the nearest pixel).

    >>> centre_crop((100, 200), (50, 50)).offset
    (0.0, 25.0)
    """
    frame = tuple(math.floor(length / ratio) for length in size)
    shorter = 0 if frame[0] * original[1] >= frame[1] * original[0] else 1
    resized = [int(frame[shorter] * length / original[shorter]) for length in original]
    resized[shorter] = frame[shorter]
    resized = [max(now, wanted) for now, wanted in zip(resized, size, strict=True)]
    offset = [float(round((now - wanted) / 2)) for now, wanted in zip(resized, size, strict=True)]
    return _geometry(original, size, resized, offset)


def stretch(original: Size, size: Size) -> Geometry:
    """Resize each axis to ``size``, whatever the aspect ratio; both are ``(height, width)`` in pixels."""
    return _geometry(original, size, size, (0.0, 0.0))


def resample(plane: Image.Image, geometry: Geometry, interpolation: str = "bilinear") -> Image.Image:
    """A picture (its size being ``geometry.original``) as the input: resized with antialiasing, any Pillow mode.

    Only the part that is kept is resized, so that a 20 000 × 20 strip costs no more than a square.
    """
    (top, left), (bottom, right) = geometry.to_original((0, 0)), geometry.to_original(geometry.input)
    height, width = geometry.original
    box = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    rows, columns = geometry.input
    return plane.resize((columns, rows), INTERPOLATIONS[interpolation], box=box)


def box_to_input(box: Box, geometry: Geometry) -> Box | None:
    """A box ``(x0, y0, x1, y1)`` of the original in input pixels, cut at the input's edges; None if nothing is left."""
    x0, y0, x1, y1 = box
    height, width = geometry.input
    top, left = (max(value, 0.0) for value in geometry.to_input((y0, x0)))
    low, right = geometry.to_input((y1, x1))
    bottom, right = min(low, float(height)), min(right, float(width))
    return (left, top, right, bottom) if left < right and top < bottom else None


def points_to_input(points: Float64[np.ndarray, "n 2"], geometry: Geometry) -> Float64[np.ndarray, "n 2"]:
    """Points ``(x, y)`` of the original in input pixels, also those that the input does not show."""
    moved: NDArray[np.float64] = points * np.array(geometry.scale[::-1]) - np.array(geometry.offset[::-1])
    return moved


def mask_to_input(mask: Bool[np.ndarray, "h w"], geometry: Geometry) -> Bool[np.ndarray, "hi wi"]:
    """A mask of the original on the input's pixels: each takes the original pixel under its centre."""
    rows, columns = (_nearest(geometry, axis) for axis in (0, 1))
    moved: NDArray[np.bool_] = mask[np.ix_(rows, columns)]
    return moved


def kept_fraction(geometry: Geometry) -> float:
    """The share of the original's area that the input shows, 0 to 1."""
    shares = (
        min(1.0, length / (scale * whole))
        for length, scale, whole in zip(geometry.input, geometry.scale, geometry.original, strict=True)
    )
    return math.prod(shares)


def crop_notes(geometry: Geometry, whole: str = "the picture") -> list[str]:
    """What is to be said of a crop, however small; nothing where all of the original is kept.

    >>> crop_notes(centre_crop((100, 150), (50, 50)), "each frame")
    ['the centre crop keeps 67% of each frame']
    """
    kept = kept_fraction(geometry)
    return [] if kept > 1 - 1e-9 else [f"the centre crop keeps {min(kept, 0.99):.0%} of {whole}"]


def _nearest(geometry: Geometry, axis: int) -> NDArray[np.intp]:
    centres = np.arange(geometry.input[axis]) + 0.5
    places = (centres + geometry.offset[axis]) / geometry.scale[axis]
    nearest: NDArray[np.intp] = np.floor(places).astype(np.intp).clip(0, geometry.original[axis] - 1)
    return nearest


def _geometry(original: Size, size: Size, resized: Sequence[int], offset: Sequence[float]) -> Geometry:
    scale = tuple(now / before for now, before in zip(resized, original, strict=True))
    return Geometry(tuple(original), tuple(size), scale, tuple(offset))
