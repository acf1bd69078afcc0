"""What one unit of a layer sees: the picture, and signed sensitivity maps over it, with the unit's place marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from seewhy.render.arrays import require_alpha, require_picture, require_plane
from seewhy.render.captions import captioned
from seewhy.render.channel_grid import sheet_page, side_by_side
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.errors import RenderError
from seewhy.render.heatmap import heatmap
from seewhy.render.layout import readable, stack
from seewhy.render.legend import legend
from seewhy.render.overlay import overlay
from seewhy.render.picture import text_size
from seewhy.render.text import INK
from seewhy.render.value_scale import short_number

Picture = UInt8[np.ndarray, "_ _ 3"]
Field = Float[np.ndarray, "_ _"]
Box = tuple[int, int, int, int]

SHORTEST, LONGEST = 256, 480
LEGEND_EMS = 34
FAINTEST = 0.01
"""The frame holds every cell above this part of the field's peak."""
LIGHT = (255, 255, 255)
ROOM, MOST_ZOOM, FEWEST_PIXELS = 0.2, 8, 24
"""Around small fields: this part of their size more, enlarged so many times at most, so many pixels at least."""
FADED_TO, INK_LEFT = 235, 0.45
"""Below a field the picture is grey and pale, so that a fine field can be told from its texture."""


def receptive_field_figure(
    picture: UInt8[np.ndarray, "h w 3"],
    fields: Mapping[str, Float[np.ndarray, "rows columns"]],
    *,
    position: tuple[float, float],
    heading: str,
    caption: str = "",
    colormap: str = "rdbu_r",
    alpha: float = 0.9,
    unit: str = "sensitivity of the unit",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a picture and, beside it, each signed field over it, on a scale as far below zero as above.

    Crosshairs mark the unit's place, a frame holds what exceeds 1 % of a field's peak. Fields that are small in their
    picture are shown enlarged, and a frame in the picture says where. Each field has its own scale, whose
    end is printed above it; one of zeros, or with values that are no numbers, is not painted and says so.

    Below the fields the picture is grey and pale.

    Args:
        picture: ``(H, W, 3)`` uint8, the model's input as a person knows it.
        fields: name, such as ``"gradient"`` and ``"occlusion"``, to ``(h, w)`` raw signed sensitivity at any
            resolution, covering the whole picture.
        position: row and column of the unit's place in pixels of ``picture``.
        heading: first line, such as ``"layer3, channel 17"``.
        caption: what stands below it.
        colormap: a diverging colour map's name.
        alpha: weight of the colours in [0, 1].
        unit: what the colours measure.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R03`` not an RGB picture, ``SW-R04`` a field is no map,
            ``SW-R05`` alpha, ``SW-R60`` no field, or a position outside the picture.

    Example:
        >>> picture = np.zeros((64, 64, 3), np.uint8)
        >>> page = receptive_field_figure(picture, {"gradient": np.eye(64)}, position=(32, 32), heading="layer1")
        >>> page.dtype
        dtype('uint8')
    """
    require_picture(picture)
    require_alpha(alpha)
    colour_table(colormap)
    _require_fields(fields, position, picture.shape[:2])
    canvas = readable(picture, SHORTEST, LONGEST)
    window = seen_window(picture.shape[:2], list(fields.values()), position)
    view = _View(window, canvas.shape[:2])
    whole = _View((0, 0, picture.shape[0], picture.shape[1]), canvas.shape[:2])
    zoom = picture.shape[0] // (window[2] - window[0])
    original = whole.marked(whole.framed(canvas, window) if zoom > 1 else canvas, position)
    panels = [captioned("picture", "", original)]
    ground = _faded(picture)
    panels += [_field_panel(name, field, ground, view, position, colormap, alpha) for name, field in fields.items()]
    body = side_by_side(panels, 18)
    size = text_size(canvas.shape[1])
    width = min(body.shape[1], LEGEND_EMS * size)
    bar = legend(width, size, colormap, alpha, unit, "-max", "+max", True, FADED_TO)
    note = "crosshairs: the unit's place; frame: where a field exceeds 1 % of its peak; each field has its own scale"
    if zoom > 1:
        note += f"; fields are shown {zoom} times as large as the picture, within the frame there"
    return sheet_page(stack([body, bar], gap=12), heading, caption, note)


def field_box(field: Float[np.ndarray, "rows columns"], faintest: float = FAINTEST) -> Box | None:
    """The cells above a part of the field's peak, as half-open ``(top, left, bottom, right)``; None of a zero field.

    Example:
        >>> field_box(np.array([[0.0, 0.0, 0.0], [0.0, -2.0, 0.01]]))
        (1, 1, 2, 2)
    """
    strength = np.abs(field)
    peak = strength.max()
    if not peak > 0:
        return None
    rows, columns = np.nonzero(strength > faintest * peak)
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1


def seen_window(size: tuple[int, ...], fields: Sequence[Field], position: tuple[float, float]) -> Box:
    """The part of a picture that is shown under its fields, as half-open ``(top, left, bottom, right)`` pixels.

    The whole picture, or, where all fields and the unit lie in a small part of it, an equal fraction of both sides.

    Example:
        >>> field = np.zeros((100, 200))
        >>> field[10:20, 150:160] = 1
        >>> seen_window((100, 200), [field], (15, 155))
        (2, 130, 27, 180)
    """
    boxes = [(position[0], position[1], position[0] + 1, position[1] + 1)]
    for field in fields:
        box = field_box(field) if np.isfinite(field).all() else (0, 0, *field.shape)
        if box is not None:
            rows, columns = size[0] / field.shape[0], size[1] / field.shape[1]
            boxes.append((box[0] * rows, box[1] * columns, box[2] * rows, box[3] * columns))
    low, high = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
    needed = (high - low) * (1 + ROOM)
    closest = min(MOST_ZOOM, min(size) // FEWEST_PIXELS)
    zoom = max(1, min(closest, int(min(np.array(size) / needed))))
    shape = np.array(size) // zoom
    top, left = np.clip(np.round((low + high) / 2 - shape / 2), 0, np.array(size) - shape).astype(int).tolist()
    return top, left, top + int(shape[0]), left + int(shape[1])


@dataclass(frozen=True)
class _View:
    """A window of the picture drawn at a panel's size, and where the picture's pixels lie in it."""

    window: Box
    panel: tuple[int, ...]

    def place(self, row: float, column: float) -> tuple[float, float]:
        top, left, bottom, right = self.window
        return (row - top) * self.panel[0] / (bottom - top), (column - left) * self.panel[1] / (right - left)

    def cut(self, painted: Picture) -> Picture:
        top, left, bottom, right = self.window
        image = Image.fromarray(np.ascontiguousarray(painted[top:bottom, left:right]))
        larger = self.panel[0] >= bottom - top
        how = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
        return np.asarray(image.resize((self.panel[1], self.panel[0]), how))

    def framed(self, canvas: Picture, box: tuple[float, float, float, float]) -> Picture:
        """A thin dark frame between light ones around a box, of which it hides nothing."""
        image = Image.fromarray(canvas)
        draw = ImageDraw.Draw(image)
        (top, left), (bottom, right) = self.place(box[0], box[1]), self.place(box[2], box[3])
        first = round(left), round(top)
        last = max(first[0], round(right) - 1), max(first[1], round(bottom) - 1)
        for away, colour in ((1, LIGHT), (2, INK), (3, LIGHT)):
            draw.rectangle((first[0] - away, first[1] - away, last[0] + away, last[1] + away), outline=colour)
        return np.asarray(image)

    def marked(self, canvas: Picture, position: tuple[float, float]) -> Picture:
        """Crosshairs that leave the place itself free, dark within light."""
        image = Image.fromarray(canvas)
        draw = ImageDraw.Draw(image)
        y, x = (round(value) for value in self.place(*position))
        near = max(7, min(canvas.shape[:2]) // 40)
        for colour, width, more in ((LIGHT, 5, 1), (INK, 2, 0)):
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                start, end = near - more, 2 * near + more
                draw.line((x + dx * start, y + dy * start, x + dx * end, y + dy * end), fill=colour, width=width)
        return np.asarray(image)


def _field_panel(
    name: str, field: Field, ground: Picture, view: _View, position: tuple[float, float], colormap: str, alpha: float
) -> Picture:
    heat = heatmap(field, (ground.shape[0], ground.shape[1]), scale="diverging")
    if not heat.drawable:
        reason = f"{heat.nonfinite} not finite" if heat.nonfinite else "all zero"
        return captioned(name, reason, view.marked(view.cut(ground), position))
    panel = view.cut(overlay(ground, heat.values, colormap, alpha, diverging=True))
    box = field_box(field)
    if box is not None:
        rows, columns = ground.shape[0] / field.shape[0], ground.shape[1] / field.shape[1]
        panel = view.framed(panel, (box[0] * rows, box[1] * columns, box[2] * rows, box[3] * columns))
    return captioned(name, f"max {short_number(heat.reference)}", view.marked(panel, position))


def _faded(canvas: Picture) -> Picture:
    grey = np.asarray(Image.fromarray(canvas).convert("L"), np.float32)
    pale = np.rint(FADED_TO - (255 - grey) * INK_LEFT).astype(np.uint8)
    return np.repeat(pale[..., None], 3, axis=2)


def _require_fields(fields: Mapping[str, Field], position: tuple[float, float], size: tuple[int, ...]) -> None:
    for name, field in fields.items():
        require_plane(field, f"the field {name!r}")
    inside = len(position) == 2 and 0 <= position[0] <= size[0] and 0 <= position[1] <= size[1]
    if not fields or not inside:
        raise RenderError(
            "SW-R60",
            f"expected one field or more and a position inside the picture {size[0]} x {size[1]}, got {len(fields)} "
            f"and {tuple(position)}",
            fix="the position is row and column in pixels of the picture, not in cells of the layer",
        )
