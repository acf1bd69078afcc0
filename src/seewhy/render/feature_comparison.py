"""Two readings of one layer beside each other: their mean maps on one scale, the difference, the correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from seewhy.render.channel_grid import sheet_page, side_by_side
from seewhy.render.channel_panels import SIZE, line_panel, map_panel, panel_size, titled, wrapped
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.errors import RenderError
from seewhy.render.layout import paste, sheet, stack
from seewhy.render.palette import PALETTE
from seewhy.render.text import QUIET, text_line, text_width
from seewhy.render.traces import GRID
from seewhy.render.value_scale import ValueScale, scale_of, short_number
from seewhy.render.vector_strip import PLOT_HEIGHT, PLOT_WIDTH, bar_plot

Picture = UInt8[np.ndarray, "_ _ 3"]
Values = Float[np.ndarray, "*size"]

SIDE = 240
GAP = 18
BINS = 20
BLUE = PALETTE[4]


def feature_comparison(
    first: Values,
    second: Values,
    difference: Values | None = None,
    correlations: Float[np.ndarray, " c"] | None = None,
    *,
    heading: str,
    names: tuple[str, str] = ("first", "second"),
    caption: str = "",
    vector: bool = False,
    colormap: str = "viridis",
    difference_colormap: str = "hot",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw two readings of a layer on one common scale, their difference on its own, and a histogram of correlations.

    Args:
        first: mean over channels at each place, ``(h, w)``, or ``(t,)`` of a signal, or ``(d, h, w)``, of which the
            middle slice is shown; or, with ``vector``, the values ``(c,)`` themselves.
        second: likewise, of as many axes; its size may differ.
        difference: at each place the mean over channels of ``|first - second|``, not negative; None where the sizes
            differ.
        correlations: ``(c,)`` in [-1, 1], of each channel with its counterpart; NaN where a channel is constant, which
            is counted. No such panel if None.
        heading: first line, such as the layer's name.
        names: what the two readings are.
        caption: what stands below the heading, such as the similarity in numbers.
        vector: the readings are vectors, drawn as bars.
        colormap: of the two readings.
        difference_colormap: of the difference.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R58`` readings, difference or correlations that do not fit.

    Example:
        >>> one, other = np.eye(8), np.ones((8, 8))
        >>> page = feature_comparison(one, other, np.abs(one - other), np.array([0.9, np.nan]), heading="layer1")
        >>> page.dtype
        dtype('uint8')
    """
    _require_fitting(first, second, difference, correlations, vector)
    colour_table(colormap)
    colour_table(difference_colormap)
    titles = (*names, "difference")
    if vector:
        return _vectors(first, second, difference, correlations, titles, heading, caption)
    note = f"{names[0]} and {names[1]} have one scale, the difference its own"
    if difference is None:
        note = "the sizes differ, so that no difference is drawn; both have one scale"
    if first.ndim == 3:
        caption = " · ".join(part for part in (caption, f"slice {len(first) // 2 + 1} of {len(first)}") if part)
    planes = [_middle(values) for values in (first, second, difference) if values is not None]
    common = common_scale(planes[:2])
    scales = [ValueScale(common.low, common.high, scale_of(plane).nonfinite) for plane in planes[:2]]
    scales += [scale_of(plane) for plane in planes[2:]]
    maps = [colormap, colormap, difference_colormap]
    panels = [_panel(*each) for each in zip(planes, titles, scales, maps, strict=False)]
    if correlations is not None:
        height = _body_height(planes[0])
        panels.append(correlation_panel(correlations, height, max(SIDE, min(height, 2 * SIDE))))
    return sheet_page(side_by_side(panels, GAP), heading, caption, note)


def common_scale(readings: Sequence[Values]) -> ValueScale:
    """One scale for several readings, over their finite values and zero.

    Example:
        >>> common_scale([np.array([1.0, 2.0]), np.array([-1.0, np.nan])])
        ValueScale(low=-1.0, high=2.0, nonfinite=1)
    """
    scales = [scale_of(values) for values in readings]
    return ValueScale(
        min(scale.low for scale in scales),
        max(scale.high for scale in scales),
        sum(scale.nonfinite for scale in scales),
    )


def correlation_panel(correlations: Float[np.ndarray, " c"], height: int, width: int) -> Picture:
    """A histogram of 20 bins from -1 to 1, its highest count and the median written; NaN is counted, not drawn."""
    known = correlations[np.isfinite(correlations)]
    counts = correlation_counts(known)
    plot = sheet(height, width)
    plot[[0, -1]] = plot[:, [0, -1]] = GRID
    plot[:, width // 2] = np.array(GRID) - 30
    room = height - 8
    for index, count in enumerate(counts.tolist()):
        if count:
            tall = max(2, round(room * count / int(counts.max())))
            plot[height - tall :, index * width // BINS + 1 : (index + 1) * width // BINS] = BLUE
    ends = sheet(text_line("0", 8, SIZE).shape[0], width)
    for label, share in (("-1", 0.0), ("0", 0.5), ("1", 1.0)):
        wide = text_width(label, SIZE)
        paste(ends, text_line(label, wide, SIZE, QUIET), 0, round(share * (width - wide)))
    lost = len(correlations) - len(known)
    facts = (
        [f"median {short_number(float(np.median(known)))}", f"most in a bar {int(counts.max())}"] if known.size else []
    )
    facts = [f"{len(known)} channels", *facts, *([f"{lost} constant"] if lost else [])]
    words = [text_line(line, width, SIZE, QUIET) for line in wrapped(", ".join(facts), width, SIZE)]
    return titled("correlation by channel", stack([plot, ends, *words]))


def correlation_counts(correlations: Float[np.ndarray, " c"]) -> np.ndarray:
    """How many correlations fall into each of 20 equal bins from -1 to 1; rounding beyond the ends counts with them.

    Example:
        >>> correlation_counts(np.array([-1.0, 0.05, 0.95, 1.0000001])).nonzero()[0].tolist()
        [0, 10, 19]
    """
    return np.histogram(correlations.clip(-1, 1), BINS, (-1, 1))[0]


def _panel(values: Values, title: str, scale: ValueScale, colormap: str) -> Picture:
    if values.ndim == 1:
        return line_panel(values, title, scale, SIDE)
    height, width = panel_size(values.shape[0], values.shape[1], SIDE)
    return map_panel(values, title, scale, colormap, height, width, SIDE)


def _body_height(values: Values) -> int:
    return panel_size(values.shape[0], values.shape[1], SIDE)[0] if values.ndim == 2 else round(0.6 * SIDE)


def _middle(values: Values) -> Values:
    return values[len(values) // 2] if values.ndim == 3 else values


def _vectors(
    first: Values,
    second: Values,
    difference: Values | None,
    correlations: Float[np.ndarray, " c"] | None,
    titles: Sequence[str],
    heading: str,
    caption: str,
) -> Picture:
    common = common_scale([first, second])
    parts = [
        titled(title, bar_plot(values, common, PLOT_WIDTH, PLOT_HEIGHT // 2))
        for title, values in zip(titles, (first, second), strict=False)
    ]
    if difference is not None:
        parts.append(titled(titles[2], bar_plot(difference, scale_of(difference), PLOT_WIDTH, PLOT_HEIGHT // 2)))
    if correlations is not None:
        parts.append(correlation_panel(correlations, PLOT_HEIGHT // 2, PLOT_WIDTH // 2))
    note = f"{titles[0]} and {titles[1]} have one scale, the difference its own; values that are not finite have no bar"
    return sheet_page(stack(parts, gap=GAP), heading, caption, note)


def _require_fitting(
    first: Values,
    second: Values,
    difference: Values | None,
    correlations: Float[np.ndarray, " c"] | None,
    vector: bool,
) -> None:
    readings = [first, second] if difference is None else [first, second, difference]
    axes = (1,) if vector else (1, 2, 3)
    fit = all(values.ndim in axes and values.size and values.dtype.kind in "fiub" for values in readings)
    fit = fit and first.ndim == second.ndim
    if difference is not None:
        fit = fit and first.shape == second.shape == difference.shape
    if correlations is not None:
        fit = fit and correlations.ndim == 1
    if not fit:
        shapes = ", ".join(str(values.shape) for values in readings)
        raise RenderError(
            "SW-R58",
            f"expected two mean maps (t,), (h, w) or (d, h, w), a difference of their size and correlations (c,); "
            f"got {shapes}" + ("" if correlations is None else f" and {correlations.shape}"),
            fix="average over channels first; leave the difference out where the sizes differ; vector=True for vectors",
        )
