"""A drawn page as a matplotlib figure, for people who go on with it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from seewhy.render.arrays import require_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100


def page_figure(
    page: UInt8[np.ndarray, "h w 3"], figsize: tuple[float, float] | None = None, *, dpi: int = DPI
) -> Figure:
    """The page without margins: pixel for pixel, or fitted into ``figsize``.

    Args:
        page: ``(H, W, 3)`` uint8.
        figsize: ``(width, height)`` in inches; as many as the page has pixels if None.
        dpi: pixels per inch.

    Returns:
        A matplotlib figure that belongs to the caller alone.

    Raises:
        RenderError: ``SW-R03``, not an RGB picture.

    Example:
        >>> figure = page_figure(np.zeros((50, 200, 3), np.uint8))
        >>> figure.get_size_inches().tolist()
        [2.0, 0.5]
    """
    require_picture(page)
    from matplotlib.figure import Figure

    height, width = page.shape[:2]
    figure = Figure(figsize=figsize or (width / dpi, height / dpi), dpi=dpi)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.imshow(page, interpolation="nearest" if figsize is None else "antialiased")
    return figure
