"""Heat maps over pictures, and sheets of several of them, as pixels or files; no plotting library for PNG and JPEG."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

from seewhy.render.arrays import require_alpha, require_unit
from seewhy.render.colormap import colormap as colour_table
from seewhy.render.encode import encode_jpeg, encode_png
from seewhy.render.layout import framed, paste, sheet, stack
from seewhy.render.overlay import overlay
from seewhy.render.picture import text_size
from seewhy.render.plots import PANEL_INCHES, Panel, figure_of, rows_and_columns, save_figure
from seewhy.render.resize import resize
from seewhy.render.text import text_line
from seewhy.values import ConfigError

Picture = UInt8[np.ndarray, "_ _ 3"]
Destination: TypeAlias = "str | os.PathLike[str]"
LONGEST_SIDE: Final = 1000
"""Inches of a sheet's side, at most."""
ENCODERS: Final = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}


@dataclass(frozen=True)
class Look:
    """Colours, their weight, and dots per inch of a panel whose longer side is 4 inches.

    Raises:
        ConfigError: ``SW-F76`` dots per inch out of range, ``SW-F91`` colours or their weight of the wrong kind.
        RenderError: ``SW-R01``, ``SW-R05``.
    """

    colormap: str = "viridis"
    alpha: float = 0.4
    dpi: int = 100

    def __post_init__(self) -> None:
        if (
            not isinstance(self.colormap, str)
            or isinstance(self.alpha, bool)
            or not isinstance(self.alpha, int | float)
        ):
            raise ConfigError(
                "SW-F91",
                f"colormap is a name and alpha a number, got colormap={self.colormap!r}, alpha={self.alpha!r}",
                fix="colormap='viridis', alpha=0.4",
            )
        colour_table(self.colormap)
        require_alpha(self.alpha)
        if isinstance(self.dpi, bool) or not isinstance(self.dpi, int) or not 10 <= self.dpi <= 1200:
            raise ConfigError("SW-F76", f"dpi must be a whole number from 10 to 1200, got {self.dpi!r}", fix="dpi=100")

    @property
    def panel(self) -> int:
        """Pixels of a panel's longer side."""
        return round(PANEL_INCHES * self.dpi)


def overlay_on(picture: Picture, heat: Any, look: Look) -> Picture:
    """The picture with the heat map laid over it; where there is no evidence, the picture itself.

    ``heat`` ``(h, w)`` in [0, 1] is brought to the picture's size.
    """
    values: NDArray[np.float32] = np.asarray(heat, dtype=np.float32)
    require_unit(values)
    height, width = picture.shape[:2]
    laid: Picture = overlay(picture, resize(values, (height, width)).clip(0, 1), look.colormap, look.alpha)
    return laid


def as_sheet(panels: Mapping[str, Picture], look: Look, layout: str = "horizontal") -> Picture:
    """Titled pictures in rows and columns: ``horizontal``, ``vertical`` or ``grid`` (four in a row)."""
    rows, columns = rows_and_columns(len(panels), layout)
    cells = [_titled(title, _fitted(picture, look.panel)) for title, picture in panels.items()]
    gap = max(4, look.panel // 30)
    lines = [_beside(cells[row * columns : (row + 1) * columns], gap) for row in range(rows)]
    return framed(stack(lines, gap), gap)


def save_panels(
    panels: Mapping[str, Picture], path: Destination, look: Look, layout: str = "horizontal", size: Any = None
) -> Path:
    """Write titled pictures to a file, creating its folder; a figure in the format of the suffix, or PNG or JPEG.

    ``size`` ``(width, height)`` in inches scales the whole sheet to fit.
    """
    target = Path(path).expanduser()
    encode = ENCODERS.get(target.suffix.lower())
    target.parent.mkdir(parents=True, exist_ok=True)
    if encode is None:
        save_figure(figure_of([Panel(*panel) for panel in panels.items()], layout, figsize=size, dpi=look.dpi), target)
        return target
    target.write_bytes(encode(_page(panels, look, layout, size)))
    return target


def png_of(panels: Mapping[str, Picture], look: Look, layout: str = "horizontal", size: Any = None) -> bytes:
    """The sheet as a PNG file's bytes, for a notebook."""
    return encode_png(_page(panels, look, layout, size))


def require_size(size: object) -> None:
    """Raise ``ConfigError`` SW-F92 unless ``size`` is None or a width and a height in inches."""
    if size is None:
        return
    pair = isinstance(size, tuple | list) and len(size) == 2
    if not pair or not all(_is_length(side) for side in size):  # type: ignore[attr-defined]
        raise ConfigError(
            "SW-F92", f"figsize is a width and a height in inches, both above 0, got {size!r}", fix="figsize=(8, 4)"
        )


def _is_length(side: object) -> bool:
    return isinstance(side, int | float) and not isinstance(side, bool) and 0 < side < LONGEST_SIDE


def _page(panels: Mapping[str, Picture], look: Look, layout: str, size: Any) -> Picture:
    page = as_sheet(panels, look, layout)
    return page if size is None else _within(page, size, look.dpi)


def _titled(title: str, picture: Picture) -> Picture:
    width = picture.shape[1]
    return stack([text_line(title, width, text_size(width), align="centre", cut="middle"), picture], gap=4)


def _fitted(picture: Picture, longest: int) -> Picture:
    """A picture whose longer side has ``longest`` pixels."""
    factor = longest / max(picture.shape[:2])
    height, width = (max(1, round(length * factor)) for length in picture.shape[:2])
    if (height, width) == picture.shape[:2]:
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _beside(cells: Sequence[Picture], gap: int) -> Picture:
    height = max(cell.shape[0] for cell in cells)
    page: Picture = sheet(height, sum(cell.shape[1] for cell in cells) + gap * (len(cells) - 1))
    left = 0
    for cell in cells:
        paste(page, cell, 0, left)
        left += cell.shape[1] + gap
    return page


def _within(page: Picture, inches: tuple[float, float], dpi: int) -> Picture:
    width, height = (round(length * dpi) for length in inches)
    factor = min(width / page.shape[1], height / page.shape[0])
    size = (max(1, round(page.shape[1] * factor)), max(1, round(page.shape[0] * factor)))
    return np.asarray(Image.fromarray(page).resize(size, Image.Resampling.LANCZOS))
