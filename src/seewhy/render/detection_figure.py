"""What a detector looked at: the picture with all boxes, then for each detection its own heat map and box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.arrays import require_alpha, require_picture
from seewhy.render.boxes import Corners, Detection, colours_of, draw_boxes, require_as_many
from seewhy.render.captions import captioned, page_heading
from seewhy.render.columns import GAP, MARGIN, rows_of
from seewhy.render.evidence import importance_legend, painted, why_bare
from seewhy.render.layout import framed, readable, stack
from seewhy.render.picture import SHORTEST, text_size

Picture = UInt8[np.ndarray, "_ _ 3"]

ACROSS = 4
LONGEST_PANEL = 480


def detection_figure(
    picture: UInt8[np.ndarray, "h w 3"],
    detections: Sequence[Detection],
    heats: Sequence[Float[np.ndarray, "rows columns"]],
    *,
    title: str,
    caption: str = "",
    colormap: str = "viridis",
    alpha: float = 0.4,
    common_scale: bool = False,
    unit: str = "importance for this box's class score",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the picture with all its boxes, then one panel per detection: its heat map and its box in its colour.

    Args:
        picture: ``(H, W, 3)`` uint8, the original.
        detections: boxes in pixels of ``picture``; none gives the bare picture with the words "no detections".
        heats: one ``(h, w)`` in [0, 1] per detection at any resolution, covering the whole picture.
        title: first line, such as the record id; its middle is cut where it is too long.
        caption: second line.
        colormap: a colour map's name.
        alpha: weight of the colours in [0, 1].
        common_scale: whether all heats were divided by one peak; the legend says which.
        unit: what the colours measure.

    Raises:
        RenderError: ``SW-R43`` a box is not ``(x1, y1, x2, y2)``, ``SW-R44`` detections and heats differ in number;
            ``SW-R01`` to ``SW-R05`` as in :func:`seewhy.render.overlay`.

    Example:
        >>> photograph, cat = np.zeros((240, 320, 3), np.uint8), Detection((20, 10, 120, 90), "cat", 0.934)
        >>> page = detection_figure(photograph, [cat], [np.eye(8)], title="photograph")
        >>> cat.label(1), page.shape[1] == 24 + 320 + 14 + 320 + 24
        ('1 cat 0.93', True)
    """
    require_picture(picture)
    require_alpha(alpha)
    require_as_many(len(detections), heats=len(heats))
    canvas = readable(picture, SHORTEST, LONGEST_PANEL)
    boxes = [scaled_box(detection.box, picture, canvas) for detection in detections]
    labels = [detection.label(number) for number, detection in enumerate(detections, 1)]
    colours = colours_of(len(boxes))
    found = f"{len(boxes)} detection" + ("" if len(boxes) == 1 else "s") if boxes else "no detections"
    panels = [captioned(found, "", draw_boxes(canvas, boxes, labels, colours))]
    for box, label, colour, heat in zip(boxes, labels, colours, heats, strict=True):
        overlaid = draw_boxes(painted(canvas, heat, colormap, alpha), [box], [""], [colour])
        panels.append(captioned(label, why_bare(heat), overlaid))
    column = canvas.shape[1]
    body = rows_of(panels, ACROSS, column)
    size = text_size(column)
    parts = [page_heading(title, caption, body.shape[1], size), body]
    if boxes:
        parts.append(
            importance_legend(body.shape[1], size, colormap, alpha, unit, scale_note(len(boxes), common_scale))
        )
    return framed(stack(parts, gap=GAP), MARGIN)


def scale_note(detections: int, common_scale: bool) -> str:
    """Which heat maps may be compared by colour."""
    if detections == 1:
        return ""
    return "one scale for all detections" if common_scale else "each detection has its own scale"


def scaled_box(box: Corners, picture: Picture, canvas: Picture) -> Corners:
    """A box on the canvas that shows the picture at another size."""
    vertical, horizontal = np.divide(canvas.shape[:2], picture.shape[:2]).tolist()
    x1, y1, x2, y2 = box
    return x1 * horizontal, y1 * vertical, x2 * horizontal, y2 * vertical
