"""Slices of a volume or frames of a clip on one page, all on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.arrays import require_alpha, require_frames, require_unit
from seewhy.render.captions import captioned
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.columns import GAP, row_of
from seewhy.render.errors import RenderError
from seewhy.render.frames import Choice, cells_across, chosen_slices, slice_labels
from seewhy.render.heatmap import heatmap
from seewhy.render.layout import readable, stack
from seewhy.render.overlay import overlay
from seewhy.render.page import figure_page, scale_foot, warning_foot
from seewhy.render.picture import text_size, why_not_drawn
from seewhy.render.resize import resize

Picture = UInt8[np.ndarray, "_ _ 3"]
Plane = Float[np.ndarray, "_ _"]

SHORTEST, LONGEST = 192, 480
"""The short side of a cell is at least the first, its long side at most the second, in pixels."""
PAIR_GAP = 4
NARROWEST_LABEL = 112
"""A label such as ``slice 12 / 40`` fits into this width, however narrow the slices are."""


def slice_grid(
    pictures: UInt8[np.ndarray, "n h w 3"],
    heat: Float[np.ndarray, "n h w"],
    *,
    labels: Sequence[str] | None = None,
    most: int = 12,
    choice: Choice = "even",
    plain: bool = False,
    title: str = "",
    caption: str = "",
    colormap: str = "turbo",
    alpha: float = 0.5,
    diverging: bool = False,
    unit: str = "evidence for this class",
    reference: float | None = None,
    note: str = "",
) -> UInt8[np.ndarray, "height width 3"]:
    """Lay out slices or frames with their heat maps, in order, each below its label, over one legend.

    Slices with a short side under 192 pixels are enlarged by a whole factor, those longer than 480 reduced; the colours
    of every other cell are :func:`overlay`'s, to the bit.

    Args:
        pictures: ``(N, H, W, 3)`` uint8, the slices or frames.
        heat: ``(N, H, W)`` in [0, 1], on one scale for all.
        labels: one for each of the ``N`` slices; ``"slice 12 / 40"`` and so on if None.
            :func:`~seewhy.render.frames.frame_labels` makes those of a clip.
        most: number of cells at most.
        choice: ``even`` shows evenly spaced slices, ``evidence`` those with the most evidence.
        plain: show the bare slices in a row above each row of overlays.
        title: first line, such as the record id.
        caption: second line, such as ``"cat · 97.1 %"``.
        colormap: a colour map's name.
        alpha: weight of the colours in [0, 1].
        diverging: the zero of ``heat`` is at 0.5.
        unit: what the legend measures.
        reference: raw value at full colour, printed at the legend's end; ``max`` stands there if None.
        note: a line in place of the legend, for maps that are not drawn.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R02`` NaN or a value outside [0, 1], ``SW-R05`` alpha,
            ``SW-R30`` the stacks are no pictures or do not fit, ``SW-R31`` number of labels, ``SW-R32`` which slices.
    """
    _require_stacks(pictures, heat)
    require_unit(heat)
    require_alpha(alpha)
    colour_table(colormap)
    names = slice_labels(len(pictures)) if labels is None else list(labels)
    _require_labels(names, len(pictures))
    shown = chosen_slices(heat, most, choice, neutral=0.5 if diverging else 0.0)
    cells = [_cell(pictures[i], heat[i], colormap, alpha, diverging) for i in shown]
    bare = [_shown(pictures[i]) for i in shown] if plain else []
    body = _rows([names[i] for i in shown], cells, bare)
    size = text_size(cells[0].shape[1])
    if note:
        foot = warning_foot(body.shape[1], size, note)
    else:
        foot = scale_foot(body.shape[1], size, colormap, alpha, unit, reference, diverging)
    return figure_page(body, foot, title, caption, size)


def slice_picture(
    pictures: UInt8[np.ndarray, "n h w 3"],
    raw_map: Float[np.ndarray, "slices rows columns"],
    *,
    labels: Sequence[str] | None = None,
    most: int = 12,
    choice: Choice = "even",
    plain: bool = False,
    title: str = "",
    caption: str = "",
    signed: bool = False,
    colormap: str | None = None,
    alpha: float = 0.5,
    unit: str = "evidence for this class",
    reference: float | None = None,
    floor: float = 0.0,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the raw map of a volume or clip over its slices, enlarged to them along all three axes.

    A map without evidence or with NaN is not coloured: the bare slices are shown, and a line below them says why.

    Args:
        pictures: ``(N, H, W, 3)`` uint8, the slices or frames of the model's input.
        raw_map: ``(d, h, w)`` at native resolution, covering the whole input.
        labels: as in :func:`slice_grid`, and so ``most``, ``choice``, ``plain``, ``title``, ``caption`` and ``alpha``.
        signed: show negative values too, on a diverging scale.
        colormap: a colour map's name; ``turbo``, or ``rdbu_r`` if signed.
        unit: what the legend measures.
        reference: raw value drawn at full colour, for a scale shared by several pictures.
        floor: peaks up to this raw value count as zero.

    Raises:
        RenderError: as :func:`slice_grid`; ``SW-R04`` not one map of three axes, ``SW-R06`` reference.
    """
    require_frames(pictures)
    size = (pictures.shape[0], pictures.shape[1], pictures.shape[2])
    heat = heatmap(raw_map, size, scale="diverging" if signed else "positive", reference=reference, floor=floor)
    neutral = np.full(size, 0.5 if signed else 0.0, np.float32)
    return slice_grid(
        pictures,
        heat.values if heat.drawable else neutral,
        labels=labels,
        most=most,
        choice=choice,
        plain=plain,
        title=title,
        caption=caption,
        colormap=colormap or ("rdbu_r" if signed else "turbo"),
        alpha=alpha,
        diverging=signed,
        unit=unit,
        reference=heat.reference,
        note="" if heat.drawable else why_not_drawn(heat),
    )


def _cell(picture: Picture, heat: Plane, colormap: str, alpha: float, diverging: bool) -> Picture:
    """The overlay at the size a cell has: a small map is enlarged before it is painted, a large one painted first."""
    canvas = _shown(picture)
    if canvas.shape[0] < picture.shape[0]:
        return _shown(overlay(picture, heat, colormap, alpha, diverging=diverging))
    values = resize(heat, (canvas.shape[0], canvas.shape[1])).clip(0, 1)
    return overlay(canvas, values, colormap, alpha, diverging=diverging)


def _shown(picture: Picture) -> Picture:
    return readable(picture, SHORTEST, LONGEST)


def _rows(names: Sequence[str], cells: Sequence[Picture], bare: Sequence[Picture]) -> Picture:
    """Cells in reading order, each below its label; bare slices take the label and stand above their cells."""
    width = max(cells[0].shape[1], NARROWEST_LABEL)
    if bare:
        pairs = zip(names, bare, cells, strict=True)
        blocks = [stack([captioned(name, "", above, width), below], gap=PAIR_GAP) for name, above, below in pairs]
    else:
        blocks = [captioned(name, "", cell, width) for name, cell in zip(names, cells, strict=True)]
    across = cells_across(len(blocks))
    return stack([row_of(blocks[start : start + across], width) for start in range(0, len(blocks), across)], gap=GAP)


def _require_stacks(pictures: UInt8[np.ndarray, "n h w 3"], heat: Float[np.ndarray, "n h w"]) -> None:
    require_frames(pictures)
    if heat.shape != pictures.shape[:3] or heat.dtype.kind not in "fiub":
        raise RenderError(
            "SW-R30",
            f"expected one heat map {pictures.shape[:3]} for these slices, got {heat.shape} and {heat.dtype}",
            fix="bring the map to the slices' size: heatmap(raw, size=pictures.shape[:3]).values",
        )


def _require_labels(labels: Sequence[str], slices: int) -> None:
    if len(labels) != slices:
        raise RenderError(
            "SW-R31",
            f"expected a label for each of the {slices} slices, got {len(labels)}",
            fix="label all slices, not only those shown; or pass none",
        )
