"""Channels of a layer side by side, whatever the layer's rank: pictures, lines, slices or bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.channel_grid import grid, sheet_page
from seewhy.render.channel_panels import line_panels, map_panels, panel_side
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.errors import RenderError
from seewhy.render.vector_strip import vector_strip

Picture = UInt8[np.ndarray, "_ _ 3"]

DARK_TO_BRIGHT = ("viridis", "magma", "inferno", "plasma", "cividis", "gray", "grey", "hot")


def channel_sheet(
    maps: Float[np.ndarray, "n h w"],
    titles: Sequence[str],
    *,
    heading: str,
    caption: str = "",
    colormap: str = "viridis",
    columns: int | None = None,
    diverging: bool = False,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the maps of channels in a grid, each on its own scale, which is printed below it.

    A scale runs from the lowest value or zero to the highest value or zero: bright is high, zero is where the bar below
    a map says. A map of zeros has the colour of zero and says ``all zero``; one with values that are no numbers is not
    painted and says how many. Cells are blocks of pixels, not smoothed; maps too large for a panel are averaged.

    Args:
        maps: ``(n, h, w)`` raw values in any unit.
        titles: one for each map; their middle is cut where they are too long.
        heading: first line of the page, such as the layer's name.
        caption: what stands below it, in as many lines as it needs.
        colormap: a colour map's name.
        columns: maps in a row; a grid about as wide as high if None.
        diverging: let each scale reach as far below zero as above it, so that zero has the middle colour.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R51`` no maps, ``SW-R52`` number of titles, ``SW-R53`` columns.

    Example:
        >>> page = channel_sheet(np.eye(8)[None], ["channel 0"], heading="layer1")
        >>> page.dtype, page.shape[2]
        (dtype('uint8'), 3)
    """
    _require_maps(maps, 3, "(n, h, w)")
    _require_titles(maps, titles)
    colour_table(colormap)
    panels = map_panels(maps, titles, colormap, diverging, panel_side(len(maps)))
    return sheet_page(grid(panels, columns), heading, caption, scale_note(maps, colormap, diverging))


def signal_sheet(
    lines: Float[np.ndarray, "n t"],
    titles: Sequence[str],
    *,
    heading: str,
    caption: str = "",
    columns: int | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the channels of a layer of signals, ``(n, t)``, as lines over time; otherwise as :func:`channel_sheet`.

    Raises:
        RenderError: ``SW-R51`` no lines, ``SW-R52`` number of titles, ``SW-R53`` columns.
    """
    _require_maps(lines, 2, "(n, t)")
    _require_titles(lines, titles)
    panels = line_panels(lines, titles, panel_side(len(lines)))
    note = f"position 0 to {lines.shape[1] - 1} from left to right; each panel has its own range, with a line at zero"
    return sheet_page(grid(panels, columns), heading, caption, note)


def layer_sheet(
    values: Float[np.ndarray, "n *size"],
    titles: Sequence[str],
    *,
    heading: str,
    caption: str = "",
    colormap: str = "viridis",
    columns: int | None = None,
    diverging: bool = False,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw channels of a layer of any rank.

    Args:
        values: ``(n,)`` of a vector, drawn as bars; ``(n, t)`` of a signal, as lines; ``(n, h, w)`` as maps;
            ``(n, d, h, w)`` of a volume or clip, of which the middle slice is shown, which the page says.
        titles: as in :func:`channel_sheet`, and so ``heading``, ``caption``, ``colormap``, ``columns`` and
            ``diverging``.

    Raises:
        RenderError: as :func:`channel_sheet`; ``SW-R51`` also for values of more axes.
    """
    if values.ndim == 1:
        return vector_strip(values, titles, heading=heading, caption=caption)
    if values.ndim == 2:
        return signal_sheet(values, titles, heading=heading, caption=caption, columns=columns)
    maps, note = middle_slices(values)
    return channel_sheet(
        maps,
        titles,
        heading=heading,
        caption=" · ".join(part for part in (caption, note) if part),
        colormap=colormap,
        columns=columns,
        diverging=diverging,
    )


def middle_slices(values: Float[np.ndarray, "n *size"]) -> tuple[Float[np.ndarray, "n h w"], str]:
    """Each map of a volume or clip at the middle of its first axis, and words that say so; a plane as it is.

    Example:
        >>> middle_slices(np.arange(3.0).reshape(1, 3, 1, 1))
        (array([[[1.]]]), 'slice 2 of 3')
    """
    if values.ndim != 4 or values.size == 0:
        return values, ""
    depth = values.shape[1]
    return values[:, depth // 2], f"slice {depth // 2 + 1} of {depth}"


def scale_note(maps: Float[np.ndarray, "n *size"], colormap: str, diverging: bool = False) -> str:
    """What the colours under each map mean, and what the notch is if there is one."""
    words = "dark is low, bright is high" if colormap.casefold() in DARK_TO_BRIGHT else "from low to high"
    if diverging:
        return "the middle colour is zero; the bar below each map is its own scale"
    own = f"{words}; the bar below each map is its own scale"
    return f"{own}, with a notch at zero" if bool((maps < 0).any()) else f"{own}, from zero"


def _require_maps(values: Float[np.ndarray, "n *size"], axes: int, shape: str) -> None:
    if values.ndim != axes or values.size == 0 or values.dtype.kind not in "fiub":
        raise RenderError(
            "SW-R51",
            f"expected channels {shape} of real numbers, one or more, got {values.shape} and {values.dtype}",
            fix="pass one record without its batch axis: activations[0], or activations[0][[3, 7]] for two channels",
        )


def _require_titles(values: Float[np.ndarray, "n *size"], titles: Sequence[str]) -> None:
    if len(titles) != len(values):
        raise RenderError(
            "SW-R52", f"expected {len(values)} titles, got {len(titles)}", fix="give each channel that is drawn a title"
        )
