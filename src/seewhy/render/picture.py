"""The picture of one explanation: title, caption, overlay and legend."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.arrays import require_alpha, require_picture
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.heatmap import Heatmap, Scale, heatmap
from seewhy.render.layout import framed, paste, readable, sheet, stack
from seewhy.render.legend import legend as legend_strip
from seewhy.render.overlay import overlay
from seewhy.render.text import INK, QUIET, text_line

SHORTEST = 224
WARNING = (178, 58, 30)


def overlay_picture(
    picture: UInt8[np.ndarray, "h w 3"],
    raw_map: Float[np.ndarray, "rows columns"],
    *,
    title: str = "",
    caption: str = "",
    signed: bool = False,
    colormap: str | None = None,
    alpha: float = 0.5,
    legend: bool = True,
    unit: str = "evidence for this class",
    reference: float | None = None,
    floor: float = 0.0,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a raw map over its picture, ready to be encoded.

    Pictures under 224 pixels are enlarged by a whole factor. A map without evidence or with NaN is not coloured: the
    bare picture is shown, and a line below it says why (also with ``legend=False``).

    Args:
        picture: ``(H, W, 3)`` uint8, the model's input as a person knows it.
        raw_map: ``(h, w)`` at native resolution, covering the whole picture.
        title: first line, such as the record id; its middle is cut where it is too long.
        caption: second line, such as ``"cat · 97.1 %"``.
        signed: show negative values too, on a diverging scale.
        colormap: a colour map's name; ``turbo``, or ``rdbu_r`` if signed.
        alpha: weight of the colours in [0, 1].
        legend: draw the colour bar.
        unit: what the colour bar measures; its ends carry the raw values.
        reference: raw value drawn at full colour, for a scale shared by several pictures.
        floor: peaks up to this raw value count as zero.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R03`` not an RGB picture, ``SW-R04`` not one map, ``SW-R05``
            alpha, ``SW-R06`` reference.
    """
    require_picture(picture)
    require_alpha(alpha)
    name = colormap or ("rdbu_r" if signed else "turbo")
    colour_table(name)
    canvas = readable(picture, SHORTEST)
    height, width = canvas.shape[:2]
    scale: Scale = "diverging" if signed else "positive"
    heat = heatmap(raw_map, (height, width), scale=scale, reference=reference, floor=floor)
    if heat.drawable:
        canvas = overlay(canvas, heat.values, name, alpha, diverging=signed)
    width = max(width, SHORTEST)
    size = text_size(width)
    parts = _heading(title, caption, width, size)
    parts.append(_centred(canvas, width))
    if not heat.drawable:
        parts.append(text_line(why_not_drawn(heat), width, size - 1, WARNING, align="centre"))
    elif legend:
        peak = f"{heat.reference:.3g}"
        low, high = (f"-{peak}", f"+{peak}") if signed else ("0", peak)
        parts.append(legend_strip(width, size - 1, name, alpha, unit, low, high, signed))
    return framed(stack(parts, gap=size // 2), size // 2)


def why_not_drawn(heat: Heatmap) -> str:
    """One short line for a map that is not drawable."""
    if heat.nonfinite:
        return f"not drawn: {heat.nonfinite} " + ("value is" if heat.nonfinite == 1 else "values are") + " not finite"
    return "no evidence: the map is zero" if heat.scale == "diverging" else "no positive evidence"


def text_size(width: int) -> int:
    """Pixels of the text on a picture: 14 at 224, growing slowly with the picture's width."""
    return min(30, round(14 + max(0, width - 256) / 64))


def _heading(title: str, caption: str, width: int, size: int) -> list[UInt8[np.ndarray, "_ width 3"]]:
    lines = []
    if title:
        lines.append(text_line(title, width, size, INK, cut="middle"))
    if caption:
        lines.append(text_line(caption, width, size, QUIET))
    return [stack(lines)] if lines else []


def _centred(picture: UInt8[np.ndarray, "h w 3"], width: int) -> UInt8[np.ndarray, "h width 3"]:
    if picture.shape[1] == width:
        return picture
    page = sheet(picture.shape[0], width)
    paste(page, picture, 0, (width - picture.shape[1]) // 2)
    return page
