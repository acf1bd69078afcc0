"""Figures of several pictures side by side, for people who work with matplotlib.

matplotlib is imported when a figure is made and through its object-oriented interface only: pyplot would keep every
figure open and choose a backend for the whole process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seewhy.render.arrays import require_picture
from seewhy.render.errors import RenderError
from seewhy.values import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure

Layout = Literal["grid", "horizontal", "vertical"]
LAYOUTS: tuple[str, ...] = get_args(Layout)
PER_ROW = 4
PANEL_INCHES = 4.0
"""The longer side of a panel's picture."""
TITLE_INCHES = 0.3
NARROWEST_INCHES = 1.0
"""A panel is never narrower or lower than this, so that its title can be read."""


@dataclass(frozen=True)
class Panel:
    """A picture ``(H, W, 3)`` uint8 and what stands above it."""

    title: str
    picture: NDArray[np.uint8]


def rows_and_columns(panels: int, layout: str) -> tuple[int, int]:
    """How many rows and columns hold this many panels: a grid has four in a row.

    Raises:
        RenderError: ``SW-R20``, the layout is unknown.

    Example:
        >>> rows_and_columns(6, "grid"), rows_and_columns(6, "horizontal"), rows_and_columns(3, "grid")
        ((2, 4), (1, 6), (1, 3))
    """
    if layout == "horizontal":
        return 1, panels
    if layout == "vertical":
        return panels, 1
    if layout == "grid":
        return -(-panels // PER_ROW), min(panels, PER_ROW)
    raise RenderError(
        "SW-R20",
        f"there is no layout {layout!r}",
        near=nearest(str(layout), LAYOUTS),
        fix="use 'grid', 'horizontal' or 'vertical'",
    )


def figure_of(
    panels: Sequence[Panel], layout: str = "grid", *, figsize: tuple[float, float] | None = None, dpi: int = 100
) -> Figure:
    """Panels as one matplotlib figure, which belongs to the caller alone.

    Args:
        panels: one or more, shown in this order row by row.
        layout: ``grid``, ``horizontal`` or ``vertical``.
        figsize: ``(width, height)`` in inches; if None, each picture's longer side has 4 and its title fits above.
        dpi: pixels per inch.

    Raises:
        RenderError: ``SW-R03`` not an RGB picture, ``SW-R20`` unknown layout.
    """
    for panel in panels:
        require_picture(panel.picture)
    rows, columns = rows_and_columns(len(panels), layout)
    from matplotlib.figure import Figure

    width, height = panel_inches(panels)
    size = figsize or (width * columns, height * rows)
    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.set_axis_off()
    for cell, panel in zip(cells, panels, strict=False):
        cell.imshow(panel.picture, interpolation="nearest")
        cell.set_title(panel.title)
    return figure


def panel_inches(panels: Sequence[Panel]) -> tuple[float, float]:
    """Width and height of a cell that holds each of the panels, in their pictures' proportions, below its title.

    Example:
        >>> panel_inches([Panel("3:2", np.zeros((200, 300, 3), np.uint8))])
        (4.0, 2.967)
    """
    scaled = [PANEL_INCHES * np.array(panel.picture.shape[:2]) / max(panel.picture.shape[:2]) for panel in panels]
    height, width = np.max([*scaled, np.full(2, NARROWEST_INCHES)], axis=0)
    return float(width), round(float(height) + TITLE_INCHES, 3)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format its suffix names, creating the folder.

    Raises:
        RenderError: ``SW-R23``, no such format.
    """
    formats = sorted(figure.canvas.get_supported_filetypes())
    kind = path.suffix.removeprefix(".").lower()
    if kind not in formats:
        raise RenderError(
            "SW-R23",
            f"a figure cannot be written as {path.name!r}",
            near=nearest(kind, formats),
            fix=f"end the name in one of {', '.join(f'.{known}' for known in formats)}",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format=kind)
