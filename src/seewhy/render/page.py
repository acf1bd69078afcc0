"""A figure's page: heading, body, and one foot that says what the colours mean or why there are none."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from seewhy.render.captions import page_heading
from seewhy.render.columns import GAP
from seewhy.render.layout import framed, paste, sheet, stack
from seewhy.render.legend import BACKDROP, legend
from seewhy.render.picture import WARNING
from seewhy.render.text import text_line

Picture = UInt8[np.ndarray, "_ _ 3"]

MARGIN = 20
LEGEND_EMS = 34


def figure_page(body: Picture, foot: Picture, title: str, caption: str, size: int) -> Picture:
    """The body under its heading, if it has one, and above its foot."""
    heading = [page_heading(title, caption, body.shape[1], size)] if title or caption else []
    return framed(stack([*heading, body, foot], gap=GAP), MARGIN)


def scale_foot(
    width: int,
    size: int,
    colormap: str,
    alpha: float,
    unit: str,
    reference: float | None,
    diverging: bool,
    backdrop: int = BACKDROP,
) -> Picture:
    """The colour bar in the middle, from zero (or the negated) to the raw value at full colour, ``max`` if None."""
    peak = "max" if reference is None else f"{reference:.3g}"
    low, high = (f"-{peak}", f"+{peak}") if diverging else ("0", peak)
    strip = legend(min(width, LEGEND_EMS * size), size, colormap, alpha, unit, low, high, diverging, backdrop)
    page = sheet(len(strip), width)
    paste(page, strip, 0, (width - strip.shape[1]) // 2)
    return page


def warning_foot(width: int, size: int, note: str) -> Picture:
    """A line in place of the colour bar."""
    return text_line(note, width, size, WARNING, align="centre")
