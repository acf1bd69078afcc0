"""The attention sheet: the picture, the rollout, and one panel per head of each chosen layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.arrays import require_alpha, require_picture
from seewhy.render.captions import captioned, page_heading
from seewhy.render.columns import GAP, MARGIN
from seewhy.render.errors import RenderError
from seewhy.render.heatmap import Heatmap, heatmap
from seewhy.render.layout import framed, paste, readable, sheet, stack
from seewhy.render.legend import legend
from seewhy.render.overlay import overlay
from seewhy.render.picture import SHORTEST, text_size
from seewhy.render.text import QUIET, text_line

Picture = UInt8[np.ndarray, "_ _ 3"]
Plane = Float[np.ndarray, "_ _"]

WIDEST = 6
LONGEST_PANEL = 640
LEGEND_EMS = 40


def attention_sheet(
    picture: UInt8[np.ndarray, "h w 3"],
    heads: Mapping[str, Float[np.ndarray, "heads rows columns"]],
    rollout: Float[np.ndarray, "rows columns"] | None = None,
    *,
    title: str,
    caption: str = "",
    colormap: str = "inferno",
    alpha: float = 0.7,
    unit: str = "attention paid by the class token",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw attention maps over their picture, one panel each, with the original, the rollout and a legend.

    Each panel is scaled by its own peak, since a diffuse head would vanish beside a focused one on a shared scale; the
    peak is printed above the panel and the legend says so. Panels have at least 224 pixels on their short side.

    Args:
        picture: ``(H, W, 3)`` uint8, the model's input as a person knows it.
        heads: layer label to ``(heads, h, w)`` attention over the grid, not negative, drawn in this order.
        rollout: ``(h, w)``; no such panel if None.
        title: first line, such as the record id; its middle is cut where it is too long.
        caption: second line.
        colormap: a colour map's name.
        alpha: weight of the colours in [0, 1].
        unit: what the numbers are.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R03`` not an RGB picture, ``SW-R05`` alpha, ``SW-R09`` nothing
            to draw or heads without three axes.
    """
    require_picture(picture)
    require_alpha(alpha)
    _require_heads(heads, rollout)
    canvas = readable(picture, SHORTEST, LONGEST_PANEL)

    def panel(name: str, values: Plane) -> Picture:
        return _panel(name, heatmap(values, (canvas.shape[0], canvas.shape[1])), canvas, colormap, alpha)

    references = [captioned("original", "", canvas)]
    if rollout is not None:
        references.append(panel("rollout", rollout))
    layers = [
        [panel(f"{label} · head {index}", values) for index, values in enumerate(maps)] for label, maps in heads.items()
    ]
    body = _arranged(references, layers)
    size = text_size(canvas.shape[1])
    heading = page_heading(title, caption, body.shape[1], size)
    return framed(stack([heading, body, _foot(body.shape[1], size, colormap, alpha, unit)], gap=GAP), MARGIN)


def columns_for(references: int, heads: Sequence[int]) -> int:
    """Columns of heads, beside the column of references, that leave the fewest empty cells; the wider on a tie.

    Args:
        references: panels in the first column.
        heads: number of heads of each layer; a layer starts a new row.
    """

    def empty(columns: int) -> int:
        lines = max(references, sum(-(-count // columns) for count in heads))
        return lines * (1 + columns) - references - sum(heads)

    return min(range(WIDEST, 0, -1), key=empty)


def _arranged(references: Sequence[Picture], layers: Sequence[Sequence[Picture]]) -> Picture:
    """The original and the rollout in a column at the left, each layer's rows of heads at the right."""
    if not layers:
        return _grid([references])
    columns = columns_for(len(references), [len(panels) for panels in layers])
    rows = [panels[start : start + columns] for panels in layers for start in range(0, len(panels), columns)]
    blank = sheet(*references[0].shape[:2])
    lines = max(len(rows), len(references))
    first = [*references, *[blank] * (lines - len(references))]
    rest = [*rows, *[()] * (lines - len(rows))]
    return _grid([[panel, *row] for panel, row in zip(first, rest, strict=True)])


def _grid(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Panels of one size in rows, :data:`GAP` apart."""
    height, width = rows[0][0].shape[:2]
    across = max(len(row) for row in rows)
    page = sheet(len(rows) * (height + GAP) - GAP, across * (width + GAP) - GAP)
    for line, row in enumerate(rows):
        for column, panel in enumerate(row):
            paste(page, panel, line * (height + GAP), column * (width + GAP))
    return page


def _foot(width: int, size: int, colormap: str, alpha: float, unit: str) -> Picture:
    width = min(width, LEGEND_EMS * size)
    note = text_line("each panel has its own scale; its max is printed above it", width, size, QUIET, align="centre")
    return stack([legend(width, size, colormap, alpha, f"{unit}, 0 to max"), note])


def _panel(name: str, heat: Heatmap, canvas: Picture, colormap: str, alpha: float) -> Picture:
    if not heat.drawable:
        return captioned(name, f"{heat.nonfinite} not finite" if heat.nonfinite else "all zero", canvas)
    return captioned(name, f"max {heat.reference:.2g}", overlay(canvas, heat.values, colormap, alpha))


def _require_heads(heads: Mapping[str, Float[np.ndarray, "heads rows columns"]], rollout: Plane | None) -> None:
    if not heads and rollout is None:
        raise RenderError("SW-R09", "an attention sheet needs heads or a rollout, got neither", fix="choose a layer")
    for label, maps in heads.items():
        if maps.ndim != 3 or len(maps) == 0:
            raise RenderError(
                "SW-R09",
                f"expected (heads, h, w) for {label!r}, got {maps.shape}",
                fix="keep one query (the class token's row) and give the tokens their grid before drawing",
            )
