"""One heat map in [0, 1] over one picture inside a larger figure, and the words and legend that belong to it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.arrays import require_plane, require_unit
from seewhy.render.layout import paste, sheet, stack
from seewhy.render.legend import legend
from seewhy.render.overlay import overlay
from seewhy.render.resize import resize
from seewhy.render.text import QUIET, text_line

Picture = UInt8[np.ndarray, "_ _ 3"]
Plane = Float[np.ndarray, "_ _"]

LEGEND_EMS = 34
BLUE_TO_RED = ("jet", "turbo")


def painted(
    canvas: UInt8[np.ndarray, "height width 3"], heat: Float[np.ndarray, "h w"], colormap: str, alpha: float
) -> UInt8[np.ndarray, "height width 3"]:
    """The canvas under its heat map, which is enlarged to it; the bare canvas where :func:`why_bare` has a reason.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R02`` a finite value outside [0, 1], ``SW-R04`` not one map,
            ``SW-R05`` alpha.
    """
    if why_bare(heat):
        return canvas
    require_unit(heat)
    values = resize(heat, (canvas.shape[0], canvas.shape[1])).clip(0, 1)
    return overlay(canvas, values, colormap, alpha)


def why_bare(heat: Float[np.ndarray, "h w"]) -> str:
    """Why a heat map is not drawn: it is zero everywhere, or holds values that are no numbers; empty if it is drawn.

    Raises:
        RenderError: ``SW-R04``, not one map.
    """
    require_plane(heat, "a heat map")
    if not np.isfinite(heat).all():
        return "not drawn: not finite"
    return "" if heat.any() else "no evidence"


def share_words(share: float) -> str:
    """A share of the evidence as a person reads it; small and large shares are not rounded to none and all.

    Example:
        >>> [share_words(share) for share in (0.62, 0.0, 0.001, 0.999, 1.0)]
        ['62 %', '0 %', 'under 1 %', 'over 99 %', '100 %']
    """
    rounded = round(100 * share)
    if rounded == 0 and share > 0:
        return "under 1 %"
    if rounded == 100 and share < 1:
        return "over 99 %"
    return f"{rounded} %"


def importance_legend(width: int, size: int, colormap: str, alpha: float, unit: str, note: str = "") -> Picture:
    """The colour bar, what its colours mean in words, and a note on the scale, in the middle of ``width`` pixels.

    The colours are named where the colour map runs from blue to red.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R05`` alpha.
    """
    low, high = ("blue: low", "red: high") if colormap.casefold() in BLUE_TO_RED else ("low", "high")
    bar = legend(min(width, LEGEND_EMS * size), size, colormap, alpha, unit, low, high)
    page = sheet(len(bar), width)
    paste(page, bar, 0, (width - bar.shape[1]) // 2)
    return stack([page, text_line(note, width, size, QUIET, align="centre")]) if note else page
