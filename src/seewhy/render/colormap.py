"""Colour tables of 256 steps, read from data in the package: no plotting library on the hot path."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from seewhy.render.arrays import require_plane, require_unit
from seewhy.render.errors import RenderError
from seewhy.values import nearest

_OTHER_SPELLINGS = {"grey": "gray", "greys": "gray", "grays": "gray"}


def colormap(name: str) -> UInt8[np.ndarray, "256 3"]:
    """The 256 colours of a map, low values first (read-only).

    Args:
        name: one of :func:`colormap_names`, in any case.

    Raises:
        RenderError: ``SW-R01``, the name is unknown.

    Example:
        >>> colormap("gray")[255].tolist()
        [255, 255, 255]
    """
    folded = name.casefold()
    table = _tables().get(_OTHER_SPELLINGS.get(folded, folded))
    if table is None:
        names = colormap_names()
        raise RenderError(
            "SW-R01", f"there is no colour map {name!r}", fix=f"one of {', '.join(names)}", near=nearest(name, names)
        )
    return table


def colormap_names() -> tuple[str, ...]:
    """Every name :func:`colormap` knows."""
    return tuple(_tables())


def colour_index(heatmap: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """The step of a colour table for each value in [0, 1]: ``255 * value``, rounded half to even."""
    steps: UInt8[np.ndarray, "h w"] = np.rint(heatmap * 255).astype(np.uint8)
    return steps


def colorize(heatmap: Float[np.ndarray, "h w"], name: str = "turbo") -> UInt8[np.ndarray, "h w 3"]:
    """Paint a heat map; a larger value never gets an earlier colour.

    Args:
        heatmap: ``(H, W)`` in [0, 1].
        name: a colour map.

    Raises:
        RenderError: ``SW-R01`` unknown name, ``SW-R02`` a value is NaN or outside [0, 1], ``SW-R04`` not two axes.
    """
    require_plane(heatmap, "a heat map")
    require_unit(heatmap)
    painted: UInt8[np.ndarray, "h w 3"] = colormap(name)[colour_index(heatmap)]
    return painted


@cache
def _tables() -> dict[str, NDArray[np.uint8]]:
    text = resources.files(__package__).joinpath("colormaps.txt").read_text(encoding="ascii")
    tables = {}
    for section in text.split("\n[")[1:]:
        name, digits = section.split("]", 1)
        tables[name] = np.frombuffer(bytes.fromhex(digits), dtype=np.uint8).reshape(256, 3)
    return tables
