"""The records that excite a channel most: a row of pictures per channel, each under the channel's activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from seewhy.render.arrays import require_alpha, require_picture
from seewhy.render.channel_grid import sheet_page
from seewhy.render.channel_panels import SIZE
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.columns import column_width, in_column, rows_of
from seewhy.render.errors import RenderError
from seewhy.render.evidence import painted, why_bare
from seewhy.render.layout import paste, sheet, stack
from seewhy.render.legend import legend
from seewhy.render.picture import WARNING
from seewhy.render.text import INK, QUIET, line_height, text_line, text_width
from seewhy.render.value_scale import short_number

Picture = UInt8[np.ndarray, "_ _ 3"]

NARROWEST, WIDEST = 160, 224
ACROSS = 8
GAP, ROW_GAP = 12, 24
NAME = 17
LEGEND_WIDTH = 420
BARE = {"no evidence": "nothing above zero", "not drawn: not finite": "its map is not finite"}


@dataclass(frozen=True)
class ExcitedRecord:
    """A record, and how much a channel responds to it.

    ``picture`` is ``(H, W, 3)`` uint8, ``heat`` ``(h, w)`` in [0, 1] at any resolution and covers the whole picture
    (None: no place, as in a layer of vectors), ``value`` is the raw activation that the records are ordered by.
    """

    picture: NDArray[np.uint8]
    heat: NDArray[np.floating] | None
    record_id: str
    value: float


@dataclass(frozen=True)
class ExcitedChannel:
    """A channel's name, its records with the most excited first, and what else is known of it."""

    name: str
    records: Sequence[ExcitedRecord]
    note: str = ""


def excited_sheet(
    channels: Sequence[ExcitedChannel],
    *,
    heading: str,
    caption: str = "",
    colormap: str = "turbo",
    alpha: float = 0.5,
    unit: str = "activation of the channel, as a share of its peak",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw for each channel the records that excite it most, with rank, id and value below each picture.

    Pictures keep their proportions. A heat of zeros or with values that are no numbers is not painted, and the line
    below the picture says so.

    Args:
        channels: one or more, one below the other; each has one record or more, drawn in the order given.
        heading: first line of the page.
        caption: what stands below it, such as which records were looked at.
        colormap: a colour map's name.
        alpha: weight of the colours in [0, 1].
        unit: what the colours measure.

    Raises:
        RenderError: ``SW-R59`` no channel, or one without records; ``SW-R01`` to ``SW-R05`` as in
            :func:`seewhy.render.overlay`.

    Example:
        >>> record = ExcitedRecord(np.zeros((160, 160, 3), np.uint8), np.eye(4), "cat_7", 3.5)
        >>> page = excited_sheet([ExcitedChannel("channel 12", [record])], heading="layer4")
        >>> page.shape[2]
        3
    """
    _require_channels(channels)
    require_alpha(alpha)
    colour_table(colormap)
    pictures = [record.picture for channel in channels for record in channel.records]
    for picture in pictures:
        require_picture(picture)
    column = column_width((picture.shape[1] for picture in pictures), NARROWEST, WIDEST)
    rows = []
    for channel in channels:
        cells = [_cell(rank, record, column, colormap, alpha) for rank, record in enumerate(channel.records, 1)]
        body = rows_of(cells, min(ACROSS, len(cells)), column, GAP)
        rows.append(stack([_name_line(channel, max(body.shape[1], LEGEND_WIDTH)), body], gap=4))
    if any(record.heat is not None for channel in channels for record in channel.records):
        rows.append(legend(LEGEND_WIDTH, SIZE, colormap, alpha, unit))
    return sheet_page(stack(rows, gap=ROW_GAP), heading, caption, "")


def _cell(rank: int, record: ExcitedRecord, column: int, colormap: str, alpha: float) -> Picture:
    canvas = in_column(record.picture, column)
    reason = ""
    if record.heat is not None:
        reason = BARE.get(why_bare(record.heat), "")
        canvas = painted(canvas, record.heat, colormap, alpha)
    words = short_number(record.value) if np.isfinite(record.value) else "value not finite"
    lines = [
        text_line(f"{rank} · {record.record_id}", column, SIZE, INK, cut="middle"),
        text_line(f"{words}, {reason}" if reason else words, column, SIZE, WARNING if reason else QUIET),
    ]
    return stack([canvas, *lines])


def _name_line(channel: ExcitedChannel, width: int) -> Picture:
    name = text_line(channel.name, min(width, text_width(channel.name, NAME)), NAME, INK, cut="middle")
    strip = sheet(line_height(NAME), width)
    paste(strip, name, 0, 0)
    left = name.shape[1] + NAME
    if channel.note and left < width:
        note = text_line(channel.note, width - left, SIZE, QUIET)
        paste(strip, note, NAME - SIZE, left)
    return strip


def _require_channels(channels: Sequence[ExcitedChannel]) -> None:
    empty = [channel.name for channel in channels if not channel.records]
    if empty or not channels:
        raise RenderError(
            "SW-R59",
            f"channel {empty[0]!r} has no record to show" if empty else "there is no channel to show",
            fix="give each channel one record or more",
        )
