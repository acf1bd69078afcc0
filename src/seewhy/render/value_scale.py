"""The scale of one panel of raw values: anchored at zero, so that zero is not painted as something."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image

from seewhy.render.colormap import colormap as colour_table
from seewhy.render.layout import paste, sheet
from seewhy.render.picture import WARNING
from seewhy.render.text import INK, QUIET, line_height, text_line, text_width

Picture = UInt8[np.ndarray, "_ _ 3"]

NOTCH = 2
"""Pixels of the mark that shows where zero lies on a bar."""
SHORTEST_BAR = 12
SAFE_IN_SINGLE = (1e-30, 1e30)
"""Ranges whose reciprocal is a normal number in single precision, which takes half the time."""


@dataclass(frozen=True)
class ValueScale:
    """The raw values at the first and the last colour, and how many values are no numbers.

    ``low`` is never above zero and ``high`` never below it.
    """

    low: float
    high: float
    nonfinite: int = 0

    @property
    def zero(self) -> bool:
        """Whether every value is zero."""
        return self.low == self.high == 0 and not self.nonfinite

    @property
    def signed(self) -> bool:
        """Whether zero lies between the two ends."""
        return self.low < 0 < self.high

    def shares(self, values: Float[np.ndarray, "*size"]) -> Float[np.ndarray, "*size"]:
        """Where finite values lie on the scale, 0 at ``low`` and 1 at ``high``; 0 where both are zero."""
        # halves, since the distance of two finite numbers may not be finite
        span = self.high / 2 - self.low / 2
        if not span:
            return np.zeros(values.shape)
        shares: Float[np.ndarray, "*size"]
        if values.dtype == np.float32 and SAFE_IN_SINGLE[0] < span < SAFE_IN_SINGLE[1]:
            shares = values - np.float32(self.low)
            shares *= np.float32(0.5 / span)
        else:
            shares = (values.astype(np.float64) / 2 - self.low / 2) / span
        return shares.clip(0, 1)


def scale_of(values: Float[np.ndarray, "*size"], diverging: bool = False) -> ValueScale:
    """From the lowest value or zero to the highest value or zero; as far down as up if ``diverging``.

    Example:
        >>> scale_of(np.array([2.0, 5.0])), scale_of(np.array([-1.0, 3.0, np.nan]), diverging=True)
        (ValueScale(low=0.0, high=5.0, nonfinite=0), ValueScale(low=-3.0, high=3.0, nonfinite=1))
    """
    low, high = float(values.min()), float(values.max())
    nonfinite = 0
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = values[np.isfinite(values)]
        nonfinite = values.size - finite.size
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    if diverging:
        low, high = -max(high, -low), max(high, -low)
    return ValueScale(low + 0.0, high + 0.0, nonfinite)


def paint(values: Float[np.ndarray, "h w"], scale: ValueScale, colormap: str, height: int, width: int) -> Picture:
    """Finite values as colours at this size: each cell a block of pixels, or the mean of the cells under a pixel.

    Averaged are the values, before they become colours, so that no colour appears that the scale does not have.
    """
    shares = scale.shares(values)
    rows, columns = values.shape
    if height < rows or width < columns:
        image = Image.fromarray(shares.astype(np.float32, copy=False))
        shares = np.asarray(image.resize((width, height), Image.Resampling.BOX)).clip(0, 1)
        rows, columns = height, width
    steps = np.rint(shares * 255).astype(np.uint8).repeat(width // columns, axis=1)
    lines: Picture = colour_table(colormap).take(steps, axis=0)
    return lines.repeat(height // rows, axis=0)


def scale_strip(scale: ValueScale, width: int, size: int, colormap: str) -> Picture:
    """The line under a panel: its colours between the raw values they stand for, with a notch where zero lies.

    Where nothing is painted it says why: ``all zero``, or how many values are not finite.
    """
    if scale.zero:
        return text_line("all zero", width, size, QUIET)
    if scale.nonfinite:
        return text_line(f"{scale.nonfinite} not finite", width, size, WARNING)
    ends = [text_line(label, text_width(label, size), size, QUIET) for label in scale_words(scale)]
    gap = size // 2
    left, right = ends[0].shape[1] + gap, width - ends[1].shape[1] - gap
    if right - left < SHORTEST_BAR:
        return text_line(" to ".join(scale_words(scale)), width, size, QUIET)
    strip = sheet(line_height(size), width)
    paste(strip, ends[0], 0, 0)
    paste(strip, ends[1], 0, width - ends[1].shape[1])
    thickness = max(5, size // 2)
    top = (len(strip) - thickness) // 2 + 1
    paste(strip, _ramp(right - left, thickness, colormap), top, left)
    if scale.signed:
        start = left + round(float(scale.shares(np.zeros(1))[0]) * (right - left)) - NOTCH // 2
        strip[top - 2 : top + thickness + 2, start : start + NOTCH] = INK
    return strip


def scale_words(scale: ValueScale) -> tuple[str, str]:
    """Both ends of a scale, short enough for a narrow panel."""
    return short_number(scale.low), short_number(scale.high)


def short_number(value: float) -> str:
    """Three digits, without what an exponent does not need.

    Example:
        >>> [short_number(value) for value in (0.0, -0.12345, 12345.0, 2e-7)]
        ['0', '-0.123', '1.23e4', '2e-7']
    """
    digits, mark, exponent = f"{value:.3g}".partition("e")
    return f"{digits}e{int(exponent)}" if mark else digits


@lru_cache(maxsize=64)
def _ramp(length: int, thickness: int, colormap: str) -> NDArray[np.uint8]:
    steps = np.rint(np.linspace(0, 255, length)).astype(np.uint8)
    return np.broadcast_to(colour_table(colormap).take(steps, axis=0), (thickness, length, 3))
