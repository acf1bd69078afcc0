"""An input made small for pages of many records: a picture, slices side by side, or the lines of a signal."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.arrays import require_frames
from seewhy.render.encode import encode_jpeg, thumbnail
from seewhy.render.frames import even_slices
from seewhy.render.text import INK
from seewhy.render.traces import trace_coverage

LONGEST: Final = 256
"""The longer side of a picture, in pixels."""
LONGEST_SLICE: Final = 160
MOST_SLICES: Final = 8
SIGNAL_WIDTH: Final = 512
SIGNAL_HEIGHT: Final = 240
LOWEST_LEAD: Final = 20
LINE: Final = 1.4
QUALITY: Final = 85


def picture_preview(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """A JPEG of a picture whose longer side is at most 256 pixels."""
    return encode_jpeg(thumbnail(picture, LONGEST), QUALITY)


def slices_preview(pixels: UInt8[np.ndarray, "n h w 3"]) -> tuple[bytes, tuple[int, ...]]:
    """A JPEG of at most eight slices or frames side by side, each the middle of an equal part; and which they are."""
    require_frames(pixels)
    shown = even_slices(len(pixels), MOST_SLICES)
    tiles = [thumbnail(pixels[position], LONGEST_SLICE) for position in shown]
    return encode_jpeg(np.concatenate(tiles, axis=1), QUALITY), tuple(shown)


def signal_preview(lines: Float[np.ndarray, "leads t"]) -> bytes:
    """A JPEG of all leads below each other, over the whole width, each in its own range; gaps are not finite values."""
    height = max(LOWEST_LEAD, SIGNAL_HEIGHT // len(lines))
    rows = [trace_coverage(line, _bounds(line), height, SIGNAL_WIDTH, LINE) for line in lines]
    covered = np.concatenate(rows)[..., None].astype(np.uint16)
    ink = np.array(INK, np.uint16)
    return encode_jpeg(((255 * (255 - covered) + ink * covered + 127) // 255).astype(np.uint8), QUALITY)


def _bounds(line: Float[np.ndarray, " t"]) -> tuple[float, float]:
    finite = line[np.isfinite(line)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return (low, high) if high > low else (low - 1, low + 1)
