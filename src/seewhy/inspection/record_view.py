"""A record and a channel's activation over it as one picture; of a clip or volume the frame or slice of the highest."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from seewhy.data.records import Slices, View
from seewhy.render.layout import stack
from seewhy.render.traces import RowLook, signal_row

LEAD = RowLook("band", "turbo", 0.0, False, height=48, width=224, grid=())
"""A lead without colours, which are laid over all leads together."""


def seen_record(
    view: View, values: Float[np.ndarray, "*s"], place: tuple[int, ...], peak: float
) -> tuple[NDArray[np.uint8], NDArray[np.floating] | None, str]:
    """A picture ``(H, W, 3)``, the heat ``(h, w)`` in [0, 1] over it, and which frame or slice it is.

    Args:
        view: the record as a person knows it.
        values: ``(*S)``, the channel's raw map.
        place: where it is highest.
        peak: the raw value drawn at full colour.

    Returns:
        The heat is None where the map has no place on the picture: of a vector, or of a map with other axes.

    Example:
        >>> picture, heat, _ = seen_record(np.zeros((4, 4, 3), np.uint8), np.array([[-1.0, 2.0]]), (0, 1), peak=4.0)
        >>> heat.tolist()
        [[0.0, 0.5]]
    """
    if isinstance(view, Slices):
        number = len(view.pixels) // 2
        if values.ndim in (1, 3):
            number = int((place[0] + 0.5) / values.shape[0] * len(view.pixels))
        plane = values[place[0]] if values.ndim == 3 else values if values.ndim == 2 else None
        words = f"{view.called} {number + 1} of {len(view.pixels)}"
        return view.pixels[number], None if plane is None else _share(plane, peak), words
    if view.dtype != np.uint8:
        return _lines(view), _share(values[None], peak) if values.ndim == 1 else None, ""
    return view, _share(values, peak) if values.ndim == 2 else None, ""


def _share(values: Float[np.ndarray, "*s"], peak: float) -> NDArray[np.floating]:
    """Positive values as a share of the peak; what is no number stays so, for the picture to say."""
    return np.clip(values.astype(np.float64) / peak, 0, 1) if peak > 0 else values * 0.0


def _lines(signal: Float[np.ndarray, "leads t"]) -> NDArray[np.uint8]:
    finite = np.where(np.isfinite(signal), signal, np.nan)
    rows = []
    for line in finite:
        known = line[np.isfinite(line)]
        bounds = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        rows.append(signal_row(line, bounds, np.zeros(len(line), np.float32), LEAD))
    return stack(rows)
