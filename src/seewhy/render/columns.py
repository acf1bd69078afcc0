"""Columns of one width for pictures of any size and proportion, which are never distorted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from seewhy.render.layout import paste, sheet, stack

Picture = UInt8[np.ndarray, "_ _ 3"]

GAP, MARGIN = 14, 24
NARROWEST, WIDEST = 224, 320
TALLEST = 1.5
"""A picture is at most this many times as high as its column is wide; a longer one is drawn narrower."""


def column_width(widths: Iterable[int], narrowest: int = NARROWEST, widest: int = WIDEST) -> int:
    """The width of every column: that of the widest picture, so that its pixels stay as they are, within bounds.

    Smaller pictures are enlarged by the least whole factor that makes them wide enough, if that keeps the bounds.

    Example:
        >>> [column_width([width]) for width in (304, 32, 120, 1024)]
        [304, 224, 240, 320]
    """
    width = max(widths)
    return min(widest, width * -(-narrowest // width))


def shown_size(height: int, width: int, column: int) -> tuple[int, int]:
    """Height and width in pixels of a picture in its column: as wide as the column, unless it gets too tall.

    Example:
        >>> shown_size(100, 200, 240), shown_size(900, 100, 240)
        ((120, 240), (360, 40))
    """
    factor = min(column / width, TALLEST * column / height)
    return max(1, round(height * factor)), max(1, round(width * factor))


def in_column(picture: UInt8[np.ndarray, "h w 3"], column: int) -> UInt8[np.ndarray, "height width 3"]:
    """A picture at :func:`shown_size`."""
    height, width = shown_size(picture.shape[0], picture.shape[1], column)
    if (height, width) == picture.shape[:2]:
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def row_of(cells: Sequence[Picture], column: int, gap: int = GAP) -> Picture:
    """Cells side by side, each at the top left of its column; the last may be wider than its column."""
    last = (len(cells) - 1) * (column + gap)
    page = sheet(max(len(cell) for cell in cells), last + max(column, cells[-1].shape[1]))
    for index, cell in enumerate(cells):
        paste(page, cell, 0, index * (column + gap))
    return page


def rows_of(cells: Sequence[Picture], across: int, column: int, gap: int = GAP) -> Picture:
    """Cells in reading order, ``across`` in each row."""
    rows = [row_of(cells[start : start + across], column, gap) for start in range(0, len(cells), across)]
    return stack(rows, gap=gap)
