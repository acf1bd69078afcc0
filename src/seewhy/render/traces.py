"""One row of a signal plot: where the line runs, how its edges are smoothed, and the evidence of each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8
from PIL import Image, ImageDraw

from seewhy.render.layout import sheet
from seewhy.render.overlay import overlay
from seewhy.render.resize import resize
from seewhy.render.text import INK

Picture = UInt8[np.ndarray, "_ _ 3"]
Style = Literal["line", "band"]
STYLES: tuple[str, ...] = get_args(Style)

THICK, THIN = 2.5, 1.4
GRID = (232, 234, 238)
BARE = (158, 163, 172)
"""A line without evidence: lighter than the scale's ends, so that full evidence is what strikes the eye."""
FINER = 4
"""Lines are drawn this many times larger and averaged, which smooths their edges."""
SAMPLES_PER_PIXEL = 4
"""A denser signal is drawn as its range in every half pixel, so that no spike is lost."""
PADDING = 0.12
PIXEL_CENTRE = 0.5
"""Pillow counts from the centre of the first pixel, we count from its edge."""


@dataclass(frozen=True)
class RowLook:
    """How a row is drawn: style and colours, its size in pixels, and the columns of the grid lines."""

    style: Style
    colormap: str
    alpha: float
    diverging: bool
    height: int
    width: int
    grid: tuple[int, ...]


def signal_row(
    line: Float[np.ndarray, " t"], bounds: tuple[float, float], heat: Float[np.ndarray, " t"], look: RowLook
) -> Picture:
    """One lead: grid, then the band if there is one, then the line."""
    strength = column_evidence(heat, look.width, 0.5 if look.diverging else 0.0)
    paper = sheet(look.height, look.width)
    paper[-1] = GRID
    paper[:, look.grid] = GRID
    if look.style == "band":
        paper, ink, thickness = _painted(paper, strength, look), np.array(INK, np.uint8), THIN
    else:
        bare = np.full((1, look.width, 3), BARE, np.uint8)
        ink, thickness = _painted(bare, strength, look), THICK
    covered = trace_coverage(line, bounds, look.height, look.width, thickness)[..., None].astype(np.uint16)
    return ((paper * (255 - covered) + ink * covered + 127) // 255).astype(np.uint8)


def trace_coverage(
    signal: Float[np.ndarray, " t"], bounds: tuple[float, float], height: int, width: int, thickness: float
) -> UInt8[np.ndarray, "height width"]:
    """How much of each pixel the line covers, from 0 to 255; values that are not finite leave a gap.

    Args:
        signal: ``(t,)``, spread over the whole width: sample ``i`` stands at ``(i + 0.5) / t`` of it.
        bounds: the values at the bottom and the top, a margin of 12 % of the height inside.
        height: of the result in pixels.
        width: of the result in pixels.
        thickness: of the line in pixels.
    """
    canvas = Image.new("L", (width * FINER, height * FINER))
    draw = ImageDraw.Draw(canvas)
    stroke = max(1, round(thickness * FINER))
    x, y = _corners(signal, bounds, height * FINER, width * FINER)
    joint = (
        "curve" if len(x) <= width else None
    )  # corners closer than a pixel cannot be seen, and take most of the time
    for start, stop in _finite_runs(y):
        points = list(zip(x[start:stop].tolist(), y[start:stop].tolist(), strict=True))
        if len(points) == 1:
            draw.circle(points[0], stroke / 2, fill=255)
        else:
            draw.line(points, fill=255, width=stroke, joint=joint)
    return np.asarray(canvas.reduce(FINER))


def column_evidence(
    heat: Float[np.ndarray, " t"], columns: int, neutral: float = 0.0
) -> Float32[np.ndarray, " columns"]:
    """The evidence above each pixel column: the strongest of its samples, or between samples the line through them.

    Args:
        heat: ``(t,)`` in [0, 1].
        columns: pixels.
        neutral: the value that stands for no evidence; strength is the distance from it.

    Example:
        >>> column_evidence(np.array([0.0, 0.0, 0.75, 0.5]), 2).tolist()
        [0.0, 0.75]
    """
    if len(heat) <= columns:
        return resize(heat, (columns,)).clip(0, 1)
    starts = _starts(len(heat), columns)
    values = heat.astype(np.float32)
    lowest, highest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return np.where(neutral - lowest > highest - neutral, lowest, highest)


def _painted(picture: Picture, strength: Float32[np.ndarray, " width"], look: RowLook) -> Picture:
    heat = np.broadcast_to(strength, picture.shape[:2])
    return overlay(picture, heat, look.colormap, look.alpha, diverging=look.diverging)


def _corners(
    signal: Float[np.ndarray, " t"], bounds: tuple[float, float], height: int, width: int
) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
    values = np.where(np.isfinite(signal), signal, np.nan).astype(np.float64)
    x = (np.arange(len(values)) + 0.5) * width / len(values)
    if len(values) > SAMPLES_PER_PIXEL * width // FINER:
        bins = 2 * width // FINER
        starts = _starts(len(values), bins)
        ranges = [np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)]
        values = np.stack(ranges, axis=1).ravel()
        x = np.repeat((np.arange(bins) + 0.5) * width / bins, 2)
    low, high = bounds
    share = (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)
    y = height * (1 - PADDING - share * (1 - 2 * PADDING))
    return x - PIXEL_CENTRE, y - PIXEL_CENTRE


def _starts(samples: int, parts: int) -> np.ndarray:
    """Where each of ``parts`` equal stretches begins; there are no more parts than samples."""
    return np.arange(parts) * samples // parts


def _finite_runs(values: Float64[np.ndarray, " points"]) -> list[tuple[int, int]]:
    finite = np.concatenate([[False], np.isfinite(values), [False]]).astype(np.int8)
    starts, stops = np.flatnonzero(np.diff(finite) == 1), np.flatnonzero(np.diff(finite) == -1)
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
