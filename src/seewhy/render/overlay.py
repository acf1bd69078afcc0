"""Laying a heat map over a picture, in integers.

The map's weight rises with its strength: a pixel without evidence is the picture's pixel, bit for bit, and the weight
reaches ``alpha`` at a quarter of the full scale (at half of it on a diverging scale, whose weak colours are white). So
a reader sees the anatomy unchanged where there is no evidence, without the veil of the scale's first colour.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from seewhy.render.arrays import require_alpha, require_picture, require_plane, require_unit
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.colormap import colour_index
from seewhy.render.errors import RenderError

RAMP_STEPS, DIVERGING_RAMP_STEPS = 64, 128


def overlay(
    picture: UInt8[np.ndarray, "h w 3"],
    heatmap: Float[np.ndarray, "h w"],
    colormap: str = "turbo",
    alpha: float = 0.5,
    *,
    diverging: bool = False,
) -> UInt8[np.ndarray, "h w 3"]:
    """Blend a heat map over a picture of the same size.

    With the step ``i = round(255 * value)``, its colour ``c[i]`` and its weight ``w[i]`` of 255 parts, each channel is
    ``(picture * (255 - w[i]) + c[i] * w[i] + 127) // 255``.

    Args:
        picture: ``(H, W, 3)`` uint8.
        heatmap: ``(H, W)`` in [0, 1].
        colormap: a colour map's name.
        alpha: weight of the colours in [0, 1], reached at a quarter of the scale (diverging: half).
        diverging: the map's zero is at 0.5 and its strength is the distance from there.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R02`` NaN or a value outside [0, 1], ``SW-R03`` not an RGB
            picture, ``SW-R04`` not two axes, ``SW-R05`` alpha, ``SW-R08`` the sizes differ.
    """
    require_picture(picture)
    require_plane(heatmap, "a heat map")
    require_unit(heatmap)
    require_alpha(alpha)
    if heatmap.shape != picture.shape[:2]:
        raise RenderError(
            "SW-R08",
            f"the heat map is {heatmap.shape}, the picture {picture.shape[:2]}",
            fix="bring the map to the picture's size: heatmap(raw, size=picture.shape[:2])",
        )
    keep, add = _blend_tables(colormap, alpha, diverging)
    step = colour_index(heatmap)
    mixed: UInt16[np.ndarray, "h w 3"] = picture * keep.take(step, axis=0)
    mixed += add.take(step, axis=0)
    mixed //= 255
    return mixed.astype(np.uint8)


def step_weights(alpha: float, diverging: bool) -> UInt16[np.ndarray, " 256"]:
    """The weight in 255 parts of each colour step: 0 at the map's zero, ``255 * alpha`` from the ramp's end on."""
    step = np.arange(256)
    ramp = 2 * np.abs(step - 128) / DIVERGING_RAMP_STEPS if diverging else step / RAMP_STEPS
    return np.rint(255 * alpha * np.minimum(ramp, 1)).astype(np.uint16)


@lru_cache(maxsize=32)
def _blend_tables(
    name: str, alpha: float, diverging: bool
) -> tuple[UInt16[np.ndarray, "256 3"], UInt16[np.ndarray, "256 3"]]:
    weight = step_weights(alpha, diverging)[:, None]
    keep = np.repeat(255 - weight, 3, axis=1)
    return keep, colour_table(name) * weight + np.uint16(127)
