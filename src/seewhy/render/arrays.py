"""What the drawing functions accept: pictures, planes and settings, checked once at the door."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.errors import RenderError


def require_picture(picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Raise ``SW-R03`` unless ``picture`` is 8-bit RGB with at least one pixel."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise RenderError(
            "SW-R03",
            f"expected a picture of shape (H, W, 3) and type uint8, got {picture.shape} and {picture.dtype}",
            fix="undo the normalisation and convert first, for example with Dataset.picture(inputs)",
        )


def require_image(image: UInt8[np.ndarray, "h w *channels"]) -> None:
    """Raise ``SW-R03`` unless ``image`` is 8-bit RGB or 8-bit grey with at least one pixel."""
    if not (image.ndim == 2 and image.dtype == np.uint8 and image.size):
        require_picture(image)


def require_frames(pictures: UInt8[np.ndarray, "n h w 3"]) -> None:
    """Raise ``SW-R30`` unless ``pictures`` are 8-bit RGB, one or more."""
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8 or pictures.size == 0:
        raise RenderError(
            "SW-R30",
            f"expected slices or frames (N, H, W, 3) of type uint8, got {pictures.shape} and {pictures.dtype}",
            fix="put the slices first and repeat grey values to three channels",
        )


def require_plane(values: Float[np.ndarray, "h w"], what: str) -> None:
    """Raise ``SW-R04`` unless ``values`` is a real-valued array of two axes with at least one cell."""
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiub":
        raise RenderError(
            "SW-R04",
            f"expected {what} of shape (h, w) with real numbers, got {values.shape} and {values.dtype}",
            fix="pass one map at a time; reduce channels, slices or frames to two axes before drawing",
        )


def require_values(values: Float[np.ndarray, "*size"], what: str) -> None:
    """Raise ``SW-R04`` unless ``values`` is a real-valued array with at least one axis and one cell."""
    if values.ndim == 0 or values.size == 0 or values.dtype.kind not in "fiub":
        raise RenderError(
            "SW-R04",
            f"expected {what} of shape (t,), (h, w) or (d, h, w) with real numbers, got {values.shape} and "
            f"{values.dtype}",
            fix="pass the map of one record, not empty",
        )


def require_size(values: Float[np.ndarray, "*cells"], size: tuple[int, ...]) -> None:
    """Raise ``SW-R04`` unless ``size`` has a positive length for each axis of ``values``."""
    if not size or len(size) != values.ndim or min(*size, *values.shape) < 1:
        raise RenderError(
            "SW-R04",
            f"expected a map of {len(size)} axes with cells and positive lengths for the size {tuple(size)}, "
            f"got {values.shape}",
            fix="pass the map of one record, and a size for each of its axes",
        )


def require_unit(values: Float[np.ndarray, "*size"]) -> None:
    """Raise ``SW-R02`` unless every value lies in [0, 1]; NaN does not."""
    outside = int(values.size - np.count_nonzero((values >= 0) & (values <= 1)))
    if outside:
        raise RenderError(
            "SW-R02",
            f"{outside} of {values.size} heat map values are not in [0, 1] ({np.isnan(values).sum()} are NaN)",
            fix="derive the heat map with seewhy.render.heatmap(raw), and draw it only if its `drawable` is true",
        )


def require_alpha(alpha: float) -> None:
    """Raise ``SW-R05`` unless ``alpha`` lies in [0, 1]."""
    if not 0 <= alpha <= 1:
        raise RenderError(
            "SW-R05", f"expected alpha in [0, 1], got {alpha}", fix="0 hides the map, 1 hides the picture"
        )
