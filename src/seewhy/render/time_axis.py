"""The line below signals: round times, where they stand, and the unit."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import UInt8

from seewhy.render.layout import paste, sheet
from seewhy.render.text import QUIET, line_height, text_line, text_width

APART = 100
"""Pixels between two ticks, at least."""
TICK = 6


def ticks(samples: int, sampling_rate: float | None, width: int) -> dict[int, str]:
    """The labelled pixel columns of an axis: steps of 1, 2 or 5 times a power of ten, in samples or seconds.

    Sample ``i`` is at ``i / sampling_rate`` seconds and at the column ``(i + 0.5) / samples * width``.

    Example:
        >>> ticks(1000, 500.0, 400)
        {0: '0.0', 100: '0.5', 200: '1.0', 300: '1.5'}
    """
    rate = sampling_rate or 1.0
    step = round_step(samples / rate * APART / width)
    if sampling_rate is None:
        step = max(1.0, step)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    times = [step * count for count in range(math.floor((samples - 1) / rate / step + 1e-9) + 1)]
    return {min(width - 1, int((time * rate + 0.5) * width / samples)): f"{time:.{decimals}f}" for time in times}


def round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not under ``least``.

    Example:
        >>> [round_step(least) for least in (0.03, 1.0, 2.1)]
        [0.05, 1.0, 5.0]
    """
    power = 10.0 ** math.floor(math.log10(least))
    candidates = [float(f"{factor * power:.12g}") for factor in (1, 2, 5, 10)]
    return next(step for step in candidates if step >= least * (1 - 1e-9))


def axis_strip(
    marks: dict[int, str], left: int, width: int, size: int, unit: str
) -> UInt8[np.ndarray, "height width 3"]:
    """Tick marks over their labels, and the unit in the last line.

    Args:
        marks: labels by column, counted from ``left``, where the axis begins.
        left: pixels before the axis.
        width: of the strip in pixels; the axis ends there.
        size: of the text in pixels.
        unit: what the labels count.
    """
    strip = sheet(TICK + 2 + 2 * line_height(size), width)
    for column, label in marks.items():
        room = text_width(label, size)
        strip[:TICK, left + column] = QUIET
        centred = left + column - room // 2
        paste(strip, text_line(label, room, size, QUIET), TICK + 2, min(max(0, centred), max(0, width - room)))
    words = text_line(unit, width - left, size, QUIET, align="centre")
    paste(strip, words, TICK + 2 + line_height(size), left)
    return strip
