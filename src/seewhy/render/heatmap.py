"""From a raw map of any rank to the heat map a person looks at: declared scale, pixel size, place on the original."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy.typing import NDArray

from seewhy.render.arrays import require_size, require_values
from seewhy.render.errors import RenderError
from seewhy.render.resize import resample, resize
from seewhy.values import Geometry

Scale = Literal["positive", "magnitude", "diverging"]

NEUTRAL: dict[Scale, float] = {"positive": 0.0, "magnitude": 0.0, "diverging": 0.5}


@dataclass(frozen=True)
class Heatmap:
    """A map ready to be coloured, and what was lost on the way.

    ``values``, ``(H, W)`` for a picture, lie in [0, 1], and a raw zero is at ``NEUTRAL[scale]``; they are all NaN if a
    raw value was not finite, so that nothing paints them by mistake. ``low`` and ``high`` are the extremes of the
    finite raw values, ``reference`` is the raw value drawn at full colour. ``zero``: the map holds no evidence on this
    scale.
    """

    values: NDArray[np.float32]
    scale: Scale
    low: float
    high: float
    reference: float
    zero: bool
    nonfinite: int

    @property
    def drawable(self) -> bool:
        """Whether there is anything to show."""
        return not self.zero and self.nonfinite == 0


def heatmap(
    raw: Float[np.ndarray, "*cells"],
    size: tuple[int, ...] | None = None,
    *,
    scale: Scale = "positive",
    reference: float | None = None,
    floor: float = 0.0,
) -> Heatmap:
    """Scale a raw map to [0, 1] at its native resolution, then enlarge it.

    The scale is a fixed zero and one divisor, never min-max: ``positive`` is ``relu(raw) / reference``, ``magnitude``
    ``|raw| / reference``, ``diverging`` ``0.5 + 0.5 * raw / reference``. ReLU comes before the enlargement, as in
    Grad-CAM's paper. The divisor is the peak of the *native* map, so the same evidence has the same colour at every
    picture size; between cell centres an enlarged map may therefore stay a little below 1.

    Args:
        raw: ``(h, w)``, or ``(t,)`` of a signal, or ``(d, h, w)`` of a volume or clip; signed, any unit.
        size: of the result, along the same axes, such as ``(H, W)`` in pixels; the native size if None.
        scale: how a raw value becomes a colour step.
        reference: raw value drawn at full colour, for a scale shared by several maps; larger values are clipped. The
            map's own peak if None.
        floor: peaks up to this raw value are rounding noise and count as zero.

    Raises:
        RenderError: ``SW-R04`` no map, or ``size`` has other axes; ``SW-R06`` ``reference`` is not positive and finite.

    Example:
        >>> heatmap(np.array([[-3.0, 1.0, 4.0]])).values.tolist()
        [[0.0, 0.25, 1.0]]
    """
    require_values(raw, "a raw map")
    size = raw.shape if size is None else tuple(size)
    require_size(raw, size)
    if reference is not None and not (np.isfinite(reference) and reference > 0):
        raise RenderError(
            "SW-R06",
            f"expected a positive finite reference, got {reference}",
            fix="pass None to scale each map by its own peak",
        )
    low, high, nonfinite = _extremes(raw)
    peak = max(high, 0.0) if scale == "positive" else max(high, -low, 0.0)
    zero = nonfinite == 0 and not peak > floor
    divisor = peak if reference is None else reference
    if nonfinite or zero:
        values = np.full(size, np.nan if nonfinite else NEUTRAL[scale], np.float32)
    else:
        values = resize(_scaled(raw, scale, divisor), size).clip(0, 1)
    return Heatmap(values, scale, low, high, divisor, zero, nonfinite)


def place_on_original(
    heat: Float[np.ndarray, "*input"], geometry: Geometry, outside: float = 0.0
) -> tuple[Float32[np.ndarray, "*original"], Bool[np.ndarray, "*original"]]:
    """Carry a heat map from the model's input back to the picture, volume or signal it was cut from.

    Args:
        heat: ``(h, w)`` at the size of the model's input, or of any other rank, finite.
        geometry: the resize and crop that made the input.
        outside: value of the pixels the model never saw (``NEUTRAL[scale]`` of the heat map).

    Returns:
        The values ``(H, W)`` float32 at the original's size, linear along each axis, and the mask ``(H, W)`` of the
        pixels whose centre lies inside the input.

    Raises:
        RenderError: ``SW-R04`` no map, ``SW-R07`` the sizes do not match the geometry.
    """
    require_values(heat, "a heat map")
    if heat.shape != geometry.input:
        raise RenderError(
            "SW-R07",
            f"the heat map is {heat.shape}, its geometry goes from {geometry.original} to {geometry.input}",
            fix="bring the heat map to the input's size first: heatmap(raw, size=geometry.input)",
        )
    readings = list(zip(geometry.input, geometry.original, geometry.scale, geometry.offset, strict=True))
    mask: Bool[np.ndarray, "*original"] = reduce(np.logical_and.outer, [_seen(*reading) for reading in readings])
    values = resample(heat.astype(np.float32, copy=False), readings)
    return np.where(mask, values, np.float32(outside)), mask


def _extremes(raw: Float[np.ndarray, "*cells"]) -> tuple[float, float, int]:
    finite = np.isfinite(raw)
    nonfinite = int(raw.size - np.count_nonzero(finite))
    if nonfinite == raw.size:
        return float("nan"), float("nan"), nonfinite
    kept = raw[finite] if nonfinite else raw
    return float(kept.min()), float(kept.max()), nonfinite


def _scaled(raw: Float[np.ndarray, "*cells"], scale: Scale, divisor: float) -> Float32[np.ndarray, "*cells"]:
    share = (raw.astype(np.float64).clip(-divisor, divisor) / divisor).astype(np.float32)
    if scale == "positive":
        return share.clip(0, None)
    if scale == "magnitude":
        return np.abs(share)
    return (share + 1) / 2


def _seen(length: int, count: int, scale: float, offset: float) -> Bool[np.ndarray, " count"]:
    position = (np.arange(count) + 0.5) * scale - offset
    return (position >= 0) & (position < length)
