"""What a segmentation model said, why, and how sure it was: image, prediction, explanation, uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Integer, UInt8

from seewhy.render.arrays import require_alpha, require_picture, require_plane
from seewhy.render.captions import captioned, page_heading
from seewhy.render.columns import GAP, MARGIN, rows_of
from seewhy.render.errors import RenderError
from seewhy.render.evidence import importance_legend, painted, why_bare
from seewhy.render.layout import framed, readable, stack
from seewhy.render.legend import legend
from seewhy.render.picture import text_size
from seewhy.render.segments import Names, class_key, mask_overlay
from seewhy.values import nearest

Picture = UInt8[np.ndarray, "_ _ 3"]
Plane = Float[np.ndarray, "_ _"]
UncertaintyMethod = Literal["entropy", "margin"]

SHORTEST_PANEL, LONGEST_PANEL = 288, 480
UNCERTAINTY_COLORMAP, UNCERTAINTY_ALPHA = "inferno", 0.75
ROUNDING = 1e-4
"""Part of the scale by which single-precision arithmetic may leave it."""


@dataclass(frozen=True)
class UncertaintyScale:
    """The range an uncertainty can have at all: the same for every image, so that colours can be compared."""

    top: float
    label: str
    unit: str
    name: str


def segmentation_figure(
    picture: UInt8[np.ndarray, "h w 3"],
    prediction: Integer[np.ndarray, "rows columns"],
    heat: Float[np.ndarray, "rows_ columns_"],
    uncertainty: Float[np.ndarray, "_rows _columns"] | None = None,
    *,
    classes: int,
    uncertainty_method: str = "entropy",
    names: Names | None = None,
    background: int | None = None,
    title: str,
    caption: str = "",
    colormap: str = "viridis",
    alpha: float = 0.4,
    unit: str = "importance for this class",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw image, prediction and explanation side by side, or with the uncertainty two by two.

    Args:
        picture: ``(H, W, 3)`` uint8.
        prediction: ``(h, w)`` class indices at any resolution, covering the whole picture.
        heat: ``(h, w)`` in [0, 1].
        uncertainty: ``(h, w)`` in its own unit: entropy in nats, or ``1 - (p1 - p2)``; never rescaled.
        classes: how many classes the model has; entropy lies between 0 and its logarithm.
        uncertainty_method: ``entropy`` or ``margin``.
        names: of the classes, by index.
        background: a class that is left uncoloured; none if None.
        title: first line, such as the record id; its middle is cut where it is too long.
        caption: second line, such as the class that is explained.
        colormap: a colour map's name, for the explanation.
        alpha: weight of its colours in [0, 1].
        unit: what the explanation's colours measure.

    Raises:
        RenderError: ``SW-R45`` not a mask of class indices, ``SW-R46`` unknown kind of uncertainty, ``SW-R47``
            uncertainty outside its range, ``SW-R48`` fewer than two classes; ``SW-R01`` to ``SW-R05`` as in
            :func:`seewhy.render.overlay`.

    Example:
        >>> street, road = np.zeros((300, 400, 3), np.uint8), np.ones((75, 100), int)
        >>> page = segmentation_figure(street, road, np.eye(8), classes=21, title="street")
        >>> page.shape[1] == 24 + 400 + 14 + 400 + 14 + 400 + 24
        True
    """
    require_picture(picture)
    require_alpha(alpha)
    canvas = readable(picture, SHORTEST_PANEL, LONGEST_PANEL)
    width = canvas.shape[1]
    size = text_size(width)
    key = class_key(prediction, names, width, size, background=background)
    panels = [
        captioned("image", "", canvas),
        stack([captioned("prediction", "", mask_overlay(canvas, prediction, background=background)), key], gap=4),
        _explanation(canvas, heat, colormap, alpha, unit),
    ]
    if uncertainty is not None:
        panels.append(_uncertainty(canvas, uncertainty, uncertainty_scale(uncertainty_method, classes)))
    body = rows_of(panels, 3 if uncertainty is None else 2, width)
    return framed(stack([page_heading(title, caption, body.shape[1], size), body], gap=GAP), MARGIN)


def uncertainty_scale(method: str, classes: int) -> UncertaintyScale:
    """The scale of an uncertainty: entropy from 0 to ``ln classes`` nats, margin from 0 to 1.

    Raises:
        RenderError: ``SW-R46`` unknown method, ``SW-R48`` fewer than two classes.

    Example:
        >>> uncertainty_scale("entropy", 3).label
        '1.10 = ln 3'
    """
    if classes < 2:
        raise RenderError(
            "SW-R48",
            f"expected two classes or more, got {classes}",
            fix="a single sigmoid output has two: the thing and its absence",
        )
    if method == "entropy":
        top = math.log(classes)
        return UncertaintyScale(top, f"{top:.2f} = ln {classes}", "entropy of the class probabilities in nats", "nats")
    if method == "margin":
        return UncertaintyScale(1.0, "1", "1 - (p1 - p2), of the two likeliest classes", "")
    methods = get_args(UncertaintyMethod)
    raise RenderError(
        "SW-R46",
        f"there is no uncertainty {method!r}",
        near=nearest(method, methods),
        fix=f"use one of {', '.join(methods)}",
    )


def _explanation(canvas: Picture, heat: Plane, colormap: str, alpha: float, unit: str) -> Picture:
    panel = captioned("explanation", why_bare(heat), painted(canvas, heat, colormap, alpha))
    width = canvas.shape[1]
    return stack([panel, importance_legend(width, text_size(width), colormap, alpha, unit)], gap=4)


def _uncertainty(canvas: Picture, values: Plane, scale: UncertaintyScale) -> Picture:
    require_plane(values, "an uncertainty")
    _require_in_range(values, scale)
    share = (values / scale.top).clip(0, 1)
    finite = bool(np.isfinite(values).all())
    fact = f"mean {values.mean():.2f} {scale.name}".rstrip() if finite else why_bare(share)
    panel = captioned("uncertainty", fact, painted(canvas, share, UNCERTAINTY_COLORMAP, UNCERTAINTY_ALPHA))
    width = canvas.shape[1]
    foot = legend(width, text_size(width), UNCERTAINTY_COLORMAP, UNCERTAINTY_ALPHA, scale.unit, "0", scale.label)
    return stack([panel, foot], gap=4)


def _require_in_range(values: Plane, scale: UncertaintyScale) -> None:
    finite = values[np.isfinite(values)]
    slack = ROUNDING * scale.top
    if finite.size and (finite.min() < -slack or finite.max() > scale.top + slack):
        raise RenderError(
            "SW-R47",
            f"expected an uncertainty from 0 to {scale.label}, got {finite.min():.4g} to {finite.max():.4g}",
            fix="pass it as it was computed (entropy with the natural logarithm), and the model's number of classes",
        )
