"""A layer whose channels are single numbers, as bars: up is positive, down is negative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.channel_grid import sheet_page
from seewhy.render.channel_panels import SIZE
from seewhy.render.errors import RenderError
from seewhy.render.layout import sheet, stack
from seewhy.render.palette import PALETTE
from seewhy.render.picture import WARNING
from seewhy.render.text import INK, QUIET, line_height, text_line, text_width
from seewhy.render.time_axis import axis_strip, ticks
from seewhy.render.traces import GRID
from seewhy.render.value_scale import ValueScale, scale_of, scale_words, short_number

Picture = UInt8[np.ndarray, "_ _ 3"]

PLOT_WIDTH, PLOT_HEIGHT = 900, 200
NAMED = 24
"""So many bars at most have their title and their value beside them."""
ROW, NAME_WIDTH, BAR_WIDTH, GAP = 22, 160, 420, 10
UP, DOWN = PALETTE[4], PALETTE[5]


def vector_strip(
    values: Float[np.ndarray, " n"], titles: Sequence[str] | None = None, *, heading: str, caption: str = ""
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a vector as bars from zero: up to 24 with a title each, more in the order of their index.

    Where several channels share a column of pixels it shows their whole range. Values that are not finite have no bar
    and are counted, as are exact zeros.

    Args:
        values: ``(n,)`` raw, in any unit.
        titles: one for each; ``0``, ``1`` and so on if None; not written where there are more than 24.
        heading: first line of the page, such as the layer's name.
        caption: what stands below it.

    Raises:
        RenderError: ``SW-R51`` no values, ``SW-R52`` number of titles.
    """
    require_vector(values)
    names = [str(index) for index in range(len(values))] if titles is None else list(titles)
    if len(names) != len(values):
        raise RenderError("SW-R52", f"expected {len(values)} titles, got {len(names)}", fix="give each channel a title")
    scale = scale_of(values)
    few = len(values) <= NAMED
    body = _rows(values, names, scale) if few else bar_plot(values, scale, PLOT_WIDTH, PLOT_HEIGHT)
    return sheet_page(body, heading, caption, _counts(values))


def bar_plot(values: Float[np.ndarray, " n"], scale: ValueScale, width: int, height: int) -> Picture:
    """Bars side by side over their index, the ends of the scale at the left."""
    labels = [text_line(word, text_width(word, SIZE), SIZE, QUIET) for word in reversed(scale_words(scale))]
    gutter = max(label.shape[1] for label in labels) + GAP
    plot = bars(values, scale, width - gutter, height)
    page = sheet(height, width)
    page[:, gutter:] = plot
    page[: len(labels[0]), : labels[0].shape[1]] = labels[0]
    page[height - len(labels[1]) :, : labels[1].shape[1]] = labels[1]
    axis = axis_strip(ticks(len(values), None, width - gutter), gutter, width, SIZE, "channel")
    return stack([page, axis])


def bars(values: Float[np.ndarray, " n"], scale: ValueScale, width: int, height: int) -> Picture:
    """One bar per value from zero, on a plot of this size whose first row is the scale's high end, its last the low."""
    page = sheet(height, width)
    finite = np.where(np.isfinite(values), values, 0)
    low, high = _columns(finite, width)
    zero = _row_of(np.zeros(1), scale, height)[0]
    rows = np.arange(height)[:, None]
    page[(rows >= _row_of(high, scale, height)) & (rows < zero)] = UP
    page[(rows >= zero) & (rows < _row_of(low, scale, height))] = DOWN
    if 4 * len(values) <= width:
        page[:, np.arange(1, len(values)) * width // len(values)] = 255
    page[min(int(zero), height - 1)] = np.array(GRID) - 60
    return page


def require_vector(values: Float[np.ndarray, " n"]) -> None:
    """Raise ``SW-R51`` unless ``values`` are real numbers along one axis, one or more."""
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "fiub":
        raise RenderError(
            "SW-R51",
            f"expected a vector (n,) of real numbers, one or more, got {values.shape} and {values.dtype}",
            fix="pass one record without its batch axis: activations[0]",
        )


def _columns(
    values: Float[np.ndarray, " n"], width: int
) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " width"]]:
    """The lowest and the highest value in each column of pixels, zero where all lie on its other side."""
    if len(values) <= width:
        spread = values[np.arange(width) * len(values) // width]
        return np.minimum(spread, 0), np.maximum(spread, 0)
    starts = np.arange(width) * len(values) // width
    return np.minimum(np.minimum.reduceat(values, starts), 0), np.maximum(np.maximum.reduceat(values, starts), 0)


def _row_of(values: Float[np.ndarray, " n"], scale: ValueScale, height: int) -> np.ndarray:
    if scale.low == scale.high:
        return np.full(len(values), height // 2)
    rows: np.ndarray = np.rint((1 - scale.shares(values)) * height).astype(np.intp)
    return rows


def _rows(values: Float[np.ndarray, " n"], names: Sequence[str], scale: ValueScale) -> Picture:
    """One line per value: its title, its bar, its number."""
    words = [short_number(float(value)) if np.isfinite(value) else "not finite" for value in values]
    room = max(text_width(word, SIZE) for word in words)
    page = sheet(ROW * len(values), NAME_WIDTH + BAR_WIDTH + 2 * GAP + room)
    left = NAME_WIDTH + GAP
    zero = left + (round(float(scale.shares(np.zeros(1))[0]) * BAR_WIDTH) if scale.low < scale.high else 0)
    inset = (ROW - line_height(SIZE)) // 2
    for index, (value, name, word) in enumerate(zip(values, names, words, strict=True)):
        row = page[index * ROW : (index + 1) * ROW]
        row[inset : inset + line_height(SIZE), :NAME_WIDTH] = text_line(name, NAME_WIDTH, SIZE, INK, "right", "middle")
        number = text_line(word, room, SIZE, QUIET if np.isfinite(value) else WARNING)
        row[inset : inset + len(number), left + BAR_WIDTH + GAP :] = number
        if np.isfinite(value) and scale.low < scale.high:
            end = left + round(float(scale.shares(np.array([value]))[0]) * BAR_WIDTH)
            row[4:-4, min(zero, end) : max(zero, end)] = UP if value > 0 else DOWN
    page[:, max(left, zero - 1) : max(left, zero - 1) + 1] = np.array(GRID) - 60
    return page


def _counts(values: Float[np.ndarray, " n"]) -> str:
    words = f"{len(values)} channels, {int(np.count_nonzero(values == 0))} exactly zero"
    lost = int(np.count_nonzero(~np.isfinite(values)))
    return f"{words}, {lost} not finite" if lost else words
