"""What an interactive figure or page shows of one method: asked once, or taken from a result that is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray
from torch import nn

from seewhy.explain.explainer import Explainer
from seewhy.explain.explainers import make_explainer
from seewhy.explain.interactive_choices import FigureError, require_picture
from seewhy.explain.prepared import ImageLike
from seewhy.explain.reading import Reading
from seewhy.explain.result import Result, failed, result_of
from seewhy.explain.side_by_side import explained_together
from seewhy.models.borrow import unwrapped
from seewhy.values import SeewhyError

LONGEST = 224
"""Cells along a heat map's longer side in a page, at most: a photograph's are means of its pixels."""


@dataclass(frozen=True)
class Box:
    """Pixels of the original, edges from 0 on: ``left`` to ``right`` and ``top`` to ``bottom``."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Shown:
    """A heat map ``(rows, columns)`` in [0, 1] where it lies on the original; from ``full`` on it is painted in full.

    ``seen`` is what of the original the model saw.
    """

    values: Float32[np.ndarray, "rows columns"]
    seen: Box
    full: float


def shown_of(result: Result, longest: int = LONGEST) -> Shown | None:
    """The heat map of a result as a page carries it; None for a method without an answer.

    Raises:
        TargetError: ``SW-T33``, the map holds values that are not finite.
    """
    found = result.explained
    if found is None:
        return None
    heat, seen = found.heat, _seen(found.valid)
    values = _fewer(heat[seen.top : seen.bottom, seen.left : seen.right], longest)
    return Shown(values, seen, found.full_from)


def picture_of(result: Result) -> UInt8[np.ndarray, "h w 3"]:
    """The original of an answered result, as a person knows it."""
    if result.explained is None:
        raise FigureError("SW-V06", "the result holds no picture, only an error", fix="explain the picture first")
    drawn: UInt8[np.ndarray, "h w 3"] = result.explained.prepared.draw()
    return drawn


def explainer_of(given: object, model: nn.Module, reading: Mapping[str, Any]) -> Explainer:
    """The explainer that is meant; raises ``FigureError`` SW-V07 for one of another model, or none at all."""
    if isinstance(given, str):
        return make_explainer(given, model, None, Reading(**reading))
    if not isinstance(given, Explainer):
        raise FigureError(
            "SW-V07",
            f"expected an explainer such as seewhy.GradCAM(model), a method's name or a result, got {given!r:.200}",
            fix="write explainer=seewhy.GradCAM(model), or explainer='gradcam'",
        )
    if unwrapped(given.model) is not unwrapped(model):
        raise FigureError(
            "SW-V07",
            f"{type(given).__name__} explains another model than the visualizer's",
            fix="make both of the same model: InteractiveVisualizer(model), GradCAM(model)",
        )
    if reading:
        raise FigureError(
            "SW-V07",
            f"an explainer was given, and the visualizer was told {', '.join(reading)}, which the explainer knows best",
            fix=f"tell the explainer: {type(given).__name__}(model, {next(iter(reading))}=...)",
        )
    return given


def answered(image: ImageLike | None, explainer: Explainer, target_class: Any) -> Result:
    """One picture explained, once."""
    require_picture(image)
    return result_of(explainer.explained(image, target_class), explainer)  # type: ignore[arg-type]


def answered_each(image: ImageLike | None, explainers: Mapping[str, Explainer], target_class: Any) -> dict[str, Result]:
    """One picture explained by several methods; those that read one pass share it, and one that fails takes no other.

    Raises the first method's error where none has an answer.
    """
    require_picture(image)
    found: dict[str, Any] = {}
    for group in _alike(explainers):
        found |= explained_together(group, image, target_class)  # type: ignore[arg-type]
    errors = [one for one in found.values() if isinstance(one, SeewhyError)]
    if len(errors) == len(found):
        raise errors[0]
    return {
        name: failed(found[name], explainer.method)
        if isinstance(found[name], SeewhyError)
        else result_of(found[name], explainer)
        for name, explainer in explainers.items()
    }


def _alike(explainers: Mapping[str, Explainer]) -> Sequence[dict[str, Explainer]]:
    """Explainers that are told the same of the model, so that they can share its passes."""
    groups: list[dict[str, Explainer]] = []
    for name, one in explainers.items():
        for group in groups:
            if next(iter(group.values())).reading == one.reading:
                group[name] = one
                break
        else:
            groups.append({name: one})
    return groups


def _seen(valid: Bool[np.ndarray, "h w"]) -> Box:
    rows, columns = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _fewer(values: Float32[np.ndarray, "h w"], longest: int) -> Float32[np.ndarray, "rows columns"]:
    """Means over equal parts where there are more than ``longest`` values along a side."""
    height, width = values.shape
    if max(height, width) <= longest:
        return np.ascontiguousarray(values, np.float32)
    factor = longest / max(height, width)
    rows, columns = (max(1, round(length * factor)) for length in (height, width))
    down = _weights(height, rows) @ values.astype(np.float64) @ _weights(width, columns).T
    fewer: Float32[np.ndarray, "rows columns"] = down.clip(0, 1).astype(np.float32)
    return fewer


def _weights(length: int, parts: int) -> NDArray[np.float64]:
    """``(parts, length)``: how much of each value lies in each part; a row sums to 1."""
    edges = np.linspace(0, length, parts + 1)
    start, stop = edges[:-1, None], edges[1:, None]
    cells = np.arange(length)
    overlap: NDArray[np.float64] = (np.minimum(stop, cells + 1) - np.maximum(start, cells)).clip(0)
    overlap /= overlap.sum(axis=1, keepdims=True)
    return overlap
