"""What a model with several inputs looked at: the inputs on top, below them one row of overlays per method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.arrays import require_alpha, require_picture
from seewhy.render.captions import captioned, page_heading
from seewhy.render.columns import GAP, MARGIN, column_width, in_column, row_of
from seewhy.render.errors import RenderError
from seewhy.render.evidence import importance_legend, painted, share_words, why_bare
from seewhy.render.layout import framed, stack
from seewhy.render.picture import text_size
from seewhy.render.text import INK, QUIET, text_line
from seewhy.values import nearest

Picture = UInt8[np.ndarray, "_ _ 3"]
Heat = Float[np.ndarray, "_ _"]

ACROSS = 8
"""Inputs in one band; more inputs continue below in bands of equal length."""
NARROWEST_PAGE = 400


def inputs_figure(
    pictures: Mapping[str, Picture],
    rows: Mapping[str, Mapping[str, Heat]],
    *,
    shares: Mapping[str, Mapping[str, float]] | None = None,
    title: str,
    caption: str = "",
    colormap: str = "jet",
    alpha: float = 0.4,
    per_input_scale: bool = False,
    unit: str = "importance for this class",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the inputs of one record side by side and below them, per method, the overlays with their share.

    Columns have one width; pictures keep their proportions. An input whose heat is zero everywhere says so and shows
    the bare picture, as does one of which a method has no map.

    Args:
        pictures: input name to ``(H, W, 3)`` uint8, of any sizes, drawn in this order.
        rows: method title (not written if empty) to input name to heat ``(h, w)`` in [0, 1] at any resolution, covering
            the whole input.
        shares: method title to input name to the input's part of all evidence, in [0, 1]; no such line if None.
        title: first line, such as the record id; its middle is cut where it is too long.
        caption: second line, such as ``"Intermediate · 97.1 %"``.
        colormap: a colour map's name.
        alpha: weight of the colours in [0, 1].
        per_input_scale: whether each heat was divided by its own peak; the legend says which.
        unit: what the colours measure.

    Raises:
        RenderError: ``SW-R40`` nothing to draw, ``SW-R41`` a heat or share of an input that has no picture,
            ``SW-R42`` a share outside [0, 1]; ``SW-R01`` to ``SW-R05`` as in :func:`seewhy.render.overlay`.

    Example:
        >>> inputs = {name: np.zeros((224, 224, 3), np.uint8) for name in ("mnv", "fluid")}
        >>> heats = {"mnv": np.eye(7), "fluid": np.zeros((7, 7))}
        >>> page = inputs_figure(inputs, {"Grad-CAM": heats}, title="patient_001")
        >>> page.shape[1] == 24 + 224 + 14 + 224 + 24
        True
    """
    _require_inputs(pictures, rows, shares or {})
    require_alpha(alpha)
    column = column_width(picture.shape[1] for picture in pictures.values())
    canvases = {name: in_column(picture, column) for name, picture in pictures.items()}

    def overlays(method: str, names: Sequence[str]) -> Picture:
        heats, known = rows[method], (shares or {}).get(method, {})
        cells = [heat_cell(canvases[name], heats.get(name), known.get(name), colormap, alpha) for name in names]
        return _method_row(method, cells, column)

    def band(names: Sequence[str]) -> Picture:
        inputs = row_of([captioned(name, "", canvases[name], column) for name in names], column)
        return stack([inputs, *(overlays(method, names) for method in rows)], gap=GAP)

    body = stack([band(names) for names in bands_of(list(canvases))], gap=2 * GAP)
    width, size = max(body.shape[1], NARROWEST_PAGE), text_size(column)
    note = scale_note(len(pictures), len(rows), per_input_scale)
    foot = importance_legend(width, size, colormap, alpha, unit, note)
    return framed(stack([page_heading(title, caption, width, size), body, foot], gap=GAP), MARGIN)


def heat_cell(
    canvas: Picture, heat: Heat | None, share: float | None, colormap: str, alpha: float
) -> tuple[str, bool, Picture]:
    """What stands above one overlay, whether that is its share, and the overlay (the bare canvas if there is none).

    Raises:
        RenderError: ``SW-R42`` a share outside [0, 1]; as in :func:`seewhy.render.evidence.painted`.
    """
    if heat is None:
        return "no map", False, canvas
    reason = why_bare(heat)
    if reason or share is None:
        return reason, False, painted(canvas, heat, colormap, alpha)
    if not 0 <= share <= 1:
        raise RenderError(
            "SW-R42",
            f"expected a share of the evidence in [0, 1], got {share}",
            fix="divide an input's evidence by that of all inputs together",
        )
    return f"{share_words(share)} of the evidence", True, painted(canvas, heat, colormap, alpha)


def bands_of(names: Sequence[str]) -> list[Sequence[str]]:
    """Names in order, in as few bands of at most :data:`ACROSS` as possible, as evenly filled as possible.

    Example:
        >>> [len(band) for band in bands_of("abcdefghij")]
        [5, 5]
    """
    across = -(-len(names) // -(-len(names) // ACROSS))
    return [names[start : start + across] for start in range(0, len(names), across)]


def scale_note(inputs: int, methods: int, per_input_scale: bool) -> str:
    """Which overlays may be compared by colour.

    Example:
        >>> scale_note(4, 1, False), scale_note(4, 4, False), scale_note(1, 1, False)
        ('one scale for all inputs', 'in each row one scale for all inputs', '')
    """
    if inputs * methods == 1:
        return ""
    if per_input_scale or inputs == 1:
        return "each overlay has its own scale"
    return "one scale for all inputs" if methods == 1 else "in each row one scale for all inputs"


def _method_row(method: str, cells: Sequence[tuple[str, bool, Picture]], column: int) -> Picture:
    """One method's overlays; the lines above them are left out where none has anything to say."""
    if any(words for words, _, _ in cells):
        panels = [captioned(words, "", panel, column, INK if share else QUIET) for words, share, panel in cells]
    else:
        panels = [panel for _, _, panel in cells]
    row = row_of(panels, column)
    return stack([text_line(method, row.shape[1], round(1.2 * text_size(column))), row]) if method else row


def _require_inputs(
    pictures: Mapping[str, Picture],
    rows: Mapping[str, Mapping[str, Heat]],
    shares: Mapping[str, Mapping[str, float]],
) -> None:
    if not pictures or not rows:
        missing = "a row of heat maps" if pictures else "a picture"
        raise RenderError("SW-R40", f"the figure needs at least {missing}", fix="pass one input and one method or more")
    for picture in pictures.values():
        require_picture(picture)
    require_known(shares, rows, "method")
    for values in (*rows.values(), *shares.values()):
        require_known(values, pictures, "input")


def require_known(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raise ``SW-R41`` for the first given name that is not known."""
    names = list(known)
    for name in given:
        if name not in names:
            raise RenderError(
                "SW-R41",
                f"there is no {what} {name!r} in this figure",
                near=nearest(name, names),
                fix=f"use one of {', '.join(names)}",
            )
