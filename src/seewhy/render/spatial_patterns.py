"""Where a layer is active: its mean and its spread over the channels, and the channels that are active most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, UInt8

from seewhy.render.channel_grid import GAP, grid, sheet_page, side_by_side
from seewhy.render.channel_panels import FEW, line_panels, map_panels, panel_side
from seewhy.render.channel_sheet import middle_slices, scale_note
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.errors import RenderError
from seewhy.render.layout import stack
from seewhy.render.value_scale import short_number

Picture = UInt8[np.ndarray, "_ _ 3"]

COLUMNS = 3
SIDE = 176
"""Pixels that hold a title such as ``channel 2047 · mean 0.0616``."""
SEPARATION = 3 * GAP


def spatial_patterns(
    values: Float[np.ndarray, "c *size"],
    *,
    heading: str,
    caption: str = "",
    channels: int = 9,
    colormap: str = "viridis",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the mean over all channels, their standard deviation, and the channels with the highest means.

    Args:
        values: ``(C, h, w)``, ``(C, t)`` of a signal or ``(C, d, h, w)`` of a volume or clip, raw; all channels.
        heading: first line of the page, such as the layer's name.
        caption: what stands below it.
        channels: how many channels are shown at most, three in a row, the highest mean first.
        colormap: a colour map's name.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R54`` no channels with places, or fewer than one to show.
    """
    _require_places(values, channels)
    colour_table(colormap)
    order = by_mean(values)[:channels]
    shown, note = middle_slices(values)
    mean, spread = over_channels(shown)
    means = values[order].reshape(len(order), -1).mean(axis=1, dtype=np.float64)
    titles = [
        f"channel {index} · mean {short_number(value)}" for index, value in zip(order, means.tolist(), strict=True)
    ]
    side = SIDE if len(titles) <= FEW else panel_side(len(titles))

    def panels(maps: Float[np.ndarray, "n *size"], names: Sequence[str]) -> list[Picture]:
        if maps.ndim == 2:
            return line_panels(maps, names, side)
        return map_panels(maps, names, colormap, False, side)

    summary = stack(panels(np.stack([mean, spread]), ["mean over channels", "deviation over channels"]), gap=GAP)
    top = grid(panels(shown[order], titles), COLUMNS)
    words = [caption, f"left: all {len(values)} channels, right: the {len(order)} with the highest mean", note]
    colours = scale_note(shown, colormap) if shown.ndim == 3 else "each panel has its own range, with a line at zero"
    return sheet_page(
        side_by_side([summary, top], SEPARATION), heading, " · ".join(word for word in words if word), colours
    )


def by_mean(values: Float[np.ndarray, "c *size"]) -> list[int]:
    """All channels by their mean, the highest first; of equal ones the earlier, and last those that are not finite.

    Example:
        >>> by_mean(np.array([[1.0, 1.0], [0.0, 4.0], [np.nan, 9.0]]))
        [1, 0, 2]
    """
    means = values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)
    order: list[int] = np.argsort(-np.where(np.isfinite(means), means, -np.inf), kind="stable").tolist()
    return order


def over_channels(
    values: Float[np.ndarray, "c *size"],
) -> tuple[Float64[np.ndarray, "*size"], Float64[np.ndarray, "*size"]]:
    """The mean over channels at each place, and the standard deviation (of the population), one channel at a time.

    Example:
        >>> mean, spread = over_channels(np.array([[1.0, 2.0], [3.0, 2.0]]))
        >>> mean.tolist(), spread.tolist()
        ([2.0, 2.0], [1.0, 0.0])
    """
    # a value that is not finite makes its place so; the panel counts them, a warning would not say where
    with np.errstate(invalid="ignore"):
        mean: Float64[np.ndarray, "*size"] = values.mean(axis=0, dtype=np.float64)
        squares = np.zeros(values.shape[1:])
        for channel in values:
            squares += (channel - mean) ** 2
        spread: Float64[np.ndarray, "*size"] = np.sqrt(squares / len(values))
    return mean, spread


def _require_places(values: Float[np.ndarray, "c *size"], channels: int) -> None:
    if values.ndim not in (2, 3, 4) or values.size == 0 or values.dtype.kind not in "fiub" or channels < 1:
        raise RenderError(
            "SW-R54",
            f"spatial patterns need channels with places, (C, t), (C, h, w) or (C, d, h, w), and one to show or more; "
            f"got {values.shape} and {channels}",
            fix="a vector has no places: draw it with seewhy.render.vector_strip",
        )
