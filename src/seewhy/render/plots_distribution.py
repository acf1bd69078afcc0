"""How the values of one layer are spread: histogram, box plot and cumulative distribution, over every value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64, Int64

from seewhy.render.errors import RenderError
from seewhy.render.palette import PALETTE
from seewhy.render.value_scale import short_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 50
CURVE_POINTS = 256
WHISKER = 1.5
"""Tukey's whiskers end at the last value within so many interquartile ranges of the box."""
FIGURE_INCHES = (13.0, 4.4)
DPI = 150
BLUE, ORANGE, GREEN = (tuple(value / 255 for value in PALETTE[index]) for index in (4, 5, 2))
TALLER = 2.5
"""Above so many times the highest bar of the other values, the bar of exact zeros is cut."""


@dataclass(frozen=True)
class Distribution:
    """What a figure needs to know of any number of values; those that are not finite are only counted.

    ``counts`` of the ``edges`` are without exact zeros, which are ``zeros``. ``quartiles`` are the 25th, 50th and 75th
    percentile by linear interpolation, ``whiskers`` the last values within 1.5 interquartile ranges of the box; below
    and above them lie ``outliers``. ``curve`` ``(points, 2)`` holds a value and the share of values up to it.
    """

    count: int
    nonfinite: int
    zeros: int
    lowest: float
    highest: float
    mean: float
    edges: Float64[np.ndarray, " bins+1"]
    counts: Int64[np.ndarray, " bins"]
    quartiles: tuple[float, float, float]
    whiskers: tuple[float, float]
    outliers: tuple[int, int]
    curve: Float64[np.ndarray, "points 2"]


def distribution_of(values: Float[np.ndarray, "*size"], bins: int = BINS) -> Distribution:
    """Summarise every value, exactly: the values are sorted once, none is left out.

    Raises:
        RenderError: ``SW-R55``, there is no finite value.

    Example:
        >>> found = distribution_of(np.array([0.0, 1.0, 2.0, 3.0, 100.0, np.nan]))
        >>> found.quartiles, found.whiskers, found.outliers, found.zeros, found.nonfinite
        ((1.0, 2.0, 3.0), (0.0, 3.0), (0, 1), 1, 1)
    """
    flat = np.sort(values, axis=None)
    if flat.dtype.kind not in "fiub" or not np.isfinite(flat).any():
        raise RenderError(
            "SW-R55",
            f"a distribution needs one finite number or more, got {values.shape} and {values.dtype}",
            fix="check the layer's input: a model that puts out NaN has no distribution",
        )
    nonfinite = int(np.count_nonzero(~np.isfinite(flat)))
    ordered = flat[np.isfinite(flat)] if nonfinite else flat
    zeros = int(np.searchsorted(ordered, 0, "right")) - int(np.searchsorted(ordered, 0))
    low, high = float(ordered[0]), float(ordered[-1])
    edges = _edges(low, high, bins)
    counts = np.diff(_up_to(ordered, edges)).astype(np.int64)
    if zeros:
        counts[_bin_of_zero(edges)] -= zeros
    quartiles = tuple(quantile(ordered, share) for share in (0.25, 0.5, 0.75))
    reach = WHISKER * (quartiles[2] - quartiles[0])
    below = int(np.searchsorted(ordered, quartiles[0] - reach))
    above = int(np.searchsorted(ordered, quartiles[2] + reach, "right"))
    return Distribution(
        len(ordered),
        nonfinite,
        zeros,
        low,
        high,
        float(ordered.mean(dtype=np.float64)),
        edges,
        counts,
        (quartiles[0], quartiles[1], quartiles[2]),
        (min(float(ordered[below]), quartiles[0]), max(float(ordered[above - 1]), quartiles[2])),
        (below, len(ordered) - above),
        cumulative(ordered),
    )


def quantile(ordered: Float[np.ndarray, " n"], share: float) -> float:
    """The value below which a share of sorted values lies, linear between neighbours (Hyndman and Fan 1996, type 7).

    Example:
        >>> quantile(np.array([0.0, 1.0, 4.0]), 0.75)
        2.5
    """
    place = share * (len(ordered) - 1)
    lower = int(place)
    upper = min(lower + 1, len(ordered) - 1)
    return float(ordered[lower]) * (1 - place + lower) + float(ordered[upper]) * (place - lower)


def cumulative(ordered: Float[np.ndarray, " n"], points: int = CURVE_POINTS) -> Float64[np.ndarray, "points 2"]:
    """The empirical distribution function of sorted values as a curve: exact at its points, upright where it jumps.

    Example:
        >>> cumulative(np.array([0.0, 0.0, 1.0, 2.0])).tolist()
        [[0.0, 0.0], [0.0, 0.5], [1.0, 0.5], [1.0, 0.75], [2.0, 0.75], [2.0, 1.0]]
    """
    ranks = np.unique(np.linspace(0, len(ordered) - 1, min(points, len(ordered))).astype(np.intp))
    places = np.unique(ordered[ranks])
    shares = [np.searchsorted(ordered, places, side) / len(ordered) for side in ("left", "right")]
    curve: Float64[np.ndarray, "points 2"] = np.stack([np.repeat(places, 2), np.stack(shares, axis=1).ravel()], axis=1)
    return curve.astype(np.float64)


def distribution_figure(values: Float[np.ndarray, "*size"], *, title: str) -> Figure:
    """Three panels over every value of a layer: histogram of 50 bins, box plot, cumulative distribution.

    Exact zeros, of which a ReLU makes many, are a bar of their own on top of their bin, cut where it would hide the
    others. Outliers are counted, not drawn.

    Args:
        values: raw values of any shape.
        title: of the figure, such as the layer's name.

    Returns:
        A matplotlib figure that belongs to the caller alone; ``seewhy.render.plots.save_figure`` writes it.

    Raises:
        RenderError: ``SW-R55``, there is no finite value.
    """
    from matplotlib.figure import Figure

    found = distribution_of(values)
    figure = Figure(figsize=FIGURE_INCHES, dpi=DPI, layout="constrained")
    histogram, box, curve = figure.subplots(1, 3, width_ratios=(1.25, 0.75, 1))
    _histogram(histogram, found)
    _box(box, found)
    _curve(curve, found)
    for panel in figure.axes:
        panel.spines[["top", "right"]].set_visible(False)
    lost = f", {found.nonfinite:,} not finite" if found.nonfinite else ""
    figure.suptitle(f"{title.replace('$', chr(92) + '$')}: {found.count:,} values{lost}")
    return figure


def _histogram(panel: Axes, found: Distribution) -> None:
    widths = np.diff(found.edges)
    panel.bar(found.edges[:-1], found.counts, widths, align="edge", color=BLUE, label="other values")
    highest = max(int(found.counts.max()), 1)
    if found.zeros:
        bin_of_zero = _bin_of_zero(found.edges)
        below = int(found.counts[bin_of_zero])
        label = f"exactly zero: {100 * found.zeros / found.count:.1f} %"
        if below + found.zeros > TALLER * highest:
            panel.set_ylim(0, TALLER * highest)
            label += f" ({found.zeros:,} values, bar cut)"
        panel.bar(
            found.edges[bin_of_zero],
            found.zeros,
            widths[bin_of_zero],
            bottom=below,
            align="edge",
            color=ORANGE,
            label=label,
        )
        panel.legend(framealpha=0.9, edgecolor="none", loc="upper right")
    panel.yaxis.set_major_formatter("{x:,.0f}")
    panel.axvline(found.mean, color=GREEN, linewidth=1.2, linestyle="--")
    panel.set(title=f"Histogram (mean {short_number(found.mean)}, dashed)", xlabel="activation", ylabel="values")


def _box(panel: Axes, found: Distribution) -> None:
    low, middle, high = found.quartiles
    # drawn by hand: matplotlib's own box plot imports pyplot, which chooses a backend for the whole process
    panel.bar([0], [high - low], 0.5, bottom=low, facecolor=(*BLUE, 0.35), edgecolor=BLUE)
    panel.plot([-0.25, 0.25], [middle, middle], color=ORANGE, linewidth=2)
    for start, end in zip((low, high), found.whiskers, strict=True):
        panel.plot([0, 0], [start, end], color=BLUE)
        panel.plot([-0.12, 0.12], [end, end], color=BLUE)
    for count, extreme, place, side in (
        (found.outliers[1], found.highest, "bottom", "above"),
        (found.outliers[0], found.lowest, "top", "below"),
    ):
        if count:
            panel.plot([0], [extreme], marker="D", markersize=4, color=BLUE)
            words = f"{100 * count / found.count:.2g} % {side},\nto {short_number(extreme)}"
            offset = 6 if place == "bottom" else -6
            panel.annotate(words, (0, extreme), (0, offset), textcoords="offset points", ha="center", va=place)
    numbers = ", ".join(short_number(value) for value in found.quartiles)
    panel.use_sticky_edges = False  # else a box from zero stands on the axis
    panel.margins(y=0.18)
    panel.set_xlim(-0.6, 0.6)
    panel.set(title="Quartiles and outliers", ylabel="activation", xlabel=f"quartiles {numbers}")
    panel.set_xticks([])


def _curve(panel: Axes, found: Distribution) -> None:
    places, shares = found.curve.T
    panel.plot(places, 100 * shares, color=BLUE)
    panel.axvline(0, color="0.75", linewidth=0.8, zorder=0)
    panel.grid(alpha=0.3)
    panel.set(title="Cumulative distribution", xlabel="activation", ylabel="values up to it, %", ylim=(0, 101))


def _edges(low: float, high: float, bins: int) -> Float64[np.ndarray, " bins+1"]:
    """Equal bins from the lowest to the highest value; one unit wide around them where they are the same."""
    if low == high:
        half = max(0.5, abs(low) / 1000)
        low, high = low - half, high + half
    return np.linspace(low, high, bins + 1)


def _bin_of_zero(edges: Float64[np.ndarray, " bins+1"]) -> int:
    return min(int(np.searchsorted(edges, 0.0, "right")) - 1, len(edges) - 2)


def _up_to(ordered: Float[np.ndarray, " n"], edges: Float64[np.ndarray, " bins+1"]) -> Int64[np.ndarray, " bins+1"]:
    """How many values lie below each edge; the last bin holds the highest value too."""
    below: Int64[np.ndarray, " bins+1"] = np.searchsorted(ordered, edges[:-1]).astype(np.int64)
    return np.append(below, len(ordered))
