"""Words above pictures: the title of a page and the line over one panel."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from seewhy.render.layout import paste, sheet, stack
from seewhy.render.picture import text_size
from seewhy.render.text import INK, QUIET, Colour, line_height, text_line, text_width

Picture = UInt8[np.ndarray, "_ _ 3"]


def page_heading(title: str, caption: str, width: int, size: int) -> Picture:
    """The title, its middle cut where it is too long, over a quieter second line."""
    lines = [text_line(title, width, round(size * 1.5), INK, cut="middle")]
    if caption:
        lines.append(text_line(caption, width, size, QUIET))
    return stack(lines)


def captioned(name: str, fact: str, panel: Picture, width: int | None = None, colour: Colour = INK) -> Picture:
    """A panel under its caption, which is as wide as the panel if ``width`` is None."""
    return stack([panel_caption(name, fact, width or panel.shape[1], colour), panel], gap=2)


def panel_caption(name: str, fact: str, width: int, colour: Colour = INK) -> Picture:
    """The name at the left and, in grey, a fact at the right; the name gives way."""
    size = text_size(width)
    aside = min(width, text_width(fact, size))
    gap = size // 2 if fact else 0
    strip = sheet(line_height(size), width)
    paste(strip, text_line(name, max(0, width - aside - gap), size, colour, cut="middle"), 0, 0)
    paste(strip, text_line(fact, aside, size, QUIET), 0, width - aside)
    return strip
