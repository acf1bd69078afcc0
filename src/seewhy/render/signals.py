"""Signals with their evidence: a row for each lead, a time axis, a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.arrays import require_alpha, require_unit
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.errors import RenderError
from seewhy.render.heatmap import heatmap
from seewhy.render.layout import paste, sheet, stack
from seewhy.render.legend import BACKDROP
from seewhy.render.page import figure_page, scale_foot, warning_foot
from seewhy.render.picture import why_not_drawn
from seewhy.render.text import INK, PAPER, QUIET, text_line, text_width
from seewhy.render.time_axis import axis_strip, ticks
from seewhy.render.traces import STYLES, RowLook, Style, signal_row
from seewhy.values import nearest

Picture = UInt8[np.ndarray, "_ _ 3"]

NARROWEST_PLOT = 200
LOWEST_ROW, HIGHEST_ROW, ALL_ROWS = 56, 160, 840
SIZE, SMALL = 16, 14
GAP, WIDEST_NAME = 14, 160


def signal_plot(
    signal: Float[np.ndarray, "leads t"],
    heat: Float[np.ndarray, " t"] | Float[np.ndarray, "leads t"],
    *,
    leads: Sequence[str] | None = None,
    sampling_rate: float | None = None,
    style: Style = "line",
    shared_range: bool = False,
    width: int = 1000,
    title: str = "",
    caption: str = "",
    colormap: str = "turbo",
    alpha: float | None = None,
    diverging: bool = False,
    unit: str = "evidence for this class",
    reference: float | None = None,
    note: str = "",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw each lead as a line over time that carries the evidence, with its name and range at the left.

    Where there is no evidence a line is grey, and a band is bare paper below a line of ink. A column of pixels that
    stands for several samples shows the strongest evidence among them, and their whole range.

    Args:
        signal: ``(leads, t)``, any unit; values that are not finite leave a gap.
        heat: ``(t,)`` for all leads or ``(leads, t)``, in [0, 1].
        leads: a name for each; ``lead 1`` and so on if None.
        sampling_rate: samples per second, for an axis in seconds; in samples if None.
        style: ``line`` colours the line along its length, ``band`` the paper behind it.
        shared_range: give all leads the same vertical range, so that amplitudes can be compared.
        width: of the figure in pixels, without its margins.
        title: first line, such as the record id.
        caption: second line.
        colormap: a colour map's name.
        alpha: weight of the colours in [0, 1]; 1 for lines and 0.5 for bands if None.
        diverging: the zero of ``heat`` is at 0.5.
        unit: what the legend measures.
        reference: raw value at full colour, printed at the legend's end; ``max`` stands there if None.
        note: a line in place of the legend, for maps that are not drawn.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R02`` NaN or a value outside [0, 1], ``SW-R05`` alpha,
            ``SW-R36`` not a signal, ``SW-R37`` heat or names do not fit it, ``SW-R38`` sampling rate, ``SW-R39`` style
            or width.
    """
    _require_signal(signal)
    names = [f"lead {index + 1}" for index in range(len(signal))] if leads is None else list(leads)
    _require_fitting(signal, heat, names)
    require_unit(heat)
    weight = alpha if alpha is not None else (0.5 if style == "band" else 1.0)
    require_alpha(weight)
    colour_table(colormap)
    _require_rate(sampling_rate)
    ranges = _ranges(signal, shared_range)
    gutter = _gutter(names, ranges)
    _require_look(style, width - gutter)
    marks = ticks(signal.shape[1], sampling_rate, width - gutter)
    height = min(HIGHEST_ROW, max(LOWEST_ROW, ALL_ROWS // len(signal)))
    look = RowLook(style, colormap, weight, diverging, height, width - gutter, tuple(marks))
    rows = [
        np.hstack([_name_block(name, bounds, gutter, height), signal_row(line, bounds, strength, look)])
        for name, line, bounds, strength in zip(names, signal, ranges, np.broadcast_to(heat, signal.shape), strict=True)
    ]
    body = stack([*rows, axis_strip(marks, gutter, width, SMALL, "sample" if sampling_rate is None else "time (s)")])
    if note:
        foot = warning_foot(width, SIZE, note)
    else:
        backdrop = PAPER if style == "band" else BACKDROP
        foot = scale_foot(width, SMALL, colormap, weight, unit, reference, diverging, backdrop)
    return figure_page(body, foot, title, caption, SIZE)


def signal_picture(
    signal: Float[np.ndarray, "leads t"],
    raw_map: Float[np.ndarray, " cells"] | Float[np.ndarray, "rows cells"],
    *,
    leads: Sequence[str] | None = None,
    sampling_rate: float | None = None,
    style: Style = "line",
    shared_range: bool = False,
    width: int = 1000,
    title: str = "",
    caption: str = "",
    signed: bool = False,
    colormap: str | None = None,
    alpha: float | None = None,
    unit: str = "evidence for this class",
    reference: float | None = None,
    floor: float = 0.0,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the raw map of a signal along its leads.

    A map without evidence or with NaN is not coloured: the bare lines are shown, and a line below them says why.

    Args:
        signal: ``(leads, t)``, the model's input in a person's units.
        raw_map: ``(cells,)`` at native resolution, covering the whole time, for all leads; or ``(leads, cells)``.
        leads: as in :func:`signal_plot`, and so ``sampling_rate``, ``style``, ``shared_range``, ``width``, ``title``,
            ``caption`` and ``alpha``.
        signed: show negative values too, on a diverging scale.
        colormap: a colour map's name; ``turbo``, or ``rdbu_r`` if signed.
        unit: what the legend measures.
        reference: raw value drawn at full colour, for a scale shared by several pictures.
        floor: peaks up to this raw value count as zero.

    Raises:
        RenderError: as :func:`signal_plot`; ``SW-R04`` not one map, ``SW-R06`` reference.
    """
    _require_signal(signal)
    size = signal.shape if raw_map.ndim == 2 else signal.shape[1:]
    heat = heatmap(raw_map, size, scale="diverging" if signed else "positive", reference=reference, floor=floor)
    neutral = np.full(size, 0.5 if signed else 0.0, np.float32)
    return signal_plot(
        signal,
        heat.values if heat.drawable else neutral,
        leads=leads,
        sampling_rate=sampling_rate,
        style=style,
        shared_range=shared_range,
        width=width,
        title=title,
        caption=caption,
        colormap=colormap or ("rdbu_r" if signed else "turbo"),
        alpha=alpha,
        diverging=signed,
        unit=unit,
        reference=heat.reference,
        note="" if heat.drawable else why_not_drawn(heat),
    )


def _name_block(name: str, bounds: tuple[float, float], width: int, height: int) -> Picture:
    """The lead's name over its range, in the middle of the row's height."""
    room = width - GAP
    words = stack([text_line(name, room, SIZE, INK), text_line(_range_words(bounds), room, SMALL, QUIET)])
    block = sheet(height, width)
    paste(block, words, (height - len(words)) // 2, 0)
    return block


def _ranges(signal: Float[np.ndarray, "leads t"], shared: bool) -> list[tuple[float, float]]:
    """Lowest and highest finite value of each lead, or of all; NaN where there is none."""
    lines = [line[np.isfinite(line)] for line in signal]
    each = [(float(line.min()), float(line.max())) if line.size else (math.nan, math.nan) for line in lines]
    if not shared:
        return each
    known = [bounds for bounds in each if not math.isnan(bounds[0])] or each
    return [(min(low for low, _ in known), max(high for _, high in known))] * len(each)


def _range_words(bounds: tuple[float, float]) -> str:
    if math.isnan(bounds[0]):
        return "no values"
    low, high = (f"{bound:.3g}" for bound in bounds)
    return low if low == high else f"{low} to {high}"


def _gutter(names: Sequence[str], ranges: Sequence[tuple[float, float]]) -> int:
    widest = max(text_width(name, SIZE) for name in names)
    return GAP + max(min(widest, WIDEST_NAME), *(text_width(_range_words(bounds), SMALL) for bounds in ranges))


def _require_signal(signal: Float[np.ndarray, "leads t"]) -> None:
    if signal.ndim != 2 or signal.size == 0 or signal.dtype.kind not in "fiub":
        raise RenderError(
            "SW-R36",
            f"expected a signal (leads, t) of real numbers, got {signal.shape} and {signal.dtype}",
            fix="pass one record without its batch axis; signal[None] for a single lead",
        )


def _require_fitting(
    signal: Float[np.ndarray, "leads t"], heat: Float[np.ndarray, "*size"], names: Sequence[str]
) -> None:
    if heat.shape not in (signal.shape, signal.shape[1:]) or heat.dtype.kind not in "fiub":
        raise RenderError(
            "SW-R37",
            f"expected evidence {signal.shape[1:]} or {signal.shape} for this signal, got {heat.shape}, {heat.dtype}",
            fix="bring the map to the signal's length: heatmap(raw, size=signal.shape[1:]).values",
        )
    if len(names) != len(signal):
        raise RenderError(
            "SW-R37", f"expected {len(signal)} lead names, got {len(names)}", fix="name every lead, or pass none"
        )


def _require_rate(sampling_rate: float | None) -> None:
    if sampling_rate is not None and not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise RenderError(
            "SW-R38",
            f"expected samples per second above 0, got {sampling_rate}",
            fix="pass None for an axis in samples",
        )


def _require_look(style: str, plot: int) -> None:
    if style not in STYLES:
        raise RenderError(
            "SW-R39", f"there is no style {style!r}", near=nearest(str(style), STYLES), fix="use 'line' or 'band'"
        )
    if plot < NARROWEST_PLOT:
        raise RenderError(
            "SW-R39",
            f"{plot} pixels are left for the lines beside the names, fewer than {NARROWEST_PLOT}",
            fix="pass a larger width, or shorter lead names",
        )
