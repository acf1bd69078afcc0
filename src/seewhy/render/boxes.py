"""Detections on a picture: colour-coded boxes whose labels stay inside the picture and apart from one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from seewhy.render.arrays import require_picture
from seewhy.render.errors import RenderError
from seewhy.render.layout import paste
from seewhy.render.palette import PALETTE, is_light
from seewhy.render.picture import text_size
from seewhy.render.text import INK, PAPER, Colour, fit_text, line_height, printable, text_line, text_width

Picture = UInt8[np.ndarray, "_ _ 3"]
Corners = tuple[float, float, float, float]
Pixels = tuple[int, int, int, int]


@dataclass(frozen=True)
class Detection:
    """One detected object.

    ``box`` is ``(x1, y1, x2, y2)`` in pixels of the original picture, continuous edges (pixel ``i`` covers
    ``[i, i + 1)``); ``score`` lies in [0, 1] and is not written if None.
    """

    box: Corners
    name: str
    score: float | None = None

    def label(self, number: int) -> str:
        """As it is written on the picture: ``1 cat 0.93``, numbered because colours repeat."""
        return f"{number} {self.name}" + ("" if self.score is None else f" {self.score:.2f}")


def draw_boxes(
    picture: UInt8[np.ndarray, "h w 3"],
    boxes: Sequence[Corners],
    labels: Sequence[str],
    colours: Sequence[Colour] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of the picture with a frame around each box and its label on a tag of the same colour.

    Frames run along the inside of the boxes and are cut at the picture's edge. A tag stands above its box, or inside
    it, or below it: the first of these places that is in the picture and free.

    Args:
        picture: ``(H, W, 3)`` uint8.
        boxes: ``(x1, y1, x2, y2)`` in pixels of this picture.
        labels: one per box; nothing is written for an empty one. Too long a label is shortened.
        colours: one per box; those of :data:`seewhy.render.palette.PALETTE` in turn if None.

    Raises:
        RenderError: ``SW-R03`` not an RGB picture, ``SW-R43`` a box is not ``(x1, y1, x2, y2)`` with ``x1 <= x2`` and
            ``y1 <= y2``, ``SW-R44`` boxes, labels and colours differ in number.

    Example:
        >>> framed = draw_boxes(np.zeros((20, 60, 3), np.uint8), [(30, 5, 50, 15)], [""])
        >>> rows, columns = np.nonzero(framed.any(axis=2))
        >>> [int(edge) for edge in (columns.min(), rows.min(), columns.max(), rows.max())]
        [30, 5, 49, 14]
    """
    require_picture(picture)
    paint = colours_of(len(boxes)) if colours is None else list(colours)
    require_as_many(len(boxes), labels=len(labels), colours=len(paint))
    page = picture.copy()
    height, width = picture.shape[:2]
    frames = [covered_pixels(box, height, width) for box in boxes]
    for frame, colour in zip(frames, paint, strict=True):
        _draw_frame(page, frame, colour, line_thickness(height, width))
    taken: list[Pixels] = []
    for frame, label, colour in zip(frames, labels, paint, strict=True):
        if label:
            tag = _tag(label, width, colour)
            taken.append(_place(tag.shape[0], tag.shape[1], frame, (height, width), taken))
            left, top, right, bottom = taken[-1]
            paste(page, tag[: bottom - top, : right - left], top, left)
    return page


def colours_of(count: int) -> list[Colour]:
    """The palette's colours in turn."""
    return [PALETTE[index % len(PALETTE)] for index in range(count)]


def covered_pixels(box: Corners, height: int, width: int) -> Pixels:
    """The pixels a box touches, as half-open ``(left, top, right, bottom)`` inside the picture; at least one.

    Raises:
        RenderError: ``SW-R43``, not ``(x1, y1, x2, y2)``.

    Example:
        >>> covered_pixels((10.5, 2.0, 20.0, 7.2), 100, 15)
        (10, 2, 15, 8)
    """
    if len(box) != 4 or not np.isfinite(box).all() or box[0] > box[2] or box[1] > box[3]:
        raise RenderError(
            "SW-R43",
            f"expected a box (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2, got {tuple(box)}",
            fix="boxes are corners in pixels; from (x, y, width, height) take x + width and y + height",
        )
    left, right = _covered(box[0], box[2], width)
    top, bottom = _covered(box[1], box[3], height)
    return left, top, right, bottom


def line_thickness(height: int, width: int) -> int:
    """Pixels of a frame's line: 3 on small pictures, more on large ones."""
    return max(3, round(min(height, width) / 160))


def require_as_many(boxes: int, **others: int) -> None:
    """Raise ``SW-R44`` unless there are as many of each of the others as there are boxes."""
    for what, count in others.items():
        if count != boxes:
            raise RenderError("SW-R44", f"got {boxes} boxes and {count} {what}", fix=f"give the {what} one per box")


def _covered(start: float, end: float, length: int) -> tuple[int, int]:
    first = min(max(int(np.floor(start)), 0), length - 1)
    return first, max(first + 1, min(int(np.ceil(end)), length))


def _draw_frame(page: Picture, frame: Pixels, colour: Colour, thickness: int) -> None:
    left, top, right, bottom = frame
    inside = page[top:bottom, left:right]
    inside[:thickness] = inside[-thickness:] = colour
    inside[:, :thickness] = inside[:, -thickness:] = colour


def _tag(label: str, width: int, colour: Colour) -> Picture:
    """The label in dark or light, whichever stands out, on its colour; at most as wide as the picture."""
    size = text_size(width)
    padding = size // 3
    text = fit_text(printable(label), max(0, width - 2 * padding), size)
    line = text_line(text, min(width, text_width(text, size) + 2 * padding), size, INK, align="centre")
    ink = (PAPER - line.astype(np.int32)) / (PAPER - np.array(INK))
    foreground = np.array(INK if is_light(colour) else (PAPER,) * 3)
    blended = np.array(colour) * (1 - ink) + foreground * ink
    tag: Picture = np.rint(blended).clip(0, 255).astype(np.uint8)
    return tag[: line_height(size)]


def _place(height: int, width: int, frame: Pixels, page: tuple[int, int], taken: Sequence[Pixels]) -> Pixels:
    """Where a tag goes: above, inside at the top, below, inside at the bottom; the first inside the page and free."""
    left, top, _, bottom = frame
    height, width = min(height, page[0]), min(width, page[1])
    left = min(left, page[1] - width)
    tops = [top - height, top, bottom, bottom - height]
    possible = [(left, y, left + width, y + height) for y in tops if 0 <= y <= page[0] - height]
    possible = possible or [(left, 0, left + width, height)]
    return next((place for place in possible if not any(_overlap(place, other) for other in taken)), possible[0])


def _overlap(first: Pixels, second: Pixels) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
