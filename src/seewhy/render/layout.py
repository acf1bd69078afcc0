"""Putting pixels beside pixels: sheets of paper, frames, and pictures at a size a person can read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from seewhy.render.text import PAPER

LONGEST = 4096


def sheet(height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
    """An empty piece of paper."""
    return np.full((height, width, 3), PAPER, np.uint8)


def stack(parts: Sequence[UInt8[np.ndarray, "_ _ 3"]], gap: int = 0) -> UInt8[np.ndarray, "height width 3"]:
    """Parts below one another, left edges aligned."""
    page = sheet(sum(len(part) for part in parts) + gap * (len(parts) - 1), max(part.shape[1] for part in parts))
    top = 0
    for part in parts:
        paste(page, part, top, 0)
        top += len(part) + gap
    return page


def paste(page: UInt8[np.ndarray, "_ _ 3"], part: UInt8[np.ndarray, "_ _ 3"], top: int, left: int) -> None:
    """Write a part onto a page, in place."""
    page[top : top + part.shape[0], left : left + part.shape[1]] = part


def framed(part: UInt8[np.ndarray, "h w 3"], margin: int) -> UInt8[np.ndarray, "height width 3"]:
    """A part with ``margin`` pixels of paper on each side."""
    page = sheet(part.shape[0] + 2 * margin, part.shape[1] + 2 * margin)
    paste(page, part, margin, margin)
    return page


def readable(
    picture: UInt8[np.ndarray, "h w 3"], shortest: int, longest: int = LONGEST
) -> UInt8[np.ndarray, "height width 3"]:
    """A picture large enough to read: enlarged by the least whole factor that brings its short side to ``shortest``.

    The long side never passes ``longest``: the factor is smaller where it would, and a longer picture is reduced.
    """
    height, width = picture.shape[:2]
    if max(height, width) > longest:
        factor = longest / max(height, width)
    else:
        factor = max(1, min(-(-shortest // min(height, width)), longest // max(height, width)))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
