"""Heat maps over pictures, and figures that compare them; reached as ``seewhy.visualization``.

A heat map here is ``(H, W)`` in [0, 1], as every explainer returns it. A picture is a path, a Pillow image in any mode
or an array, as :func:`seewhy.data.pictures.read_picture` reads them; transparency shows white.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from seewhy.data.pictures import Picture, read_picture, rgb8
from seewhy.render.arrays import require_alpha, require_plane, require_unit
from seewhy.render.colormap import colorize
from seewhy.render.errors import RenderError
from seewhy.render.heatmap import heatmap as scaled_map
from seewhy.render.plots import Panel, figure_of, save_figure
from seewhy.render.resize import resize

if TYPE_CHECKING:
    from seewhy.render.plots import Figure

Map = Float[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]
ORIGINAL = "Original"
RED_OVER_BLUE = "rdbu_r"


def apply_colormap(heatmap: Map, colormap: str = "viridis") -> UInt8[np.ndarray, "h w 3"]:
    """Paint a heat map.

    Args:
        heatmap: ``(H, W)`` in [0, 1].
        colormap: one of :func:`seewhy.render.colormap_names`.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R02`` NaN or a value outside [0, 1], ``SW-R04`` not two axes.

    Example:
        >>> apply_colormap(np.array([[0.0, 1.0]]), "gray").tolist()
        [[[0, 0, 0], [255, 255, 255]]]
    """
    return colorize(np.asarray(heatmap), colormap)


def overlay_heatmap(
    image: Picture,
    heatmap: Map,
    alpha: float = 0.4,
    colormap: str = "viridis",
    resize_heatmap: bool = True,
    mask: Mask | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Blend a painted heat map over a picture, with one weight everywhere: ``(1 - alpha) picture + alpha colour``.

    (:func:`seewhy.render.overlay` leaves the picture untouched where there is no evidence.)

    Args:
        image: the picture, ``(H, W)`` pixels.
        heatmap: ``(h, w)`` in [0, 1].
        alpha: weight of the colours in [0, 1].
        colormap: one of :func:`seewhy.render.colormap_names`.
        resize_heatmap: bring the map to the picture's size; otherwise it must have it.
        mask: ``(H, W)``, where colours go; elsewhere the picture stays as it is. A result's ``valid_mask`` keeps
            them to what the model saw.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        RenderError: ``SW-R01`` unknown colour map, ``SW-R02`` NaN or a value outside [0, 1], ``SW-R04`` not two axes,
            ``SW-R05`` alpha, ``SW-R08`` the sizes differ, ``SW-R24`` picture and map are swapped, ``SW-R25`` the mask.
        DataError: ``SW-D05`` to ``SW-D10``, ``SW-D44`` to ``SW-D49``, no picture.

    Example:
        >>> overlay_heatmap(np.zeros((8, 8, 3), np.uint8), np.eye(8), 0.5, "gray")[0, :2, 0].tolist()
        [128, 0]
    """
    require_alpha(alpha)
    _check_order(image, heatmap)
    picture, heat = as_picture(image), np.asarray(heatmap)
    require_plane(heat, "a heat map")
    require_unit(heat)
    if heat.shape != picture.shape[:2]:
        if not resize_heatmap:
            raise RenderError(
                "SW-R08",
                f"the heat map is {heat.shape}, the picture {picture.shape[:2]}",
                fix="pass resize_heatmap=True, or a map of the picture's size",
            )
        heat = resize(heat, picture.shape[:2]).clip(0, 1)
    colours = colorize(heat, colormap)
    blended: UInt8[np.ndarray, "h w 3"] = np.rint((1 - alpha) * picture + alpha * colours).astype(np.uint8)
    return blended if mask is None else np.where(_checked(mask, picture)[..., None], blended, picture)


def create_comparison_figure(
    image: Picture,
    heatmaps: Sequence[Map],
    titles: Sequence[str],
    layout: str = "grid",
    colormap: str = "viridis",
    alpha: float = 0.4,
    figsize: tuple[float, float] | None = None,
    dpi: int = 100,
) -> Figure:
    """The picture and each heat map over it, side by side.

    Args:
        image: the picture, shown first as "Original".
        heatmaps: each ``(h, w)`` in [0, 1].
        titles: what stands above each map.
        layout: ``grid`` (four in a row), ``horizontal`` or ``vertical``.
        colormap, alpha: as in :func:`overlay_heatmap`.
        figsize: ``(width, height)`` in inches; if None, each picture's longer side has 4 and its title fits above.
        dpi: pixels per inch.

    Returns:
        A matplotlib figure of the caller's own: nothing is left open, and no backend was chosen.

    Raises:
        RenderError: ``SW-R20`` unknown layout, ``SW-R21`` not one title for each map, and as :func:`overlay_heatmap`.
    """
    if len(heatmaps) != len(titles):
        raise RenderError(
            "SW-R21", f"{len(heatmaps)} heat maps came with {len(titles)} titles", fix="give each map one title"
        )
    picture = as_picture(image)
    over = [overlay_heatmap(picture, heat, alpha, colormap) for heat in heatmaps]
    panels = [Panel(ORIGINAL, picture), *map(Panel, titles, over)]
    return figure_of(panels, layout, figsize=figsize, dpi=dpi)


def save_heatmap(
    image: Picture,
    heatmap: Map,
    save_path: str | PathLike[str],
    colormap: str = "viridis",
    alpha: float = 0.4,
    dpi: int = 100,
    show_original: bool = True,
    show_heatmap_only: bool = False,
    mask: Mask | None = None,
) -> None:
    """Write a heat map over its picture as a figure file (``.png``, ``.pdf``, ``.svg`` …).

    Args:
        image, heatmap, colormap, alpha, mask: as in :func:`overlay_heatmap`.
        save_path: the file; its folder is created.
        dpi: pixels per inch; the longer side of each picture has 4 inches.
        show_original: put the picture itself in front.
        show_heatmap_only: put the painted map without the picture in between.

    Raises:
        RenderError: ``SW-R23`` a format that cannot be written, and as :func:`overlay_heatmap`.
    """
    _check_order(image, heatmap)
    picture = as_picture(image)
    panels = [Panel("Overlay", overlay_heatmap(picture, heatmap, alpha, colormap, mask=mask))]
    if show_heatmap_only:
        painted = overlay_heatmap(picture, heatmap, 1.0, colormap, mask=mask)
        panels.insert(0, Panel("Heatmap", painted))
    if show_original:
        panels.insert(0, Panel(ORIGINAL, picture))
    save_figure(figure_of(panels, "horizontal", dpi=dpi), Path(save_path))


def polarity_figure(image: Picture, attribution_map: Map, *, dpi: int = 100) -> Figure:
    """The picture beside what speaks for the class (reds), against it (blues), and both; zero is white.

    Args:
        image: the picture, ``(H, W)`` pixels.
        attribution_map: ``(h, w)`` raw and signed; all three panels share the scale of its largest magnitude.
        dpi: pixels per inch.

    Raises:
        RenderError: ``SW-R04`` not two axes, ``SW-R22`` a value is not finite.
    """
    picture, raw = as_picture(image), np.asarray(attribution_map)
    require_plane(raw, "an attribution map")
    if not np.isfinite(raw).all():
        raise RenderError(
            "SW-R22",
            f"{np.count_nonzero(~np.isfinite(raw))} of {raw.size} attribution values are not finite",
            fix="check the model and the input: only a finite map can be drawn",
        )
    size, peak = picture.shape[:2], float(np.abs(raw).max()) or None
    parts = {"Positive": raw.clip(min=0), "Negative": raw.clip(max=0), "Combined": raw}
    painted = {
        title: colorize(scaled_map(part, size, scale="diverging", reference=peak).values, RED_OVER_BLUE)
        for title, part in parts.items()
    }
    return figure_of([Panel(ORIGINAL, picture), *(Panel(*part) for part in painted.items())], "horizontal", dpi=dpi)


def as_picture(image: Picture) -> UInt8[np.ndarray, "h w 3"]:
    """A picture in any of its forms as ``(H, W, 3)`` uint8; raises what reading it raises."""
    return rgb8(read_picture(image).picture)


def _check_order(image: object, heatmap: object) -> None:
    """Raise ``SW-R24`` where the first looks like a heat map and the second like a picture."""
    heat_first = isinstance(image, np.ndarray) and image.ndim == 2 and image.dtype.kind == "f"
    if heat_first and _is_picture(heatmap):
        raise RenderError(
            "SW-R24",
            "the picture and the heat map look swapped: the first is a plane of numbers, the second a picture",
            fix="pass the picture first, then the heat map",
        )


def _is_picture(thing: object) -> bool:
    if isinstance(thing, np.ndarray):
        return thing.ndim == 3 or thing.dtype.kind == "u"
    return isinstance(thing, str | PathLike | Image.Image)


def _checked(mask: Mask, picture: UInt8[np.ndarray, "h w 3"]) -> Mask:
    given = np.asarray(mask)
    if given.dtype != np.bool_ or given.shape != picture.shape[:2]:
        raise RenderError(
            "SW-R25",
            f"a mask is booleans of shape {picture.shape[:2]}, as the picture has, got {given.dtype} {given.shape}",
            fix="pass result['valid_mask'], or compare your own values first (mask > 0)",
        )
    return given
