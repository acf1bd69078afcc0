"""Explain what a model says of a volume: CT, MR, OCT, a stack of pages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.data.orientation import Reordering
from seewhy.data.volume_input import Percentiles, Scaling, Window, volume_input
from seewhy.data.volumes import Volume, read_volume
from seewhy.explain.answer_values import answer_values
from seewhy.explain.drawing import Destination, Look
from seewhy.explain.explainers import make_explainer
from seewhy.explain.reading import Reading
from seewhy.explain.stack_result import Stack, StackResult
from seewhy.models.outputs import Selector
from seewhy.pixels import Normalisation
from seewhy.render.frames import slice_labels
from seewhy.render.heatmap import heatmap
from seewhy.values import DataError

VolumeLike: TypeAlias = "str | os.PathLike[str] | Volume | NDArray[Any] | Tensor"
SHOWN = (1.0, 99.0)
"""Percentiles of a volume that are drawn black and white."""


def explain_volume(
    model: nn.Module,
    volume: VolumeLike,
    method: str = "gradcam",
    target_class: Any = None,
    target_layer: str | nn.Module | None = None,
    colormap: str = "turbo",
    alpha: float = 0.5,
    save_path: Destination | None = None,
    *,
    size: Sequence[int] | None = None,
    scaling: Scaling | None = Percentiles(),  # noqa: B008  (frozen)
    axes: str | None = "SPL",
    class_names: Sequence[str] | None = None,
    task: str | None = None,
    threshold: float | None = None,
    output_selector: Selector | None = None,
    **settings: Any,
) -> StackResult:
    """What a model of volumes says of one, and where in it the evidence lies.

    Args:
        model: takes ``(B, C, D, H, W)``; it comes back untouched.
        volume: a NIfTI file, a DICOM file or folder, a multi-page TIFF, a :class:`Volume`, or an array ``(D, H, W)`` or
            ``(C, D, H, W)``; a tensor ``(C, D, H, W)`` counts as prepared for the model.
        method, target_class, target_layer, class_names, task, threshold, output_selector, settings: as in
            :func:`seewhy.explain_prediction`.
        colormap, alpha: how the picture looks.
        save_path: where to write it; the ending says as what, see :meth:`StackResult.save`.
        size: ``(depth, height, width)`` that the model wants; the volume's own if None.
        scaling: how voxels become the model's values: ``Percentiles``, ``Window`` or ``ZScore``; None leaves them.
        axes: the directions D, H and W run in, as in :func:`seewhy.data.volumes.read_volume`.

    Raises:
        SeewhyError: with a code and a fix, for whatever cannot be done.

    Example:
        >>> net = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> explain_volume(net, np.random.default_rng(0).random((6, 8, 8)))["heatmap"].shape
        (6, 8, 8)
    """
    look = Look(colormap, alpha)
    reading = Reading(None, class_names, task, threshold, output_selector)
    known, pixels, notes = _prepared(volume, scaling, size, axes)
    in_unit = isinstance(scaling, Percentiles | Window) and not isinstance(volume, Tensor)
    colours = Normalisation((0.0,) * len(pixels), (1.0,) * len(pixels)) if in_unit else None
    explainer = make_explainer(method, model, target_layer, reading, settings, explain_volume)
    explainer = explainer.with_normalisation(colours).with_frames_first(())
    (found,) = explainer.explain_inputs({"volume": pixels[None].to(explainer.study.dtype)}, target_class)
    heat = heatmap(found.raw["volume"], known.shape, scale=found.scale).values
    stack = Stack(slices_of(known), heat, slice_labels(len(heat)), found.reference, volume=known)
    values = answer_values(found, explainer.class_names)
    values |= {"heatmap": heat, "raw": found.raw["volume"], "notes": [*values["notes"], *notes]}
    result = StackResult(values, stack, look)
    if save_path is not None:
        result.save(save_path)
    return result


def slices_of(volume: Volume) -> UInt8[np.ndarray, "d h w 3"]:
    """A volume's slices in 8 bits gray, the first channel; black and white are :data:`SHOWN` percentiles."""
    values = volume.values.reshape(-1, *volume.shape)[0]
    low, high = np.percentile(values, SHOWN)
    unit = (values - low) / (high - low) if high > low else np.zeros_like(values)
    gray = (unit.clip(0, 1) * 255).round().astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


def volume_of(values: Shaped[np.ndarray, "*c d h w"]) -> Volume:
    """Voxels without a place in space; raises ``DataError`` SW-D56 for what is no volume of finite numbers."""
    if values.ndim not in (3, 4) or not values.size or values.dtype.kind not in "fiub" or not np.isfinite(values).all():
        raise DataError(
            "SW-D56",
            f"expected a volume (D, H, W) or (C, D, H, W) of finite numbers, got {values.shape} of {values.dtype}",
            fix="pass one volume without its batch axis, with NaN replaced",
        )
    return Volume(values.astype(np.float32), np.eye(4), "", "", np.eye(4), Reordering(), "")


def _prepared(
    given: VolumeLike, scaling: Scaling | None, size: Sequence[int] | None, axes: str | None
) -> tuple[Volume, Tensor, tuple[str, ...]]:
    """The volume as a person knows it, what the model gets, and what was done on the way."""
    if isinstance(given, Tensor):
        pixels = given.detach().float()
        return volume_of(pixels.cpu().numpy()), pixels if pixels.ndim == 4 else pixels[None], ()
    if isinstance(given, np.ndarray):
        known = volume_of(given)
    else:
        known = given if isinstance(given, Volume) else read_volume(given, axes=axes)
    loaded = volume_input(known, scaling, size)
    return known, loaded.values, loaded.notes
