"""The strip under a picture that says what its colours mean."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import UInt8

from seewhy.render.layout import paste, sheet, stack
from seewhy.render.overlay import overlay
from seewhy.render.text import QUIET, line_height, text_line, text_width

BACKDROP = 128


def legend(
    width: int,
    size: int,
    colormap: str,
    alpha: float,
    unit: str,
    low: str = "0",
    high: str = "max",
    diverging: bool = False,
    backdrop: int = BACKDROP,
) -> UInt8[np.ndarray, "height width 3"]:
    """A colour bar between its two end labels, and the unit below.

    The bar is blended over grey with the picture's own formula, so its colours are those on the picture.

    Args:
        width: of the strip in pixels.
        size: of the text in pixels.
        colormap: a colour map's name.
        alpha: weight of the colours.
        unit: what the numbers are.
        low: label of the scale's start.
        high: label of the scale's end.
        diverging: the scale's zero is its middle.
        backdrop: the grey below the colours, 255 for evidence on paper.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R05`` alpha.
    """
    line = sheet(line_height(size), width)
    ends = [text_line(label, text_width(label, size), size, QUIET) for label in (low, high)]
    gap = size // 2
    left, right = ends[0].shape[1] + gap, width - ends[1].shape[1] - gap
    paste(line, ends[0], 0, 0)
    paste(line, ends[1], 0, right + gap)
    if right > left:
        thickness = max(6, round(size * 0.7))
        bar = _bar(right - left, thickness, colormap, alpha, diverging, backdrop)
        paste(line, bar, (len(line) - thickness) // 2, left)
    return stack([line, text_line(unit, width, size, QUIET, align="centre")])


@lru_cache(maxsize=64)
def _bar(
    length: int, thickness: int, colormap: str, alpha: float, diverging: bool, backdrop: int
) -> UInt8[np.ndarray, "thickness length 3"]:
    ramp = np.broadcast_to(np.linspace(0, 1, length), (thickness, length))
    grey = np.full((thickness, length, 3), backdrop, np.uint8)
    return overlay(grey, ramp, colormap, alpha, diverging=diverging)
