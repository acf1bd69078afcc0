"""One channel as one panel: a map of colours, or a line; above it its title, below it its scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.layout import paste, sheet, stack
from seewhy.render.palette import PALETTE
from seewhy.render.picture import WARNING
from seewhy.render.text import INK, QUIET, line_height, text_line, text_width
from seewhy.render.traces import GRID, PADDING, trace_coverage
from seewhy.render.value_scale import ValueScale, paint, scale_of, scale_strip, scale_words

Picture = UInt8[np.ndarray, "_ _ 3"]

FEW, MANY = 36, 100
SIDES = {FEW: 160, MANY: 112}
SMALLEST_SIDE = 96
"""The short side of a panel in pixels: that of a sheet with at most so many panels, and of any larger one."""
MOST_REDUCED, MOST_DOUBLED = 1.125, 1.65
"""So many times that side at most is the short side of a map that was reduced, and of one that was doubled."""
LINE_HEIGHT_SHARE = 0.6
SIZE = 13
GAP = 2
BLANK = (240, 241, 244)
"""A panel that is not painted, since some of its values are not finite: no colour of any colour map."""
BLUE = PALETTE[4]


def panel_side(count: int) -> int:
    """The short side of each of ``count`` panels in pixels, so that a sheet of 256 channels stays one sheet.

    Example:
        >>> panel_side(16), panel_side(64), panel_side(256)
        (160, 112, 96)
    """
    return next((side for most, side in SIDES.items() if count <= most), SMALLEST_SIDE)


def panel_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width of a map's panel, whose short side has about ``side`` pixels.

    A small map is enlarged by a whole number; a map is reduced where its short side has more than 1.125 times ``side``
    or its long side more than twice ``side``.

    Example:
        >>> panel_size(56, 56, 160), panel_size(128, 128, 160), panel_size(140, 140, 160), panel_size(4, 40, 160)
        ((168, 168), (256, 256), (140, 140), (32, 320))
        >>> panel_size(256, 256, 160), panel_size(512, 256, 160)
        ((180, 180), (320, 160))
    """
    shortest, longest = min(height, width), max(height, width)
    reduced = min(2 * side / longest, MOST_REDUCED * side / shortest)
    if reduced < 1:
        return max(1, round(height * reduced)), max(1, round(width * reduced))
    factor = min(-(-side // shortest), 2 * side // longest)
    if factor == 2 and shortest * factor > MOST_DOUBLED * side:
        factor = 1
    return height * factor, width * factor


def map_panels(
    maps: Float[np.ndarray, "n h w"], titles: Sequence[str], colormap: str, diverging: bool, side: int
) -> list[Picture]:
    """A panel of one size for each map, each on the scale of its own values."""
    height, width = panel_size(maps.shape[1], maps.shape[2], side)
    return [
        map_panel(values, title, scale_of(values, diverging), colormap, height, width, side)
        for values, title in zip(maps, titles, strict=True)
    ]


def map_panel(
    values: Float[np.ndarray, "h w"],
    title: str,
    scale: ValueScale,
    colormap: str,
    height: int,
    width: int,
    narrowest: int = 0,
) -> Picture:
    """One map at ``(height, width)`` on a given scale; its words have at least ``narrowest`` pixels."""
    if scale.nonfinite:
        body = np.full((height, width, 3), BLANK, np.uint8)
    else:
        body = paint(values, scale, colormap, height, width)
    room = max(width, narrowest)
    return stack([_title(title, room), body, scale_strip(scale, room, SIZE, colormap)], gap=GAP)


def line_panels(lines: Float[np.ndarray, "n t"], titles: Sequence[str], side: int) -> list[Picture]:
    """A panel for each signal, each within the range of its own values and zero."""
    return [line_panel(line, title, scale_of(line), side) for line, title in zip(lines, titles, strict=True)]


def line_panel(line: Float[np.ndarray, " t"], title: str, scale: ValueScale, side: int) -> Picture:
    """One signal as a line over a grey line at zero; values that are not finite leave a gap and are counted."""
    height, width = round(side * LINE_HEIGHT_SHARE), round(side * 1.5)
    body = sheet(height, width)
    body[[0, -1]] = body[:, [0, -1]] = GRID
    share = float(scale.shares(np.zeros(1))[0]) if scale.low < scale.high else 0.5
    body[min(height - 1, round(height * (1 - PADDING - share * (1 - 2 * PADDING)))), :] = np.array(GRID) - 40
    covered = trace_coverage(line, (scale.low, scale.high), height, width, 1.6)[..., None].astype(np.uint16)
    body = ((body * (255 - covered) + np.array(BLUE, np.uint16) * covered + 127) // 255).astype(np.uint8)
    return stack([_title(title, width), body, range_words(scale, width)], gap=GAP)


def range_words(scale: ValueScale, width: int) -> Picture:
    """The range of a line, and how many of its values are not finite."""
    if scale.zero:
        return text_line("all zero", width, SIZE, QUIET)
    if not scale.nonfinite:
        return text_line(" to ".join(scale_words(scale)), width, SIZE, QUIET)
    strip = sheet(line_height(SIZE), width)
    words = f"{scale.nonfinite} not finite"
    room = min(width, text_width(words, SIZE))
    paste(strip, text_line(" to ".join(scale_words(scale)), width - room, SIZE, QUIET), 0, 0)
    paste(strip, text_line(words, room, SIZE, WARNING), 0, width - room)
    return strip


def titled(title: str, panel: Picture) -> Picture:
    """A panel under its title, of which the middle is cut where it is too long."""
    return stack([_title(title, panel.shape[1]), panel], gap=GAP)


def wrapped(text: str, width: int, size: int) -> list[str]:
    """A text in lines of at most ``width`` pixels, broken at spaces; a longer word has a line of its own.

    Example:
        >>> wrapped("dark is low, bright is high", 100, 13)
        ['dark is low,', 'bright is high']
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _title(title: str, width: int) -> Picture:
    return text_line(title, width, SIZE, INK, cut="middle")
