"""Panels of one layer on one page: in a grid or side by side, under a heading and above a note."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from seewhy.render.channel_panels import SIZE, wrapped
from seewhy.render.errors import RenderError
from seewhy.render.layout import paste, sheet, stack
from seewhy.render.text import INK, QUIET, text_line

Picture = UInt8[np.ndarray, "_ _ 3"]

GAP, MARGIN = 12, 20
NARROWEST_PAGE = 420
TITLE, CAPTION = 22, 14
FEWEST_FOR_A_GRID = 4


def grid(panels: Sequence[Picture], columns: int | None = None) -> Picture:
    """Panels of one size in rows; the columns that make the sheet about as wide as high if None.

    Raises:
        RenderError: ``SW-R53``, fewer than one column.
    """
    if columns is not None and columns < 1:
        raise RenderError("SW-R53", f"expected one column or more, got {columns}", fix="None finds a good number")
    height, width = panels[0].shape[0] + GAP, panels[0].shape[1] + GAP
    across = min(len(panels), columns or columns_for(len(panels), height / width))
    page = sheet(-(-len(panels) // across) * height - GAP, across * width - GAP)
    for index, panel in enumerate(panels):
        paste(page, panel, index // across * height, index % across * width)
    return page


def side_by_side(parts: Sequence[Picture], gap: int = GAP) -> Picture:
    """Parts of any size from left to right, their tops aligned."""
    page = sheet(max(len(part) for part in parts), sum(part.shape[1] for part in parts) + gap * (len(parts) - 1))
    left = 0
    for part in parts:
        paste(page, part, 0, left)
        left += part.shape[1] + gap
    return page


def columns_for(panels: int, proportion: float = 1.0) -> int:
    """Columns for a grid about as wide as high: of those near that, the one with the fewest empty
    places, the wider on a tie.

    Args:
        panels: their number.
        proportion: of a panel, its height by its width.

    Example:
        >>> [columns_for(panels) for panels in (1, 3, 4, 7, 16, 256)]
        [1, 3, 2, 4, 4, 16]
    """
    if panels < FEWEST_FOR_A_GRID and proportion <= 2:
        return panels
    square = math.sqrt(panels * proportion)
    near = {max(1, min(panels, round(square) + step)) for step in (0, 1)}
    fewest_empty = min(-panels % across for across in near)
    return max(across for across in near if -panels % across == fewest_empty)


def sheet_page(body: Picture, heading: str, caption: str, note: str) -> Picture:
    """A body under its heading and above a note; long captions and notes take several lines."""
    width = max(body.shape[1], NARROWEST_PAGE)
    top = [text_line(heading, width, TITLE, INK, cut="middle")] if heading else []
    top += [text_line(line, width, CAPTION, QUIET) for line in wrapped(caption, width, CAPTION)]
    foot = [text_line(line, width, SIZE, QUIET) for line in wrapped(note, width, SIZE)]
    parts = [*([stack(top)] if top else []), body, *([stack(foot)] if foot else [])]
    page = sheet(sum(len(part) + GAP for part in parts) - GAP + 2 * MARGIN, width + 2 * MARGIN)
    below = MARGIN
    for part in parts:
        paste(page, part, below, MARGIN)
        below += len(part) + GAP
    return page
