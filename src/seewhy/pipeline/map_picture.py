"""The picture of one raw map over its input, whatever the input's rank: an overlay, a grid of slices, or lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from seewhy.data.records import Slices, View
from seewhy.render.picture import overlay_picture
from seewhy.render.signals import signal_picture
from seewhy.render.slices import slice_picture

MOST_SLICES: Final = 12


@dataclass(frozen=True)
class Words:
    """What is written on a picture."""

    title: str
    caption: str
    unit: str


@dataclass(frozen=True)
class Look:
    """How maps are coloured: a colour map (None for the kind of picture's own) and the weight of its colours."""

    colormap: str | None = None
    alpha: float = 0.5


def map_picture(
    view: View,
    raw: Float[np.ndarray, "*s"],
    words: Words,
    *,
    look: Look = Look(),
    reference: float | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a raw map ``(*S)`` at native resolution over its input; ``reference`` is the value in full colour."""
    if isinstance(view, Slices):
        return slice_picture(
            view.pixels,
            raw,
            labels=[f"{view.called} {position + 1} / {len(view.pixels)}" for position in range(len(view.pixels))],
            most=MOST_SLICES,
            title=words.title,
            caption=words.caption,
            unit=words.unit,
            colormap=look.colormap,
            alpha=look.alpha,
            reference=reference,
        )
    if view.ndim == 2:
        return signal_picture(
            view,
            raw,
            title=words.title,
            caption=words.caption,
            unit=words.unit,
            colormap=look.colormap,
            reference=reference,
        )
    return overlay_picture(
        view,
        as_plane(raw),
        title=words.title,
        caption=words.caption,
        unit=words.unit,
        colormap=look.colormap,
        alpha=look.alpha,
        reference=reference,
    )


def as_plane(raw: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "h w"]:
    """A map that fits one picture: a signal's ``(T,)`` as one row, a volume's ``(D, H, W)`` as its mean over depth."""
    if raw.ndim == 1:
        return raw[None]
    plane: NDArray[np.float32] = raw if raw.ndim == 2 else as_plane(raw.mean(axis=0))
    return plane


def plane_of(view: View) -> UInt8[np.ndarray, "h w 3"]:
    """One picture of an input: the middle slice or frame; a signal's leads as rows of gray."""
    if isinstance(view, Slices):
        return view.middle
    if view.ndim == 3:
        return view
    low, high = float(view.min()), float(view.max())
    gray: NDArray[np.uint8] = np.round((view - low) / max(high - low, 1e-12) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)
